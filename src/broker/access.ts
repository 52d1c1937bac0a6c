import { linkKey, soundVault } from '../domain/access.ts';
import type { AccessPicture, Change, Latch, LinkAccess, LinkRef, VaultHealth } from '../domain/access.ts';
import { seconds } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import { restamped, unlinked } from '../policy/access-upkeep.ts';
import {
  accessDoubted,
  newerProof,
  operationAllowed,
  operationRefused,
  otherDenied,
  unwrapDenied,
  unwrapSucceeded,
} from '../policy/denial.ts';
import type { DenialSeen, OperationRefusal } from '../policy/denial.ts';
import { StoreAway } from '../ports/store.ts';
import { createTurns } from '../ports/turns.ts';
import { createLinkChanges } from './link-changes.ts';
import { createOwnWraps } from './own-wraps.ts';
import type { Parts } from './parts.ts';
import { createPictures } from './pictures.ts';
import type { Decide, Three } from './pictures.ts';
import { createProofs } from './proofs.ts';
import { createSureChanges } from './sure-changes.ts';

/**
 * What this instance knows of access at links: what the store says, at most a second old, and what it met itself.
 * A denial is durable before its caller hears of it (F4). One that cannot be stored is kept, tried again each second, and lies over every
 * picture meanwhile, so that this instance uses no standby against it.
 */
export interface Access {
  /** Everything of one vault, at most `pictureMaxAgeMs` old. Rejects with `StoreAway`: then nothing may fail over. */
  picture(vault: string): Promise<AccessPicture>;
  /** The vaults at one moment, each as `picture`; one that is named twice is read once. */
  pictures(...vaults: Three<string>): Promise<Three<AccessPicture>>;
  /** What the last picture and this instance's own changes say of the link, however old; undefined if nothing is known. */
  known(ref: LinkRef): LinkAccess | undefined;
  /** Stores a denial of unwrap. Resolves with the latch once it is durable; rejects with `StoreAway`. */
  denied(ref: LinkRef, seen: DenialSeen & { readonly witness: boolean }): Promise<Latch | null>;
  /** Stores a denial of wrap or get; as `denied`. */
  otherDenied(ref: LinkRef, seen: DenialSeen): Promise<void>;
  refused(ref: LinkRef, refusal: OperationRefusal): Promise<void>;
  doubted(ref: LinkRef, receivedAt: Instant): Promise<void>;
  /** An operation other than unwrap succeeded. Costs nothing where none was refused before. */
  allowed(ref: LinkRef, operation: 'wrapKey' | 'get', sentAt: Instant): void;
  /** An unwrap succeeded: remembered as a proof; releases the latch that was known when it was sent. Resolves when that is stored, or at once. */
  proven(ref: LinkRef, success: { readonly sentAt: Instant; readonly known: string | null }): Promise<void>;
  /** Stores the newest proof that this instance saw, where the stored one is older. Rejects with `StoreAway`. */
  storeProof(ref: LinkRef): Promise<void>;
  /** The newest proof of the link's key by its identity that this instance saw. */
  provenAt(ref: LinkRef): Instant | null;
  /**
   * The link is no longer linked: what is left are its denials and doubts, which reach others, but for those that are `outlived`; without any
   * its row goes. Where `isLinked` says that it is linked again, or the row changes while it is asked, nothing happens: a new link's latch
   * is never taken for the old one's.
   */
  unlinked(ref: LinkRef, isLinked: () => Promise<boolean>, outlived?: (at: Instant) => boolean): Promise<void>;
  /** What clocks stamped at the link that have been set back since counts as met now; `proofs`: of the vault. Rejects with `StoreAway`. */
  restamp(ref: LinkRef, proofs: readonly Instant[]): Promise<void>;
  /** One change of a vault after another. Where what was read or stored within `pictureMaxAgeMs` is as `decide` wants it, nothing is read. */
  changeVault(vault: string, decide: (stored: VaultHealth) => Change<VaultHealth>): Promise<VaultHealth>;
  /** The vault's health as last seen. */
  health(vault: string): VaultHealth;
}

/** How often an instance that knows something bad of a vault looks, beside its gate, whether another instance knows better. */
const refreshEvery = seconds(15);

