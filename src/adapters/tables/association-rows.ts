import { countDatabases, type DatabaseCounts, type Tier } from '../../domain/server.ts';
import { minutes } from '../../domain/time.ts';
import type { Claim } from '../../ports/association.ts';
import { jsonColumns, jsonValue } from './rows.ts';
import type { Row, RowKey } from './table.ts';

/** What a vault's ledger keeps of one incarnation of a server. */
export interface Account {
  /** The server's databases at a revision of it; null before a change of it was settled. */
  readonly settled: { readonly counts: DatabaseCounts; readonly revision: number } | null;
  /** Changes under way, by id; `at` is when the claim was made, by the claiming instance's wall clock. */
  readonly claims: Readonly<Record<string, { readonly counts: DatabaseCounts; readonly at: number }>>;
  /** What the vault's sum holds for it. Stored, so that the sum stays right when the points of a tier change. */
  readonly counted: DatabaseCounts;
}

/** What databases weigh, in points (B1). */
export type Weigh = (counts: DatabaseCounts) => number;

const nothing: DatabaseCounts = countDatabases(new Map());
const noAccount: Account = { settled: null, claims: {}, counted: nothing };

/** A claim older than this was most likely left by a killed instance. */
const claimsLast = minutes(1);

/** Row keys of accounts: from `server:` to below `server;`. */
export const accountRows = { from: 'server:', below: 'server;' } as const;

export function sumKey(vault: string): RowKey {
  return { partition: vault, row: 'sum' };
}

/** An incarnation that schema 1 knew nothing of has its account under the server's name alone. */
export function accountKey({ vault, server, incarnation }: Omit<Claim, 'id'>): RowKey {
  return { partition: vault, row: `${accountRows.from}${[server, incarnation].filter((part) => part !== '').join(':')}` };
}

/** Whose account a row is. */
export function accountHolder({ row }: RowKey): Pick<Claim, 'server' | 'incarnation'> {
  const [server = '', incarnation = ''] = row.slice(accountRows.from.length).split(':');
  return { server, incarnation };
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

/** Rows of schema 1 do not say what they were counted for: it was, tier by tier, the most of what they hold. */
export function rowToAccount(row: Row | undefined): Account {
  if (row === undefined) return noAccount;
  const { settled, claims, counted } = jsonValue<Omit<Account, 'counted'> & Partial<Account>>(row);
  return { settled, claims, counted: counted ?? mostOfEachTier(alternatives({ settled, claims })) };
}

type Held = Pick<Account, 'settled' | 'claims'>;

/** What the server may have at this moment: what is settled, or what a change under way makes of it. */
function alternatives({ settled, claims }: Held): readonly DatabaseCounts[] {
  return [settled?.counts ?? nothing, ...Object.values(claims).map(({ counts }) => counts)];
}

function mostOfEachTier(all: readonly DatabaseCounts[]): DatabaseCounts {
  const most = (tier: Tier): number => Math.max(...all.map((counts) => counts[tier]));
  return { GeneralPurpose: most('GeneralPurpose'), BusinessCritical: most('BusinessCritical') };
}

/** The account with what it counts for: the heaviest of what is settled and what is claimed. */
export function counted(held: Held, weigh: Weigh): Account {
  const heaviest = alternatives(held).reduce((most, counts) => (weigh(counts) > weigh(most) ? counts : most));
  return { settled: held.settled, claims: held.claims, counted: heaviest };
}

/** Ids of claims that killed instances left. */
export function staleClaims(account: Account, now: number): readonly string[] {
  return Object.entries(account.claims)
    .filter(([, { at }]) => now - at > claimsLast)
    .map(([id]) => id);
}

export function withoutClaim({ settled, claims }: Account, id: string): Held {
  return { settled, claims: Object.fromEntries(Object.entries(claims).filter(([other]) => other !== id)) };
}

/** True where nothing is left to keep: no claim, and no database. */
export function isEmpty({ settled, claims }: Account): boolean {
  const counts = settled?.counts ?? nothing;
  return Object.keys(claims).length === 0 && counts.GeneralPurpose === 0 && counts.BusinessCritical === 0;
}

/** The sum after an account of it has changed. */
export function sumAfter(sum: DatabaseCounts, before: Account, after: Account): DatabaseCounts {
  return {
    GeneralPurpose: sum.GeneralPurpose - before.counted.GeneralPurpose + after.counted.GeneralPurpose,
    BusinessCritical: sum.BusinessCritical - before.counted.BusinessCritical + after.counted.BusinessCritical,
  };
}
