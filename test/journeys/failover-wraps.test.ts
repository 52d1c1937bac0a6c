import { describe, expect, it } from 'vitest';
import { untilTrue, useJourneys } from '../support/journeys.ts';
import type { Body, Fleet, Traveller, VaultBody } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* A vault that fails wraps alone: they go to the standby and stay there until a wrap is answered (F2), and unwraps do not notice. */
const journeys = useJourneys({ instances: 2 });

const told = ({ status, body }: Answer<Body>) => ({ status, failover: body.failover, code: body.code, detail: body.detail });
const byStandby = { status: 200, failover: true, code: undefined, detail: undefined };
const byPrimary = { ...byStandby, failover: false };

/** Two servers with keys of their own in the same vaults, each known to every instance. */
async function twoFleets(traveller: Traveller): Promise<readonly { readonly fleet: Fleet; readonly wrappedDek: string }[]> {
  const first = await traveller.fleet();
  const fleets = [first, await traveller.fleet({ vaults: first })];
  return Promise.all(
    fleets.map(async (fleet) => {
      const { wrappedDek } = await traveller.wrapped(fleet);
      for (const instance of [0, 1])
        await untilTrue('the fleet to be known', async () => (await traveller.unwrap(fleet, wrappedDek, { instance })).status === 200);
      return { fleet, wrappedDek };
    }),
  );
}

async function circuitOf(traveller: Traveller, { west }: Fleet): Promise<VaultBody['circuit']> {
  return (await traveller.as<VaultBody>('Auditor', `GET /v1/vaults/${west.name}`)).body.circuit;
}

async function eventsOf(traveller: Traveller, { west }: Fleet): Promise<readonly string[]> {
  return (await traveller.events(west.name)).map(({ type }) => type);
}

async function wrapsSeen(traveller: Traveller, { west }: Fleet): Promise<number> {
  return (await traveller.calls(west)).filter(({ operation }) => operation === 'wrapKey').length;
}

const faults = [
  { name: 'status 503', fault: { fault: 'status', status: 503, operations: ['wrapKey'] } },
  { name: 'hang', fault: { fault: 'hang', operations: ['wrapKey'] } },
] as const;

describe.for([1, 2])('an outage of wraps alone, through %i instances', (instances) => {
  it.concurrent.for(faults)(
    'F2, F8: $name: the circuit opens and closes once, wraps go to the standby meanwhile, unwraps to the primary',
    async ({ fault }, context) => {
      const traveller = journeys.begin(context);
      const fleets = await twoFleets(traveller);
      const [{ fleet } = { fleet: await traveller.fleet() }] = fleets;
      const via = Array.from({ length: instances }, (_, instance) => ({ instance }));
      const wraps = () => Promise.all(via.flatMap((one) => fleets.map((each) => traveller.wrap(each.fleet, one))));
      const unwraps = () => Promise.all(via.flatMap((one) => fleets.map((each) => traveller.unwrap(each.fleet, each.wrappedDek, one))));

      await traveller.fault(fleet.west, fault);
      for (const answer of await wraps()) expect(told(answer)).toEqual(byStandby);
      await untilTrue('the circuits to open', async () => {
        for (const answer of await wraps()) expect(told(answer)).toEqual(byStandby);
        // One that probes is half open for that moment.
        const { open = 0, halfOpen = 0 } = (await circuitOf(traveller, fleet)).instances;
        return open + halfOpen === instances;
      });
      // While two probes of each instance or more look whether a wrap is answered again.
      await traveller.clearCalls(fleet.west);
      await untilTrue('the probes', async () => {
        for (const answer of await wraps()) expect(told(answer)).toEqual(byStandby);
        for (const answer of await unwraps()) expect(told(answer)).toEqual(byPrimary);
        return (await wrapsSeen(traveller, fleet)) >= 2 * instances;
      });
      expect((await eventsOf(traveller, fleet)).toSorted()).toEqual(['keybroker.circuit.opened', 'keybroker.failover.started']);

      await traveller.heal(fleet.west);
      await untilTrue('the wraps to return', async () => {
        const answers = await wraps();
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
        return answers.every(({ body }) => body.failover === false);
      });
      await untilTrue('the circuit to close', async () => (await circuitOf(traveller, fleet)).state === 'closed');
      const circuit = (await eventsOf(traveller, fleet)).filter((type) => type.startsWith('keybroker.circuit'));
      expect(circuit).toEqual(['keybroker.circuit.opened', 'keybroker.circuit.closed']);
    },
  );
});

it.concurrent('F2: a server without a standby keeps its unwraps while the wraps of its vault are out', async (context) => {
  const traveller = journeys.begin(context);
  const [one, other] = await twoFleets(traveller);
  if (one === undefined || other === undefined) throw new Error('two fleets were asked for');
  const { keyId, thumbprint } = await traveller.control<{ keyId: string; thumbprint: string }>(`POST /vaults/${one.fleet.west.name}/keys`, {
    name: 'alone',
  });
  await traveller.as('Operator', `PUT /v1/servers/${other.fleet.server}/protector`, { keyId });
  const { dek, wrappedDek } = await traveller.wrapped(other.fleet);
  await traveller.fault(one.fleet.west, { fault: 'status', status: 503, operations: ['wrapKey'] });
  await untilTrue('the circuit to open', async () => {
    expect((await traveller.wrap(one.fleet)).body.failover).toBe(true);
    return (await circuitOf(traveller, one.fleet)).state !== 'closed';
  });
  expect(await traveller.wrap(other.fleet)).toMatchObject({ status: 503, body: { code: 'VaultUnavailable' } });
  for (let i = 0; i < 5; i += 1)
    expect(await traveller.unwrap(other.fleet, wrappedDek, { thumbprint })).toMatchObject({ status: 200, body: { dek, failover: false } });
});