export function createAccess(parts: Pick<Parts, 'accessLog' | 'clock' | 'rules' | 'log'>): Access {
  const { accessLog, clock, rules, log } = parts;
  const pictures = createPictures(parts);
  const proofs = createProofs();
  const refreshed = new Map<string, Millis>();
  const inTurn = createTurns();

  const change = createLinkChanges({ accessLog, clock, pictures });
  const changeForSure = createSureChanges({ clock, log, pictures, change });

  /** Best effort: what is lost here makes the gate stricter or costs one more canary. */
  async function changeIfPossible(ref: LinkRef, decide: Decide): Promise<void> {
    await unlessAway(change(ref, decide));
  }

  const wraps = createOwnWraps({ clock, rules, change: changeIfPossible });

  /**
   * What other instances stored shows only in pictures, which only the gate and the watch read, and the watch runs on one instance. So an
   * instance that knows something bad of a link, or nothing of it, reads now and then when the link is used, off the road of the request. A
   * healthy link that is known, of a vault that was read once, costs a look-up.
   */
  function refresh(ref: LinkRef): void {
    const known = pictures.known(ref);
    const wasRead = pictures.wasRead(ref.vault);
    const bad = known !== undefined && (known.latch !== null || known.refused.wrapKey !== undefined || known.refused.get !== undefined);
    if (!bad && wasRead && known !== undefined) return;
    const place = known === undefined && wasRead ? linkKey(ref) : ref.vault;
    const last = refreshed.get(place);
    if (last !== undefined && clock.elapsed() - last < refreshEvery) return;
    refreshed.set(place, clock.elapsed());
    void unlessAway(readAnew(ref, place));
  }

  /** A link without a row would never be proven again, since the watch goes by the rows: what it was proven by here becomes one. */
  async function readAnew(ref: LinkRef, place: string): Promise<void> {
    await picture(ref.vault);
    if (pictures.known(ref) === undefined) await storeProof(ref);
    // What is known needs no place of its own any more.
    if (pictures.known(ref) !== undefined && place !== ref.vault) refreshed.delete(place);
  }

  async function storeProof(ref: LinkRef): Promise<void> {
    const sentAt = proofs.newest(ref);
    if (sentAt === null || newerProof(pictures.known(ref)?.provenAt, sentAt) !== sentAt) return;
    await change(ref, (access) => unwrapSucceeded(access, ref, { sentAt, known: null }));
  }

  const picture = (vault: string): Promise<AccessPicture> =>
    wraps.fresh(
      () => pictures.read(vault),
      (one) => [one],
    );

  async function changeVaultNow(vault: string, decide: (stored: VaultHealth) => Change<VaultHealth>): Promise<VaultHealth> {
    const young = pictures.youngHealth(vault);
    if (young !== undefined && decide(young) === null) return young;
    const health = await accessLog.changeVault(vault, decide);
    pictures.learnHealth(vault, health);
    return health;
  }

  return {
    picture,
    pictures: (...vaults) =>
      wraps.fresh(
        () => pictures.readAll(...vaults),
        (all) => all,
      ),
    known: pictures.known,
    health: (vault) => pictures.health(vault) ?? soundVault,
    provenAt: proofs.newest,

    async denied(ref, seen) {
      const stored = await changeForSure(ref, `unwrap|${seen.reach}`, (access) =>
        unwrapDenied(access, ref, { ...seen, writtenAt: clock.now() }, rules.denial),
      );
      return stored?.latch ?? null;
    },

    async otherDenied(ref, seen) {
      await changeForSure(ref, `other|${seen.reach}`, (access) => otherDenied(access, ref, seen));
    },

    async refused(ref, refusal) {
      // This instance needs no clock to know that its wraps came before.
      if (refusal.operation === 'wrapKey') wraps.forget(ref);
      await changeForSure(ref, refusal.operation, (access) => operationRefused(access, ref, refusal));
    },

    async doubted(ref, receivedAt) {
      await changeForSure(ref, 'doubt', (access) => accessDoubted(access, ref, receivedAt));
    },

    allowed(ref, operation, sentAt) {
      if (operation === 'wrapKey') wraps.note(ref, sentAt);
      if (pictures.known(ref)?.refused[operation] !== undefined)
        void changeIfPossible(ref, (access) => operationAllowed(access, operation, sentAt));
      refresh(ref);
    },

    async proven(ref, success) {
      proofs.note(ref, success.sentAt);
      if (success.known !== null) await changeIfPossible(ref, (access) => unwrapSucceeded(access, ref, success));
      refresh(ref);
    },

    storeProof,

    async unlinked(ref, isLinked, outlived) {
      const seen = await change(ref, () => null);
      if (seen === undefined || (await isLinked())) return;
      // INVARIANT: nothing was stored of the link since before it was seen to be linked no longer, so nothing here is of a newer link.
      await change(ref, (stored) => (stored?.revision === seen.revision ? unlinked(stored, outlived) : null));
    },

    async restamp(ref, proofs) {
      await change(ref, (stored) => restamped(stored, clock.now(), proofs));
    },

    changeVault: (vault, decide) => inTurn(vault, () => changeVaultNow(vault, decide)),
  };
}

/** Waits for what is no loss where the store is away. */
async function unlessAway(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof StoreAway)) throw error;
  }
}
