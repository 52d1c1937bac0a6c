import { refuse } from '../domain/refusal.ts';
import type { Refusal } from '../domain/refusal.ts';
import { countDatabases } from '../domain/server.ts';
import type { DatabaseCounts, RegisteredServer } from '../domain/server.ts';
import { associationPoints, carryingVaults, fitsAssociation } from '../policy/association.ts';
import type { AssociationLedger, Claim } from '../ports/association.ts';
import type { Parts } from './parts.ts';

/**
 * The association budget round one change of a server (B1): reserved in every vault before the change is stored, settled or abandoned
 * after it. A kill between the two leaves a claim, so a reservation that is too large, never one that is too small, until it is reconciled
 * with the registry: when a vault seems full, and now and then by the watch.
 */
export interface Reservation {
  /** The refusal, with the room left, where a vault has none: then nothing is reserved. */
  readonly refusal: Refusal | undefined;
  /** The change was stored: what it registered counts, and vaults that the server left are released. */
  settle(stored: RegisteredServer): Promise<void>;
  /** The change was not stored. */
  abandon(): Promise<void>;
}

export interface Reservations {
  reserve(before: RegisteredServer, after: RegisteredServer): Promise<Reservation>;
  /** Removes a server: what it reserved is released once `remove` has resolved, and not if it was not removed after all. */
  around(removed: RegisteredServer, remove: () => Promise<void>): Promise<void>;
  /** Settles what killed instances left in the vault by what the registry says. */
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

  /** What the ledger should hold of a server at a vault; a server that is gone, or has left the vault, holds nothing there. */
  async function reconcile(vault: string): Promise<void> {
    for (const claim of await association.stale(vault)) {
      const registered = await registry.readServer(claim.server);
      const carried = registered !== undefined && carryingVaults(registered).includes(vault);
      await association.settle(
        claim,
        carried ? countDatabases(registered.databases) : none,
        registered?.revision ?? Number.MAX_SAFE_INTEGER,
      );
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
      const server = after.server.name;
      const claimed: string[] = [];
      const abandon = async (): Promise<void> => {
        await Promise.all(claimed.map((vault) => association.abandon({ vault, server, id })));
      };
      for (const vault of carryingVaults(after)) {
        const { fitted, sum } = await reserveAt({ vault, server, id }, countDatabases(after.databases));
        if (!fitted) {
          await abandon();
          return { refusal: roomLeft(vault, sum), settle: () => Promise.resolve(), abandon: () => Promise.resolve() };
        }
        claimed.push(vault);
      }
      return {
        refusal: undefined,
        abandon,
        async settle(stored) {
          const counts = countDatabases(stored.databases);
          const left = carryingVaults(before).filter((vault) => !claimed.includes(vault));
          await Promise.all(claimed.map((vault) => association.settle({ vault, server, id }, counts, stored.revision)));
          await Promise.all(left.map((vault) => association.settle({ vault, server, id }, none, stored.revision)));
        },
      };
    },

    async around(removed, remove) {
      const id = clock.uuid();
      const claims = carryingVaults(removed).map((vault) => ({ vault, server: removed.server.name, id }));
      // A claim of what is there already: it always fits, and a kill after the removal leaves it to be reconciled.
      await Promise.all(claims.map((claim) => association.reserve(claim, countDatabases(removed.databases), () => true)));
      await remove();
      await Promise.all(claims.map((claim) => association.settle(claim, none, Number.MAX_SAFE_INTEGER)));
    },
  };
}
