import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/adapters/clock.ts';
import { createControlPlane } from '../../src/adapters/control-plane.ts';
import type { Identities } from '../../src/adapters/identity.ts';
import { instant, millis, seconds } from '../../src/domain/time.ts';
import type { Vault } from '../../src/domain/vault.ts';
import type { ControlPlane } from '../../src/ports/control-plane.ts';
import { aFault, noon } from '../support/builders.ts';

const vault: Vault = {
  name: 'mine',
  uri: 'https://kv-one.vault.azure.net',
  kind: 'vault',
  region: 'westeurope',
  geography: 'Europe',
  subscriptionId: 'sub-1',
};
const deleted = { status: 200, body: '{"name":"kv-one"}' };
const notDeleted = { status: 404, body: '{"error":{"code":"DeletedVaultNotFound"}}' };

let advanced = 0;
let wall = 0;
const clock = { ...systemClock, now: () => instant(noon + wall), elapsed: () => millis(advanced) };
const identities: Identities = {
  token: () => ({ ok: true, token: 'token-of-the-broker' }),
  renew: () => Promise.reject(new Error('not used')),
};

type Answer = { readonly status: number; readonly body: string };
const send = (response: ServerResponse, { status, body }: Answer) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);

let answer: Answer | 'hang' | 'reset';
/** Answers the requests that hang. */
let waiting: ((late: Answer) => void)[];
let seen: { url: string | undefined; authorization: string | undefined }[];
let close: () => Promise<void>;
let endpoint: string;
let controlPlane: ControlPlane;

