import { accessKey, linkKey, sameAccess } from '../../../src/domain/access.ts';
import type { LinkAccess, LinkRef } from '../../../src/domain/access.ts';
import { isDenial } from '../../../src/domain/fault.ts';
import type { Reach } from '../../../src/domain/fault.ts';
import type { Link, RegisteredServer } from '../../../src/domain/server.ts';
import { refOf } from '../world/fleet.ts';
import type { Call } from '../world/vaults.ts';
import type { Proving, World } from '../world/world.ts';
import { minute, quietMs, settlesMs, slack } from './law.ts';
import type { Law } from './law.ts';

/** A denial that reached an instance. */
export interface Denial {
  readonly call: Call;
  readonly reach: Reach;
  /** True time. */
  readonly knownAt: number;
  storedAt: number | undefined;
  /** Met where a key was proven that nobody has linked: but for the whole vault, that says nothing of the links of others. */
  readonly ofStranger: boolean;
}

/** What became of one latch. */
export interface LatchTruth {
  readonly ref: LinkRef;
  /** True time at which it was stored. */
  readonly since: number;
  /** True time at which the newest denial was received. */
  newestDenialAt: number;
}

interface Outage {
  /** By the wall clock, which ages proofs. */
  readonly began: number;
  /** True time; undefined while it lasts. */
  endedAt: number | undefined;
}

/** A link with its primary; with itself, where it is one. */
export interface LinkRole {
  readonly link: Link;
  readonly primary: LinkRef;
}

/** What truly happened, in true time, for the laws to look up. */
export interface History extends Law {
  readonly denials: readonly Denial[];
  readonly latches: ReadonlyMap<string, LatchTruth>;
  /** True time at which a link's latch was released last. */
  releasedAt(ref: Pick<LinkRef, 'server' | 'keyId'>): number;
  /** Whether an unwrap at the key by the identity succeeded that was sent at that true time or later. */
  provenSince(ref: Pick<LinkRef, 'keyId' | 'identity'>, since: number): boolean;
  /** How old the newest proof was when the outage of the vault began, or is now where there is none; by the wall clock. */
  proofAge(ref: LinkRef): number;
  reaches(denial: Denial, ref: LinkRef): boolean;
  /** F9: the control plane's word that the vault was deleted needs no denial by the vault; but it must be true. */
  toldDeleted(vault: string): boolean;
  /** F5: ten minutes of quiet by the clock of who asks, and a later unwrap at the same key by the same identity. */
  isOver(denial: Denial, ref: LinkRef, now: number): boolean;
  /** The versions of a server that an instance may still go by, newest first. */
  recent(server: string): readonly RegisteredServer[];
  /** True time of the last change of the server. */
  changedAt(server: string): number;
  /** What a key is to a server, or lately was: instances may still go by it. */
  rolesOf(server: string, keyId: string): readonly LinkRole[];
  /** True time at which the vault answered 429 last. */
  throttledAt(vault: string): number;
  /** Whether the newest wrap of the instance at the vault met an outage. */
  wrapsOut(vault: string, instance: string): boolean;
  /** Nobody moved a wall clock since, and no two are more than two seconds apart. */
  clocksSound(since: number): boolean;
  /** Every instance's way to the store was sound since then: the watch runs on any. */
  storeSound(since: number): boolean;
}

