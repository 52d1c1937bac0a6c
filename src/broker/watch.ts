import { accessKey, sameLink } from '../domain/access.ts';
import type { AccessPicture, LinkAccess } from '../domain/access.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import { instant, latest, plus, seconds, span } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { inFuture, newestDenialReaching, newestDoubt, newestProof } from '../policy/denial.ts';
import { standingUnder } from '../policy/server-state.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import type { Access } from './access.ts';
import { inTurns } from './in-turns.ts';
import type { Outages } from './outages.ts';
import type { Parts } from './parts.ts';
import { createReport } from './report.ts';
import { stateEvent } from './server-events.ts';
import { primaryLatched, refOf } from './witness.ts';
import type { Sight, Witness, WitnessTarget } from './witness.ts';

/*
 * The `accessWatch` timer: what must happen without waiting for traffic. Everything here may be done twice, late, or by two instances at
 * once: each step looks at what is stored, and each change is a compare-and-set.
 */

/*
 * What bounds the canaries of one pass at one vault, whatever one denied identity or key makes void: of suspects, confirmed latches and
 * proofs each at most `witnessLimit` keys, `atOnce` under way, none begun later than `canariesLast`, and all of them out of the probes' share
 * of the rate budget (B4). What is left over comes first in the next pass.
 */

/** So many canaries of one vault are under way at once. */
const atOnce = 8;
/** By a vault that answers nothing, or too slowly, a pass is held up no longer than this, thrice. */
const canariesLast = seconds(10);

export interface WatchParts {
  readonly parts: Parts;
  readonly access: Access;
  readonly outages: Outages;
  readonly witness: Witness;
}

