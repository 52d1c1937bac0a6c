import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { untilTrue, useJourneys } from '../support/journeys.ts';
import type { Traveller } from '../support/journeys.ts';
import { infra } from './bicep.ts';

/*
 * Alerts read the lines that the broker writes to standard output. Here a broker is brought into the states that alerts tell of, and each
 * query's conditions and fields are held against what it then really wrote.
 */

type Line = Readonly<Record<string, unknown>>;
const lines: Line[] = [];

/** A queue of records that is full soon. */
const recordQueue = 100;
const journeys = useJourneys({
  settings: { KEYBROKER_RECORD_QUEUE: String(recordQueue) },
  onLine(text) {
    const json = /^broker \d+: (\{.*\})$/.exec(text)?.[1];
    if (json !== undefined) lines.push(JSON.parse(json) as Line);
  },
});

function field(line: Line, path: string): unknown {
  const keys = [...path.matchAll(/\.(\w+)|\['(\w+)'\]/g)].map(([, plain, quoted]) => plain ?? quoted ?? '');
  return keys.reduce<unknown>((here, key) => (typeof here === 'object' && here !== null ? (here as Line)[key] : undefined), line);
}

const query = (name: string): string => readFileSync(join(infra, 'alerts', `${name}.kql`), 'utf8');

/** Every field of the line that the query names. */
function fieldsOf(name: string): string[] {
  return [...new Set([...query(name).matchAll(/\bline((?:\.\w+|\['\w+'\])+)/g)].map(([, path]) => path ?? ''))];
}

/** Lines that the query's first conditions let through: its message, its level and its types of event. */
function seenBy(name: string): Line[] {
  const text = query(name);
  const [, message] = /line\.message == '([^']+)'/.exec(text) ?? [];
  const [, level] = /line\.level == '([^']+)'/.exec(text) ?? [];
  const types = [...text.matchAll(/'(keybroker\.[\w.]+)'/g)].map(([, type]) => type);
  return lines.filter(
    (line) =>
      (message === undefined || line['message'] === message) &&
      (level === undefined || line['level'] === level) &&
      (types.length === 0 || types.includes(String(field(line, '.event.type')))),
  );
}

async function revoke(traveller: Traveller): Promise<void> {
  const fleet = await traveller.fleet();
  const { wrappedDek } = await traveller.wrapped(fleet);
  await traveller.control(`PUT /vaults/${fleet.west.name}/access`, { allow: [] });
  await traveller.unwrap(fleet, wrappedDek);
  await traveller.advance('PT31S');
  await traveller.watchUntil('atRisk', async () => (await traveller.server(fleet)).state === 'atRisk');
}

async function breakVault(traveller: Traveller): Promise<void> {
  const fleet = await traveller.fleet();
  const other = await traveller.fleet({ vaults: fleet });
  await traveller.fault(fleet.west, { fault: 'status', status: 503 });
  await untilTrue('the circuit to open', async () => {
    await Promise.all([traveller.wrap(fleet), traveller.wrap(other)]);
    return (await traveller.events(fleet.west.name)).some(({ type }) => type === 'keybroker.circuit.opened');
  });
}

/** A permission audit of a key that expires soon (P1). */
async function audit(traveller: Traveller): Promise<void> {
  const { west, key, keyId } = await traveller.fleet();
  const expires = new Date(Date.now() + 20 * 86_400_000).toISOString();
  await traveller.control(`PATCH /vaults/${west.name}/keys/${key}/${keyId.split('/').at(-1) ?? ''}`, { expires });
  await traveller.as('Operator', 'POST /v1/audits');
  await untilTrue('the lines of the audit', () => Promise.resolve(seenBy('audit-overdue').length > 0));
}

/** While the store is away: a denial that cannot be stored, and more records than the queue holds. */
async function loseStore(traveller: Traveller): Promise<void> {
  const [healthy, denied] = [await traveller.fleet(), await traveller.fleet()];
  const { wrappedDek } = await traveller.wrapped(denied);
  // A first call of each, since a token is not given for a server that the broker cannot look up.
  await traveller.wrapped(healthy);
  await traveller.control('PUT /tables/fault', { fault: 'down' });
  await traveller.control(`PUT /vaults/${denied.west.name}/access`, { allow: [] });
  await traveller.unwrap(denied, wrappedDek);
  await untilTrue('the queue of records to overflow', async () => {
    await Promise.all(Array.from({ length: recordQueue / 4 }, () => traveller.wrap(healthy)));
    return lines.some(({ message }) => message === 'operation record');
  });
  await traveller.control('DELETE /tables/fault');
}

describe('what alerts read is what the broker writes', () => {
  beforeAll(async () => {
    const traveller = journeys.begin({ onTestFailed: () => undefined });
    await revoke(traveller);
    await traveller.control('POST /reset');
    await breakVault(traveller);
    await traveller.control('POST /reset');
    await audit(traveller);
    await loseStore(traveller);
    await untilTrue(
      'the lines of the events',
      () => Promise.resolve(['latch-confirmed', 'server-at-risk', 'circuit-open'].every((name) => seenBy(name).length > 0)),
      100,
    );
  }, 180_000);

  it.each(['latch-confirmed', 'server-at-risk', 'circuit-open', 'audit-overdue', 'key-expiring', 'records-spilling', 'error-lines'])(
    '%s: such a line was written, with every field',
    (name) => {
      const seen = seenBy(name);
      expect(seen).not.toEqual([]);
      for (const path of fieldsOf(name)) {
        expect(
          seen.some((line) => field(line, path) !== undefined),
          `line${path} in one of ${JSON.stringify(seen.slice(0, 3))}`,
        ).toBe(true);
      }
    },
  );

  it('key-expiring: the finding that the query asks for is told', () => {
    expect(seenBy('key-expiring').map((line) => field(line, '.event.data.code'))).toContain('KeyExpiresSoon');
  });

  it('server-at-risk: the state and the end of automatic healing are told', () => {
    const told = seenBy('server-at-risk').map((line) => [field(line, '.event.data.to'), field(line, '.event.data.clock.healsUntil')]);
    expect(told).toContainEqual(['atRisk', expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/)]);
  });

  it('every line is one JSON object that begins with a brace, has a level and a message, and is short enough for the collector', () => {
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) {
      expect(['info', 'warn', 'error']).toContain(line['level']);
      expect(line['message']).toEqual(expect.any(String));
      expect(JSON.stringify(line).length).toBeLessThan(32_000);
    }
  });
});
