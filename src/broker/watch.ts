import type { AccessPicture, LinkAccess } from '../domain/access.ts';
import type { RegisteredServer } from '../domain/server.ts';
import { instant, latest, minutes, plus, seconds, span } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import { outlivedIn, restamped, unlinked } from '../policy/access-upkeep.ts';
import { wrapsGoTo } from '../policy/audit-rules.ts';
import { newestDenialReaching, newestDoubt, newestProof } from '../policy/denial.ts';
import { voids } from '../policy/gate.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import { createTurns } from '../ports/turns.ts';
import type { Access } from './access.ts';
import { forgetLink } from './forget-links.ts';
import { inTurns } from './in-turns.ts';
import { createMoveServer, twinsOf } from './move-server.ts';
import type { Outages } from './outages.ts';
import type { Parts } from './parts.ts';
import { createWatchOrder, together } from './watch-order.ts';
import type { Watched } from './watch-order.ts';
import { primaryLatched, primaryRef, targetOf } from './witness.ts';
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
/** So many pictures of vaults are read at once when a pass begins. */
const picturesAtOnce = 2;
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
  const order = createWatchOrder(clock, rules.denial);
  const inTurn = createTurns();
  let reads = 0;
  const wrapAgain = createWrapAgain({ parts, access, outages });

  async function watchVault(vault: string, picture: AccessPicture): Promise<void> {
    const before = await rightTimes(picture);
    const targets = await targetsOf(before);
    order.keepOnly(vault, targets);
    const unseen = await seeBeyond(targets);
    const callable = (target: Watched): boolean => mayCall(target, unseen);
    // Of links that share a canary it suffices that one may be asked.
    await canaries(order.suspects(targets).filter((shared) => shared.some(callable)));
    await canaries(order.confirmed(targets).filter((shared) => shared.some(callable)));
    const protectors = targets.filter(({ link }) => link.role === 'protector');
    const seen = protectors.filter(({ registered, link }) => !twinsOf(registered, link).some((twin) => unseen.has(twin.vault)));
    await inTurns(seen, atOnce, moveServer);
    const unlatched = targets.filter((target) => target.stored.latch === null && callable(target));
    await renewProofs(unlatched, before);
    await endOldOutage(vault, unlatched);
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
      else if (!isBeingLinked(stored) && unlinked(stored, outlived) !== null) await forgetLink({ registry, access }, ref, outlived);
    });
    return picture.links.flatMap((stored) => found.get(stored) ?? []);
  }

  /** The proof of a key is stored before its link is (K4), which may be linked any moment then; no request takes a minute. */
  function isBeingLinked({ provenAt }: LinkAccess): boolean {
    return provenAt !== null && Math.abs(span(provenAt, clock.now())) < minutes(1);
  }

  /** A server that cannot be read keeps no other of the vault from being looked after; the registry tells of it. */
  async function readable(server: string): Promise<RegisteredServer | undefined | 'unreadable'> {
    try {
      // An instance that has just begun reads the whole fleet here: `atOnce` in all, not at each vault.
      return await inTurn(`server ${(reads += 1) % atOnce}`, () => registry.readServer(server));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return 'unreadable';
    }
  }

  /**
   * Primaries and other links of the same material lie in other vaults, of which an instance that has just begun knows nothing yet.
   * @returns the vaults that cannot be read, or something of them: they hold up only what depends on them.
   */
  async function seeBeyond(targets: readonly Watched[]): Promise<ReadonlySet<string>> {
    const unseen = new Set<string>();
    const beyond = new Set(targets.flatMap(({ registered, link }) => twinsOf(registered, link).map(({ vault }) => vault)));
    await inTurns([...beyond], atOnce, async (vault) => {
      try {
        await access.picture(vault);
      } catch (error) {
        if (!(error instanceof StoreAway)) throw error;
        unseen.add(vault);
      }
    });
    return unseen;
  }

  /** F3: whether a canary may go there. What may not be called takes nobody's place in the pass; when its primary is released, its turn comes. */
  function mayCall(target: Watched, unseen: ReadonlySet<string>): boolean {
    const primary = primaryRef(target);
    return primary === undefined || (!unseen.has(primary.vault) && !primaryLatched(access, target));
  }

  /** In order, as many as the pass has time for. */
  async function canaries(groups: readonly (readonly Watched[])[], proven?: (target: Watched) => Promise<void>): Promise<void> {
    const end = clock.elapsed() + canariesLast;
    await inTurns(groups.slice(0, rules.witnessLimit), atOnce, async ([first, ...shared]) => {
      if (first === undefined || clock.elapsed() >= end) return;
      if ((await lookAt(first, shared)) === 'proven') await proven?.(first);
    });
  }

  async function lookAt(target: WitnessTarget, shared: readonly WitnessTarget[]): Promise<Sight> {
    const sentAt = clock.now();
    const latched = [target, ...shared].filter(({ ref }) => access.known(ref)?.latch);
    const sight = await witness.look(target, 'probe', shared);
    if (sight !== 'unasked') order.looked(target.ref, sentAt);
    if (sight === 'proven') outages.answered(target.ref.vault, sentAt);
    if (sight === 'outage') await outages.met(target.ref.vault, target, clock.now(), 'unwrapKey');
    // F9: by a vault that was deleted and answers as if it were down, a canary opens the circuit too.
    if (sight === 'denied' && circuits.state(target.ref.vault).state !== 'closed') outages.lookAgain(target.ref.vault, target);
    else if (sight === 'denied') outages.denied(target.ref.vault, sentAt);
    if (sight === 'proven') await wrapAgain(latched);
    return sight;
  }

  /**
   * F3: proofs that traffic gave are stored; a primary's that is older than `proofRenewMs`, or void, is renewed by a canary, once per key and
   * identity. A standby's is renewed rarely, and not while its primary is latched: nothing may call there then.
   */
  async function renewProofs(unlatched: readonly Watched[], picture: AccessPicture): Promise<void> {
    const due: { readonly target: Watched; readonly provenAt: Instant | null }[] = [];
    for (const group of together(unlatched)) {
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
    const inOrder = order.unproven(due).map(({ target }) => [target]);
    await canaries(inOrder, ({ ref }) => access.storeProof(ref));
  }

  /** Whether the proof is newer than `since`, and no doubt and no denial made it void. */
  function stands(proof: Instant | null, { ref }: Watched, since: Instant, picture: AccessPicture): boolean {
    const voided = latest(newestDenialReaching(picture, ref), newestDoubt(picture, ref));
    return proof !== null && proof > since && (voided === null || !voids(voided, proof, rules.gate.clockSkewMs));
  }

  /**
   * An outage, a failover or an open circuit that nobody is looking at any more, since who met it is gone, had no link to look at or has
   * nothing more to ask, ends by a canary.
   */
  async function endOldOutage(vault: string, unlatched: readonly Watched[]): Promise<void> {
    const { outageSince, failoverSince } = access.health(vault);
    // The newest proof first: a key that fails alone proves nothing any more, and the next pass takes another.
    const [first] = unlatched.toSorted((a, b) => (b.stored.provenAt ?? 0) - (a.stored.provenAt ?? 0));
    const old = outageSince !== null && span(outageSince, clock.now()) >= rules.probeMs;
    if (first !== undefined && (old || failoverSince !== null || circuits.state(vault).state === 'open')) await lookAt(first, []);
    // What is open for wraps alone no unwrap closes.
    const wrapped = unlatched.find(({ registered, link }) => wrapsGoTo(registered.links, link)) ?? first;
    const wrapsAlone = circuits.state(vault).state === 'open' && circuits.state(vault, 'unwrapKey').state === 'closed';
    if (wrapped !== undefined && wrapsAlone) outages.lookAgain(vault, wrapped);
  }

  /** The pictures of these vaults, a few at a time: all at once, they would hold up the store for whoever else needs it. */
  function picturesOf(vaults: readonly Vault[]): readonly { readonly name: string; readonly picture: Promise<AccessPicture> }[] {
    const lanes = new Array<Promise<unknown>>(picturesAtOnce).fill(Promise.resolve());
    return vaults.map(({ name }, i) => {
      const read = (): Promise<AccessPicture> => access.picture(name);
      const picture = (lanes[i % picturesAtOnce] ?? Promise.resolve()).then(read, read);
      lanes[i % picturesAtOnce] = picture;
      return { name, picture };
    });
  }

  return async () => {
    const vaults = registry.peekVaults().length > 0 ? registry.peekVaults() : await registry.readVaults();
    await Promise.all(
      picturesOf(vaults).map(async ({ name, picture }) => {
        try {
          await watchVault(name, await picture);
        } catch (error) {
          if (!(error instanceof StoreAway)) throw error;
          if (error instanceof Unreadable) log('error', 'a vault cannot be watched', { vault: name, reason: error.message });
          else log('warn', 'the watch of a vault waits for the store', { vault: name });
        }
      }),
    );
  };
}
