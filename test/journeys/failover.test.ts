import { describe, expect, it } from 'vitest';
import { until, untilTrue, useJourneys } from '../support/journeys.ts';
import type { Body, Fleet, Traveller, VaultBody } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* Each fault of the control API × wrap and unwrap × one and two instances. */
const journeys = useJourneys({ instances: 2 });

const operations = ['wrap', 'unwrap'] as const;
type Operation = (typeof operations)[number];

/** An operation of the fleet, by turns through the instances that the case uses. */
function operator(
  traveller: Traveller,
  fleet: Fleet,
  { instances, wrappedDek }: { readonly instances: number; readonly wrappedDek: string },
) {
  let turn = 0;
  return (operation: Operation): Promise<Answer<Body>> => {
    const via = { instance: turn++ % instances };
    return operation === 'wrap' ? traveller.wrap(fleet, via) : traveller.unwrap(fleet, wrappedDek, via);
  };
}

const operationOf = { wrap: 'wrapKey', unwrap: 'unwrapKey' } as const;

/** Every instance knows the server: what a case measures is not the first read of the registry. */
async function warmUp(traveller: Traveller, fleet: Fleet, instances: number): Promise<string> {
  const { wrappedDek } = await traveller.wrapped(fleet);
  for (let instance = 0; instance < instances; instance += 1) {
    await untilTrue(
      `instance ${String(instance)} to know the fleet`,
      async () => (await traveller.unwrap(fleet, wrappedDek, { instance })).status === 200,
    );
  }
  return wrappedDek;
}

async function circuitOf(traveller: Traveller, { west }: Fleet): Promise<VaultBody['circuit']> {
  return (await traveller.as<VaultBody>('Auditor', `GET /v1/vaults/${west.name}`)).body.circuit;
}

const told = ({ status, body }: Answer<Body>) => ({ status, failover: body.failover, code: body.code, detail: body.detail });
const byStandby = { status: 200, failover: true, code: undefined, detail: undefined };
const byPrimary = { ...byStandby, failover: false };

const outages: readonly { readonly name: string; readonly fault: object }[] = [
  { name: 'hang', fault: { fault: 'hang' } },
  { name: 'hangBody', fault: { fault: 'hangBody' } },
  { name: 'refuse', fault: { fault: 'refuse' } },
  { name: 'reset', fault: { fault: 'reset' } },
  { name: 'status 503', fault: { fault: 'status', status: 503 } },
  { name: 'status 500', fault: { fault: 'status', status: 500 } },
  { name: 'slow beyond the deadline', fault: { fault: 'slow', ms: 30_000 } },
];

describe.for([1, 2])('an outage, through %i instances', (instances) => {
  it.concurrent.for(outages)(
    'F3, F8: $name: every request is answered by the standby, and the healed vault gets all of them back',
    async ({ fault }, context) => {
      const traveller = journeys.begin(context);
      const fleet = await traveller.fleet();
      const wrappedDek = await warmUp(traveller, fleet, instances);
      const operate = operator(traveller, fleet, { instances, wrappedDek });
      await traveller.clearCalls(fleet.west, fleet.north);

      await traveller.fault(fleet.west, fault);
      const first = await Promise.all([...operations, ...operations, ...operations, ...operations].map(operate));
      expect(first.map(told)).toEqual(first.map(() => byStandby));
      expect(first.map(({ body }) => body.vault)).toEqual(first.map(() => fleet.north.name));
      expect(first[0]?.body.keyId).toBe(fleet.standbyKeyId);
      const north = (await traveller.calls(fleet.north)).map(({ operation }) => operation);
      // C4: identical unwraps in flight may share one call of an instance.
      expect(north.filter((operation) => operation === 'wrapKey')).toHaveLength(4);
      expect(new Set(north)).toEqual(new Set(Object.values(operationOf)));

      await untilTrue('the circuits to open', async () => {
        for (const operation of operations) expect(told(await operate(operation))).toEqual(byStandby);
        // One that probes is half open for that moment.
        const { open = 0, halfOpen = 0 } = (await circuitOf(traveller, fleet)).instances;
        return open + halfOpen === instances;
      });
      const open = await Promise.all([...operations, ...operations].map(operate));
      expect(open.map(told)).toEqual(open.map(() => byStandby));

      await traveller.heal(fleet.west);
      await untilTrue('the traffic to return', async () => {
        const answers = await Promise.all(operations.flatMap((operation) => Array.from({ length: instances }, () => operate(operation))));
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
        return answers.every(({ body }) => body.failover === false);
      });
      await traveller.clearCalls(fleet.north);
      for (let i = 0; i < 3; i += 1) for (const operation of operations) expect(told(await operate(operation))).toEqual(byPrimary);
      expect(await traveller.calls(fleet.north)).toEqual([]);
      await untilTrue('the circuit to close', async () => (await circuitOf(traveller, fleet)).state === 'closed');
    },
  );
});

