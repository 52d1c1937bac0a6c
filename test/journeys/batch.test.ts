import { describe, expect, it } from 'vitest';
import type { Answer } from '../support/environment.ts';
import { randomDek, until, useJourneys } from '../support/journeys.ts';
import type { Body, Fleet, PageBody, Traveller } from '../support/journeys.ts';

/* Many DEKs in one call: in order, each for itself. The points are raised, so that no batch waits for the vault's budget. */
const journeys = useJourneys({ settings: { KEYBROKER_RATE_POINTS: '8000', KEYBROKER_BATCH_TIMEOUT_MS: '12000' } });

interface ItemBody {
  readonly result?: Body;
  readonly problem?: Body;
}

type BatchBody = Body & { readonly items: readonly ItemBody[] };

type Operation = 'wrap' | 'unwrap' | 'rewrap';

function batch(traveller: Traveller, fleet: Fleet, operation: Operation, items: readonly unknown[]): Promise<Answer<BatchBody>> {
  return traveller.asHost(fleet.server, `POST /v1/servers/${fleet.server}/batch`, { operation, items });
}

/** A fleet with databases `db-0` and on. */
async function fleetWith(traveller: Traveller, databases: number): Promise<Fleet> {
  const fleet = await traveller.fleet();
  const names = Array.from({ length: databases }, (_, k) => `db-${String(k)}`);
  await Promise.all(names.map((name) => traveller.as('Operator', `PUT /v1/servers/${fleet.server}/databases/${name}`, {})));
  return fleet;
}

interface WrappedItem {
  readonly database: string;
  readonly dek: string;
  readonly wrappedDek: string;
}

/** So many DEKs, each wrapped for the next of the databases, by one batch. */
async function wrappedBy(traveller: Traveller, fleet: Fleet, size: number, databases: number): Promise<readonly WrappedItem[]> {
  const items = Array.from({ length: size }, (_, k) => ({ database: `db-${String(k % databases)}`, dek: randomDek() }));
  const { status, body } = await batch(traveller, fleet, 'wrap', items);
  expect(status, body.detail).toBe(200);
  return items.map((item, k) => ({ ...item, wrappedDek: body.items[k]?.result?.wrappedDek ?? '' }));
}

function unwrapsOf(items: readonly WrappedItem[], thumbprint: string) {
  return items.map(({ database, wrappedDek }) => ({ database, wrappedDek, thumbprint }));
}

/** How often each code, or `ok`, is among the answers. */
function tally({ items }: BatchBody): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { problem } of items) counts[problem?.code ?? 'ok'] = (counts[problem?.code ?? 'ok'] ?? 0) + 1;
  return counts;
}

