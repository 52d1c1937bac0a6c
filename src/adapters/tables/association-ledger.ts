import type { DatabaseCounts } from '../../domain/server.ts';
import type { AssociationLedger, Claim } from '../../ports/association.ts';
import type { Clock } from '../../ports/clock.ts';
import {
  accountKey,
  accountRows,
  accountToRow,
  equalCounts,
  isEmpty,
  nothing,
  rowToAccount,
  rowToSum,
  staleClaims,
  sumAfter,
  sumKey,
  sumToRow,
  withoutClaim,
  type Account,
} from './association-rows.ts';
import { compareAndSet, createTurns } from './compare-and-set.ts';
import { type RowKey, type Store, type StoredRow, type Table, type Write } from './table.ts';

interface Reserved {
  readonly fitted: boolean;
  readonly sum: DatabaseCounts;
}

/**
 * The association budget's ledger in table `association`: a partition a vault with the row `sum` and a row a server. Both change in one
 * transaction that is conditional on the sum's version, and nothing changes a server's row without writing the sum: so the sum is at all
 * times that of the servers' rows.
 */
export function createAssociationLedger(store: Store, clock: Clock): AssociationLedger {
  const table = store.table('association');
  const inTurn = createTurns();

  /** Changes one server's account. */
  function change(claim: Claim, next: (account: Account) => Account): Promise<void> {
    return inTurn(claim.vault, () =>
      compareAndSet(table, async () => {
        const read = await readAccount(table, claim);
        return { result: undefined, writes: accountWrites(read, next(read.account)) };
      }),
    );
  }

  function reserveOnce(claim: Claim, counts: DatabaseCounts, fits: (sum: DatabaseCounts) => boolean): Promise<Reserved> {
    return compareAndSet<Reserved>(table, async () => {
      const read = await readAccount(table, claim);
      const { claims } = read.account;
      const next = { ...read.account, claims: { ...claims, [claim.id]: claims[claim.id] ?? { counts, at: clock.now() } } };
      const sum = sumAfter(read.sum, read.account, next);
      const grows = sum.GeneralPurpose > read.sum.GeneralPurpose || sum.BusinessCritical > read.sum.BusinessCritical;
      if (grows && !fits(sum)) return { result: { fitted: false, sum: read.sum }, writes: [] };
      return { result: { fitted: true, sum }, writes: accountWrites(read, next) };
    });
  }

  return {
    reserve: (claim, counts, fits) => inTurn(claim.vault, () => reserveOnce(claim, counts, fits)),

    settle: (claim, counts, revision) =>
      change(claim, (account) => {
        const left = withoutClaim(account, claim.id);
        if (left.settled !== null && left.settled.revision > revision) return left;
        return { ...left, settled: equalCounts(counts, nothing) ? null : { counts, revision } };
      }),

    abandon: (claim) => change(claim, (account) => withoutClaim(account, claim.id)),

    async stale(vault) {
      const { rows } = await table.list({ partition: vault, ...accountRows });
      const now = clock.now();
      return rows.flatMap((row) => {
        const server = row.row.slice(accountRows.from.length);
        return staleClaims(rowToAccount(row), now).map((id) => ({ vault, server, id }));
      });
    },

    async read(vault) {
      return { vault, counts: rowToSum(await table.get(sumKey(vault))) };
    },
  };
}

/** An account with the sum that guards it. */
interface Read {
  readonly key: RowKey;
  readonly stored: StoredRow | undefined;
  readonly account: Account;
  readonly sumStored: StoredRow | undefined;
  readonly sum: DatabaseCounts;
}

/** The sum first: if it is still the same when it is written, the account has not changed since it was read either. */
async function readAccount(table: Table, { vault, server }: Claim): Promise<Read> {
  const sumStored = await table.get(sumKey(vault));
  const key = accountKey(vault, server);
  const stored = await table.get(key);
  return { key, stored, account: rowToAccount(stored), sumStored, sum: rowToSum(sumStored) };
}

function accountWrites(read: Read, next: Account): readonly Write[] {
  if (JSON.stringify(next) === JSON.stringify(read.account)) return [];
  if (isEmpty(next) && read.stored === undefined) return [];
  return [sumWrite(read.key.partition, read.sumStored, sumAfter(read.sum, read.account, next)), accountWrite(read.key, next)];
}

function sumWrite(vault: string, stored: StoredRow | undefined, sum: DatabaseCounts): Write {
  const row = sumToRow(vault, sum);
  return stored === undefined ? { kind: 'insert', row } : { kind: 'replace', row, etag: stored.etag };
}

function accountWrite(key: RowKey, account: Account): Write {
  return isEmpty(account) ? { kind: 'remove', row: key } : { kind: 'put', row: accountToRow(key, account) };
}
