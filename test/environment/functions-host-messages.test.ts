import http from 'node:http';
import { once } from 'node:events';
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFixture } from '../support/functions-host.ts';
import type { HostProcess } from '../support/functions-host.ts';

const entry = join(import.meta.dirname, 'fixtures/messages.ts');

let host: HostProcess;
beforeAll(async () => {
  host = await startFixture({ entry, hostJson: { version: '2.0' } });
});
afterAll(() => host.stop());

it('has the route prefix "api" if host.json says nothing', async () => {
  expect((await fetch(`${host.url}/api/echo/one`)).status).toBe(200);
  expect((await fetch(`${host.url}/echo/one`)).status).toBe(404);
});

it('joins repeated query values by commas', async () => {
  const answer = (await (await fetch(`${host.url}/api/echo/one?a=1&a=2`)).json()) as { query: unknown };
  expect(answer.query).toEqual([['a', '1,2']]);
});

it('delivers a body of a stated length', async () => {
  const response = await fetch(`${host.url}/api/echo/one`, { method: 'POST', body: 'text' });
  expect(await response.json()).toMatchObject({ body: 'text', params: { first: 'one' } });
});

it('loses a chunked body, as Azure does', async () => {
  const request = http.request(`${host.url}/api/echo/one`, { method: 'POST', agent: false });
  request.write('te');
  request.end('xt');
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  expect(JSON.parse(body)).toMatchObject({ body: '' });
});

it('answers 500 with an empty body when a handler throws', async () => {
  const response = await fetch(`${host.url}/api/throwing`);
  expect(response.status).toBe(500);
  expect(await response.text()).toBe('');
});

it('answers 204 when a handler returns nothing', async () => {
  expect((await fetch(`${host.url}/api/nothing`)).status).toBe(204);
});

it.each([
  ['an app that registers nothing', 'export {};', { version: '2.0' }, 'no function was registered'],
  ['an app that throws', 'throw new Error("broken on purpose");', { version: '2.0' }, 'broken on purpose'],
  ['a host.json of another version', 'export {};', { version: '1.0' }, '"version" must be "2.0"'],
  [
    'a setting of host.json that is not imitated',
    'export {};',
    { version: '2.0', extensions: { http: { maxOutstandingRequests: 2 } } },
    'maxOutstandingRequests',
  ],
])('does not start with %s', async (_, source, hostJson, reason) => {
  const directory = await mkdtemp(join(tmpdir(), 'fixture-'));
  try {
    const file = join(directory, 'main.ts');
    await writeFile(file, source);
    await expect(startFixture({ entry: file, hostJson })).rejects.toThrow(reason);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
