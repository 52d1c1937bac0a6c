import { linkKey, soundVault } from '../domain/access.ts';
import type { AccessPicture, Change, Latch, LinkAccess, LinkRef, RefusedOperation, VaultHealth } from '../domain/access.ts';
import { millis } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import {
  accessDoubted,
  newerProof,
  operationAllowed,
  operationRefused,
  otherDenied,
  unlinked,
  unwrapDenied,
  unwrapSucceeded,
} from '../policy/denial.ts';
import type { DenialSeen } from '../policy/denial.ts';
import { StoreAway } from '../ports/store.ts';
import type { Parts } from './parts.ts';
import { createPictures } from './pictures.ts';
import { createProofs } from './proofs.ts';

/**
 * What this instance knows of access at links: what the store says, at most a second old, and what it met itself.
 * A denial is durable before its caller hears of it (F4). One that cannot be stored is kept, tried again each second, and lies over every
 * picture meanwhile, so that this instance uses no standby against it.
 */
export interface Access {
  /** Everything of one vault, at most `pictureMaxAgeMs` old. Rejects with `StoreAway`: then nothing may fail over. */
  picture(vault: string): Promise<AccessPicture>;
  /** Two vaults at one moment, each as `picture`. */
  pictures(first: string, second: string): Promise<readonly [AccessPicture, AccessPicture]>;
  /** What the last picture and this instance's own changes say of the link, however old; undefined if nothing is known. */
  known(ref: LinkRef): LinkAccess | undefined;
  /** Stores a denial of unwrap. Resolves with the latch once it is durable; rejects with `StoreAway`. */
  denied(ref: LinkRef, seen: DenialSeen & { readonly witness: boolean }): Promise<Latch | null>;
  /** Stores a denial of wrap or get; as `denied`. */
  otherDenied(ref: LinkRef, seen: DenialSeen): Promise<void>;
  refused(ref: LinkRef, operation: 'wrapKey' | 'get', refusal: RefusedOperation): Promise<void>;
  doubted(ref: LinkRef, receivedAt: Instant): Promise<void>;
  /** An operation other than unwrap succeeded. Costs nothing where none was refused before. */
  allowed(ref: LinkRef, operation: 'wrapKey' | 'get', sentAt: Instant): void;
  /** An unwrap succeeded: remembered as a proof; releases the latch that was known when it was sent. Resolves when that is stored, or at once. */
  proven(ref: LinkRef, success: { readonly sentAt: Instant; readonly known: string | null }): Promise<void>;
  /** Stores the newest proof that this instance saw, where the stored one is older. Rejects with `StoreAway`. */
  storeProof(ref: LinkRef): Promise<void>;
  /** The newest proof of the link's key by its identity that this instance saw. */
  provenAt(ref: LinkRef): Instant | null;
  /** The link is no longer linked: what is left are its denials, which reach others. */
  unlinked(ref: LinkRef): Promise<void>;
  changeVault(vault: string, decide: (stored: VaultHealth) => Change<VaultHealth>): Promise<VaultHealth>;
  /** The vault's health as last seen. */
  health(vault: string): VaultHealth;
}

const retryAfter = millis(1000);

