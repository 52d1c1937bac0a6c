import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startFixture } from '../support/functions-host.ts';
import type { HostProcess } from '../support/functions-host.ts';

const entry = join(import.meta.dirname, 'fixtures/streaming.ts');
const hostJson = { version: '2.0', extensions: { http: { routePrefix: '', customHeaders: { 'x-content-type-options': 'nosniff' } } } };

interface Echo {
  readonly name: string;
  readonly url: string;
  readonly query: [string, string][];
  readonly params: Record<string, string>;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly now: number;
}

let host: HostProcess;
beforeAll(async () => {
  host = await startFixture({ entry, hostJson, env: { SELDOM: '0 0 0 1 1 *' } });
});
afterAll(() => host.stop());

/** A request exactly as written: `fetch` would normalise the path and choose the framing itself. */
async function raw(
  options: http.RequestOptions,
  ...chunks: string[]
): Promise<{ status: number; headers: http.IncomingHttpHeaders; body: string }> {
  const request = http.request(host.url, { agent: false, ...options });
  for (const chunk of chunks) request.write(chunk);
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

async function echo(path: string, init?: RequestInit): Promise<Echo> {
  const response = await fetch(host.url + path, init);
  expect(response.status).toBe(201);
  return (await response.json()) as Echo;
}

describe('routes', () => {
  it('hands over parameters, query, headers and status', async () => {
    const answer = await echo('/echo/One/two?a=1&a=2', { method: 'POST', body: 'text', headers: { 'x-mine': 'yes' } });
    expect(answer).toMatchObject({
      name: 'echo',
      params: { first: 'One', second: 'two' },
      body: 'text',
      url: `${host.url}/echo/One/two?a=1&a=2`,
    });
    expect(answer.query).toEqual([
      ['a', '1'],
      ['a', '2'],
    ]);
    expect(answer.headers['x-mine']).toBe('yes');
  });

  it.each([
    ['an absent optional parameter', '/echo/one', { first: 'one' }],
    ['a trailing slash', '/echo/one/', { first: 'one' }],
    ['another case', '/ECHO/One', { first: 'One' }],
    ['percent-encoded letters', '/echo/a%20b', { first: 'a b' }],
    ['an encoded slash, which stays encoded', '/echo/a%2Fb', { first: 'a%2Fb' }],
    ['dot segments', '/files/../echo/one', { first: 'one' }],
    ['a catch-all', '/files/a/b/c', { path: 'a/b/c' }],
    ['an empty catch-all', '/files', { path: '' }],
    ['constraints that hold', '/numbers/9', { value: '9' }],
  ])('matches %s', async (_, path, params) => {
    const { body } = await raw({ path });
    expect((JSON.parse(body) as Echo).params).toEqual(params);
  });

  it.each([
    ['an unknown path', 'GET', '/unknown'],
    ['a wrong method', 'DELETE', '/echo/one'],
    ['HEAD that is not listed', 'HEAD', '/echo/one'],
    ['a constraint that fails', 'GET', '/numbers/10'],
    ['a constraint of another type', 'GET', '/numbers/one'],
    ['a missing parameter', 'GET', '/echo'],
    ['too many segments', 'GET', '/echo/a/b/c'],
    ['an empty segment', 'GET', '/echo//b'],
    ['a function whose route begins with admin', 'GET', '/administrators'],
    ['an unknown admin path', 'GET', '/admin/host/unknown'],
    ['a method that only a function in error has', 'PUT', '/keys/one'],
  ])('answers 404 with an empty body to %s', async (_, method, path) => {
    const answer = await raw({ method, path });
    expect(answer).toMatchObject({ status: 404, body: '' });
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  it('lets the earlier name win, not the more special route', async () => {
    expect((await echo('/keys/list')).name).toBe('ashadow');
    expect((await echo('/keys/list', { method: 'POST', body: '' })).name).toBe('zpost');
  });

  it('serves the home page of the host at /', async () => {
    const response = await fetch(host.url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html');
  });

  it('names the functions that Azure would not load, and starts the rest', async () => {
    const status = (await (await fetch(`${host.url}/admin/host/status`)).json()) as { errors: string[] };
    expect(status.errors.map((error) => error.split(':')[0])).toEqual(['administrators', 'zrival', 'unreadable']);
  });
});

describe('streaming', () => {
  it('delivers a chunked body, and a chunked answer', async () => {
    const answer = await raw({ method: 'POST', path: '/echo/one' }, 'first ', 'second');
    expect((JSON.parse(answer.body) as Echo).body).toBe('first second');
    expect(answer.headers['transfer-encoding']).toBe('chunked');
  });

  it('joins repeated headers by commas', async () => {
    const { body } = await raw({ path: '/echo/one', headers: { 'x-twice': ['a', 'b'] } });
    expect((JSON.parse(body) as Echo).headers['x-twice']).toBe('a,b');
  });

  it('takes no invocation id from a caller', async () => {
    const answer = await raw({ path: '/echo/one', headers: { 'x-ms-invocation-id': 'forged' } });
    expect(answer.status).toBe(201);
    expect(answer.headers['x-ms-invocation-id']).not.toBe('forged');
  });

  it('never answers for a handler that throws, and writes the error', async () => {
    const request = http.request(`${host.url}/throwing`, { agent: false });
    let answered = false;
    request.on('response', () => (answered = true));
    request.on('error', () => undefined);
    request.end();
    await vi.waitFor(() => expect(host.output()).toContain('[error] throwing: Executed (Failed): Error: thrown by the fixture'));
    await echo('/echo/after');
    expect(answered).toBe(false);
    request.destroy();
  });
});

describe('hooks', () => {
  it('lets a pre-invocation hook replace the handler', async () => {
    expect(await (await fetch(`${host.url}/hooked`)).text()).toBe('replaced by a hook');
  });

  it('lets a post-invocation hook replace an error by a result, and shares the hook data', async () => {
    const response = await fetch(`${host.url}/mended`);
    expect(response.status).toBe(418);
    expect(await response.text()).toBe('mended: true');
  });
});

describe('the admin API', () => {
  const run = (name: string, init: RequestInit) => fetch(`${host.url}/admin/functions/${name}`, { method: 'POST', ...init });
  const json = { 'content-type': 'application/json' };

  it('answers ping', async () => {
    expect((await fetch(`${host.url}/admin/host/ping`)).status).toBe(200);
  });

  it.each([
    ['an input', 'seldom', '{"input":""}', 202],
    ['another case of the name', 'SELDOM', '{}', 202],
    ['an HTTP function', 'echo', '{}', 202],
    ['an unknown function', 'unknown', '{}', 404],
    ['broken JSON', 'seldom', '{"input":', 400],
    ['no object', 'seldom', '[]', 400],
  ])('starts a function by hand: %s', async (_, name, body, status) => {
    expect((await run(name, { headers: json, body })).status).toBe(status);
  });

  it('asks for a JSON content type', async () => {
    expect((await run('seldom', { body: '{}', headers: { 'content-type': 'text/plain' } })).status).toBe(415);
  });

  it('runs the timer once for each start, in the shape of a timer', async () => {
    await fetch(`${host.url}/forget`, { method: 'POST' });
    await run('seldom', { headers: json, body: '{"input":""}' });
    await vi.waitFor(async () => {
      const runs: unknown = await (await fetch(`${host.url}/runs`)).json();
      expect(runs).toMatchObject([
        { isPastDue: false, schedule: { adjustForDST: true }, scheduleStatus: { last: '0001-01-01T00:00:00+00:00' } },
      ]);
    });
  });
});

it('writes one line for each log', () => {
  expect(host.output()).toContain('[information] atStart: line one\\nline two\n');
});

it('moves the wall clock by a message, and back', async () => {
  const hour = 3_600_000;
  const now = async () => (await echo('/echo/now')).now;
  host.child.send({ clockOffsetMs: hour });
  await vi.waitFor(async () => expect((await now()) - Date.now()).toBeGreaterThan(hour / 2));
  host.child.send({ clockOffsetMs: 0 });
  await vi.waitFor(async () => expect(Math.abs((await now()) - Date.now())).toBeLessThan(hour / 2));
});

it('on SIGTERM lets requests under way end, then runs the termination hooks', async () => {
  const own = await startFixture({ entry, hostJson, env: { SELDOM: '0 0 0 1 1 *' } });
  const held = fetch(`${own.url}/held`).then((response) => response.text());
  const other = new http.Agent({ keepAlive: true });
  await vi.waitFor(async () => {
    await once(http.get(`${own.url}/echo/one`, { agent: other }), 'response');
  });
  const releasing = http.request(`${own.url}/release`, { method: 'POST', agent: new http.Agent(), headers: { 'content-length': '1' } });
  releasing.flushHeaders();
  await once(releasing, 'socket');
  await vi.waitFor(async () => expect((await fetch(`${own.url}/echo/two`)).status).toBe(201));
  own.child.kill('SIGTERM');
  await vi.waitFor(async () => {
    await expect(fetch(`${own.url}/echo/three`)).rejects.toThrow();
  });
  releasing.end('x');
  expect(await held).toBe('released');
  await once(own.child, 'close');
  expect(own.child.exitCode).toBe(0);
  expect(own.output()).toMatch(/hook: appStart[^]*hook: appTerminate/);
  await own.stop();
  other.destroy();
});
