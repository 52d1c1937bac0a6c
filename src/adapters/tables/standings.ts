import type { RegisteredServer, Server } from '../../domain/server.ts';
import type { ServerStanding } from '../../ports/registry.ts';
import { jsonColumns, jsonValue } from './rows.ts';
import type { Row, RowKey, Table } from './table.ts';

/*
 * Partition `standings` of table `registry`: the servers that are not online, so that they are found without looking at all.
 *
 *   row put ── server stored as not online          row read (ETag) ── server stored as online ── row removed if it is still the one read
 *
 * A kill in between leaves a row too many, which readers find out, never one too few. Whoever makes the server leave `online` again puts the
 * row anew before, so that the removal of the one who came first finds another ETag.
 */

/** What is done after the server was stored. */
export type Settle = () => Promise<void>;

const partition = 'standings';

function keyOf(name: string): RowKey {
  return { partition, row: name };
}

export function standingRow({ name, state, since, clock }: ServerStanding): Row {
  return { ...keyOf(name), columns: jsonColumns({ name, state, since, clock }) };
}

/** Before a server is stored; most changes leave its standing as it is, and cost nothing here. */
export async function markStanding(
  table: Table,
  name: string,
  before: RegisteredServer | undefined,
  next: RegisteredServer | null,
): Promise<Settle> {
  if (next !== null && next.server.state !== 'online') {
    if (before === undefined || !sameStanding(before.server, next.server))
      await table.write([{ kind: 'put', row: standingRow(next.server) }]);
    return nothingToDo;
  }
  if (before === undefined || before.server.state === 'online') return nothingToDo;
  const marked = await table.get(keyOf(name));
  if (marked === undefined) return nothingToDo;
  return async () => {
    await table.write([{ kind: 'remove', row: keyOf(name), etag: marked.etag }]);
  };
}

export async function listStandings(table: Table, after: string | null, limit: number): Promise<readonly ServerStanding[]> {
  const { rows } = await table.list({ partition, ...(after === null ? {} : { after }) }, limit);
  return rows.map((row) => jsonValue<ServerStanding>(row));
}

function sameStanding(a: Server, b: Server): boolean {
  return a.state === b.state && a.since === b.since && a.clock?.firstDenialAt === b.clock?.firstDenialAt;
}

const nothingToDo: Settle = () => Promise.resolve();
