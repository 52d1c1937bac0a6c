import { refuse } from '../domain/refusal.ts';
import type { Refusal } from '../domain/refusal.ts';
import { countDatabases } from '../domain/server.ts';
import type { DatabaseCounts, RegisteredServer } from '../domain/server.ts';
import { associationPoints, carryingVaults, fitsAssociation } from '../policy/association.ts';
import type { AssociationLedger, Claim } from '../ports/association.ts';
import { Unreadable } from '../ports/store.ts';
import type { Parts } from './parts.ts';

/**
 * The association budget round one change of a server (B1): claimed, before the change is stored, in every vault that carries the server
 * before or after it; concluded after it by what is then stored. A kill between the two leaves claims, so a reservation that is too large,
 * never one that is too small, until it is reconciled with the registry: when a vault seems full, and now and then by the watch.
 *
 * INVARIANT: what is stored of a server carries a claim, or is settled, in each vault that carries it. A claim ends in one of two ways
 * only: by whoever made it, who knows what became of the change, or by `reconcile`, which first sees to it that nothing becomes of it.
 */
export interface Reservation {
  /** The refusal, with the room left, where a vault has none: then nothing is reserved. */
  readonly refusal: Refusal | undefined;
  /** Ends the claims by what is stored of the server after the change was stored or came too late; undefined: nothing is. */
  conclude(stored: RegisteredServer | undefined): Promise<void>;
}

export interface Reservations {
  /** @param after what is to be stored; null removes the server. */
  reserve(before: RegisteredServer, after: RegisteredServer | null): Promise<Reservation>;
  /** Ends what killed instances left in the vault by what the registry says. */
  reconcile(vault: string): Promise<void>;
}

const none: DatabaseCounts = { GeneralPurpose: 0, BusinessCritical: 0 };

export function createReservations({
  association,
  clock,
  registry,
  rules,
}: Pick<Parts, 'association' | 'clock' | 'registry' | 'rules'>): Reservations {
  function roomLeft(vault: string, sum: DatabaseCounts): Refusal {
    const { limit, points } = rules.association;
    const room = Math.max(0, limit - associationPoints(sum, rules.association));
    const needs = `a GeneralPurpose database needs ${points.GeneralPurpose}, a BusinessCritical one ${points.BusinessCritical}`;
    return refuse('VaultBudgetExceeded', `vault ${vault} has ${room} of ${limit} points left: ${needs}`).refusal;
  }

  /** What the ledger should hold of the claim's incarnation at its vault: nothing where it is gone or has left the vault. */
  function settle(claim: Claim, stored: RegisteredServer | undefined): Promise<void> {
    if (stored?.incarnation !== claim.incarnation) return association.settle(claim, none, Number.MAX_SAFE_INTEGER);
    const carried = carryingVaults(stored).includes(claim.vault);
    return association.settle(claim, carried ? countDatabases(stored.databases) : none, stored.revision);
  }

  /**
   * The server is stored once more as it is, so that its revision grows: an instance that is slow, and not killed, can then store nothing
   * any more on the strength of a claim that is being ended.
   */
  function fence({ server, incarnation }: Claim): Promise<RegisteredServer | undefined> {
    return registry.changeServer(server, (known) => (known?.incarnation === incarnation ? { next: known, events: [] } : null));
  }

  async function reconcile(vault: string): Promise<void> {
    for (const claim of await association.stale(vault)) {
      try {
        await settle(claim, await fence(claim));
      } catch (error) {
        // What such a server has at the vault stays reserved until it can be read again; the claims of others end meanwhile.
        if (!(error instanceof Unreadable)) throw error;
      }
    }
  }

  /** Before a vault is called full, what killed instances left there is looked at. */
  async function reserveAt(claim: Claim, counts: DatabaseCounts): ReturnType<AssociationLedger['reserve']> {
    const fits = (wanted: DatabaseCounts): boolean => fitsAssociation(wanted, rules.association);
    const first = await association.reserve(claim, counts, fits);
    if (first.fitted) return first;
    await reconcile(claim.vault);
    return association.reserve(claim, counts, fits);
  }

  return {
    reconcile,

    async reserve(before, after) {
      const id = clock.uuid();
      const { incarnation } = before;
      const carrying = after === null ? [] : carryingVaults(after);
      const claims: Claim[] = [];
      for (const vault of new Set([...carrying, ...carryingVaults(before)])) {
        const claim = { vault, server: before.server.name, incarnation, id };
        // In a vault that the server leaves, the claim of nothing says that a change is under way; it always fits.
        const counts = after !== null && carrying.includes(vault) ? countDatabases(after.databases) : none;
        const { fitted, sum } = await reserveAt(claim, counts);
        if (!fitted) {
          await Promise.all(claims.map((made) => association.abandon(made)));
          return { refusal: roomLeft(vault, sum), conclude: () => Promise.resolve() };
        }
        claims.push(claim);
      }
      return {
        refusal: undefined,
        async conclude(stored) {
          await Promise.all(claims.map((claim) => settle(claim, stored)));
        },
      };
    },
  };
}
