import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { randomDek, until, useJourneys } from '../support/journeys.ts';
import type { Body, PageBody, VaultCall } from '../support/journeys.ts';

const journeys = useJourneys({ seed: true });

interface RecordBody {
  readonly instance: string;
  readonly number: number;
  readonly requestId: string;
  readonly [member: string]: unknown;
}

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

interface OpenApiOperation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>>;
}

describe('the seeded fleet', () => {
  it('C1: one wrap is one wrapKey and one unwrap is one unwrapKey at the vault, and nothing else', async (context) => {
    const { control, asHost } = journeys.begin(context);
    const dek = randomDek();
    const wrapped = await asHost('sql-demo', 'POST /v1/servers/sql-demo/databases/orders/wrap', { dek });
    expect(wrapped.status).toBe(200);
    expect(wrapped.body).toMatchObject({ algorithm: 'RSA-OAEP-256', vault: 'kv-west', failover: false });
    const { wrappedDek, thumbprint, keyId } = wrapped.body;
    const unwrapped = await asHost('sql-demo', 'POST /v1/servers/sql-demo/databases/orders/unwrap', { wrappedDek, thumbprint });
    expect(unwrapped.status).toBe(200);
    expect(unwrapped.body).toEqual({ dek, keyId, thumbprint, algorithm: 'RSA-OAEP-256', vault: 'kv-west', failover: false });
    const seen = await control<PageBody<VaultCall>>('GET /vaults/kv-west/calls');
    const expected = [
      { operation: 'wrapKey', keyId, status: 200 },
      { operation: 'unwrapKey', keyId, status: 200 },
    ];
    expect(seen.items.map(({ operation, keyId: used, status }) => ({ operation, keyId: used, status }))).toEqual(expected);
    expect(await control('GET /vaults/kv-north/calls')).toEqual({ items: [] });
  });

  it.for(['RSA-OAEP-256', 'RSA-OAEP'])('wraps and unwraps by %s, DEKs of 16 to 64 bytes', async (algorithm, context) => {
    const traveller = journeys.begin(context);
    for (const size of [16, 32, 64]) {
      const dek = Buffer.alloc(size, size).toString('base64url');
      const path = 'POST /v1/servers/sql-demo/databases/ledger';
      const { body: wrapped } = await traveller.asHost('sql-demo', `${path}/wrap`, { dek, algorithm });
      const { wrappedDek, thumbprint } = wrapped;
      expect((await traveller.asHost('sql-demo', `${path}/unwrap`, { wrappedDek, thumbprint, algorithm })).body).toMatchObject({
        dek,
        algorithm,
      });
    }
  });

  it('K5, K6: after a change of protector the old DEK unwraps by its thumbprint, and rewrap moves it to the new key', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { dek, wrappedDek } = await traveller.wrapped(fleet);
    const renewed = await traveller.control<{ keyId: string; thumbprint: string }>(`POST /vaults/${fleet.west.name}/keys`, {
      name: 'newer',
    });
    const protector = await traveller.as('Operator', `PUT /v1/servers/${fleet.server}/protector`, { keyId: renewed.keyId });
    expect(protector.status).toBe(200);
    expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, keyId: fleet.keyId });

    await traveller.clearCalls(fleet.west);
    const path = `POST /v1/servers/${fleet.server}/databases/orders/rewrap`;
    const rewrapped = await traveller.asHost(fleet.server, path, { wrappedDek, thumbprint: fleet.thumbprint });
    expect(rewrapped.body).toMatchObject({ keyId: renewed.keyId, thumbprint: renewed.thumbprint });
    expect(rewrapped.body).not.toHaveProperty('dek');
    expect((await traveller.calls(fleet.west)).map(({ operation, keyId }) => [operation, keyId])).toEqual([
      ['unwrapKey', fleet.keyId],
      ['wrapKey', renewed.keyId],
    ]);
    const again = await traveller.unwrap(fleet, rewrapped.body.wrappedDek ?? '', { thumbprint: renewed.thumbprint });
    expect(again.body).toMatchObject({ dek, keyId: renewed.keyId });

    expect(await traveller.links(fleet)).toMatchObject([
      { role: 'protector', keyId: renewed.keyId, protectorTo: null },
      { role: 'additional', keyId: fleet.keyId, protectorTo: expect.any(String) as string },
      { role: 'standby', keyId: fleet.standbyKeyId, standbyOf: fleet.keyId },
    ]);
  });

  it('P3: every operation leaves one record, found by the place that its answer names, and no key byte in it', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const wrapped = await traveller.wrap(fleet);
    const unwrapped = await traveller.unwrap(fleet, wrapped.body.wrappedDek ?? '');
    const refused = await traveller.unwrap(fleet, wrapped.body.wrappedDek ?? '', { thumbprint: 'A'.repeat(43) });
    expect(refused).toMatchObject({ status: 404, body: { code: 'NotFound' } });

    const records = await until('three records', async () => {
      const { body } = await traveller.as<PageBody<RecordBody>>('Auditor', `GET /v1/operations?server=${fleet.server}`);
      return body.items.length >= 3 ? body.items : undefined;
    });
    const common = { server: fleet.server, database: 'orders', caller: fleet.principalId };
    const served = { ...common, keyId: fleet.keyId, thumbprint: fleet.thumbprint, vault: fleet.west.name, role: 'primary', outcome: 'ok' };
    expect(records).toMatchObject([
      { ...served, operation: 'wrap', attempts: [{ vault: fleet.west.name, role: 'primary', class: 'ok', status: 200 }] },
      { ...served, operation: 'unwrap', attempts: [{ class: 'ok' }] },
      { ...common, operation: 'unwrap', outcome: 'NotFound', attempts: [] },
    ]);
    const places = records.map(({ instance, number }) => `${instance}/${String(number)}`);
    expect(places.slice(0, 2)).toEqual([wrapped, unwrapped].map(({ headers }) => headers.get('x-keybroker-record')));
    expect(records.at(2)?.requestId).toBe(refused.body.requestId);
    expect(JSON.stringify(records)).not.toContain(unwrapped.body.dek);
    expect(JSON.stringify(records)).not.toContain(wrapped.body.wrappedDek);
  });
});

