import { request as httpsRequest, type Agent } from 'node:https';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '../local/vault/faults.ts';
import type { FleetVault } from '../local/vault/fleet.ts';
import { principal, startVaults, type Vaults } from '../support/vaults.ts';

let vaults: Vaults;
let vault: FleetVault;
let keyPath: string;
let token: string;
let agent: Agent;

beforeAll(async () => {
  vaults = await startVaults();
  vault = await vaults.addVault({ name: 'kv-west' });
  keyPath = new URL((await vault.createKey('tde')).keyId).pathname;
  token = vaults.issue();
  agent = vaults.agent();
});
afterAll(() => vaults.close());
beforeEach(async () => {
  await vault.recover();
  await vault.reset();
});

interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

interface Call {
  readonly verb?: 'wrapkey' | 'unwrapkey' | 'get';
  readonly at?: FleetVault;
  readonly agent?: Agent;
  /** Default: a token of `principal`. */
  readonly as?: string;
  /** Called with the response once its headers are there; the body is then not waited for. */
  readonly onHeaders?: (status: number) => void;
  readonly signal?: AbortSignal;
}

/** One call, over a kept connection where there is one; rejects with the error of the socket. A kept connection that turns out to be cut is no answer. */
function call(asked: Call = {}): Promise<Seen> {
  const { verb = 'get', at = vault, agent: by = agent, as = token, onHeaders, signal } = asked;
  return new Promise((resolve, reject) => {
    const [path, method] = verb === 'get' ? [keyPath, 'GET'] : [`${keyPath}/${verb}`, 'POST'];
    const headers = { authorization: `Bearer ${as}`, 'content-type': 'application/json' };
    const request = httpsRequest(`${at.uri}${path}?api-version=7.4`, { method, headers, agent: by, signal }, (response) => {
      onHeaders?.(response.statusCode ?? 0);
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }),
      );
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (request.reusedSocket && error.code === 'ECONNRESET') resolve(call(asked));
      else reject(error);
    });
    request.end(verb === 'get' ? undefined : JSON.stringify({ alg: 'RSA-OAEP-256', value: 'ZGVr' }));
  });
}

