import { beforeEach, describe, expect, it } from 'vitest';
import { untilTrue, useJourneys } from '../support/journeys.ts';
import type { Fleet, Traveller } from '../support/journeys.ts';

/* A1–A6 by the clock of the environment: hours pass by `POST /clock`, the timer is run by hand. */
const journeys = useJourneys();
beforeEach(() => journeys.control('POST /reset'));

const revoke = (traveller: Traveller, { west }: Fleet) => traveller.control(`PUT /vaults/${west.name}/access`, { allow: [] });
const grant = (traveller: Traveller, { west }: Fleet) =>
  traveller.control(`PUT /vaults/${west.name}/access`, { allow: ['get', 'wrapKey', 'unwrapKey'] });
const stateOf = async (traveller: Traveller, fleet: Fleet): Promise<string> => (await traveller.server(fleet)).state;
const revalidate = (traveller: Traveller, fleet: Pick<Fleet, 'server'>) =>
  traveller.as('Operator', `POST /v1/servers/${fleet.server}/revalidate`);

/** A fleet whose access was taken away and whose latch a second witness has confirmed. */
async function atRisk(traveller: Traveller): Promise<{ readonly fleet: Fleet; readonly dek: string; readonly wrappedDek: string }> {
  const fleet = await traveller.fleet();
  const { dek, wrappedDek } = await traveller.wrapped(fleet);
  await revoke(traveller, fleet);
  expect(await traveller.unwrap(fleet, wrappedDek)).toMatchObject({ status: 403, body: { code: 'KeyAccessDenied', retryable: true } });
  await traveller.advance('PT31S');
  await traveller.watchUntil('the server to be at risk', async () => (await stateOf(traveller, fleet)) === 'atRisk');
  return { fleet, dek, wrappedDek };
}

const after = (from: string | undefined, ms: number): string => new Date(Date.parse(from ?? '') + ms).toISOString();
const minute = 60_000;

