import { beforeEach, expect, it } from 'vitest';
import { untilTrue, useJourneys } from '../support/journeys.ts';
import type { EventBody, PageBody } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* P2: every step of an outage and of a revocation can be read in `GET /v1/events`. */
const journeys = useJourneys({ instances: 2 });
beforeEach(() => journeys.control('POST /reset'));

const typesOf = (events: readonly EventBody[]) => events.map(({ type }) => type.replace('keybroker.', ''));

it('F2, F8: an outage: failover and circuit, begun and ended, once a vault whatever the number of instances', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  const other = await traveller.fleet({ vaults: fleet });
  const subject = fleet.west.name;
  const { wrappedDek } = await traveller.wrapped(fleet);
  const operateAll = () => Promise.all([fleet, other].flatMap((one) => [0, 1].map((instance) => traveller.wrap(one, { instance }))));
  await operateAll();
  await traveller.fault(fleet.west, { fault: 'status', status: 503 });
  await untilTrue('both circuits to open', async () => {
    for (const { status } of await operateAll()) expect(status).toBe(200);
    const { body } = await traveller.as<{ circuit: { instances: { open: number } } }>('Auditor', `GET /v1/vaults/${subject}`);
    return body.circuit.instances.open === 2 || typesOf(await traveller.events(subject)).includes('circuit.opened');
  });
  await traveller.heal(fleet.west);
  await untilTrue('the end of the outage', async () => {
    await traveller.unwrap(fleet, wrappedDek);
    await traveller.unwrap(fleet, wrappedDek, { instance: 1 });
    const types = typesOf(await traveller.events(subject));
    return types.includes('failover.ended') && types.includes('circuit.closed');
  });
  const types = typesOf(await traveller.events(subject));
  expect([...types].sort()).toEqual(['circuit.closed', 'circuit.opened', 'failover.ended', 'failover.started']);
  expect(types.indexOf('circuit.opened')).toBeLessThan(types.indexOf('circuit.closed'));
  expect(types.indexOf('failover.started')).toBeLessThan(types.indexOf('failover.ended'));
  expect(await traveller.events(fleet.server)).not.toContainEqual(
    expect.objectContaining({ type: 'keybroker.server.state', data: { to: 'atRisk' } }),
  );
});

it('A2, F4–F6: a revocation: suspected, confirmed, atRisk, inaccessible, released, online; each once, in order, as CloudEvents', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  const { wrappedDek } = await traveller.wrapped(fleet);
  const stateIs = (state: string) => async (): Promise<boolean> => (await traveller.server(fleet)).state === state;
  await traveller.control(`PUT /vaults/${fleet.west.name}/access`, { allow: [] });
  for (const instance of [0, 1]) await traveller.unwrap(fleet, wrappedDek, { instance });
  await traveller.advance('PT31S');
  await traveller.watchUntil('atRisk', stateIs('atRisk'));
  await traveller.advance('PT10M');
  await traveller.watchUntil('the event of inaccessible', async () => {
    await traveller.watch({ instance: 1 });
    return (await traveller.events(fleet.server)).some(({ data }) => data['to'] === 'inaccessible');
  });
  await traveller.control(`PUT /vaults/${fleet.west.name}/access`, { allow: ['get', 'wrapKey', 'unwrapKey'] });
  await traveller.watchUntil('online', stateIs('online'), { instance: 1 });
  // An event is stored with its change, and listed a moment later.
  await untilTrue('the last event', async () => (await traveller.events(fleet.server)).at(-1)?.data['to'] === 'online');

  const events = await traveller.events(fleet.server);
  const steps = events.map(({ type, data }) =>
    type === 'keybroker.server.state' ? `state ${String(data['to'])}` : type.replace('keybroker.', ''),
  );
  const revocation = ['latch.suspected', 'latch.confirmed', 'state atRisk', 'state inaccessible', 'latch.released', 'state online'];
  // The first two tell of the protector that was accepted, in one write.
  expect([...steps.slice(0, 2)].sort()).toEqual(['protector.changed', 'state online']);
  expect(steps.slice(2)).toEqual(revocation);
  expect(events.find(({ type }) => type === 'keybroker.latch.confirmed')?.data).toMatchObject({
    keyId: fleet.keyId,
    vault: fleet.west.name,
    class: 'revoked',
  });
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  for (const event of events) {
    expect(event).toMatchObject({
      specversion: '1.0',
      source: 'urn:keybroker:local',
      subject: fleet.server,
      datacontenttype: 'application/json',
    });
    expect(event.time).toBe(new Date(event.time).toISOString());
  }
});

it('lists by pages without a hole or a repetition, and from a time on', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  for (const name of ['second', 'third', 'fourth']) {
    const { keyId } = await traveller.control<{ keyId: string }>(`POST /vaults/${fleet.west.name}/keys`, { name });
    await traveller.as('Operator', `PUT /v1/servers/${fleet.server}/protector`, { keyId });
  }
  const changes = (events: readonly EventBody[]): number => typesOf(events).filter((type) => type === 'protector.changed').length;
  await untilTrue('all events', async () => changes(await traveller.events(fleet.server)) === 4);
  const all = await traveller.events(fleet.server);
  const byOne: EventBody[] = [];
  for (let after: string | null = ''; after !== null;) {
    const page: Answer<PageBody<EventBody>> = await traveller.as(
      'Auditor',
      `GET /v1/events?subject=${fleet.server}&limit=1${after && `&after=${encodeURIComponent(after)}`}`,
    );
    expect(page.body.items.length).toBeLessThanOrEqual(1);
    byOne.push(...page.body.items);
    after = page.body.next;
  }
  expect(byOne).toEqual(all);
  const since = all.at(-1)?.time ?? '';
  const late = await traveller.as<PageBody<EventBody>>('Auditor', `GET /v1/events?subject=${fleet.server}&since=${since}`);
  expect(late.body.items).toEqual(all.filter(({ time }) => time >= since));
});

it('F7: a vault that throttles: `budget.tight`, once an episode, whatever the number of instances', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  const subject = fleet.west.name;
  const { wrappedDek } = await traveller.wrapped(fleet);
  await traveller.fault(fleet.west, { fault: 'throttle' });
  for (const instance of [0, 1, 0, 1]) expect((await traveller.unwrap(fleet, wrappedDek, { instance })).status).toBe(429);
  await traveller.heal(fleet.west);
  await untilTrue('the event', async () => typesOf(await traveller.events(subject)).includes('budget.tight'));
  await untilTrue('the vault to serve again', async () => (await traveller.unwrap(fleet, wrappedDek, { instance: 1 })).status === 200);
  expect(await traveller.events(subject)).toEqual([
    expect.objectContaining({ type: 'keybroker.budget.tight', subject, data: { reason: 'throttled' } }),
  ]);
});