describe('/openapi.json', () => {
  it('describes every route of the contract, for anyone', async () => {
    const { body } = await journeys.broker<OpenApi>('GET /openapi.json');
    expect(body.openapi).toMatch(/^3\.1\./);
    const calls = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const database = '/v1/servers/{server}/databases/{database}';
    expect(calls).toEqual(
      expect.arrayContaining([
        'PUT /v1/vaults/{vault}',
        'GET /v1/vaults/{vault}',
        'GET /v1/vaults',
        'PUT /v1/servers/{server}',
        'GET /v1/servers/{server}',
        'DELETE /v1/servers/{server}',
        'PUT /v1/servers/{server}/protector',
        'GET /v1/servers/{server}/keys',
        'POST /v1/servers/{server}/keys',
        'DELETE /v1/servers/{server}/keys/{thumbprint}',
        ...['PUT', 'GET', 'DELETE'].map((method) => `${method} ${database}`),
        ...['wrap', 'unwrap', 'rewrap'].map((operation) => `POST ${database}/${operation}`),
        'POST /v1/servers/{server}/revalidate',
        'GET /v1/events',
        'GET /v1/operations',
        'GET /healthz',
        'GET /readyz',
        'GET /openapi.json',
      ]),
    );
  });

  it('is true: live answers and problems have the shapes that it states', async (context) => {
    const traveller = journeys.begin(context);
    const { body: document } = await journeys.broker<OpenApi>('GET /openapi.json');

    /** The part of the document that states an answer, as a parser that knows the components. */
    const stated = (method: string, path: string, status: number) => {
      const content = document.paths[path]?.[method]?.responses[String(status)]?.content ?? {};
      const [only] = Object.values(content);
      if (!only) throw new Error(`${method} ${path} states no body for ${String(status)}`);
      const definitions = JSON.parse(JSON.stringify(document.components.schemas).replaceAll('#/components/schemas/', '#/$defs/')) as object;
      const schema = JSON.parse(JSON.stringify(only.schema).replaceAll('#/components/schemas/', '#/$defs/')) as object;
      return z.fromJSONSchema({ $schema: 'https://json-schema.org/draft/2020-12/schema', ...schema, $defs: definitions } as never);
    };
    const path = '/v1/servers/{server}/databases/{database}';
    const url = '/v1/servers/sql-demo/databases/orders';
    const { body: wrapped } = await traveller.asHost('sql-demo', `POST ${url}/wrap`, { dek: randomDek() });
    const { wrappedDek, thumbprint } = wrapped;
    const answers: readonly [string, string, number, Body][] = [
      ['post', `${path}/wrap`, 200, wrapped],
      ['post', `${path}/unwrap`, 200, (await traveller.asHost('sql-demo', `POST ${url}/unwrap`, { wrappedDek, thumbprint })).body],
      [
        'post',
        `${path}/unwrap`,
        404,
        (await traveller.asHost('sql-demo', `POST ${url}/unwrap`, { wrappedDek, thumbprint: 'A'.repeat(43) })).body,
      ],
      ['post', `${path}/wrap`, 400, (await traveller.asHost('sql-demo', `POST ${url}/wrap`, { dek: 'short' })).body],
      ['post', `${path}/wrap`, 401, (await traveller.call(`POST ${url}/wrap`, { body: {} })).body],
      ['get', path, 200, (await traveller.as('Auditor', `GET ${url}`)).body],
      ['get', '/v1/servers/{server}', 200, (await traveller.as('Auditor', 'GET /v1/servers/sql-demo')).body],
      ['get', '/v1/servers/{server}/keys', 200, (await traveller.as('Auditor', 'GET /v1/servers/sql-demo/keys')).body],
      ['get', '/v1/vaults', 200, (await traveller.as('Auditor', 'GET /v1/vaults')).body],
      ['get', '/v1/events', 200, (await traveller.as('Auditor', 'GET /v1/events')).body],
      ['get', '/v1/operations', 200, (await traveller.as('Auditor', 'GET /v1/operations')).body],
      ['get', '/readyz', 200, (await traveller.call('GET /readyz')).body],
    ];
    expect(stated('post', `${path}/wrap`, 200).safeParse({ ...wrapped, failover: 'no' }).success).toBe(false);
    for (const [method, at, status, body] of answers) {
      const result = stated(method, at, status).safeParse(body);
      expect(result.error?.message, `${method} ${at} ${String(status)}`).toBeUndefined();
    }
  });
});