describe('the clock of a revocation', () => {
  it('F6: a suspected latch moves no state; one that a canary confirms 30 s later makes the server atRisk, with its clock', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { wrappedDek } = await traveller.wrapped(fleet);
    await revoke(traveller, fleet);
    await traveller.unwrap(fleet, wrappedDek);
    await traveller.watch();
    expect((await traveller.protector(fleet)).latch).toMatchObject({ status: 'suspected' });
    expect(await traveller.server(fleet)).toMatchObject({ state: 'online', clock: null });

    await traveller.advance('PT31S');
    await traveller.watchUntil('the server to be at risk', async () => (await stateOf(traveller, fleet)) === 'atRisk');
    const { latch } = await traveller.protector(fleet);
    expect(latch).toMatchObject({ status: 'confirmed', class: 'revoked' });
    expect(latch?.witnesses).toBeGreaterThanOrEqual(2);
    expect(await traveller.server(fleet)).toMatchObject({
      state: 'atRisk',
      clock: {
        firstDenialAt: latch?.since,
        inaccessibleAt: after(latch?.since, 10 * minute),
        healsUntil: after(latch?.since, 480 * minute),
      },
    });
    // A2: in atRisk requests still try the primary, and what is confirmed is not worth a retry.
    await traveller.clearCalls(fleet.west);
    expect(await traveller.unwrap(fleet, wrappedDek)).toMatchObject({ status: 403, body: { code: 'KeyAccessDenied', retryable: false } });
    expect((await traveller.calls(fleet.west)).filter(({ operation }) => operation === 'unwrapKey').length).toBeGreaterThanOrEqual(1);
  });

  it('F6: a false 403 that ends within 30 s starts no clock, and service resumes at once', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { dek, wrappedDek } = await traveller.wrapped(fleet);
    await revoke(traveller, fleet);
    await traveller.unwrap(fleet, wrappedDek);
    await traveller.advance('PT20S');
    await grant(traveller, fleet);
    expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, failover: false });
    await untilTrue('the latch to be released', async () => (await traveller.protector(fleet)).latch === null);
    await traveller.advance('PT15S');
    await traveller.watch();
    expect(await traveller.server(fleet)).toMatchObject({ state: 'online', clock: null });

    // F5: failover stays forbidden for 10 minutes after the newest denial, and is allowed after them.
    await traveller.fault(fleet.west, { fault: 'refuse' });
    expect(await traveller.unwrap(fleet, wrappedDek)).toMatchObject({ status: 503, body: { code: 'VaultUnavailable' } });
    await traveller.heal(fleet.west);
    await untilTrue('the vault to serve', async () => (await traveller.unwrap(fleet, wrappedDek)).status === 200);
    await traveller.advance('PT10M');
    await traveller.unwrap(fleet, wrappedDek);
    await traveller.fault(fleet.west, { fault: 'refuse' });
    // The proof that traffic gave is stored by the watch; without it nothing newer than the denial is proven.
    await traveller.watchUntil('failover', async () => (await traveller.unwrap(fleet, wrappedDek)).body.failover === true);
    expect((await traveller.unwrap(fleet, wrappedDek)).body.dek).toBe(dek);
  });

  it('A2, A6: inaccessible 10 minutes after the first denial, and what it refuses', async (context) => {
    const traveller = journeys.begin(context);
    const { fleet, wrappedDek } = await atRisk(traveller);
    await traveller.advance('PT9M');
    await traveller.watch();
    expect(await stateOf(traveller, fleet)).toBe('atRisk');
    await traveller.advance('PT30S');
    expect(await stateOf(traveller, fleet)).toBe('inaccessible');
    await traveller.watch();
    expect(await stateOf(traveller, fleet)).toBe('inaccessible');

    for (const answer of [await traveller.unwrap(fleet, wrappedDek), await traveller.wrap(fleet)]) {
      expect(answer).toMatchObject({ status: 403, body: { code: 'ServerInaccessible' } });
      expect(answer.body.detail).toMatch(/inaccessible/);
      expect(answer.body.attempts).toBeUndefined();
    }
    const { keyId } = await traveller.control<{ keyId: string }>(`POST /vaults/${fleet.west.name}/keys`, { name: 'other' });
    const change = await traveller.as('Operator', `PUT /v1/servers/${fleet.server}/protector`, { keyId });
    expect(change).toMatchObject({ status: 403, body: { code: 'ServerInaccessible' } });
    expect(change.body.detail).toMatch(/give the broker back its access/);
  });

  it('A3: access restored before 8 hours: online by itself, without traffic', async (context) => {
    const traveller = journeys.begin(context);
    const { fleet, dek, wrappedDek } = await atRisk(traveller);
    await traveller.advance('PT7H50M');
    await traveller.watch();
    expect(await stateOf(traveller, fleet)).toBe('inaccessible');
    await grant(traveller, fleet);
    await traveller.watchUntil('the server to heal', async () => (await stateOf(traveller, fleet)) === 'online');
    expect((await traveller.server(fleet)).clock).toBeNull();
    expect((await traveller.protector(fleet)).latch).toBeNull();
    expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, failover: false });
    expect(await traveller.calls(fleet.north)).toEqual([]);
  });

  it('A3: after 8 hours: needsRevalidation, though access is back, until an operator revalidates', async (context) => {
    const traveller = journeys.begin(context);
    const { fleet, dek, wrappedDek } = await atRisk(traveller);
    await traveller.advance('PT8H');
    expect(await stateOf(traveller, fleet)).toBe('needsRevalidation');
    await grant(traveller, fleet);
    await traveller.watchUntil('the latch to be released', async () => (await traveller.protector(fleet)).latch === null);
    await traveller.watch();
    expect(await stateOf(traveller, fleet)).toBe('needsRevalidation');
    expect(await traveller.unwrap(fleet, wrappedDek)).toMatchObject({ status: 403, body: { code: 'ServerInaccessible' } });

    const byHost = await traveller.asHost(fleet.server, `POST /v1/servers/${fleet.server}/revalidate`);
    expect(byHost).toMatchObject({ status: 403, body: { code: 'CallerNotAllowed' } });
    expect(await revalidate(traveller, fleet)).toMatchObject({ status: 200, body: { state: 'online', clock: null } });
    expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, failover: false });
    await traveller.watch();
    expect(await stateOf(traveller, fleet)).toBe('online');
  });

  it('A3: revalidate works from inaccessible too, and while the keys are denied it is 422 with the findings and changes nothing', async (context) => {
    const traveller = journeys.begin(context);
    const { fleet } = await atRisk(traveller);
    await traveller.advance('PT11M');
    const before = await traveller.server(fleet);
    expect(before.state).toBe('inaccessible');
    const refused = await revalidate(traveller, fleet);
    expect(refused).toMatchObject({ status: 422, body: { code: 'ProtectorRejected' } });
    const codes = refused.body.findings?.map(({ code, keyId }) => (keyId === fleet.keyId ? code : undefined));
    expect(codes).toEqual(expect.arrayContaining(['GetDenied', 'WrapDenied']));
    expect(await traveller.server(fleet)).toEqual(before);
    expect((await traveller.protector(fleet)).latch).not.toBeNull();
    await grant(traveller, fleet);
    expect(await revalidate(traveller, fleet)).toMatchObject({ status: 200, body: { state: 'online' } });
  });

  it('A2: a protector of another thumbprint ends atRisk; the old link stays latched', async (context) => {
    const traveller = journeys.begin(context);
    const { fleet } = await atRisk(traveller);
    const south = await traveller.vault({ region: 'francecentral' });
    const { keyId, thumbprint } = await traveller.control<{ keyId: string; thumbprint: string }>(`POST /vaults/${south.name}/keys`, {
      name: 'other',
    });
    const change = await traveller.as('Operator', `PUT /v1/servers/${fleet.server}/protector`, { keyId });
    expect(change.status).toBe(200);
    expect(await stateOf(traveller, fleet)).toBe('online');
    expect((await traveller.wrap(fleet)).body).toMatchObject({ keyId, thumbprint });
    const former = (await traveller.links(fleet)).find((link) => link.keyId === fleet.keyId);
    expect(former).toMatchObject({ role: 'additional', latch: { status: 'confirmed' } });
    await traveller.watch();
    expect(await stateOf(traveller, fleet)).toBe('online');
  });

  it('A4: an outage alone, however long, never leaves online, and ages no proof', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { dek, wrappedDek } = await traveller.wrapped(fleet);
    await traveller.fault(fleet.west, { fault: 'refuse' });
    expect((await traveller.unwrap(fleet, wrappedDek)).body.failover).toBe(true);
    for (const step of ['PT20M', 'PT3H', 'PT9H']) {
      await traveller.advance(step);
      await traveller.watch();
      expect(await traveller.server(fleet)).toMatchObject({ state: 'online', clock: null });
      expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, failover: true });
    }
  });
});

