import { countDatabases, type DatabaseCounts } from '../../domain/server.ts';
import { minutes } from '../../domain/time.ts';
import { jsonColumns, jsonValue } from './rows.ts';
import type { Row, RowKey } from './table.ts';

/** What a vault's ledger keeps of one server. */
export interface Account {
  /** The server's databases at a revision of it; null before a change of it was settled. */
  readonly settled: { readonly counts: DatabaseCounts; readonly revision: number } | null;
  /** Changes under way, by id; `at` is when the claim was made, by the claiming instance's wall clock. */
  readonly claims: Readonly<Record<string, { readonly counts: DatabaseCounts; readonly at: number }>>;
}

export const nothing: DatabaseCounts = countDatabases(new Map());
export const noAccount: Account = { settled: null, claims: {} };

/** Longer than any request lives: a claim older than this was left by a killed instance. */
const claimsLast = minutes(1);

/** Row keys of servers: from `server:` to below `server;`. */
export const accountRows = { from: 'server:', below: 'server;' } as const;

export function sumKey(vault: string): RowKey {
  return { partition: vault, row: 'sum' };
}

export function accountKey(vault: string, server: string): RowKey {
  return { partition: vault, row: `${accountRows.from}${server}` };
}

export function sumToRow(vault: string, sum: DatabaseCounts): Row {
  return { ...sumKey(vault), columns: { GeneralPurpose: sum.GeneralPurpose, BusinessCritical: sum.BusinessCritical } };
}

export function rowToSum(row: Pick<Row, 'columns'> | undefined): DatabaseCounts {
  return { GeneralPurpose: Number(row?.columns['GeneralPurpose'] ?? 0), BusinessCritical: Number(row?.columns['BusinessCritical'] ?? 0) };
}

export function accountToRow(key: RowKey, account: Account): Row {
  return { partition: key.partition, row: key.row, columns: jsonColumns(account) };
}

export function rowToAccount(row: Row | undefined): Account {
  return row === undefined ? noAccount : jsonValue<Account>(row);
}

/** What a server counts with: tier by tier the largest of what is settled and what is claimed. */
export function weight({ settled, claims }: Account): DatabaseCounts {
  let most = settled?.counts ?? nothing;
  for (const { counts } of Object.values(claims)) {
    most = {
      GeneralPurpose: Math.max(most.GeneralPurpose, counts.GeneralPurpose),
      BusinessCritical: Math.max(most.BusinessCritical, counts.BusinessCritical),
    };
  }
  return most;
}

/** Ids of claims that killed instances left. */
export function staleClaims(account: Account, now: number): readonly string[] {
  return Object.entries(account.claims)
    .filter(([, { at }]) => now - at > claimsLast)
    .map(([id]) => id);
}

export function withoutClaim(account: Account, id: string): Account {
  if (!(id in account.claims)) return account;
  return { ...account, claims: Object.fromEntries(Object.entries(account.claims).filter(([other]) => other !== id)) };
}

/** True where nothing is left to keep: no claim, and no database. */
export function isEmpty(account: Account): boolean {
  return Object.keys(account.claims).length === 0 && equalCounts(account.settled?.counts ?? nothing, nothing);
}

export function equalCounts(a: DatabaseCounts, b: DatabaseCounts): boolean {
  return a.GeneralPurpose === b.GeneralPurpose && a.BusinessCritical === b.BusinessCritical;
}

/** The sum after an account of it has changed. */
export function sumAfter(sum: DatabaseCounts, before: Account, after: Account): DatabaseCounts {
  const [was, is] = [weight(before), weight(after)];
  return {
    GeneralPurpose: sum.GeneralPurpose - was.GeneralPurpose + is.GeneralPurpose,
    BusinessCritical: sum.BusinessCritical - was.BusinessCritical + is.BusinessCritical,
  };
}