export function createAccess(parts: Pick<Parts, 'accessLog' | 'clock' | 'rules' | 'log'>): Access {
  const { accessLog, clock, rules, log } = parts;
  const pictures = createPictures(parts);
  const proofs = createProofs();
  const unstored = new Map<string, { readonly ref: LinkRef; readonly decide: (stored: LinkAccess | undefined) => Change<LinkAccess> }>();
  let retrying = false;

  async function change(ref: LinkRef, decide: (stored: LinkAccess | undefined) => Change<LinkAccess>): Promise<LinkAccess | undefined> {
    const stored = await accessLog.changeLink(ref, decide);
    if (stored !== undefined) pictures.learn(stored);
    return stored;
  }

  /** A change that must not be lost: applied to what this instance knows at once, and to the store as soon as it can be. */
  async function changeForSure(
    ref: LinkRef,
    id: string,
    decide: (stored: LinkAccess | undefined) => Change<LinkAccess>,
  ): Promise<LinkAccess | undefined> {
    pictures.overlay(id, ref, decide);
    try {
      const stored = await change(ref, decide);
      pictures.dropOverlay(id);
      return stored;
    } catch (error) {
      unstored.set(id, { ref, decide });
      log('error', 'a denial could not be stored and is kept', { server: ref.server, keyId: ref.keyId });
      void retryUnstored();
      throw error;
    }
  }

  /**
   * Under what name a denial is kept while it cannot be stored. Of one link and kind the first and the newest are kept, however often a
   * server asks meanwhile: they hold the time from which its clock runs, and the time that a release must be later than.
   */
  function placeFor(ref: LinkRef, kind: string, id: string): string {
    const place = `${linkKey(ref)}|${kind}`;
    if (!unstored.has(`${place}|first`)) return unstored.size === 0 ? id : `${place}|first`;
    return `${place}|newest`;
  }

  async function retryUnstored(): Promise<void> {
    if (retrying) return;
    retrying = true;
    while (unstored.size > 0) {
      await clock.pause(retryAfter);
      for (const [id, { ref, decide }] of unstored) {
        const stored = await change(ref, decide).then(
          () => true,
          () => false,
        );
        // The others are tried all the same: one row that is never taken must not keep them out.
        if (!stored) continue;
        unstored.delete(id);
        pictures.dropOverlay(id);
      }
    }
    retrying = false;
  }

  /** Best effort: what is lost here makes the gate stricter or costs one more canary. */
  async function changeIfPossible(ref: LinkRef, decide: (stored: LinkAccess | undefined) => Change<LinkAccess>): Promise<void> {
    try {
      await change(ref, decide);
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
    }
  }

  return {
    picture: pictures.read,
    pictures: pictures.readBoth,
    known: pictures.known,
    health: (vault) => pictures.health(vault) ?? soundVault,
    provenAt: proofs.newest,

    async denied(ref, seen) {
      const stored = await changeForSure(ref, placeFor(ref, `unwrap|${seen.reach}`, seen.id), (access) =>
        unwrapDenied(access, ref, { ...seen, writtenAt: clock.now() }, rules.denial),
      );
      return stored?.latch ?? null;
    },

    async otherDenied(ref, seen) {
      await changeForSure(ref, placeFor(ref, `other|${seen.reach}`, seen.id), (access) => otherDenied(access, ref, seen));
    },

    async refused(ref, operation, refusal) {
      await changeForSure(ref, `${linkKey(ref)}|${operation}`, (access) => operationRefused(access, ref, operation, refusal));
    },

    async doubted(ref, receivedAt) {
      await changeForSure(ref, `${linkKey(ref)}|doubt`, (access) => accessDoubted(access, ref, receivedAt));
    },

    allowed(ref, operation, sentAt) {
      if (pictures.known(ref)?.refused[operation] === undefined) return;
      void changeIfPossible(ref, (access) => operationAllowed(access, operation, sentAt));
    },

    async proven(ref, success) {
      proofs.note(ref, success.sentAt);
      if (success.known === null) return;
      await changeIfPossible(ref, (access) => unwrapSucceeded(access, ref, success));
    },

    async storeProof(ref) {
      const sentAt = proofs.newest(ref);
      if (sentAt === null || newerProof(pictures.known(ref)?.provenAt, sentAt) !== sentAt) return;
      await change(ref, (access) => unwrapSucceeded(access, ref, { sentAt, known: null }));
    },

    async unlinked(ref) {
      await change(ref, unlinked);
    },

    async changeVault(vault, decide) {
      const health = await accessLog.changeVault(vault, decide);
      pictures.learnHealth(vault, health);
      return health;
    },
  };
}
