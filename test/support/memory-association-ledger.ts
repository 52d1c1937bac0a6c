import type { DatabaseCounts } from '../../src/domain/server.ts';
import type { AssociationLedger, Claim } from '../../src/ports/association.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { MemoryStore } from './memory-store.ts';

interface Account {
  readonly settled: { readonly counts: DatabaseCounts; readonly revision: number } | undefined;
  readonly claims: readonly { readonly id: string; readonly counts: DatabaseCounts; readonly at: number }[];
}
/** By server. */
type Accounts = Readonly<Record<string, Account>>;

const nothing: DatabaseCounts = { GeneralPurpose: 0, BusinessCritical: 0 };
const claimsLastMs = 60_000;

/** The association ledger in memory: the sum is computed at each look, not kept. */
export function createMemoryAssociationLedger(store: MemoryStore, clock: Clock): AssociationLedger {
  /** Changes one account. */
  async function change(
    { vault, server }: Claim,
    decide: (account: Account, accounts: Accounts) => Account | undefined,
  ): Promise<Accounts> {
    return store.change<Accounts>(`association/${vault}`, {}, (stored) => {
      const next = decide(stored[server] ?? { settled: undefined, claims: [] }, stored);
      return next && { next: withoutEmpty({ ...stored, [server]: next }) };
    });
  }

  return {
    async reserve(claim, counts, fits) {
      const tried = { fitted: true };
      const stored = await change(claim, (account, accounts) => {
        const claims = account.claims.some(({ id }) => id === claim.id)
          ? account.claims
          : [...account.claims, { id: claim.id, counts, at: clock.now() }];
        const next = { ...account, claims };
        const [before, after] = [sumOf(accounts), sumOf({ ...accounts, [claim.server]: next })];
        tried.fitted = !isMore(after, before) || fits(after);
        return tried.fitted ? next : undefined;
      });
      return { fitted: tried.fitted, sum: sumOf(stored) };
    },
    async settle(claim, counts, revision) {
      await change(claim, ({ settled, claims }) => ({
        settled:
          settled !== undefined && settled.revision > revision ? settled : isMore(counts, nothing) ? { counts, revision } : undefined,
        claims: claims.filter(({ id }) => id !== claim.id),
      }));
    },
    async abandon(claim) {
      await change(claim, ({ settled, claims }) => ({ settled, claims: claims.filter(({ id }) => id !== claim.id) }));
    },
    async stale(vault) {
      const { value } = await store.read<Accounts>(`association/${vault}`, {});
      return Object.entries(value).flatMap(([server, { claims }]) =>
        claims.filter(({ at }) => clock.now() - at > claimsLastMs).map(({ id }) => ({ vault, server, id })),
      );
    },
    async read(vault) {
      const { value } = await store.read<Accounts>(`association/${vault}`, {});
      return { vault, counts: sumOf(value) };
    },
  };
}

/** The accounts that something is left of. */
function withoutEmpty(accounts: Accounts): Accounts {
  return Object.fromEntries(Object.entries(accounts).filter(([, { settled, claims }]) => claims.length > 0 || settled !== undefined));
}

function sumOf(accounts: Accounts): DatabaseCounts {
  return Object.values(accounts).reduce<DatabaseCounts>((sum, account) => {
    const most = weight(account);
    return { GeneralPurpose: sum.GeneralPurpose + most.GeneralPurpose, BusinessCritical: sum.BusinessCritical + most.BusinessCritical };
  }, nothing);
}

function weight({ settled, claims }: Account): DatabaseCounts {
  const all = [settled?.counts ?? nothing, ...claims.map(({ counts }) => counts)];
  return {
    GeneralPurpose: Math.max(...all.map((counts) => counts.GeneralPurpose)),
    BusinessCritical: Math.max(...all.map((counts) => counts.BusinessCritical)),
  };
}

function isMore(a: DatabaseCounts, b: DatabaseCounts): boolean {
  return a.GeneralPurpose > b.GeneralPurpose || a.BusinessCritical > b.BusinessCritical;
}