/** One pass over all vaults, side by side; a fault of one vault keeps no other from its pass. */
export function createWatch({ parts, access, outages, witness }: WatchParts): () => Promise<void> {
  const { circuits, clock, registry, rules, log } = parts;
  const report = createReport(parts);

  async function watchVault(vault: string): Promise<void> {
    const before = await access.picture(vault);
    const targets = await targetsOf(before);
    await look(suspectsDue(targets, clock.now()));
    await look(latchedRest(targets));
    await seeBeyond(targets);
    await moveServers(targets);
    await renewProofs(targets, before);
    await endOldOutage(vault, targets);
    await outages.prune(vault);
  }

  /** The links of the vault that are still linked, with what is stored of each. */
  async function targetsOf(picture: AccessPicture): Promise<readonly Watched[]> {
    const found: Watched[] = [];
    for (const stored of picture.links) {
      const registered = registry.peekServer(stored.ref.server) ?? (await readable(stored.ref.server));
      const link = registered?.links.find((one) => one.keyId === stored.ref.keyId);
      if (registered === undefined || link === undefined) continue;
      found.push({ registered, link, ref: refOf(registered, link), stored });
    }
    return found;
  }

  /** A server that cannot be read keeps no other of the vault from being looked after; the registry tells of it. */
  async function readable(server: string): Promise<RegisteredServer | undefined> {
    try {
      return await registry.readServer(server);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return undefined;
    }
  }

  /** Primaries and other links of the same material lie in other vaults, of which an instance that has just begun knows nothing yet. */
  async function seeBeyond(targets: readonly Watched[]): Promise<void> {
    const beyond = targets.flatMap(({ registered, link }) => twinsOf(registered, link).map(({ vault }) => vault));
    await Promise.all([...new Set(beyond)].map((vault) => access.picture(vault)));
  }

  /** F6: suspects whose first denial is old enough, in order of first denial, links of the same key and identity together. */
  function suspectsDue(targets: readonly Watched[], now: Instant): readonly Watched[][] {
    const due = targets
      .filter(
        ({ stored: { latch } }) =>
          latch?.status === 'suspected' &&
          (span(latch.firstDenialAt, now) >= rules.denial.witnessAfterMs || inFuture(latch.firstDenialAt, now)),
      )
      .sort((a, b) => (a.stored.latch?.firstDenialAt ?? 0) - (b.stored.latch?.firstDenialAt ?? 0));
    return together(due);
  }

  /** Confirmed latches: a canary finds out when access is back (A3), those longest not looked at first. */
  function latchedRest(targets: readonly Watched[]): readonly Watched[][] {
    const confirmed = targets
      .filter(({ stored }) => stored.latch?.status === 'confirmed')
      .sort((a, b) => (a.stored.latch?.newestDenialAt ?? 0) - (b.stored.latch?.newestDenialAt ?? 0));
    return together(confirmed);
  }

  async function look(groups: readonly (readonly Watched[])[]): Promise<void> {
    await canaries(groups, async ([first, ...shared]) => {
      if (first !== undefined) await lookAt(first, shared);
    });
  }

  /** In order, as many as the pass has time for. */
  async function canaries<T>(items: readonly T[], send: (item: T) => Promise<void>): Promise<void> {
    const end = clock.elapsed() + canariesLast;
    await inTurns(items.slice(0, rules.witnessLimit), atOnce, async (item) => {
      if (clock.elapsed() < end) await send(item);
    });
  }

  async function lookAt(target: WitnessTarget, shared: readonly WitnessTarget[]): Promise<Sight> {
    const sentAt = clock.now();
    const sight = await witness.look(target, 'probe', shared);
    if (sight === 'proven') outages.answered(target.ref.vault, sentAt);
    if (sight === 'outage') await outages.met(target.ref.vault, target, clock.now());
    return sight;
  }

  /**
   * F3: proofs that traffic gave are stored; a primary's that is older than `proofRenewMs`, or void, is renewed by a canary, once per key and
   * identity. A standby's is renewed rarely, and not while its primary is latched: nothing may call there then.
   */
  async function renewProofs(targets: readonly Watched[], picture: AccessPicture): Promise<void> {
    const due: { readonly target: Watched; readonly provenAt: Instant | null }[] = [];
    for (const group of together(targets.filter((target) => target.stored.latch === null && !primaryLatched(access, target)))) {
      // A key that is the primary of one server and a standby of another is renewed as a primary.
      const target = group.find(({ link }) => link.standbyOf === null) ?? group[0];
      if (target === undefined) continue;
      const maxAge = target.link.standbyOf === null ? rules.proofRenewMs : rules.standbyProofRenewMs;
      const now = clock.now();
      const until = plus(now, rules.gate.clockSkewMs);
      const stored = newestProof(picture, target.ref, until);
      // Stored at half of the age at which it would be renewed: a proof that traffic renews all the time costs a write every few minutes.
      if (!stands(stored, target, instant(now - maxAge / 2), picture)) await access.storeProof(target.ref);
      const mine = access.provenAt(target.ref);
      const provenAt = latest(stored, mine !== null && mine <= until ? mine : null);
      if (!stands(provenAt, target, instant(now - maxAge), picture)) due.push({ target, provenAt });
    }
    // Those longest without a proof first: where the budget has room for some only, each has its turn.
    due.sort((a, b) => (a.provenAt ?? 0) - (b.provenAt ?? 0));
    await canaries(due, async ({ target }) => {
      if ((await lookAt(target, [])) === 'proven') await access.storeProof(target.ref);
    });
  }

  /** Whether the proof is newer than `since`, and no doubt and no denial made it void. */
  function stands(proof: Instant | null, { ref }: Watched, since: Instant, picture: AccessPicture): boolean {
    const voided = latest(newestDenialReaching(picture, ref), newestDoubt(picture, ref));
    return proof !== null && proof > since && (voided === null || span(voided, proof) > rules.gate.clockSkewMs);
  }

  /** A1–A3: the states that follow from the latches on protectors and from time. */
  async function moveServers(targets: readonly Watched[]): Promise<void> {
    const protectors = targets.filter(({ link }) => link.role === 'protector');
    await inTurns(protectors, atOnce, async (target) => {
      if (!moves(target.registered, target.link)) return;
      await registry.changeServer(target.ref.server, (known) => {
        const protector = known?.links.find((link) => link.role === 'protector');
        if (known === undefined || protector?.keyId !== target.ref.keyId) return null;
        const now = clock.now();
        const server = { ...known.server, ...standingUnder(latchOver(known, protector), known.server, now, rules.state) };
        return server.state === known.server.state
          ? null
          : { next: { ...known, server }, events: stateEvent(known.server, server, now, clock.uuid()) };
      });
    });
  }

  function moves(registered: RegisteredServer, protector: Link): boolean {
    const { server } = registered;
    return standingUnder(latchOver(registered, protector), server, clock.now(), rules.state).state !== server.state;
  }

  /**
   * The latch that rules the server's state: that of its protector. Where the same material was set anew in another vault, that of the link
   * whose denial started the clock: only a protector with another thumbprint ends it (A2).
   */
  function latchOver(registered: RegisteredServer, protector: Link): LinkAccess['latch'] {
    const own = access.known(refOf(registered, protector))?.latch ?? null;
    const { clock: running } = registered.server;
    if (own !== null || running === null) return own;
    const latches = twinsOf(registered, protector).map((twin) => access.known(refOf(registered, twin))?.latch ?? null);
    return latches.find((latch) => latch?.firstDenialAt === running.firstDenialAt) ?? null;
  }

  /** An outage, or an open circuit, that nobody is looking at any more, since who met it is gone or had no link to look at, ends by a canary. */
  async function endOldOutage(vault: string, targets: readonly Watched[]): Promise<void> {
    const { outageSince } = access.health(vault);
    const [first] = targets.filter((target) => target.stored.latch === null && !primaryLatched(access, target));
    const old = outageSince !== null && span(outageSince, clock.now()) >= rules.probeMs;
    if (first !== undefined && (old || circuits.state(vault).state === 'open')) await lookAt(first, []);
  }

  return async () => {
    const vaults = registry.peekVaults().length > 0 ? registry.peekVaults() : await registry.readVaults();
    await Promise.all(
      vaults.map(async ({ name }) => {
        try {
          await watchVault(name);
        } catch (error) {
          if (!(error instanceof StoreAway)) throw error;
          log('warn', 'the watch of a vault waits for the store', { vault: name });
        }
      }),
    );
    await report();
  };
}

/** A linked key with what was stored of it when the pass began. */
interface Watched extends WitnessTarget {
  readonly stored: LinkAccess;
}

/** The other links of the same material. */
function twinsOf({ links }: RegisteredServer, { keyId, thumbprint }: Link): readonly Link[] {
  return links.filter((other) => other.thumbprint === thumbprint && other.keyId !== keyId);
}

/** Links of the same key id and identity, in the order of their first: they share proofs and witnesses. */
function together(targets: readonly Watched[]): Watched[][] {
  const groups = new Map<string, Watched[]>();
  for (const target of targets) {
    const key = accessKey(target.ref);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [target]);
    else if (!group.some((one) => sameLink(one.ref, target.ref))) group.push(target);
  }
  return [...groups.values()];
}