export function createHistory(world: World): History {
  const { rows } = world;
  const denials: Denial[] = [];
  let unstored: Denial[] = [];
  const latches = new Map<string, LatchTruth>();
  const released = new Map<string, number>();
  /** By key and identity: when the newest unwrap that succeeded was sent, in true time. */
  const proven = new Map<string, number>();
  /** The same by the wall clock, which ages proofs. */
  const provenWall = new Map<string, number>();
  const throttled = new Map<string, number>();
  const wrapsOut = new Set<string>();
  const start = world.clock.now();
  /** By vault: the first outage after its last success. */
  const outages = new Map<string, Outage>();

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

  function answered(call: Call): void {
    noteOutage(call);
    if (call.operation === 'wrapKey') wrapsOut[call.outcome === 'outage' ? 'add' : 'delete'](`${call.vault}|${call.instance}`);
    if (call.outcome === 'throttled') throttled.set(call.vault, world.now());
    if (call.outcome === 'ok' && call.operation === 'unwrapKey') {
      provenWall.set(accessKey(call), world.clock.now());
      proven.set(accessKey(call), Math.max(proven.get(accessKey(call)) ?? -Infinity, call.begunAt));
    }
    const { fault } = call;
    if (fault === undefined || !isDenial(fault.class) || fault.outsideValidity) return;
    const reach = fault.reach ?? 'vault';
    const denial = { call, reach, knownAt: world.now(), storedAt: undefined, ofStranger: reach !== 'vault' && isOfStranger(call) };
    denials.push(denial);
    unstored.push(denial);
  }

  function isOfStranger(call: Call): boolean {
    const works = call.server === null ? world.provingFor(call) : [];
    // Who proves a key reads the server first, so no older copy counts.
    const isLinked = ({ server, begunAt }: Proving): boolean =>
      versionsSince(server, begunAt).some(({ links }) => links.some(({ keyId }) => keyId === call.keyId));
    return works.some((work) => !isLinked(work) && !isOfOthers(call, work.server));
  }

  /** The versions of a server that held at that true time or later, newest first. */
  function versionsSince(server: string, since: number): readonly RegisteredServer[] {
    const versions = rows.servers.get(server) ?? [];
    const first = Math.max(
      0,
      versions.findLastIndex(({ from }) => from <= since),
    );
    return versions
      .slice(first)
      .reverse()
      .flatMap(({ value }) => value ?? []);
  }

  /** What is met at a key counts for everybody who has linked it; by which identity, for those who call by it. */
  function isOfOthers({ keyId, identity, fault }: Call, server: string): boolean {
    const others = [...rows.links.values()].filter(({ ref }) => ref.keyId === keyId && ref.server !== server);
    return others.some(({ ref }) => fault?.reach === 'key' || ref.identity === identity);
  }

  function link(before: LinkAccess | undefined, after: LinkAccess, _events: unknown, instance: string): void {
    if (before?.denials !== after.denials) markStored(after.ref, instance);
    const [was, is] = [before?.latch ?? null, after.latch];
    if (is !== null && is.generation !== was?.generation) latched(after);
    if (was === null || is !== null) return;
    latches.delete(linkKey(after.ref));
    released.set(linkKey(after.ref), world.now());
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
    const known = latches.get(key) ?? { ref, since: world.now(), newestDenialAt: -Infinity };
    const received = denials.findLast(({ call }) => sameAccess(call, ref) && call.receivedAt === latch?.newestDenialAt);
    known.newestDenialAt = Math.max(known.newestDenialAt, received?.knownAt ?? -Infinity);
    latches.set(key, known);
  }

  const history: History = {
    denials,
    latches,
    answered,
    link,
    releasedAt: (ref) => released.get(linkKey(ref)) ?? -Infinity,
    provenSince: (ref, since) => (proven.get(accessKey(ref)) ?? -Infinity) >= since,

    proofAge(ref) {
      const outage = outages.get(ref.vault);
      const began = outage !== undefined && !isPast(outage) ? outage.began : world.clock.now();
      return began - (provenWall.get(accessKey(ref)) ?? start);
    },

    reaches({ call, reach }, { vault, keyId, identity }) {
      if (call.vault !== vault) return false;
      return reach === 'vault' || (reach === 'key' ? call.keyId === keyId : call.identity === identity);
    },

    toldDeleted: (vault) => world.options.controlPlane && world.deletions.has(vault),
    isOver: (denial, ref, now) => now - (denial.call.receivedAt ?? 0) >= quietMs - slack && history.provenSince(ref, denial.knownAt),

    recent(server) {
      // Who is cut off from the store, or was a moment ago, goes by the copy that it had.
      const settling = world.now() - world.lineChangedAt <= settlesMs;
      const cutOff = world.places.filter(({ line }) => settling || line.away !== null).map(({ line }) => line.awaySince);
      return versionsSince(server, Math.min(world.now(), ...cutOff) - settlesMs);
    },

    changedAt: (server) => rows.servers.get(server)?.at(-1)?.from ?? -Infinity,

    rolesOf(server, keyId) {
      const roles = history.recent(server).flatMap((registered) => {
        const link = registered.links.find((one) => one.keyId === keyId);
        const primary = registered.links.find((one) => one.keyId === (link?.standbyOf ?? keyId));
        return link === undefined || primary === undefined ? [] : [{ link, primary: refOf(registered, primary) }];
      });
      return [...new Map(roles.map((role) => [role.primary.keyId, role])).values()];
    },

    throttledAt: (vault) => throttled.get(vault) ?? -Infinity,
    wrapsOut: (vault, instance) => wrapsOut.has(`${vault}|${instance}`),
    clocksSound: (since) => world.jumpedAt < since && world.places.every(({ skew }) => Math.abs(skew) <= 1000),

    storeSound(since) {
      const sound = world.places.every(
        ({ line }) => line.away === null && line.roundTripMs <= 20 && line.losesAnswers === 0 && line.lostAt < since,
      );
      return sound && world.lineChangedAt < since;
    },
  };
  return history;
}

/** How long a proof serves before an outage (F3). */
export const proofMaxAgeMs = 15 * minute;
