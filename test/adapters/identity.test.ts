import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/adapters/clock.ts';
import { createIdentities, type Identities } from '../../src/adapters/identity.ts';
import { instant, millis, seconds } from '../../src/domain/time.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { startScriptedIdentity, type ScriptedIdentity } from '../support/scripted-identity.ts';

const scope = 'https://vault.azure.net/.default';
const hour = 3_600_000;
const day = 24 * hour;

let advanced = 0;
const clock: Clock = {
  ...systemClock,
  now: () => instant(Date.now() + advanced),
  elapsed: () => millis(performance.now() + advanced),
};
let endpoint: ScriptedIdentity;
let identities: Identities;
let rejections: unknown[];
const noteRejection = (reason: unknown): void => void rejections.push(reason);

beforeAll(async () => {
  endpoint = await startScriptedIdentity(() => clock.now());
});
afterAll(() => endpoint.close());
beforeEach(() => {
  advanced = 0;
  rejections = [];
  process.on('unhandledRejection', noteRejection);
  endpoint.answer(undefined);
  endpoint.lifetime(day / 1000);
  endpoint.seen.length = 0;
  identities = createIdentities({ clock });
});
afterEach(() => {
  process.off('unhandledRejection', noteRejection);
  expect(rejections).toEqual([]);
});

const token = async (identity: string | null = null): Promise<string> => {
  const answer = await identities.token(identity, scope, seconds(8));
  if (!answer.ok) throw new Error(`${answer.fault.class} ${answer.fault.code}`);
  return answer.token;
};
const failure = async (): Promise<string> => {
  const answer = await identities.token(null, scope, seconds(8));
  return answer.ok ? 'none' : answer.fault.class;
};

describe('tokens', () => {
  it('facts 5.2: is asked for by client id and resource', async () => {
    await token('client-a');
    await token(null);
    await createIdentities({ clock, ownClientId: 'own' }).token(null, scope, seconds(8));
    expect(endpoint.seen.map((one) => one.clientId)).toEqual(['client-a', null, 'own']);
    expect(new Set(endpoint.seen.map((one) => one.resource))).toEqual(new Set(['https://vault.azure.net']));
  });

  it('one request serves all who ask at once, and the token is at hand without a promise afterwards', async () => {
    const all = await Promise.all([token(), token(), token()]);
    expect(new Set(all).size).toBe(1);
    expect(endpoint.seen).toHaveLength(1);
    expect(identities.token(null, scope, millis(0))).toEqual({ ok: true, token: all[0] });
  });

  it('from half of its life on it is renewed in the background', async () => {
    const first = await token();
    advanced = 11 * hour;
    expect(await token()).toBe(first);
    expect(endpoint.seen).toHaveLength(1);
    advanced = 13 * hour;
    expect(await token()).toBe(first);
    await vi.waitFor(async () => expect(await token()).not.toBe(first));
    expect(endpoint.seen).toHaveLength(2);
  });

  it.each([
    ['refuses', 'reset'],
    ['answers 500 in HTML', { status: 500, body: '<html>' }],
    ['answers 500 in JSON', { status: 500, body: '{"error":"unknown"}' }],
    ['says that the identity is gone', { status: 400, body: '{"statusCode":400}' }],
  ] as const)(
    'facts 5.4, 8.7: while the source %s the last good token is used until it expires, and the source is not pestered',
    async (_, step) => {
      const first = await token();
      endpoint.answer(step);
      advanced = 13 * hour;
      expect(await token()).toBe(first);
      // Requests of another identity, one after the other, leave the first time to fail and to be tried again.
      for (let i = 0; i < 3; i += 1) {
        await identities.token('another', scope, seconds(8));
        expect(await token()).toBe(first);
      }
      expect(endpoint.seen.filter((one) => one.clientId === null)).toHaveLength(2);
      advanced = day + hour;
      expect(await failure()).toBe(step === 'reset' || step.status === 500 ? 'identityOutage' : 'revoked');
      endpoint.answer(undefined);
      expect(await token()).not.toBe(first);
    },
  );

  it('facts 5.4: MSAL’s own cache is never asked: a deleted identity shows as soon as the broker asks', async () => {
    const first = await token();
    endpoint.answer({ status: 400, body: '{"statusCode":400}' });
    const renewed = await identities.renew(null, { scope, token: first }, seconds(8));
    expect(renewed).toMatchObject({ ok: false, fault: { class: 'revoked', code: 'IDENTITY_400' } });
  });

  it('a token that is about to expire is not used', async () => {
    endpoint.lifetime(4);
    const first = await token();
    expect(await token()).not.toBe(first);
  });
});

describe('renewal', () => {
  it('T05: makes a new token once; who comes later with the same refused one is given that', async () => {
    const first = await token();
    const renew = () => identities.renew(null, { scope, token: first }, seconds(8));
    const [a, b] = await Promise.all([renew(), renew()]);
    expect(a).toEqual(b);
    expect(await renew()).toEqual(a);
    expect(endpoint.seen).toHaveLength(2);
  });

  it('T05: a storm of refusals asks the source once in 30 s', async () => {
    const first = await token();
    const second = await identities.renew(null, { scope, token: first }, seconds(8));
    if (!second.ok) throw new Error(second.fault.detail);
    expect(await identities.renew(null, { scope, token: second.token }, seconds(8))).toEqual(second);
    advanced = 31_000;
    expect(await identities.renew(null, { scope, token: second.token }, seconds(8))).not.toEqual(second);
    expect(endpoint.seen).toHaveLength(3);
  });
});

describe('deadlines', () => {
  const tooLate = { ok: false, fault: { class: 'identityOutage', code: 'DEADLINE' } };
  const brief = (identity: string | null) => identities.token(identity, scope, millis(1));
  const asked = (times: number) => vi.waitFor(() => expect(endpoint.seen).toHaveLength(times));

  it('T28: a source that hangs ends the wait of who asked, and not the request of the others', async () => {
    endpoint.answer('hang');
    expect(await brief(null)).toMatchObject(tooLate);
    expect(await brief(null)).toMatchObject(tooLate);
    await asked(1);
    const patient = token();
    endpoint.letGo();
    expect(await patient).toBe(await token());
    expect(endpoint.seen).toHaveLength(1);
  });

  it('C5: a request that seems to hang is not waited for by who comes 4 s later, and its end takes nothing away', async () => {
    endpoint.answer('hang');
    const first = identities.token('client-a', scope, seconds(8));
    await asked(1);
    advanced = 3_000;
    expect(await brief('client-a')).toMatchObject(tooLate);
    advanced = 5_000;
    const second = token('client-a');
    await asked(2);
    endpoint.breakOff();
    expect(await first).toMatchObject({ ok: false, fault: { class: 'identityOutage' } });
    // The second request is still the one that is under way.
    const third = token('client-a');
    endpoint.letGo();
    expect(await third).toBe(await second);
    expect(endpoint.seen.map((one) => one.clientId)).toEqual(['client-a', 'client-a']);
  });
});
