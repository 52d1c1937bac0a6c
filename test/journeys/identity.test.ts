import { beforeEach, describe, expect, it } from 'vitest';
import { untilTrue, useJourneys } from '../support/journeys.ts';
import type { Fleet, Traveller } from '../support/journeys.ts';

/* F1: the token service is no vault. */
const journeys = useJourneys({ instances: 2 });
beforeEach(() => journeys.control('POST /reset'));

interface Overview {
  readonly identities: readonly { readonly clientId: string; readonly principalId: string }[];
}

async function identityOf(traveller: Traveller, at: number): Promise<Overview['identities'][number]> {
  const identity = (await traveller.control<Overview>('GET /')).identities[at];
  if (!identity) throw new Error(`the environment has no identity ${String(at)}`);
  return identity;
}

/** An instance that holds no token yet but that of the broker's own identity, which its readiness rests on. */
async function freshInstance(traveller: Traveller): Promise<number> {
  return (await traveller.control<{ instance: number }>('POST /instances')).instance;
}

/** A server whose identity is not the broker's own. */
async function fleetOfAnother(traveller: Traveller): Promise<Fleet> {
  return traveller.fleet({ identityClientId: (await identityOf(traveller, 2)).clientId });
}

describe('the token service down', () => {
  it('F1: tokens that are held serve on, and nothing fails over', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { dek, wrappedDek } = await traveller.wrapped(fleet);
    await traveller.control('PUT /identity/fault', { fault: 'down' });
    for (let i = 0; i < 3; i += 1) {
      expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, failover: false });
      expect((await traveller.wrap(fleet)).body.failover).toBe(false);
    }
    expect(await traveller.calls(fleet.north)).toEqual([]);
  });

  it.for(['down', 'slow'])(
    'F1: without a token: IdentityUnavailable when it is %s, no failover, no open circuit, no latch',
    async (fault, context) => {
      const traveller = journeys.begin(context);
      const fleet = await fleetOfAnother(traveller);
      const { dek, wrappedDek } = await traveller.wrapped(fleet);
      const instance = await freshInstance(traveller);
      await traveller.clearCalls(fleet.west, fleet.north);
      await traveller.control('PUT /identity/fault', fault === 'slow' ? { fault, ms: 4000 } : { fault });
      const asked = [0, 1, 2, 3].map((turn) =>
        turn % 2 === 0 ? traveller.unwrap(fleet, wrappedDek, { instance }) : traveller.wrap(fleet, { instance }),
      );
      for (const answer of await Promise.all(asked)) {
        expect(answer).toMatchObject({ status: 503, body: { code: 'IdentityUnavailable', retryable: true } });
        expect(answer.body.attempts).toMatchObject([{ vault: fleet.west.name, role: 'primary', class: 'identityOutage' }]);
      }
      expect(await traveller.calls(fleet.west)).toEqual([]);
      expect(await traveller.calls(fleet.north)).toEqual([]);
      expect(await traveller.protector(fleet)).toMatchObject({ latch: null, failoverFrom: null });
      const vault = await traveller.as<{ circuit: { state: string } }>('Auditor', `GET /v1/vaults/${fleet.west.name}`);
      expect(vault.body.circuit.state).toBe('closed');

      await traveller.control('DELETE /identity/fault');
      await untilTrue('the instance to serve', async () => (await traveller.unwrap(fleet, wrappedDek, { instance })).body.dek === dek);
      expect(await traveller.calls(fleet.north)).toEqual([]);
    },
  );

  it('F1: a token that comes late leaves the vault too little time: that is no outage of the vault, and nothing fails over', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await fleetOfAnother(traveller);
    const { dek, wrappedDek } = await traveller.wrapped(fleet);
    const instance = await freshInstance(traveller);
    await traveller.control('PUT /identity/fault', { fault: 'slow', ms: 1500 });
    // Sound, but not within what is left of the 2 s of an attempt.
    await traveller.fault(fleet.west, { fault: 'slow', ms: 800, operations: ['unwrapKey'] });
    expect(await traveller.unwrap(fleet, wrappedDek, { instance })).toMatchObject({ status: 503, body: { code: 'IdentityUnavailable' } });
    await untilTrue('the vault to serve', async () => (await traveller.unwrap(fleet, wrappedDek, { instance })).body.dek === dek);
    expect(await traveller.calls(fleet.north)).toEqual([]);
  });

  it('T27: an identity that is no longer assigned is a revocation: refused, latched, never failed over', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await fleetOfAnother(traveller);
    const { wrappedDek } = await traveller.wrapped(fleet);
    const instance = await freshInstance(traveller);
    await traveller.control('PUT /identity/fault', { fault: 'notFound' });
    expect(await traveller.unwrap(fleet, wrappedDek, { instance })).toMatchObject({ status: 403, body: { code: 'KeyAccessDenied' } });
    // Another instance reads what is stored at most a second later.
    await untilTrue('the latch', async () => (await traveller.protector(fleet)).latch?.class === 'revoked');
    await traveller.fault(fleet.west, { fault: 'refuse' });
    expect((await traveller.unwrap(fleet, wrappedDek, { instance })).status).not.toBe(200);
    expect(await traveller.calls(fleet.north)).toEqual([]);
  });
});

describe('an identity a server', () => {
  it('F4: to revoke the identity of one server leaves the others, which fail over in the outage that follows', async (context) => {
    const traveller = journeys.begin(context);
    const [revoked, kept] = [await identityOf(traveller, 2), await identityOf(traveller, 3)];
    const own = await traveller.fleet();
    const first = await traveller.fleet({ identityClientId: revoked.clientId, vaults: own });
    const second = await traveller.fleet({ identityClientId: kept.clientId, vaults: own });
    const deks = await Promise.all([own, first, second].map((fleet) => traveller.wrapped(fleet)));
    const [ownDek = '', firstDek = '', secondDek = ''] = deks.map(({ wrappedDek }) => wrappedDek);
    const used = new Set((await traveller.calls(own.west)).map(({ principal }) => principal));
    expect(used.has(revoked.principalId) && used.has(kept.principalId)).toBe(true);

    await traveller.control(`PUT /vaults/${own.west.name}/access`, { principal: revoked.principalId, allow: [] });
    expect(await traveller.unwrap(first, firstDek)).toMatchObject({ status: 403, body: { code: 'KeyAccessDenied' } });
    expect((await traveller.unwrap(own, ownDek)).body.failover).toBe(false);
    expect((await traveller.unwrap(second, secondDek)).body.failover).toBe(false);

    await traveller.fault(own.west, { fault: 'refuse' });
    await traveller.clearCalls(own.north);
    for (const instance of [0, 1]) {
      expect((await traveller.unwrap(own, ownDek, { instance })).body.failover).toBe(true);
      expect((await traveller.unwrap(second, secondDek, { instance })).body.failover).toBe(true);
      expect((await traveller.unwrap(first, firstDek, { instance })).status).not.toBe(200);
    }
    const atNorth = new Set((await traveller.calls(own.north)).map(({ principal }) => principal));
    expect(atNorth.has(revoked.principalId)).toBe(false);
    expect((await traveller.server(second)).state).toBe('online');
  });
});
