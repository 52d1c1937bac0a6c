import { accessKey, linkKey, sameAccess } from '../../../src/domain/access.ts';
import type { LinkAccess, LinkRef } from '../../../src/domain/access.ts';
import type { BrokerEvent } from '../../../src/domain/event.ts';
import { isDenial } from '../../../src/domain/fault.ts';
import type { Reach } from '../../../src/domain/fault.ts';
import { groupByThumbprint } from '../../../src/domain/server.ts';
import type { Group, RegisteredServer } from '../../../src/domain/server.ts';
import { standingAt } from '../../../src/policy/server-state.ts';
import { refOf } from './fleet.ts';
import { expectedCodes } from './answers.ts';
import { outageTroubles, thumbprintOf } from './vaults.ts';
import type { Call } from './vaults.ts';
import type { Asked, Observer, World } from './world.ts';

/*
 * The laws, checked from outside: on what the vaults saw, on what became durable, and on what callers heard. Times are true ones. Nothing
 * here uses the gate or the latch; where wall clocks enter, `slack` allows for two instances that are two seconds apart.
 */

/** A denial that reached an instance. */
interface Denial {
  readonly call: Call;
  readonly reach: Reach;
  readonly knownAt: number;
  storedAt: number | undefined;
}

/** What became of one latch. */
interface LatchTruth {
  readonly since: number;
  /** True time at which the newest denial was received. */
  newestDenialAt: number;
}

/** The law that something breaks, and how. */
type Found = readonly [law: string, detail: string] | undefined;

interface Outage {
  /** By the wall clock, which ages proofs. */
  readonly began: number;
  /** True time; undefined while it lasts. */
  endedAt: number | undefined;
}

const pictureMs = 1000;
/** Longer than a request lives. */
const settlesMs = 12_000;
const minute = 60_000;
const quietMs = 10 * minute;
const slack = 4000;

export interface Laws extends Observer {
  /** What was broken, with the true time; the model stops at the first. */
  readonly broken: string[];
  /** How often each law had something to say, so that a model that proves nothing shows. */
  readonly counts: Record<'standbyCalls' | 'denials' | 'releases' | 'confirmed' | 'backOnline' | 'mustFailOver' | 'answers', number>;
  /** Looks at what should have happened by now. */
  look(): void;
}

