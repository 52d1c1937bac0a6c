import { describe, expect, test } from 'vitest';
import { Dek } from '../../src/domain/dek.ts';
import { done, refusalCodes, refuse } from '../../src/domain/refusal.ts';
import { millis } from '../../src/domain/time.ts';
import { serveMisconfigured } from '../../src/http/misconfigured.ts';
import { problemKinds } from '../../src/http/problem.ts';
import { routes } from '../../src/http/routes.ts';
import { good, goodRoads, keyId, thumbprint } from '../support/wire-cases.ts';
import { received, StillClock, testCallers, TestIssuer, testWire, wireRequest, wireSettings } from '../support/wire.ts';

describe('problem documents (RFC 9457)', () => {
  test('every code has the status of the contract', () => {
    expect(Object.fromEntries(refusalCodes.map((code) => [code, problemKinds[code].status]))).toEqual({
      InvalidRequest: 400,
      Unauthenticated: 401,
      CallerNotAllowed: 403,
      KeyAccessDenied: 403,
      ServerInaccessible: 403,
      NotFound: 404,
      Conflict: 409,
      VaultBudgetExceeded: 409,
      PayloadTooLarge: 413,
      ProtectorRejected: 422,
      CiphertextRejected: 422,
      Throttled: 429,
      Internal: 500,
      VaultUnavailable: 503,
      IdentityUnavailable: 503,
      StateUnavailable: 503,
      DeadlineExceeded: 504,
    });
  });

  test.each(refusalCodes)('%s goes out with its status, code, title, detail and request id', async (code) => {
    const wire = testWire({ getServer: () => Promise.resolve(refuse(code, 'because')) });
    const answer = await wire.call('getServer', { ...good['getServer'], headers: { 'x-ms-client-request-id': 'mine' } });
    expect(answer.status).toBe(problemKinds[code].status);
    expect(answer.json).toEqual({
      type: `urn:keybroker:problem:${code}`,
      ...problemKinds[code],
      code,
      detail: 'because',
      requestId: 'mine',
    });
    expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json', 'x-ms-client-request-id': 'mine' });
  });

  test('tells attempts, findings and when to come back; Retry-After is rounded up', async () => {
    const attempts = [
      { vault: 'kv-west', role: 'primary' as const, class: 'throttled' as const, status: 429, vaultCode: null, ms: millis(3) },
    ];
    const wire = testWire({
      wrap: () => Promise.resolve(refuse('Throttled', 'busy', { retryable: true, retryAfterMs: millis(1001), attempts })),
    });
    const answer = await wire.call('wrap', good['wrap']);
    expect(answer.json).toMatchObject({ retryable: true, retryAfterMs: 1001, attempts });
    expect(answer.headers['retry-after']).toBe('2');
  });

  test('without a token: 401 with WWW-Authenticate', async () => {
    const issuer = new TestIssuer(new StillClock());
    const wire = testWire(goodRoads, testCallers(issuer, new StillClock()));
    const answer = await wire.call('wrap', { ...good['wrap'], headers: { authorization: 'Basic abc' } });
    expect([answer.status, answer.headers['www-authenticate'], answer.json['code']]).toEqual([401, 'Bearer', 'Unauthenticated']);
  });
});

