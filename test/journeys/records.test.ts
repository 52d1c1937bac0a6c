import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { readSettings } from '../../src/settings.ts';
import { randomDek, until, useJourneys } from '../support/journeys.ts';
import type { Body, PageBody, Traveller } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* P3: one record an operation, under gapless numbers per instance: what a kill lost is seen. */
const journeys = useJourneys({ instances: 2 });

interface RecordBody {
  readonly instance: string;
  readonly number: number;
  readonly requestId: string;
  readonly outcome: string;
  readonly operation: string;
}

async function recordsOf(traveller: Traveller, server: string): Promise<readonly RecordBody[]> {
  const all: RecordBody[] = [];
  for (let after: string | null = ''; after !== null;) {
    const page: Answer<PageBody<RecordBody>> = await traveller.as(
      'Auditor',
      `GET /v1/operations?server=${server}&limit=50${after && `&after=${encodeURIComponent(after)}`}`,
    );
    expect(page.status).toBe(200);
    all.push(...page.body.items);
    after = page.body.next;
  }
  return all;
}

/**
 * B3: with the store away an instance has its fixed fraction, cut in slices of one lease life; what does not fill a call is lost. So many GP
 * calls it serves before one must be refused: a call leaves the queue half an attempt before its deadline, and half a second goes by until
 * a write without an answer counts as a store that is away.
 */
function callsWithoutStore(): number {
  const read = readSettings({
    KEYBROKER_TENANT_ID: randomUUID(),
    KEYBROKER_AUDIENCE: 'api://keybroker',
    KEYBROKER_STORE_CONNECTION_STRING: 'UseDevelopmentStorage=true',
  });
  if (!read.ok) throw new Error(read.problems.join('\n'));
  const { budgets, wire, vaults } = read.settings;
  const fraction = budgets.ratePoints * (1 - budgets.probeShare) * budgets.storeAwayShare;
  const slice = Math.floor((fraction * budgets.leaseMs) / budgets.rateWindowMs / budgets.points.GeneralPurpose);
  return slice * Math.floor((wire.requestTimeoutMs - vaults.attemptTimeoutMs / 2 - 500) / budgets.leaseMs);
}

const placeOf = ({ headers }: Answer): string => headers.get('x-keybroker-record') ?? '';
const nameOf = ({ instance, number }: RecordBody): string => `${instance}/${String(number)}`;

it('two instances under load: every answer has its record, once, under numbers without a hole', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  const answers = await Promise.all(Array.from({ length: 120 }, (_, turn) => traveller.wrap(fleet, { instance: turn % 2 })));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  const records = await until('all records', async () => {
    const found = await recordsOf(traveller, fleet.server);
    return found.length >= answers.length ? found : undefined;
  });
  expect([...records.map(nameOf)].sort()).toEqual([...answers.map(placeOf)].sort());
  const byInstance = Map.groupBy(records, ({ instance }) => instance);
  expect(byInstance.size).toBe(2);
  for (const own of byInstance.values()) {
    const numbers = own.map(({ number }) => number).sort((a, b) => a - b);
    const [first = 0] = numbers;
    expect(numbers).toEqual(numbers.map((_, at) => first + at));
  }
});

it('the store away and back: answers go on, and every record is there in the end', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  await traveller.wrap(fleet, { instance: 1 });
  await traveller.control('PUT /tables/fault', { fault: 'down', instance: 1 });
  const answers = await Promise.all(Array.from({ length: callsWithoutStore() }, () => traveller.wrap(fleet, { instance: 1 })));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  await traveller.control('PUT /tables/fault', { fault: 'slow', ms: 0, instance: 1 });
  await until('the records of the time without a store', async () => {
    const stored = new Set((await recordsOf(traveller, fleet.server)).map(nameOf));
    return answers.every((answer) => stored.has(placeOf(answer))) || undefined;
  });
});

it('a broker killed under load: the records that are lost are seen in the numbers that callers were told', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  const { instance } = await traveller.control<{ instance: number }>('POST /instances');
  const stored = await Promise.all(Array.from({ length: 30 }, () => traveller.wrap(fleet, { instance })));
  await until('their records', async () => {
    const known = new Set((await recordsOf(traveller, fleet.server)).map(nameOf));
    return stored.every((answer) => known.has(placeOf(answer))) || undefined;
  });

  // From now on nothing of this instance reaches the store, as when it dies between answer and commit.
  await traveller.control('PUT /tables/fault', { fault: 'down', instance });
  const told: string[] = [...stored.map(placeOf)];
  const caller = async (): Promise<void> => {
    for (;;) {
      const answer: Answer<Body> | undefined = await traveller.wrap(fleet, { instance }).catch(() => undefined);
      // The broker has died.
      if (answer === undefined) return;
      if (answer.status === 200) told.push(placeOf(answer));
    }
  };
  const load = [caller(), caller(), caller(), caller()];
  await until('traffic', () => Promise.resolve(told.length > 80 || undefined));
  await traveller.control(`DELETE /instances/${String(instance)}`);
  await Promise.all(load);

  const [own] = told[0]?.split('/') ?? [];
  const left = (await recordsOf(traveller, fleet.server)).filter((record) => record.instance === own).map(({ number }) => number);
  const numbers = told.map((place) => Number(place.split('/')[1])).sort((a, b) => a - b);
  expect(new Set(numbers).size).toBe(numbers.length);
  // What is stored ends, without a hole, below what callers were told: the difference is the loss, by number.
  expect([...left].sort((a, b) => a - b)).toEqual(left.map((_, at) => 1 + at));
  const lost = numbers.filter((number) => !left.includes(number));
  expect(lost.length).toBeGreaterThan(0);
  expect(Math.min(...lost)).toBe(Math.max(...left) + 1);
  expect((numbers.at(-1) ?? 0) - Math.max(...left)).toBeGreaterThanOrEqual(lost.length);
});

it('every way out leaves its record: refused by shape of the registry, by the vault, by outage', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  const { wrappedDek } = await traveller.wrapped(fleet);
  const spoilt = Buffer.from(wrappedDek, 'base64url').fill(1, 10, 60).toString('base64url');
  expect((await traveller.unwrap(fleet, spoilt)).body.code).toBe('CiphertextRejected');
  expect((await traveller.unwrap({ ...fleet, database: 'none' }, wrappedDek)).body.code).toBe('NotFound');
  await traveller.fault(fleet.west, { fault: 'html200' });
  expect((await traveller.wrap(fleet, { dek: randomDek() })).body.code).toBe('VaultUnavailable');
  const outcomes = await until('the records', async () => {
    const found = await recordsOf(traveller, fleet.server);
    return found.length >= 4 ? found.map(({ operation, outcome }) => `${operation} ${outcome}`) : undefined;
  });
  expect(outcomes).toEqual(['wrap ok', 'unwrap CiphertextRejected', 'unwrap NotFound', 'wrap VaultUnavailable']);
});