export function createLaws(world: World): Laws {
  const { vaults, rows } = world;
  const denials: Denial[] = [];
  let unstored: Denial[] = [];
  const latches = new Map<string, LatchTruth>();
  const knownAsDeleted = new Set<string>();
  const released = new Map<string, number>();
  /** By key and identity: when the newest unwrap that succeeded was sent. */
  const provenAt = new Map<string, number>();
  /** The same by the wall clock, which ages proofs. */
  const provenWall = new Map<string, number>();
  const start = world.clock.now();
  /** By vault: the first outage after its last success, by the wall clock. */
  const outages = new Map<string, Outage>();
  const laws: Laws = {
    broken: [],
    counts: { standbyCalls: 0, denials: 0, releases: 0, confirmed: 0, backOnline: 0, mustFailOver: 0, answers: 0 },
    called,
    answered,
    link,
    server,
    health: () => undefined,
    heard,
    look,
  };

  function breaks(law: string, detail: string): void {
    laws.broken.push(`${law} at ${world.now()} ms: ${detail}`);
  }

  /* What happens at the vaults. */

  function called(call: Call): void {
    if (call.server === null) return;
    const registered = world.newest(call.server);
    const link = registered.links.find(({ keyId }) => keyId === call.keyId);
    const primary = registered.links.find(({ keyId }) => keyId === link?.standbyOf);
    if (link?.standbyOf === null || primary === undefined) return;
    laws.counts.standbyCalls += 1;
    standbyCalled(call, call.server, refOf(registered, primary));
  }

  /** F3, F4, F5, F8, F9: everything that forbids the use of a standby. */
  function standbyCalled(call: Call, server: string, primary: LinkRef): void {
    const forbidding = [deniedBefore(call, primary), provenTooLongAgo(primary), primaryWellOrGone(primary), notOnline(server)];
    for (const found of forbidding) if (found !== undefined) breaks(found[0], `${server} uses a standby on ${call.instance}: ${found[1]}`);
  }

  function deniedBefore(call: Call, primary: LinkRef): Found {
    const now = world.now();
    const latch = latches.get(linkKey(primary));
    if (latch !== undefined && latch.since < now - pictureMs) return ['F4', `its primary is latched since ${latch.since}`];
    for (const denial of denials) {
      const known = denial.call.instance === call.instance && denial.knownAt < now;
      const stored = denial.storedAt !== undefined && denial.storedAt < now - pictureMs;
      if ((known || stored) && reaches(denial, primary) && !isOver(denial, primary)) {
        return ['F4', `denied at ${denial.knownAt} (${denial.reach}), ${known ? 'known there' : 'stored'}`];
      }
    }
    return undefined;
  }

  function noteOutage({ vault, outcome }: Call): void {
    const outage = outages.get(vault);
    if (outcome === 'ok' && outage !== undefined) outage.endedAt ??= world.now();
    if (outcome !== 'outage') return;
    if (outage === undefined || isPast(outage)) outages.set(vault, { began: world.clock.now(), endedAt: undefined });
    else outage.endedAt = undefined;
  }

  /** What was under way when an outage ended may still go by it, and an end is stored off the road of the answer. */
  function isPast({ endedAt }: Outage): boolean {
    return endedAt !== undefined && world.now() - endedAt > settlesMs;
  }

  function provenTooLongAgo(primary: LinkRef): Found {
    const outage = outages.get(primary.vault);
    const began = outage !== undefined && !isPast(outage) ? outage.began : world.clock.now();
    const proof = provenWall.get(accessKey(primary)) ?? start;
    return began - proof > 15 * minute + slack ? ['F3', 'its primary was last proven long before the outage'] : undefined;
  }

  function primaryWellOrGone(primary: LinkRef): Found {
    const vault = vaults.truth.get(primary.vault)!;
    const since = world.now() - vault.changedAt;
    if (world.options.controlPlane && vault.deleted !== null && since > pictureMs) return ['F9', 'the vault of its primary was deleted'];
    const well = vault.deleted === null && vault.trouble === null;
    return well && since > settlesMs ? ['F8', `the vault of its primary is well since ${vault.changedAt}`] : undefined;
  }

  function notOnline(server: string): Found {
    const { state } = standingAt(world.newest(server).server, world.clock.now());
    return state !== 'online' && stateIsOld(server) ? ['F3', `the server is ${state}`] : undefined;
  }

  function stateIsOld(name: string): boolean {
    return world.now() - rows.servers.get(name)!.at(-1)!.from > 5000;
  }

  /** F5: ten minutes of quiet, and a later unwrap at the same key by the same identity. */
  function isOver(denial: Denial, primary: LinkRef): boolean {
    const since = world.clock.now() - (denial.call.receivedAt ?? 0);
    return since >= quietMs - slack && provenSince(primary, denial.knownAt);
  }

  function provenSince(ref: Pick<LinkRef, 'keyId' | 'identity'>, after: number): boolean {
    return (provenAt.get(accessKey(ref)) ?? -Infinity) >= after;
  }

  function reaches({ call, reach }: Denial, { vault, keyId, identity }: LinkRef): boolean {
    if (call.vault !== vault) return false;
    return reach === 'vault' || (reach === 'key' ? call.keyId === keyId : call.identity === identity);
  }

  function answered(call: Call): void {
    if (call.outcome === 'ok' && call.operation === 'unwrapKey') provenWall.set(accessKey(call), world.clock.now());
    noteOutage(call);
    if (call.outcome === 'ok' && call.operation === 'unwrapKey')
      provenAt.set(accessKey(call), Math.max(provenAt.get(accessKey(call)) ?? -Infinity, call.begunAt));
    const { fault } = call;
    if (fault === undefined || !isDenial(fault.class) || fault.outsideValidity) return;
    laws.counts.denials += 1;
    const denial = { call, reach: fault.reach ?? 'vault', knownAt: world.now(), storedAt: undefined };
    denials.push(denial);
    unstored.push(denial);
  }

  /* What becomes durable. */

  function link(before: LinkAccess | undefined, after: LinkAccess, events: readonly BrokerEvent[], instance: string): void {
    if (before?.denials !== after.denials) markStored(after.ref, instance);
    const [was, is] = [before?.latch ?? null, after.latch];
    if (is !== null && is.generation !== was?.generation) latched(after);
    if (is?.code === 'VaultDeleted') deleted(after.ref.vault);
    if (was !== null && is === null) releases(after.ref);
    if (was?.status !== is?.status) latchMoved(was, after, events);
  }

  function latchMoved(was: LinkAccess['latch'], after: LinkAccess, events: readonly BrokerEvent[]): void {
    const key = linkKey(after.ref);
    const is = after.latch?.status ?? 'released';
    const told = events.some((event) => event.type === `keybroker.latch.${is}` && event.subject === after.ref.server);
    if (!told) breaks('P2', `${key} is ${is} without an event`);
    if (is === 'confirmed') confirmed(after);
    if (was?.status === 'confirmed' && is === 'suspected') breaks('F6', `${key} goes back from confirmed`);
  }

  /** F9: what the control plane said must be true. */
  function deleted(vault: string): void {
    if (!world.options.controlPlane || !world.deletions.has(vault)) breaks('F9', `vault ${vault} counts as deleted, and never was`);
    knownAsDeleted.add(vault);
  }

  function markStored(ref: LinkRef, instance: string): void {
    unstored = unstored.filter((denial) => {
      const stored = denial.call.instance === instance && sameAccess(denial.call, ref);
      if (stored) denial.storedAt = world.now();
      return !stored;
    });
  }

  function latched({ ref, latch }: LinkAccess): void {
    const key = linkKey(ref);
    const known = latches.get(key) ?? { since: world.now(), newestDenialAt: -Infinity };
    const received = denials.findLast(({ call }) => sameAccess(call, ref) && call.receivedAt === latch?.newestDenialAt);
    known.newestDenialAt = Math.max(known.newestDenialAt, received?.knownAt ?? -Infinity);
    latches.set(key, known);
  }

  /** F5. */
  function releases(ref: LinkRef): void {
    const key = linkKey(ref);
    laws.counts.releases += 1;
    const truth = latches.get(key);
    if (truth === undefined || !provenSince(ref, truth.newestDenialAt))
      breaks('F5', `${key} is released without an unwrap sent after ${truth?.newestDenialAt}`);
    latches.delete(key);
    released.set(key, world.now());
  }

  /** F6: two denials, thirty seconds apart, and nothing that says otherwise in between. */
  function confirmed({ ref, latch }: LinkAccess): void {
    laws.counts.confirmed += 1;
    const firstDenialAt = latch?.firstDenialAt ?? 0;
    // In true time, by a wall clock that nobody has moved since.
    const told = firstDenialAt - (world.clock.now() - world.now());
    if (world.jumpedAt >= told - slack) return;
    const met = denials.filter(
      ({ call }) =>
        sameAccess(call, ref) && call.operation === 'unwrapKey' && call.receivedAt !== undefined && call.receivedAt >= firstDenialAt,
    );
    // A vault that the control plane knows as deleted is denied without an answer of its own (F9): then the latch's own word must do.
    const first = met.find(({ call }) => call.receivedAt === firstDenialAt)?.knownAt ?? told;
    const last = latch?.code === 'VaultDeleted' ? world.now() : (met.at(-1)?.knownAt ?? -Infinity);
    if (last - first < 30_000 - slack / 2) breaks('F6', `${linkKey(ref)} is confirmed ${last - first} ms after the first denial`);
  }

  function server(before: RegisteredServer, after: RegisteredServer, events: readonly BrokerEvent[]): void {
    const [was, is] = [before.server.state, after.server.state];
    if (was === is) return;
    const { name, clock } = before.server;
    if (!events.some((event) => event.type === 'keybroker.server.state' && event.subject === name && event.data['to'] === is))
      breaks('P2', `${name} goes from ${was} to ${is} without an event`);
    if (is === 'atRisk' || (is === 'inaccessible' && was === 'online')) leavesOnline(after);
    if (is !== 'online') return;
    laws.counts.backOnline += 1;
    const protector = after.links.find((one) => one.role === 'protector')!;
    const ref = refOf(after, protector);
    const first = denials.find(
      ({ call }) => sameAccess(call, ref) && call.operation === 'unwrapKey' && call.receivedAt === clock?.firstDenialAt,
    );
    if (clock === null || !provenSince(ref, first?.knownAt ?? -Infinity))
      breaks('A2', `${name} is online again without an unwrap at its protector`);
  }

  /** A2, A4: only a confirmed denial at the protector starts the clock. */
  function leavesOnline({ server: { name, clock }, links }: RegisteredServer): void {
    const protector = links.find((one) => one.role === 'protector')!;
    const denied = denials.some(
      ({ call }) => call.keyId === protector.keyId && call.operation === 'unwrapKey' && call.receivedAt === clock?.firstDenialAt,
    );
    if (!denied && !knownAsDeleted.has(protector.vault)) breaks('A4', `${name} leaves online without a denial at its protector`);
  }

  function isLatched(ref: LinkRef): boolean {
    const latch = rows.links.get(linkKey(ref))?.latch ?? null;
    return latch !== null;
  }

  /* What callers hear. */

  function heard(asked: Asked): void {
    const { answer } = asked;
    if (answer === undefined) return;
    laws.counts.answers += 1;
    const wrong = expectedCodes(asked);
    if (wrong !== undefined) breaks('section 4', `${asked.operation} for ${asked.server}: ${wrong}`);
    if (!answer.ok && answer.refusal.code === 'KeyAccessDenied') latchStands(asked);
    if (world.now() - asked.begunAt > 10_100) breaks('C5', `an answer after ${world.now() - asked.begunAt} ms`);
    mustHaveFailedOver(asked);
  }

  /** F4: once the caller has heard, the latch is durable, whatever is killed next. */
  function latchStands({ server: name, operation, key, answer, begunAt }: Asked): void {
    if (operation !== 'unwrap' || answer?.ok !== false) return;
    const registered = world.newest(name);
    const group = groupByThumbprint(registered, thumbprintOf(key))!;
    const ref = refOf(registered, group.primary);
    const stands = isLatched(ref);
    if (!stands && (released.get(linkKey(ref)) ?? -Infinity) < begunAt) breaks('F4', `${name} hears of a denial that is not stored`);
  }

  /** The other side of F3: with a sound standby, a healthy store and a proof in time an outage is always answered. */
  function mustHaveFailedOver({ server: name, operation, key, instance, begunAt, answer }: Asked): void {
    const registered = world.newest(name);
    const group = groupByThumbprint(registered, thumbprintOf(key))!;
    const since = begunAt - settlesMs;
    if (!instance.alive || world.jumpedAt >= since || !storeSoundSince(since)) return;
    if (standingAt(registered.server, world.clock.now()).state !== 'online' || stateChangedSince(name, since)) return;
    const [standby] = group.standbys;
    if (standby === undefined || !isOut(group, begunAt) || !isSound(standby.vault, since) || !gateShouldOpen(registered, group, operation))
      return;
    laws.counts.mustFailOver += 1;
    if (answer?.ok !== true)
      breaks('F3', `${name} is refused ${operation} in an outage: ${answer?.refusal.code} ${answer?.refusal.detail}`);
  }

  /** For all instances: the watch runs on any. */
  function storeSoundSince(since: number): boolean {
    const sound = world.places.every(
      ({ line }) => line.away === null && line.roundTripMs <= 20 && line.losesAnswers === 0 && line.lostAt < since,
    );
    return sound && world.lineChangedAt < since;
  }

  function stateChangedSince(name: string, since: number): boolean {
    return rows.servers.get(name)!.at(-1)!.from > since;
  }

  /** The primary's vault has been out from before the operation began until now. */
  function isOut(group: Group, begunAt: number): boolean {
    const vault = vaults.truth.get(group.primary.vault)!;
    return vault.changedAt < begunAt && vault.deleted === null && vault.trouble !== null && outageTroubles.includes(vault.trouble);
  }

  function isSound(name: string, since: number): boolean {
    const vault = vaults.truth.get(name)!;
    const open = [...vault.forbidden.values()].every((operations) => operations.size === 0);
    const keysSound = [...vault.keys.values()].every(({ state, expired }) => state === 'enabled' && !expired);
    return vault.changedAt < since && vault.trouble === null && vault.deleted === null && open && keysSound;
  }

  /** F3 read from the stored rows, with slack: true only where no instance could doubt it. */
  function gateShouldOpen(registered: RegisteredServer, group: Group, operation: Asked['operation']): boolean {
    const [standby] = group.standbys;
    const wall = world.clock.now();
    const primary = refOf(registered, group.primary);
    const began = Math.min(rows.healths.get(primary.vault)?.outageSince ?? wall, wall);
    if (operation === 'wrap' && rows.links.get(linkKey(primary))?.refused.wrapKey !== undefined) return false;
    if (newestDenial(primary) > wall - quietMs - slack) return false;
    return provenEnough(primary, began - 15 * minute) && provenEnough(refOf(registered, standby!), began - 24 * 60 * minute);
  }

  function provenEnough(ref: LinkRef, notBefore: number): boolean {
    const same = [...rows.links.values()].filter((row) => sameAccess(row.ref, ref));
    const proof = Math.max(...same.map((row) => row.provenAt ?? -Infinity));
    const doubt = Math.max(...same.map((row) => row.doubtedAt ?? -Infinity));

    return (
      !isLatched(ref) &&
      proof >= notBefore + slack &&
      proof > newestDenial(ref) + slack &&
      proof > doubt + slack &&
      proof <= world.clock.now()
    );
  }

  function newestDenial(ref: LinkRef): number {
    const inVault = [...rows.links.values()].filter((row) => row.ref.vault === ref.vault);
    return Math.max(-Infinity, ...inVault.flatMap((row) => Object.values(row.denials)));
  }

  /* What time should have brought about. */

  function look(): void {
    const now = world.now();
    for (const [key, truth] of latches) {
      const row = rows.links.get(key);
      if (row?.latch?.status !== 'suspected' || now - truth.since < 62_000) continue;
      if (world.jumpedAt >= truth.since - 3000 || !storeSoundSince(truth.since - 3000)) continue;
      if (!deniesSince(row.ref, truth.since)) continue;
      breaks('F6', `${key} is only suspected, ${now - truth.since} ms after the first denial`);
    }
  }

  /** The vault has said no to unwraps at the link since then, and would say it to every call. */
  function deniesSince({ vault: name, keyId, identity }: LinkRef, since: number): boolean {
    const vault = vaults.truth.get(name)!;
    if (vault.changedAt >= since) return false;
    const key = vault.keys.get(keyId.split('/')[4] as 'k1')!;
    const byVault =
      (vault.deleted === 'nxdomain' && vault.trouble !== 'noToken') || (vault.deleted === null && vault.trouble === 'firewall');
    if (byVault) return true;
    const answers = vault.deleted === null && (vault.trouble === null || vault.trouble === 'slow');
    return answers && (vault.forbidden.get(identity)?.has('unwrapKey') === true || key.state !== 'enabled');
  }

  return laws;
}
