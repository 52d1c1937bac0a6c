import { accessKey, sameLink } from '../domain/access.ts';
import type { AccessPicture, LinkAccess } from '../domain/access.ts';
import type { RegisteredServer } from '../domain/server.ts';
import { instant, latest, plus, seconds, span } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { outlivedIn, restamped, unlinked } from '../policy/access-upkeep.ts';
import { inFuture, newestDenialReaching, newestDoubt, newestProof } from '../policy/denial.ts';
import { voids } from '../policy/gate.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import type { Access } from './access.ts';
import { forgetLink } from './forget-links.ts';
import { inTurns } from './in-turns.ts';
import { createMoveServer, twinsOf } from './move-server.ts';
import type { Outages } from './outages.ts';
import type { Parts } from './parts.ts';
import { primaryLatched, targetOf } from './witness.ts';
import type { Sight, Witness, WitnessTarget } from './witness.ts';
import { createWrapAgain } from './wrap-again.ts';

/*
 * The `accessWatch` timer: what must happen without waiting for traffic. Everything here may be done twice, late, or by two instances at
 * once: each step looks at what is stored, and each change is a compare-and-set.
 */

/*
 * What bounds the canaries of one pass at one vault, whatever one denied identity or key makes void: of suspects, confirmed latches and
 * proofs each at most `witnessLimit` keys, `atOnce` under way, none begun later than `canariesLast`, and all of them out of the probes' share
 * of the rate budget (B4). What is left over comes first in the next pass.
 */

/** So many canaries, or looks at the store, of one vault are under way at once. */
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
  const moveServer = createMoveServer(parts, access);
  const wrapAgain = createWrapAgain({ parts, access, outages });

  async function watchVault(vault: string): Promise<void> {
    const before = await rightTimes(await access.picture(vault));
    const targets = await targetsOf(before);
    await look(suspectsDue(targets, clock.now()));
    await look(latchedRest(targets));
    const unseen = await seeBeyond(targets);
    const protectors = targets.filter(({ link }) => link.role === 'protector');
    const seen = protectors.filter(({ registered, link }) => !twinsOf(registered, link).some((twin) => unseen.has(twin.vault)));
    await inTurns(seen, atOnce, moveServer);
    await renewProofs(targets, before);
    await endOldOutage(vault, targets);
    await outages.prune(vault);
  }

  /** The picture after what clocks stamped that have been set back since is put right. */
  async function rightTimes(picture: AccessPicture): Promise<AccessPicture> {
    const proofs = picture.links.flatMap(({ provenAt }) => provenAt ?? []);
    const wrong = picture.links.filter((stored) => restamped(stored, clock.now(), proofs) !== null);
    await inTurns(wrong, atOnce, ({ ref }) => access.restamp(ref, proofs));
    return wrong.length === 0 ? picture : access.picture(picture.vault);
  }

  /** The links of the vault that are still linked, with what is stored of each. What is stored of others goes, as far as it may. */
  async function targetsOf(picture: AccessPicture): Promise<readonly Watched[]> {
    const found = new Map<LinkAccess, Watched>();
    const outlived = outlivedIn(picture, clock.now(), rules.gate.clockSkewMs);
    await inTurns(picture.links, atOnce, async (stored) => {
      const { ref } = stored;
      const registered = registry.peekServer(ref.server) ?? (await readable(ref.server));
      if (registered === 'unreadable') return;
      const link = registered?.links.find((one) => one.keyId === ref.keyId);
      if (registered !== undefined && link !== undefined) found.set(stored, { ...targetOf(registered, link), stored });
      else if (unlinked(stored, outlived) !== null) await forgetLink({ registry, access }, ref, outlived);
    });
    return picture.links.flatMap((stored) => found.get(stored) ?? []);
  }

  /** A server that cannot be read keeps no other of the vault from being looked after; the registry tells of it. */
  async function readable(server: string): Promise<RegisteredServer | undefined | 'unreadable'> {
    try {
      return await registry.readServer(server);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return 'unreadable';
    }
  }

  /**
   * Primaries and other links of the same material lie in other vaults, of which an instance that has just begun knows nothing yet.
   * @returns the vaults of which something cannot be read: they hold up only what depends on them.
   */
  async function seeBeyond(targets: readonly Watched[]): Promise<ReadonlySet<string>> {
    const unseen = new Set<string>();
    const beyond = new Set(targets.flatMap(({ registered, link }) => twinsOf(registered, link).map(({ vault }) => vault)));
    await inTurns([...beyond], atOnce, async (vault) => {
      try {
        await access.picture(vault);
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        unseen.add(vault);
      }
    });
    return unseen;
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
    const latched = [target, ...shared].filter(({ ref }) => access.known(ref)?.latch);
    const sight = await lookIfReadable(target, shared);
    if (sight === 'proven') outages.answered(target.ref.vault, sentAt);
    if (sight === 'outage') await outages.met(target.ref.vault, target, clock.now());
    if (sight === 'proven') await wrapAgain(latched);
    return sight;
  }

  /** F3: at a standby whose primary's vault cannot be read nothing is looked at, and no other waits for that. */
  async function lookIfReadable(target: WitnessTarget, shared: readonly WitnessTarget[]): Promise<Sight> {
    try {
      return await witness.look(target, 'probe', shared);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return 'undecided';
    }
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
    return proof !== null && proof > since && (voided === null || !voids(voided, proof, rules.gate.clockSkewMs));
  }

  /** An outage, or an open circuit, that nobody is looking at any more, since who met it is gone or had no link to look at, ends by a canary. */
  async function endOldOutage(vault: string, targets: readonly Watched[]): Promise<void> {
    const { outageSince } = access.health(vault);
    // The newest proof first: a key that fails alone proves nothing any more, and the next pass takes another.
    const [first] = targets
      .filter((target) => target.stored.latch === null && !primaryLatched(access, target))
      .sort((a, b) => (b.stored.provenAt ?? 0) - (a.stored.provenAt ?? 0));
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
          if (error instanceof Unreadable) log('error', 'a vault cannot be watched', { vault: name, reason: error.message });
          else log('warn', 'the watch of a vault waits for the store', { vault: name });
        }
      }),
    );
  };
}

/** A linked key with what was stored of it when the pass began. */
interface Watched extends WitnessTarget {
  readonly stored: LinkAccess;
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
