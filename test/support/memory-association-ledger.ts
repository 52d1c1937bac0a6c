import type { DatabaseCounts } from '../../src/domain/server.ts';
import type { AssociationLedger, Claim } from '../../src/ports/association.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { MemoryStore } from './memory-store.ts';

interface Account {
  readonly settled: { readonly counts: DatabaseCounts; readonly revision: number } | undefined;
  readonly claims: readonly { readonly id: string; readonly counts: DatabaseCounts; readonly at: number }[];
}
/** By server and incarnation. */
type Accounts = ReadonlyMap<string, Account & Pick<Claim, 'server' | 'incarnation'>>;

type Weigh = (counts: DatabaseCounts) => number;

const nothing: DatabaseCounts = { GeneralPurpose: 0, BusinessCritical: 0 };
const claimsLastMs = 60_000;
const usualPoints: Weigh = ({ GeneralPurpose, BusinessCritical }) => 2 * GeneralPurpose + 5 * BusinessCritical;

/** The association ledger in memory: the sum is computed at each look, not kept. */
export function createMemoryAssociationLedger(store: MemoryStore, clock: Clock, weigh = usualPoints): AssociationLedger {
  /** Changes one account. */
  async function change(
    { vault, server, incarnation }: Claim,
    decide: (account: Account, accounts: Accounts) => Account | undefined,
  ): Promise<Accounts> {
    const key = `${server} ${incarnation}`;
    return store.change<Accounts>(`association/${vault}`, new Map(), (stored) => {
      const next = decide(stored.get(key) ?? { settled: undefined, claims: [] }, stored);
      return next && { next: withoutEmpty(new Map(stored).set(key, { ...next, server, incarnation })) };
    });
  }

  async function accountsOf(vault: string): Promise<Accounts> {
    return (await store.read<Accounts>(`association/${vault}`, new Map())).value;
  }

  function sumOf(accounts: Iterable<Account>): DatabaseCounts {
    return [...accounts].map(heaviest).reduce(plus, nothing);
  }

  function heaviest({ settled, claims }: Account): DatabaseCounts {
    return [settled, ...claims].map((held) => held?.counts ?? nothing).reduce((most, one) => (weigh(one) > weigh(most) ? one : most));
  }

  return {
    async reserve(claim, counts, fits) {
      const tried = { fitted: true };
      const stored = await change(claim, (account, accounts) => {
        tried.fitted = true;
        if (account.claims.some(({ id }) => id === claim.id)) return undefined;
        const next = { ...account, claims: [...account.claims, { id: claim.id, counts, at: clock.now() }] };
        const before = sumOf(accounts.values());
        const after = plus(minus(before, heaviest(account)), heaviest(next));
        tried.fitted = weigh(after) <= weigh(before) || fits(after);
        return tried.fitted ? next : undefined;
      });
      return { fitted: tried.fitted, sum: sumOf(stored.values()) };
    },
    async settle(claim, counts, revision) {
      await change(claim, ({ settled, claims }) =>
        claims.some(({ id }) => id === claim.id)
          ? {
              settled: settled !== undefined && settled.revision > revision ? settled : { counts, revision },
              claims: claims.filter(({ id }) => id !== claim.id),
            }
          : undefined,
      );
    },
    async abandon(claim) {
      await change(claim, ({ settled, claims }) => ({ settled, claims: claims.filter(({ id }) => id !== claim.id) }));
    },
    async stale(vault) {
      return [...(await accountsOf(vault)).values()].flatMap(({ server, incarnation, claims }) =>
        claims.filter(({ at }) => clock.now() - at > claimsLastMs).map(({ id }) => ({ vault, server, incarnation, id })),
      );
    },
    async read(vault) {
      return { vault, counts: sumOf((await accountsOf(vault)).values()) };
    },
  };
}

/** The accounts that something is left of. */
function withoutEmpty(accounts: Accounts): Accounts {
  const counts = ({ settled }: Account): boolean =>
    settled !== undefined && settled.counts.GeneralPurpose + settled.counts.BusinessCritical > 0;
  return new Map([...accounts].filter(([, account]) => account.claims.length > 0 || counts(account)));
}

function plus(a: DatabaseCounts, b: DatabaseCounts): DatabaseCounts {
  return { GeneralPurpose: a.GeneralPurpose + b.GeneralPurpose, BusinessCritical: a.BusinessCritical + b.BusinessCritical };
}

function minus(a: DatabaseCounts, b: DatabaseCounts): DatabaseCounts {
  return { GeneralPurpose: a.GeneralPurpose - b.GeneralPurpose, BusinessCritical: a.BusinessCritical - b.BusinessCritical };
}