describe('faults below HTTP', () => {
  test.each([
    ['refuse', { fault: 'refuse' }, 'ECONNREFUSED'],
    ['dns nxdomain', { fault: 'dns', answer: 'nxdomain' }, 'ENOTFOUND'],
    ['dns servfail', { fault: 'dns', answer: 'servfail' }, 'ESERVFAIL'],
    ['tls', { fault: 'tls' }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['reset', { fault: 'reset' }, 'ECONNRESET'],
  ] satisfies [string, Fault, string][])('%s meets new calls and kept connections, and ends without a trace', async (_, fault, code) => {
    expect((await call()).status).toBe(200);
    await vault.setFault(fault);
    await expect(call()).rejects.toMatchObject({ code });
    await expect(call({ verb: 'wrapkey' })).rejects.toMatchObject({ code });
    await vault.clearFault();
    expect((await call()).status).toBe(200);
    expect(vault.uri).toMatch(new RegExp(`:${vault.port}$`));
  });

  test('refuse cuts what is under way', async () => {
    await vault.setFault({ fault: 'hang' });
    const waiting = call({ agent: vaults.agent() });
    await expect.poll(() => vault.calls().length).toBe(1);
    await vault.setFault({ fault: 'refuse' });
    await expect(waiting).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('faults asked for at once end in the last one', async () => {
    const faults: Fault[] = [{ fault: 'refuse' }, { fault: 'tls' }, { fault: 'refuse' }, { fault: 'throttle' }];
    await Promise.all(faults.map((fault) => vault.setFault(fault)));
    expect((await call()).status).toBe(429);
  });
});

describe('faults in answers', () => {
  test('hang: the call is on the list, its status is not', async () => {
    await vault.setFault({ fault: 'hang' });
    const giveUp = new AbortController();
    const waiting = call({ verb: 'unwrapkey', signal: giveUp.signal });
    await expect.poll(() => vault.calls()).toMatchObject([{ operation: 'unwrapKey', principal, status: null }]);
    giveUp.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('hangBody: the headers come, the body does not', async () => {
    await vault.setFault({ fault: 'hangBody' });
    const giveUp = new AbortController();
    const headers = Promise.withResolvers<number>();
    const waiting = call({ onHeaders: headers.resolve, signal: giveUp.signal });
    expect(await headers.promise).toBe(200);
    giveUp.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('status: the error that was asked for, with the headers of a vault', async () => {
    await vault.setFault({ fault: 'status', status: 503, code: 'Busy', innerCode: 'Regional' });
    const { status, headers, body } = await call();
    expect(status).toBe(503);
    expect(headers).toMatchObject({ 'x-ms-keyvault-service-version': '1.9.1054.1' });
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'Busy', innererror: { code: 'Regional' } } });
    expect(vault.calls()).toMatchObject([{ operation: 'get', status: 503 }]);
  });

  test('status: rate is the share of calls that it strikes', async () => {
    const draws = [0.2, 0.9, 0.49, 0.5];
    const lucky = await startVaults({ random: () => draws.shift() ?? 1 });
    const at = await lucky.addVault({ name: 'kv-lucky' });
    await at.setFault({ fault: 'status', status: 500, rate: 0.5 });
    const seen = [];
    for (const agentOfLucky = lucky.agent(); seen.length < 4;) seen.push((await call({ at, agent: agentOfLucky })).status);
    await lucky.close();
    // The token is another issuer's, so what is not struck ends in a 401.
    expect(seen).toEqual([500, 401, 500, 401]);
  });

  test('throttle: 429 without Retry-After', async () => {
    await vault.setFault({ fault: 'throttle' });
    const { status, headers } = await call({ verb: 'wrapkey' });
    expect(status).toBe(429);
    expect(headers).not.toHaveProperty('retry-after');
  });

  test('slow: waits so long, then answers', async () => {
    const waits: number[] = [];
    const slow = await startVaults({ pause: (ms) => Promise.resolve(void waits.push(ms)) });
    const at = await slow.addVault({ name: 'kv-slow' });
    await at.setFault({ fault: 'slow', ms: 1500 });
    expect((await call({ at, agent: slow.agent() })).status).toBe(401);
    await slow.close();
    expect(waits).toEqual([1500]);
  });

  test('html200: a page with none of the headers of a vault', async () => {
    await vault.setFault({ fault: 'html200' });
    const { status, headers, body } = await call();
    expect({ status, type: headers['content-type'], page: body.startsWith('<!DOCTYPE html>') }).toEqual({
      status: 200,
      type: 'text/html',
      page: true,
    });
    expect(Object.keys(headers).filter((name) => name.startsWith('x-ms-'))).toEqual([]);
  });

  test('C3: wrongKid: the operation is done, under the id of another version', async () => {
    await vault.setFault({ fault: 'wrongKid' });
    for (const verb of ['get', 'wrapkey'] as const) {
      const { status, body } = await call({ verb });
      expect(status).toBe(200);
      expect(body).toContain('"kid":"https://kv-west.vault.localhost');
      expect(body).not.toContain(keyPath);
    }
  });

  test('operations limit a fault; other operations and challenges pass', async () => {
    await vault.setFault({ fault: 'status', status: 500, operations: ['wrapKey'] });
    const statuses = [(await call()).status, (await call({ verb: 'wrapkey' })).status];
    const client = vaults.keyClient(vault);
    await client.getKey('tde');
    expect(statuses).toEqual([200, 500]);
  });

  test('reset of the environment ends faults, gives rights back and forgets calls; keys stay', async () => {
    vault.setAccess(principal, []);
    await vault.setFault({ fault: 'throttle' });
    expect((await call()).status).toBe(429);
    await vault.reset();
    expect(vault.calls()).toEqual([]);
    expect((await call()).status).toBe(200);
  });
});

describe('rights', () => {
  test('one identity loses a right, the others keep it; what is set for everybody replaces both', async () => {
    const other = vaults.issue({ principal: 'another' });
    const statuses = async () => {
      const mine = (await call({ verb: 'wrapkey' })).status;
      const theirs = (await call({ as: other })).status;
      return [mine, theirs];
    };
    vault.setAccess(principal, ['get', 'unwrapKey']);
    expect(await statuses()).toEqual([403, 200]);
    vault.setAccess(undefined, ['wrapKey']);
    expect(await statuses()).toEqual([200, 403]);
  });
});

describe('F9: a deleted vault', () => {
  test('loses its name by default, and has it back when it is recovered', async () => {
    expect((await call()).status).toBe(200);
    await vault.delete();
    expect(vault.deletedAt).toBe(vaults.clock.now);
    await expect(call()).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await vault.recover();
    expect((await call()).status).toBe(200);
    expect(vault.deletedAt).toBeUndefined();
  });

  test('may look as if it were down', async () => {
    await vault.delete('503');
    expect((await call()).status).toBe(503);
    await vault.delete('reset');
    await expect(call()).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});
