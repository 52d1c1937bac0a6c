import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/adapters/clock.ts';
import { createAccessLog, linkRow } from '../../src/adapters/tables/access-log.ts';
import { createEventLog } from '../../src/adapters/tables/event-log.ts';
import { createRegistry } from '../../src/adapters/tables/registry.ts';
import { toRows } from '../../src/adapters/tables/server-rows.ts';
import { openStore } from '../../src/adapters/tables/store.ts';
import { chunks } from '../../src/adapters/tables/table.ts';
import { seconds } from '../../src/domain/time.ts';
import type { RegisteredServer } from '../../src/domain/server.ts';
import { hostToken } from '../local/callers.ts';
import type { Environment } from '../local/environment.ts';
import { count, eachOf } from './fleet.ts';
import type { Database } from './fleet.ts';

const atOnce = 16;

/**
 * Registers copies of a server straight in the tables, since tens of thousands over HTTP would take an hour: servers with names and
 * principals of their own, with the links, canaries and databases of the template. What lies elsewhere (the association ledger, the
 * access log) is left as it is, which no healthy operation reads.
 *
 * @param template a database of the server that is copied; its DEK is that of all copies
 * @returns for each copy its first database
 */
export async function copyServer({ storage, issuer }: Environment, template: Database, copies: number): Promise<Database[]> {
  const store = openStore({ connectionString: storage.connectionString() }, { timeoutMs: seconds(30) });
  const { outbox } = createEventLog(store, systemClock);
  const registry = createRegistry(store, { clock: systemClock, outbox });
  try {
    const original = await registry.readServer(template.server);
    if (original === undefined) throw new Error(`there is no server ${template.server}`);
    return await eachOf(count(copies), atOnce, async (number) => {
      const server = { ...original.server, name: `${template.server}-copy-${number}`, principalId: randomUUID() };
      await insert({ ...original, server });
      return { ...template, server: server.name, token: hostToken(issuer, server.principalId) };
    });
  } finally {
    registry.close();
  }

  async function insert(registered: RegisteredServer): Promise<void> {
    const { guard, others } = toRows(registered);
    await store.table('registry').write([{ kind: 'put', row: { partition: 'names', row: registered.server.name, columns: {} } }]);
    await store.table('servers').write([guard, ...others].map((row) => ({ kind: 'insert', row })));
  }
}

/** What is stored of access at the links of a server, for its copies too: every link that was accepted has a proof (K4). */
export async function copyAccess({ storage }: Environment, template: Database, vault: string, copies: readonly Database[]): Promise<void> {
  const store = openStore({ connectionString: storage.connectionString() }, { timeoutMs: seconds(30) });
  const { outbox } = createEventLog(store, systemClock);
  const { links } = await createAccessLog(store, systemClock, outbox).read(vault);
  const known = links.filter(({ ref }) => ref.server === template.server);
  const rows = known.flatMap((access) => copies.map(({ server }) => linkRow({ ...access, ref: { ...access.ref, server } })));
  for (const part of chunks(rows)) await store.table('access').write(part.map((row) => ({ kind: 'insert', row })));
}