describe('revalidate', () => {
  it('is refused for a server that is unknown, healthy or has no protector', async (context) => {
    const traveller = journeys.begin(context);
    expect(await revalidate(traveller, { server: 'nobody' })).toMatchObject({ status: 404, body: { code: 'NotFound' } });
    const fleet = await traveller.fleet();
    expect(await revalidate(traveller, fleet)).toMatchObject({ status: 409, body: { code: 'Conflict' } });
    await traveller.as('Operator', 'PUT /v1/servers/keyless', {
      engine: 'sql',
      region: 'westeurope',
      principalId: fleet.principalId,
      origin: 'restore',
    });
    expect(await revalidate(traveller, { server: 'keyless' })).toMatchObject({ status: 409, body: { code: 'Conflict' } });
  });

  it.for(['restore', 'replica'])('A1: with origin %s a server stays pendingValidation until it is revalidated', async (origin, context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const name = `${fleet.server}-${origin}`;
    const { principalId, keyId, standbyKeyId } = fleet;
    await traveller.as('Operator', `PUT /v1/servers/${name}`, { engine: 'sql', region: 'westeurope', principalId, origin });
    const protector = await traveller.as('Operator', `PUT /v1/servers/${name}/protector`, { keyId, standbyKeyIds: [standbyKeyId] });
    expect(protector.status).toBe(201);
    await traveller.as('Operator', `PUT /v1/servers/${name}/databases/orders`, {});
    const copy = { ...fleet, server: name };
    expect(await stateOf(traveller, copy)).toBe('pendingValidation');
    expect(await traveller.wrap(copy)).toMatchObject({ status: 403, body: { code: 'ServerInaccessible' } });
    expect(await revalidate(traveller, copy)).toMatchObject({ status: 200, body: { state: 'online' } });
    expect((await traveller.wrap(copy)).status).toBe(200);
  });
});

describe('C2: an expired key', () => {
  it('unwraps; its refused wrap is not retryable, is no denial of access, and does not fail over', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { dek, wrappedDek } = await traveller.wrapped(fleet);
    const version = fleet.keyId.split('/').at(-1) ?? '';
    const { now } = await traveller.control<{ now: string }>('POST /clock', { advance: 'PT0S' });
    await traveller.control(`PATCH /vaults/${fleet.west.name}/keys/${fleet.key}/${version}`, { expires: after(now, -minute) });
    expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, failover: false });
    expect(await traveller.wrap(fleet)).toMatchObject({ status: 403, body: { code: 'KeyAccessDenied', retryable: false } });
    expect(await traveller.protector(fleet)).toMatchObject({ latch: null, failoverFrom: null });
    await traveller.advance('PT31S');
    await traveller.watch();
    expect(await traveller.server(fleet)).toMatchObject({ state: 'online', clock: null });

    await traveller.clearCalls(fleet.north);
    await traveller.fault(fleet.west, { fault: 'refuse' });
    expect(await traveller.wrap(fleet)).toMatchObject({ status: 503, body: { code: 'VaultUnavailable' } });
    expect(await traveller.calls(fleet.north)).toEqual([]);
    expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, failover: true });
  });
});