const refusals: readonly {
  readonly name: string;
  readonly fault: object;
  readonly status: number;
  readonly code: string;
  readonly class: string;
}[] = [
  { name: 'throttle (F7)', fault: { fault: 'throttle' }, status: 429, code: 'Throttled', class: 'throttled' },
  { name: 'html200 (C3)', fault: { fault: 'html200' }, status: 503, code: 'VaultUnavailable', class: 'ambiguous' },
  { name: 'wrongKid (C3)', fault: { fault: 'wrongKid' }, status: 503, code: 'VaultUnavailable', class: 'ambiguous' },
  { name: 'tls (F1)', fault: { fault: 'tls' }, status: 503, code: 'VaultUnavailable', class: 'ambiguous' },
  { name: 'dns servfail (F1)', fault: { fault: 'dns', answer: 'servfail' }, status: 503, code: 'VaultUnavailable', class: 'ambiguous' },
  { name: 'dns nxdomain (F4)', fault: { fault: 'dns', answer: 'nxdomain' }, status: 403, code: 'KeyAccessDenied', class: 'vaultGone' },
  { name: 'status 501 (F1)', fault: { fault: 'status', status: 501 }, status: 503, code: 'VaultUnavailable', class: 'ambiguous' },
];

describe.for([1, 2])('no outage, through %i instances', (instances) => {
  it.concurrent.for(refusals)('F1: $name is never answered by the standby', async ({ fault, status, code, class: faultClass }, context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const wrappedDek = await warmUp(traveller, fleet, instances);
    const operate = operator(traveller, fleet, { instances, wrappedDek });
    await traveller.clearCalls(fleet.west, fleet.north);

    await traveller.fault(fleet.west, fault);
    // Each 429 makes the broker leave the vault alone for longer (F7): one round is enough to see that.
    const rounds = code === 'Throttled' ? 1 : 2 * instances;
    for (let i = 0; i < rounds; i += 1) {
      for (const operation of operations) {
        const answer = await operate(operation);
        expect({ status: answer.status, code: answer.body.code }, operation).toEqual({ status, code });
        // F7, B4: a vault that throttles is asked less; what waits for its budget is refused before any attempt.
        const attempts = answer.body.attempts ?? [];
        expect(attempts.map((attempt) => [attempt.vault, attempt.role, attempt.class])).toEqual(
          code === 'Throttled' && attempts.length === 0 ? [] : [[fleet.west.name, 'primary', faultClass]],
        );
      }
    }
    expect(await traveller.calls(fleet.north)).toEqual([]);
    expect((await circuitOf(traveller, fleet)).state).toBe('closed');

    await traveller.heal(fleet.west);
    for (let instance = 0; instance < instances; instance += 1) {
      const healed = await until('the healed vault to serve', async () => {
        const answer = await traveller.unwrap(fleet, wrappedDek, { instance });
        return answer.status === 200 ? answer : undefined;
      });
      expect(told(healed)).toEqual(byPrimary);
    }
  });
});

