import { describe, expect, test } from 'vitest';
import { routes } from '../../src/http/routes.ts';
import { serveUnknownPath, unknownPath } from '../../src/http/unknown-path.ts';
import { received, StillClock, wireRequest, type Received } from '../support/wire.ts';

const serve = serveUnknownPath(routes, new StillClock());

async function ask(path: string, headers: Record<string, string> = {}): Promise<Received> {
  return received(await serve(wireRequest({ params: { path }, query: 'limt=5', headers, body: 'no JSON' })));
}

describe('what is no route', () => {
  test.each([
    ['vaults', 'GET'],
    ['vaults/', 'GET'],
    ['Vaults/Kv-West', 'PUT, GET'],
    ['servers/sql-a', 'PUT, GET, DELETE'],
    ['servers/sql-a/databases/sales/wrap', 'POST'],
    ['servers/sql-a/batch', 'POST'],
  ])('a wrong method at v1/%s is told the methods that the path has', async (path, methods) => {
    const { status, headers, json } = await ask(path, { 'x-ms-client-request-id': 'mine' });
    expect(status).toBe(404);
    expect(headers).toMatchObject({ 'content-type': 'application/problem+json', 'x-ms-client-request-id': 'mine' });
    expect(json).toMatchObject({ code: 'NotFound', requestId: 'mine', detail: `this path has no such method: it has ${methods}` });
  });

  test.each(['', 'vault', 'servers//keys', 'servers/sql-a/databases/', 'servers/sql-a/nothing', 'vaults/a/b', 'vaults//'])(
    'at v1/%s there is nothing',
    async (path) => {
      const { status, json } = await ask(path);
      expect(status).toBe(404);
      expect(json).toMatchObject({ code: 'NotFound', detail: expect.stringContaining('nothing at this path') as string });
    },
  );

  test('its function comes last in the order of names, by which the host asks', () => {
    for (const { id } of routes) expect(id.toLowerCase() < unknownPath.id.toLowerCase(), id).toBe(true);
  });
});
