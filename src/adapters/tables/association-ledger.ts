import type { DatabaseCounts } from '../../domain/server.ts';
import type { AssociationLedger, Claim } from '../../ports/association.ts';
import type { Clock } from '../../ports/clock.ts';
import { createTurns } from '../../ports/turns.ts';
import {
  accountHolder,
  accountKey,
  accountRows,
  accountToRow,
  counted,
  isEmpty,
  rowToAccount,
  rowToSum,
  staleClaims,
  sumAfter,
  sumKey,
  sumToRow,
  withoutClaim,
  type Account,
  type Weigh,
} from './association-rows.ts';
import { compareAndSet } from './compare-and-set.ts';
import { createReadReadable, createTellOnce, naming } from './readable-rows.ts';
import type { RowKey, Store, StoredRow, Table, Tell, Write } from './table.ts';

interface Reserved {
  readonly fitted: boolean;
  readonly sum: DatabaseCounts;
}

/**
 * The association budget's ledger in table `association`: a partition a vault with the row `sum` and a row an account. Both change in one
 * transaction that is conditional on the sum's version, and nothing changes an account without writing the sum: so the sum is at all
 * times that of the accounts.
 *
 * @param tell hears once of each account that cannot be read: it stays as it is, and goes on counting; and of each sum.
 */
export function createAssociationLedger(store: Store, clock: Clock, weigh: Weigh, tell: Tell = () => undefined): AssociationLedger {
  const table = store.table('association');
  const readReadable = createReadReadable(table, 'what a server has of the budget of a vault cannot be read', tell);
  const inTurn = createTurns();
  const telling = createTellOnce('vault', 'what counts at a vault cannot be read: nothing more fits there', tell);

  /** Ends a claim, where it has not ended. */
  function end({ id, ...place }: Claim, settled: (account: Account) => Account['settled']): Promise<void> {
    return inTurn(place.vault, () =>
      compareAndSet(table, async () => {
        const read = await readAccount(table, place);
        if (!(id in read.account.claims)) return { result: undefined, writes: [] };
        const next = counted({ ...withoutClaim(read.account, id), settled: settled(read.account) }, weigh);
        return { result: undefined, writes: accountWrites(read, next) };
      }),
    );
  }

  function reserveOnce({ id, ...place }: Claim, counts: DatabaseCounts, fits: (sum: DatabaseCounts) => boolean): Promise<Reserved> {
    return compareAndSet<Reserved>(table, async () => {
      const read = await readAccount(table, place);
      const { settled, claims } = read.account;
      if (id in claims) return { result: { fitted: true, sum: read.sum }, writes: [] };
      const next = counted({ settled, claims: { ...claims, [id]: { counts, at: clock.now() } } }, weigh);
      const sum = sumAfter(read.sum, read.account, next);
      if (weigh(sum) > weigh(read.sum) && !fits(sum)) return { result: { fitted: false, sum: read.sum }, writes: [] };
      return { result: { fitted: true, sum }, writes: accountWrites(read, next) };
    });
  }

  return {
    reserve: (claim, counts, fits) => inTurn(claim.vault, () => reserveOnce(claim, counts, fits)),

    settle: (claim, counts, revision) =>
      end(claim, ({ settled }) => (settled !== null && settled.revision > revision ? settled : { counts, revision })),

    abandon: (claim) => end(claim, ({ settled }) => settled),

    async stale(vault) {
      const now = clock.now();
      const { values } = await readReadable({ partition: vault, ...accountRows }, (row) =>
        staleClaims(rowToAccount(row), now).map((id) => ({ vault, ...accountHolder(row), id })),
      );
      return values.flat();
    },

    async read(vault) {
      return { vault, counts: rowToSum(await telling(vault, () => readRow(table, sumKey(vault)))) };
    },
  };
}

/** An account with the sum that guards it. */
interface Read {
  readonly key: RowKey;
  readonly account: Account;
  readonly sumStored: StoredRow | undefined;
  readonly sum: DatabaseCounts;
}

/** The sum first: if it is still the same when it is written, the account has not changed since it was read either. */
async function readAccount(table: Table, place: Omit<Claim, 'id'>): Promise<Read> {
  const sumStored = await readRow(table, sumKey(place.vault));
  const key = accountKey(place);
  return { key, account: rowToAccount(await readRow(table, key)), sumStored, sum: rowToSum(sumStored) };
}

/** Nothing is reserved on what nobody knows. */
function readRow(table: Table, key: RowKey): Promise<StoredRow | undefined> {
  return naming(`what counts at vault \`${key.partition}\``, () => table.get(key));
}

function accountWrites(read: Read, next: Account): readonly Write[] {
  return [sumWrite(read.key.partition, read.sumStored, sumAfter(read.sum, read.account, next)), accountWrite(read.key, next)];
}

function sumWrite(vault: string, stored: StoredRow | undefined, sum: DatabaseCounts): Write {
  const row = sumToRow(vault, sum);
  return stored === undefined ? { kind: 'insert', row } : { kind: 'replace', row, etag: stored.etag };
}

function accountWrite(key: RowKey, account: Account): Write {
  return isEmpty(account) ? { kind: 'remove', row: key } : { kind: 'put', row: accountToRow(key, account) };
}