describe('what leads to failover and what does not', () => {
  it.concurrent('F3: without a standby an outage is VaultUnavailable that says so', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { keyId } = await traveller.control<{ keyId: string }>(`POST /vaults/${fleet.west.name}/keys`, { name: 'alone' });
    await traveller.as('Operator', `PUT /v1/servers/${fleet.server}/protector`, { keyId });
    await traveller.fault(fleet.west, { fault: 'refuse' });
    const answer = await traveller.wrap(fleet);
    expect(answer).toMatchObject({ status: 503, body: { code: 'VaultUnavailable', retryable: true } });
    expect(answer.body.detail).toContain('no standby');
    expect(answer.body.attempts).toMatchObject([{ vault: fleet.west.name, role: 'primary', class: 'outage' }]);
  });

  it.concurrent('K5, K6: a DEK under the former protector fails over to its own standby, and only unwrap', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { dek, wrappedDek } = await traveller.wrapped(fleet);
    const { keyId } = await traveller.control<{ keyId: string }>(`POST /vaults/${fleet.west.name}/keys`, { name: 'newer' });
    await traveller.as('Operator', `PUT /v1/servers/${fleet.server}/protector`, { keyId });
    await traveller.fault(fleet.west, { fault: 'status', status: 503 });
    const unwrapped = await traveller.unwrap(fleet, wrappedDek);
    expect(unwrapped).toMatchObject({ status: 200, body: { dek, keyId: fleet.standbyKeyId, failover: true } });
    expect(await traveller.wrap(fleet)).toMatchObject({ status: 503, body: { code: 'VaultUnavailable' } });
  });

  it.concurrent('F3: the store away: no failover but StateUnavailable; the store back: failover', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const wrappedDek = await warmUp(traveller, fleet, 2);
    await traveller.control('PUT /tables/fault', { fault: 'down', instance: 1 });
    await traveller.fault(fleet.west, { fault: 'refuse' });
    await untilTrue(
      'the last picture to be too old',
      async () => (await traveller.unwrap(fleet, wrappedDek, { instance: 1 })).body.code === 'StateUnavailable',
    );
    await traveller.clearCalls(fleet.north);
    for (let i = 0; i < 3; i += 1) {
      expect(await traveller.wrap(fleet, { instance: 1 })).toMatchObject({
        status: 503,
        body: { code: 'StateUnavailable', retryable: true },
      });
    }
    expect(await traveller.calls(fleet.north)).toEqual([]);
    await traveller.control('PUT /tables/fault', { fault: 'slow', ms: 0, instance: 1 });
    await untilTrue('failover', async () => (await traveller.wrap(fleet, { instance: 1 })).body.failover === true);
  });

  it.concurrent(
    'T33: a standby that denies is latched alone, ends the search, and is used again once it is proven anew',
    async (context) => {
      const traveller = journeys.begin(context);
      const fleet = await traveller.fleet();
      const { wrappedDek } = await traveller.wrapped(fleet);
      await traveller.control(`PUT /vaults/${fleet.north.name}/access`, { allow: [] });
      await traveller.fault(fleet.west, { fault: 'refuse' });
      const denied = await traveller.unwrap(fleet, wrappedDek);
      expect(denied).toMatchObject({ status: 503, body: { code: 'VaultUnavailable' } });
      expect(denied.body.attempts).toMatchObject([
        { vault: fleet.west.name, class: 'outage' },
        { vault: fleet.north.name, role: 'standby', class: 'revoked', status: 403 },
      ]);
      const links = await traveller.links(fleet);
      expect(links.map(({ role, latch }) => [role, latch?.status ?? null])).toEqual([
        ['protector', null],
        ['standby', 'suspected'],
      ]);
      await traveller.clearCalls(fleet.north);
      expect((await traveller.unwrap(fleet, wrappedDek)).status).toBe(503);
      expect(await traveller.calls(fleet.north)).toEqual([]);
      expect((await traveller.server(fleet)).state).toBe('online');
    },
  );

  it.concurrent('F3: unwraps that the vault fails every other time are all served, and so are wraps', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { wrappedDek } = await traveller.wrapped(fleet);
    await traveller.fault(fleet.west, { fault: 'status', status: 500, operations: ['unwrapKey'], rate: 0.5 });
    for (let i = 0; i < 3; i += 1) {
      expect((await traveller.unwrap(fleet, wrappedDek)).status).toBe(200);
      expect(told(await traveller.wrap(fleet))).toMatchObject({ status: 200 });
    }
    await traveller.heal(fleet.west);
    await untilTrue('the primary to serve', async () => (await traveller.wrap(fleet)).body.failover === false);
  });

  it.concurrent('C1: a reset of a reused connection is tried once more on a fresh one and is no outage', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { wrappedDek } = await traveller.wrapped(fleet);
    // Both cut the connections that exist, and the vault is well again before the next request.
    await traveller.fault(fleet.west, { fault: 'refuse' });
    await traveller.heal(fleet.west);
    expect(told(await traveller.unwrap(fleet, wrappedDek))).toEqual(byPrimary);
    expect(await traveller.calls(fleet.north)).toEqual([]);
  });

  it.concurrent('F8: a denial from the returned primary stops the use of the standby at once', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { wrappedDek } = await traveller.wrapped(fleet);
    await traveller.fault(fleet.west, { fault: 'status', status: 503 });
    expect((await traveller.unwrap(fleet, wrappedDek)).body.failover).toBe(true);
    await traveller.control(`PUT /vaults/${fleet.west.name}/access`, { allow: [] });
    await traveller.heal(fleet.west);
    await untilTrue('the denial to be met', async () => (await traveller.unwrap(fleet, wrappedDek)).body.code === 'KeyAccessDenied');
    await traveller.fault(fleet.west, { fault: 'status', status: 503 });
    await traveller.clearCalls(fleet.north);
    for (let i = 0; i < 3; i += 1) expect((await traveller.unwrap(fleet, wrappedDek)).status).toBe(503);
    expect(await traveller.calls(fleet.north)).toEqual([]);
  });
});