describe('every answer', () => {
  test.each(['wrap', 'deleteServer', 'getVault', 'healthz'])('%s: may not be kept nor reinterpreted, and names the request', async (id) => {
    const answer = await testWire(goodRoads).call(id, good[id]);
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(answer.headers['x-ms-client-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([['a b'], ['x'.repeat(129)], ['é']])('a request id that is not plain is replaced: %j', async (given) => {
    const answer = await testWire().call('getServer', { ...good['getServer'], headers: { 'x-ms-client-request-id': given } });
    expect(answer.headers['x-ms-client-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.json['requestId']).toBe(answer.headers['x-ms-client-request-id']);
  });

  const trace = '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331';
  test.each([
    [`00-${trace}-01`, `00-${trace}-01`],
    [`cc-${trace}-01-later`, `00-${trace}-01`],
  ])('traceparent %s is honoured', async (given, echoed) => {
    const answer = await testWire(goodRoads).call('healthz', { headers: { traceparent: given } });
    expect(answer.headers['traceparent']).toBe(echoed);
  });

  test.each([
    `ff-${trace}-01`,
    `00-${trace}-01-more`,
    `00-${trace.toUpperCase()}-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
    'x',
  ])('traceparent %s is none: a new trace begins', async (given) => {
    const answer = await testWire(goodRoads).call('healthz', { headers: { traceparent: given } });
    expect(answer.headers['traceparent']).toMatch(/^00-(ab){16}-(ab){8}-00$/);
  });
});

describe('bodies', () => {
  const letters = (count: number) => Buffer.alloc(count, 0x20);
  const json = Buffer.from(JSON.stringify(good['wrap']?.body));

  test('of 64 KiB are read, in any chunks and without a length', async () => {
    const wire = testWire(goodRoads);
    const chunks = [json.subarray(0, 3), json.subarray(3), letters(65_536 - json.length)];
    expect((await wire.call('wrap', { ...good['wrap'], body: chunks })).status).toBe(200);
  });

  test('of one byte more are PayloadTooLarge, in chunks too, and no more of them is read', async () => {
    const wire = testWire(goodRoads);
    let asked = 0;
    async function* endless() {
      await Promise.resolve();
      for (;;) {
        asked += 1;
        yield letters(1024);
      }
    }
    const { ReadableStream } = await import('node:stream/web');
    const route = routes.find(({ id }) => id === 'wrap')!;
    const request = {
      ...wireRequest({ ...good['wrap'], headers: { authorization: 'Bearer KeyBroker.Host' } }),
      body: ReadableStream.from(endless()),
    };
    const answer = await wire.handle(route, request);
    expect([answer.status, answer.json['code']]).toEqual([413, 'PayloadTooLarge']);
    expect(asked).toBeLessThanOrEqual(66);
    expect(wire.walked).toEqual([]);
  });

  test('whose length is told to be too large are not read at all', async () => {
    const answer = await testWire(goodRoads).call('wrap', { ...good['wrap'], headers: { 'content-length': '65537' } });
    expect(answer.status).toBe(413);
  });

  test('of a stranger are not read', async () => {
    const answer = await testWire(goodRoads).call('wrap', {
      ...good['wrap'],
      body: '{',
      headers: { authorization: 'Bearer KeyBroker.Auditor' },
    });
    expect(answer.status).toBe(403);
  });
});

describe('C5: deadlines', () => {
  test('the road is told its deadline, by the monotonic clock', async () => {
    const wire = testWire(goodRoads);
    wire.clock.advance(500);
    await wire.call('wrap', { ...good['wrap'], headers: { 'x-ms-client-request-id': 'r1' } });
    expect(wire.walked[0]?.context).toMatchObject({ deadline: 10_500, requestId: 'r1' });
    expect(wire.clock.pausing).toBe(0);
  });

  test('a road that overruns is answered for: DeadlineExceeded', async () => {
    const wire = testWire({ getServer: () => new Promise(() => undefined) });
    const answer = wire.call('getServer', good['getServer']);
    wire.clock.advance(10_250);
    expect((await answer).json).toMatchObject({ status: 504, code: 'DeadlineExceeded', retryable: true });
  });

  test('a body that never ends is given up too', async () => {
    const wire = testWire(goodRoads);
    const { ReadableStream } = await import('node:stream/web');
    const route = routes.find(({ id }) => id === 'wrap')!;
    const answer = wire.handle(route, {
      ...wireRequest({ ...good['wrap'], headers: { authorization: 'Bearer KeyBroker.Host' } }),
      body: new ReadableStream(),
    });
    wire.clock.advance(10_250);
    expect((await answer).status).toBe(504);
  });
});

describe('C4: nothing secret gets out', () => {
  const marked = Buffer.from('MARKED-DEK-MARKED-DEK-MARKED-DEK');
  const body = { dek: marked.toString('base64url') };
  const isClean = (text: string) =>
    !text.includes(body.dek) &&
    !text.includes('MARKED') &&
    !text.includes(marked.toString('hex')) &&
    !text.includes(marked.toString('base64'));

  test('a defect is Internal and says nothing; the log has where, not what', async () => {
    const wire = testWire({
      wrap: ({ dek }) => {
        throw new TypeError(`Received ${Buffer.from(dek.reveal()).toString()}`, { cause: new RangeError(body.dek) });
      },
    });
    const answer = await wire.call('wrap', { ...good['wrap'], body });
    expect([answer.status, answer.json['code']]).toEqual([500, 'Internal']);
    expect(wire.defects).toMatchObject([{ route: 'wrap', error: 'TypeError < RangeError', requestId: answer.json['requestId'] }]);
    expect(wire.defects[0]?.frames).toMatch(/^ {4}at /);
    expect(isClean(answer.text) && isClean(JSON.stringify(wire.defects))).toBe(true);
  });

  test('what is no Error is a defect too', async () => {
    const wire = testWire({ getServer: () => Promise.reject('text') });
    expect((await wire.call('getServer', good['getServer'])).status).toBe(500);
    expect(wire.defects).toMatchObject([{ error: 'string', frames: '' }]);
  });

  test.each([
    ['a body that is cut off', `{"dek":"${body.dek}"`],
    ['a wrong algorithm', { ...body, algorithm: body.dek }],
    ['an unknown field', { ...body, [body.dek]: body.dek }],
    ['a DEK that is too long', { dek: body.dek.repeat(3) }],
    ['a DEK in a list', { dek: [body.dek] }],
  ])('%s', async (_what, bad) => {
    const wire = testWire(goodRoads);
    const answer = await wire.call('wrap', { ...good['wrap'], body: bad });
    expect(answer.status).toBe(400);
    expect(isClean(answer.text) && isClean(JSON.stringify(wire.defects))).toBe(true);
  });

  test('the DEK of a request is zeroed after its road, whatever the road does', async () => {
    for (const outcome of ['answers', 'refuses', 'throws']) {
      let seen: Uint8Array | undefined;
      const wire = testWire({
        wrap: (request, context) => {
          seen = request.dek.reveal();
          expect(Buffer.from(seen)).toEqual(marked);
          expect(seen.buffer.byteLength).toBe(marked.length);
          if (outcome === 'throws') throw new Error('defect');
          return outcome === 'answers' ? goodRoads.wrap!(request, context) : Promise.resolve(refuse('VaultUnavailable', 'away'));
        },
      });
      await wire.call('wrap', { ...good['wrap'], body });
      expect(seen?.every((byte) => byte === 0)).toBe(true);
    }
  });

  test('the DEK of an answer is zeroed once it is written', async () => {
    const dek = new Dek(Buffer.from(marked));
    const served = { keyId, thumbprint, vault: 'kv-west', failover: false, record: 'a/1', algorithm: 'RSA-OAEP-256' as const };
    const wire = testWire({ unwrap: () => Promise.resolve(done({ ...served, dek })) });
    expect((await wire.call('unwrap', good['unwrap'])).json['dek']).toBe(body.dek);
    expect(dek.reveal().every((byte) => byte === 0)).toBe(true);
  });

  test('a token is neither answered nor logged', async () => {
    const issuer = new TestIssuer(new StillClock());
    await issuer.addKey('first');
    const wire = testWire({ wrap: () => Promise.reject(new Error('defect')) }, testCallers(issuer, new StillClock()));
    const token = await issuer.sign();
    for (const [bearer, status] of [
      [token, 500],
      [`${token}x`, 401],
    ] as const) {
      const answer = await wire.call('wrap', { ...good['wrap'], headers: { authorization: `Bearer ${bearer}` } });
      expect(answer.status).toBe(status);
      for (const part of token.split('.')) expect(answer.text + JSON.stringify([answer.headers, wire.defects])).not.toContain(part);
    }
  });
});

describe('readiness', () => {
  test('says what is missing, as a problem with the lists', async () => {
    const wire = testWire({ readiness: () => Promise.resolve({ missing: ['store'], warnings: ['w'] }) });
    const answer = await wire.call('readyz');
    expect([answer.status, answer.json['code'], answer.json['missing'], answer.json['warnings']]).toEqual([
      503,
      'StateUnavailable',
      ['store'],
      ['w'],
    ]);
  });

  test('warns of what is wrong with the deployment and keeps nothing from being served', async () => {
    const wire = testWire({ readiness: () => Promise.resolve({ missing: [], warnings: ['w'] }) }, undefined, {
      ...wireSettings,
      warnings: ['of a setting'],
    });
    const answer = await wire.call('readyz');
    expect([answer.status, answer.json['warnings']]).toEqual([200, ['of a setting', 'w']]);
  });

  test('wrong settings: every route answers, readyz lists every problem, healthz is well', async () => {
    const serve = serveMisconfigured(['KEYBROKER_A is missing', 'KEYBROKER_B is missing'], new StillClock());
    for (const route of routes) {
      const answer = received(await serve(route)(wireRequest({})));
      expect([route.id, answer.status]).toEqual([route.id, { healthz: 200, readyz: 503 }[route.id] ?? 500]);
      if (route.id === 'readyz') expect(answer.json['missing']).toEqual(['KEYBROKER_A is missing', 'KEYBROKER_B is missing']);
    }
  });
});
