import { Unreadable } from '../../ports/store.ts';
import type { RegisteredServer, Server } from '../../domain/server.ts';
import type { Registry, ServerStanding } from '../../ports/registry.ts';
import { jsonColumns, jsonValue } from './rows.ts';
import type { ReadReadable } from './readable-rows.ts';
import { chunks, type Row, type RowKey, type StoredRow, type Table } from './table.ts';

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
/** So many servers are read at once, where their standings cannot be. */
const serversAtOnce = 16;

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
  const marked = await readMark(table, name);
  if (marked === undefined) return nothingToDo;
  return async () => {
    await table.write([{ kind: 'remove', row: keyOf(name), etag: marked.etag }]);
  };
}

/** What cannot be read stays: a row too many, and no reason to keep a server from being online. */
async function readMark(table: Table, name: string): Promise<StoredRow | undefined> {
  try {
    return await table.get(keyOf(name));
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return undefined;
  }
}

/** Of a row that cannot be read the server itself tells, if that can be. */
export async function listStandings(
  { rows, server }: StandingReads,
  after: string | null,
  limit: number,
): Promise<readonly ServerStanding[]> {
  const query = { partition, ...(after === null ? {} : { after }) };
  const { values, leftOut } = await rows(query, (row) => jsonValue<ServerStanding>(row), limit);
  const found = [...values];
  for (const names of chunks([...leftOut.keys()], serversAtOnce))
    found.push(...(await Promise.all(names.map((name) => standingOf(server, name)))).flat());
  return found.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, limit);
}

/** How rows of standings, and servers, are read. */
export interface StandingReads {
  readonly rows: ReadReadable;
  readonly server: Registry['readServer'];
}

async function standingOf(read: StandingReads['server'], name: string): Promise<readonly ServerStanding[]> {
  try {
    const registered = await read(name);
    if (registered === undefined || registered.server.state === 'online') return [];
    const { state, since, clock } = registered.server;
    return [{ name, state, since, clock }];
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return [];
  }
}

function sameStanding(a: Server, b: Server): boolean {
  return a.state === b.state && a.since === b.since && a.clock?.firstDenialAt === b.clock?.firstDenialAt;
}

const nothingToDo: Settle = () => Promise.resolve();