beforeEach(async () => {
  advanced = 0;
  wall = 0;
  seen = [];
  waiting = [];
  const server = createServer((request, response) => {
    seen.push({ url: request.url, authorization: request.headers.authorization });
    if (answer === 'reset') request.socket.destroy();
    else if (answer === 'hang') waiting.push((late) => send(response, late));
    else send(response, answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  controlPlane = createControlPlane({ clock, identities, endpoint });
  close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
});
afterEach(() => close());

describe('the control plane', () => {
  it.each([
    ['200: the vault is among the deleted ones', deleted, 'deleted'],
    ['404: it is not', notDeleted, 'exists'],
    ['404: the subscription is not there', { status: 404, body: '{"error":{"code":"SubscriptionNotFound"}}' }, 'unknown'],
    ['403', { status: 403, body: '{}' }, 'unknown'],
    ['500', { status: 500, body: '' }, 'unknown'],
    ['a page of a proxy', { status: 200, body: '<html>' }, 'unknown'],
    ['a redirect', { status: 302, body: '' }, 'unknown'],
    ['a reset', 'reset', 'unknown'],
  ] as const)('F9: %s', async (_, given, expected) => {
    answer = given;
    expect(await controlPlane.vaultStatus(vault, seconds(5), null)).toBe(expected);
  });

  it('F9: asks by the name in Azure, in the vault’s subscription and region, with the broker’s token', async () => {
    answer = notDeleted;
    await controlPlane.vaultStatus(vault, seconds(5), null);
    await controlPlane.vaultStatus({ ...vault, kind: 'managedHsm', uri: 'https://hsm-one.managedhsm.azure.net' }, seconds(5), null);
    const base = '/subscriptions/sub-1/providers/Microsoft.KeyVault/locations/westeurope';
    expect(seen).toEqual([
      { url: `${base}/deletedVaults/kv-one?api-version=2026-02-01`, authorization: 'Bearer token-of-the-broker' },
      { url: `${base}/deletedManagedHSMs/hsm-one?api-version=2026-02-01`, authorization: 'Bearer token-of-the-broker' },
    ]);
  });

  it('F9: an answer is remembered for 30 s, and asked for once by all who come meanwhile', async () => {
    answer = notDeleted;
    await Promise.all([controlPlane.vaultStatus(vault, seconds(5), null), controlPlane.vaultStatus(vault, seconds(5), null)]);
    answer = deleted;
    expect(await controlPlane.vaultStatus(vault, seconds(5), null)).toBe('exists');
    advanced = 30_001;
    expect(await controlPlane.vaultStatus(vault, seconds(5), null)).toBe('deleted');
    expect(seen).toHaveLength(2);
  });

  it('F9: what was learnt before the outage began says nothing of it: it is asked once more, and that is remembered', async () => {
    answer = notDeleted;
    await controlPlane.vaultStatus(vault, seconds(5), null);
    answer = deleted;
    const began = instant(noon + 1);
    wall = 2;
    expect(await controlPlane.vaultStatus(vault, seconds(5), began)).toBe('deleted');
    expect(await controlPlane.vaultStatus(vault, seconds(5), began)).toBe('deleted');
    expect(seen).toHaveLength(2);
  });

  it.each([
    ['it throttles', { status: 429, body: '' }],
    ['it resets the connection', 'reset'],
  ] as const)('F9: that no answer came, since %s, is not remembered like one: it is asked again 2 s later', async (_, given) => {
    answer = given;
    expect(await controlPlane.vaultStatus(vault, seconds(5), null)).toBe('unknown');
    answer = deleted;
    advanced = 1900;
    expect(await controlPlane.vaultStatus(vault, seconds(5), null)).toBe('unknown');
    expect(seen).toHaveLength(1);
    advanced = 2100;
    expect(await controlPlane.vaultStatus(vault, seconds(5), null)).toBe('deleted');
    advanced = 32_000;
    expect(await controlPlane.vaultStatus(vault, seconds(5), null)).toBe('deleted');
    expect(seen).toHaveLength(2);
  });

  it('F9: a token that failed for a moment is asked for again 2 s later', async () => {
    answer = deleted;
    let tokens = 0;
    const failsOnce: Identities = {
      ...identities,
      token: () => ((tokens += 1) === 1 ? { ok: false, fault: aFault({ class: 'identityOutage' }) } : { ok: true, token: 'of-the-broker' }),
    };
    const one = createControlPlane({ clock, identities: failsOnce, endpoint });
    expect(await one.vaultStatus(vault, seconds(5), null)).toBe('unknown');
    advanced = 2100;
    expect(await one.vaultStatus(vault, seconds(5), null)).toBe('deleted');
  });

  it('F9: hundreds who meet the outage while it is slow to answer, or was stamped by a clock that is ahead, ask it once', async () => {
    answer = 'hang';
    const ask = (since: number) => controlPlane.vaultStatus(vault, millis(50), instant(noon + since));
    await Promise.all(Array.from({ length: 300 }, () => ask(1500)));
    await Promise.all(Array.from({ length: 300 }, () => ask(1500)));
    await expect.poll(() => seen.length).toBe(1);
  });

  it('F9: a new outage while a question is under way asks anew when that is answered, not beside it', async () => {
    answer = 'hang';
    const before = controlPlane.vaultStatus(vault, seconds(5), null);
    const after = Promise.all(Array.from({ length: 100 }, () => controlPlane.vaultStatus(vault, seconds(5), instant(noon + 1))));
    await expect.poll(() => seen.length).toBe(1);
    answer = deleted;
    waiting.splice(0).forEach((answerLate) => answerLate(notDeleted));
    expect(await before).toBe('exists');
    expect(new Set(await after)).toEqual(new Set(['deleted']));
    expect(seen).toHaveLength(2);
  });

  /** One who waits is not answered in time; then the question fails. */
  async function silence() {
    answer = 'hang';
    const patient = controlPlane.vaultStatus(vault, seconds(5), null);
    expect(await controlPlane.vaultStatus(vault, millis(50), null)).toBe('unknown');
    // Nobody waits out this deadline, or the test does.
    expect(await controlPlane.vaultStatus(vault, seconds(3600), null)).toBe('unknown');
    await expect.poll(() => waiting.length).toBe(1);
    waiting.splice(0).forEach((answerLate) => answerLate({ status: 500, body: '' }));
    expect(await patient).toBe('unknown');
    answer = deleted;
  }

  it('F9: one that is silent slows the first failover down alone, until it answers', async () => {
    await silence();
    advanced = 2100;
    answer = 'hang';
    // Asked behind everybody's back; the answer is used once it is there.
    expect(await controlPlane.vaultStatus(vault, seconds(3600), null)).toBe('unknown');
    await expect.poll(() => waiting.length).toBe(1);
    waiting.splice(0).forEach((answerLate) => answerLate(deleted));
    await expect.poll(() => controlPlane.vaultStatus(vault, seconds(3600), null)).toBe('deleted');
    expect(seen).toHaveLength(2);
  });

  it('F9: one that was silent a minute ago is waited for again', async () => {
    await silence();
    advanced = 60_000;
    expect(await controlPlane.vaultStatus(vault, seconds(5), null)).toBe('deleted');
  });

  it('F9: however often the outage begins anew, where no answer came nobody asks again for 2 s', async () => {
    answer = { status: 429, body: '' };
    for (let since = 0; since < 20; since += 1) await controlPlane.vaultStatus(vault, seconds(5), instant(noon + since));
    expect(seen).toHaveLength(1);
  });

  it('F9: no answer in time is unknown', async () => {
    answer = 'hang';
    expect(await controlPlane.vaultStatus(vault, millis(50), null)).toBe('unknown');
  });

  it('F9: not configured, without a token or over plain http to another machine, nothing is asked', async () => {
    answer = deleted;
    const noToken: Identities = {
      ...identities,
      token: () => ({
        ok: false,
        fault: { class: 'identityOutage', status: null, code: null, detail: '', reach: null, mayHideDenial: false, outsideValidity: false },
      }),
    };
    const off = [
      createControlPlane({ clock, identities, endpoint: null }),
      createControlPlane({ clock, identities: noToken, endpoint }),
      createControlPlane({ clock, identities, endpoint: endpoint.replace('127.0.0.1', 'localhost') }),
    ];
    for (const one of off) expect(await one.vaultStatus(vault, seconds(5), null)).toBe('unknown');
    expect(seen).toEqual([]);
  });
});