async function callsOf(traveller: Traveller, fleet: Fleet): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const { operation, status } of await traveller.calls(fleet.west)) {
    const name = `${operation} ${String(status)}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

describe('a batch', () => {
  it('C1: of 1000 DEKs of 50 databases: each answer stands where its item stood, by one call each', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await fleetWith(traveller, 50);
    const wrapped = await wrappedBy(traveller, fleet, 1000, 50);
    expect(new Set(wrapped.map(({ wrappedDek }) => wrappedDek)).size).toBe(1000);
    const { status, body } = await batch(traveller, fleet, 'unwrap', unwrapsOf(wrapped, fleet.thumbprint));
    expect(status).toBe(200);
    expect(body.items.map(({ result }) => result?.dek)).toEqual(wrapped.map(({ dek }) => dek));
    expect(await callsOf(traveller, fleet)).toEqual({ 'wrapKey 200': 1000, 'unwrapKey 200': 1000 });
  });

  it('of good and broken items: each has the answer of a single call, and harms no other', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await fleetWith(traveller, 8);
    const [...good] = await wrappedBy(traveller, fleet, 8, 8);
    const [one] = unwrapsOf(good, fleet.thumbprint);
    const corrupt = Buffer.from(one?.wrappedDek ?? '', 'base64url')
      .fill(7, 100, 110)
      .toString('base64url');
    const broken = [
      { item: { ...one, database: 'unknown' }, code: 'NotFound', detail: /no database unknown/ },
      { item: { ...one, algorithm: 'RSA-OAEP' }, code: 'CiphertextRejected' },
      { item: { ...one, wrappedDek: corrupt }, code: 'CiphertextRejected' },
      { item: { ...one, thumbprint: 'A'.repeat(43) }, code: 'NotFound', detail: /no key with thumbprint/ },
      { item: { ...one, server: 'another' }, code: 'InvalidRequest', detail: /^items\[9\]\.server: is not known here$/ },
      { item: { ...one, wrappedDek: '!' }, code: 'InvalidRequest', detail: /^items\[11\]\.wrappedDek: / },
      { item: null, code: 'InvalidRequest', detail: /^items\[13\]: must be an object$/ },
      { item: one, code: undefined },
    ];
    const items = broken.flatMap(({ item }, k) => [unwrapsOf(good, fleet.thumbprint)[k], item]);
    const { status, body } = await batch(traveller, fleet, 'unwrap', items);
    expect(status).toBe(200);
    expect(body.items.filter((_, k) => k % 2 === 0).map(({ result }) => result?.dek)).toEqual(good.map(({ dek }) => dek));
    broken.forEach(({ code, detail = /./ }, k) => {
      const { problem, result } = body.items[2 * k + 1] ?? {};
      expect(problem?.code, `item ${String(2 * k + 1)}`).toBe(code);
      if (code === undefined) expect(result?.dek).toBe(good[0]?.dek);
      else
        expect(problem).toMatchObject({
          detail: expect.stringMatching(detail) as string,
          requestId: expect.stringMatching(/\/\d+$/) as string,
        });
    });
  });

  it('of no item, of 1001, or of more than 4 MiB is refused as a whole', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const item = { database: 'orders', dek: randomDek() };
    for (const items of [[], Array.from({ length: 1001 }, () => item)]) {
      const { status, body } = await batch(traveller, fleet, 'wrap', items);
      expect({ status, code: body.code }).toEqual({ status: 400, code: 'InvalidRequest' });
      expect(body.errors?.map(({ field }) => field)).toEqual(['items']);
    }
    const large = await batch(traveller, fleet, 'wrap', [{ ...item, dek: 'A'.repeat(4 * 1024 * 1024) }]);
    expect({ status: large.status, code: large.body.code }).toEqual({ status: 413, code: 'PayloadTooLarge' });
    expect(await traveller.calls(fleet.west)).toEqual([]);
  });

  it('P3: of a stranger is refused as a whole, and an auditor sees in one record who asked for how many', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const other = await traveller.fleet({ vaults: fleet });
    const items = Array.from({ length: 150 }, (_, k) => ({ database: `db-${String(k)}`, dek: randomDek() }));
    const call = `POST /v1/servers/${fleet.server}/batch`;
    const { status, body } = await traveller.asHost(other.server, call, { operation: 'wrap', items });
    expect({ status, code: body.code }).toEqual({ status: 403, code: 'CallerNotAllowed' });
    const records = await until('the record', async () => {
      const page = await traveller.as<PageBody<object>>('Auditor', `GET /v1/operations?server=${fleet.server}&limit=1000`);
      return page.body.items.length > 0 ? page.body.items : undefined;
    });
    const refused = { caller: other.principalId, operation: 'wrap', database: null, items: 150, outcome: 'CallerNotAllowed', keyId: null };
    expect(records).toMatchObject([{ ...refused, attempts: [] }]);
    expect(await traveller.calls(fleet.west)).toEqual([]);
  });

  it('K5: of rewraps moves all DEKs of a server to its new protector, by one unwrap and one wrap each', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await fleetWith(traveller, 10);
    const wrapped = await wrappedBy(traveller, fleet, 200, 10);
    const renewed = await traveller.control<{ keyId: string; thumbprint: string }>(`POST /vaults/${fleet.west.name}/keys`, {
      name: 'newer',
    });
    await traveller.as('Operator', `PUT /v1/servers/${fleet.server}/protector`, { keyId: renewed.keyId });
    await traveller.clearCalls(fleet.west);
    const { body } = await batch(traveller, fleet, 'rewrap', unwrapsOf(wrapped, fleet.thumbprint));
    expect(tally(body)).toEqual({ ok: 200 });
    expect(await callsOf(traveller, fleet)).toEqual({ 'unwrapKey 200': 200, 'wrapKey 200': 200 });
    const moved = body.items.map(({ result }, k) => ({ database: `db-${String(k % 10)}`, dek: '', wrappedDek: result?.wrappedDek ?? '' }));
    const again = await batch(traveller, fleet, 'unwrap', unwrapsOf(moved, renewed.thumbprint));
    expect(again.body.items.map(({ result }) => result?.dek)).toEqual(wrapped.map(({ dek }) => dek));
  });
});

describe('a batch and a sick vault', () => {
  it('C5: slow: what was not begun when the time was over is cancelled, and says so; what was done stands', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await fleetWith(traveller, 1);
    await traveller.fault(fleet.west, { fault: 'slow', ms: 1500 });
    const items = Array.from({ length: 1000 }, () => ({ database: 'db-0', dek: randomDek() }));
    const { status, body } = await batch(traveller, fleet, 'wrap', items);
    expect(status).toBe(200);
    const counts = tally(body);
    expect(Object.keys(counts).sort()).toEqual(['DeadlineExceeded', 'ok']);
    expect(counts['ok']).toBeGreaterThanOrEqual(48);
    const cancelled = body.items.filter(({ problem }) => problem?.detail?.startsWith('cancelled: ') === true);
    expect(cancelled.length).toBeGreaterThan(400);
    for (const { problem } of cancelled) expect(problem).toMatchObject({ code: 'DeadlineExceeded', status: 504, retryable: true });
  });

  it('F3: hanging: it goes on through the standby', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await fleetWith(traveller, 10);
    const wrapped = await wrappedBy(traveller, fleet, 300, 10);
    await traveller.fault(fleet.west, { fault: 'hang' });
    const { status, body } = await batch(traveller, fleet, 'unwrap', unwrapsOf(wrapped, fleet.thumbprint));
    expect(status).toBe(200);
    expect(tally(body)).toEqual({ ok: 300 });
    expect(body.items.map(({ result }) => result?.dek)).toEqual(wrapped.map(({ dek }) => dek));
    expect(new Set(body.items.map(({ result }) => result?.vault))).toEqual(new Set([fleet.north.name]));
  });
});
