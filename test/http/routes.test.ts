import * as z from 'zod/mini';
import { describe, expect, test } from 'vitest';
import { routes } from '../../src/http/routes.ts';
import { dekText, good, goodRoads, keyId, standbyKeyId, subscriptionId, thumbprint, wrappedText } from '../support/wire-cases.ts';
import { objectId, testWire, type Received, type Sent } from '../support/wire.ts';

type Bad = readonly [what: string, route: string, change: Sent, field: string];

const body = (route: string, change: Record<string, unknown>): Sent => ({ ...good[route], body: { ...good[route]?.body, ...change } });
const params = (route: string, change: Record<string, string>): Sent => ({ ...good[route], params: { ...good[route]?.params, ...change } });

function expectNamed(answer: Received, field: string): void {
  expect(answer.status).toBe(400);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.json['code']).toBe('InvalidRequest');
  expect(String(answer.json['detail']).startsWith(`${field}: `), String(answer.json['detail'])).toBe(true);
  expect((answer.json['errors'] as { field: string }[]).map((error) => error.field)).toContain(field);
}

describe('every route', () => {
  test.each(routes.map((route) => [route.id, route] as const))('%s answers a good request with a body of its schema', async (id, route) => {
    const wire = testWire(goodRoads);
    const answer = await wire.call(id, good[id]);
    const schema = route.answers[answer.status];
    expect(schema, `status ${answer.status}: ${answer.text}`).toBeDefined();
    if (schema === null || schema === undefined)
      expect(answer.text === '' || answer.headers['content-type'] === 'text/html; charset=utf-8').toBe(true);
    else expect(z.safeParse(schema, answer.json).error?.issues).toBeUndefined();
  });

  test('P3: a page of a log says what it lacks, and where', async () => {
    const wire = testWire(goodRoads);
    expect((await wire.call('listEvents', good['listEvents'])).json['unreadable']).toBeNull();
    expect((await wire.call('listOperations', good['listOperations'])).json['unreadable']).toEqual({
      rows: 2,
      from: '2026-11-22T06:00:00.000Z',
      to: '2026-11-22T06:00:00.005Z',
    });
  });

  test.each(routes.filter((route) => route.who !== 'anyone').map((route) => [route.id]))(
    '%s refuses callers without token, and without its role',
    async (id) => {
      const wire = testWire(goodRoads);
      const stranger = await wire.call(id, { ...good[id], headers: { authorization: 'Bearer Some.Other' } });
      expect([stranger.status, stranger.json['code']]).toEqual([403, 'CallerNotAllowed']);
      expect(wire.walked).toEqual([]);
    },
  );

  test.each(routes.map((route) => [route.id]))('%s refuses a query parameter that it does not know, by name', async (id) => {
    const wire = testWire(goodRoads);
    expectNamed(await wire.call(id, { ...good[id], query: 'limt=5' }), 'limt');
    expect(wire.walked).toEqual([]);
  });

  test.each(routes.filter((route) => route.method !== 'GET').map((route) => [route.id]))(
    '%s refuses a field that it does not know, by name',
    async (id) => {
      const wire = testWire(goodRoads);
      expectNamed(await wire.call(id, body(id, { algoritm: 'x' })), 'algoritm');
      expect(wire.walked).toEqual([]);
    },
  );

  test('no two templates of one method overlap: the host routes by the names of functions, not by how well a template fits', () => {
    const overlap = (a: string, b: string) => {
      const [left, right] = [a.split('/'), b.split('/')];
      return (
        left.length === right.length && left.every((part, at) => part === right[at] || part.startsWith('{') || right[at]?.startsWith('{'))
      );
    };
    const pairs = routes.flatMap((a, at) =>
      routes
        .slice(at + 1)
        .filter((b) => a.method === b.method && overlap(a.path, b.path))
        .map((b) => `${a.id} ${b.id}`),
    );
    expect(pairs).toEqual([]);
    expect(new Set(routes.map((route) => route.id.toLowerCase())).size).toBe(routes.length);
    for (const route of routes) expect(route.id).toMatch(/^[a-z][A-Za-z0-9]{0,127}$/);
  });

  test('who may do what, and how large a body may be', () => {
    const table = routes.map((route) => [route.method, route.path, route.who, route.bodyLimit, route.deadline].flat().join(' '));
    expect(table).toMatchInlineSnapshot(`
      [
        "PUT v1/vaults/{vault} KeyBroker.Operator 65536 request",
        "GET v1/vaults/{vault} KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "GET v1/vaults KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "PUT v1/servers/{server} KeyBroker.Operator 65536 request",
        "GET v1/servers/{server} KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "DELETE v1/servers/{server} KeyBroker.Operator 65536 request",
        "POST v1/servers/{server}/revalidate KeyBroker.Operator 65536 request",
        "PUT v1/servers/{server}/databases/{database} KeyBroker.Operator KeyBroker.Host 65536 request",
        "GET v1/servers/{server}/databases/{database} KeyBroker.Operator KeyBroker.Auditor KeyBroker.Host 65536 request",
        "DELETE v1/servers/{server}/databases/{database} KeyBroker.Operator KeyBroker.Host 65536 request",
        "PUT v1/servers/{server}/protector KeyBroker.Operator 65536 request",
        "GET v1/servers/{server}/keys KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "POST v1/servers/{server}/keys KeyBroker.Operator 65536 request",
        "DELETE v1/servers/{server}/keys/{thumbprint} KeyBroker.Operator 65536 request",
        "POST v1/servers/{server}/databases/{database}/wrap KeyBroker.Host 65536 request",
        "POST v1/servers/{server}/databases/{database}/unwrap KeyBroker.Host 65536 request",
        "POST v1/servers/{server}/databases/{database}/rewrap KeyBroker.Host 65536 request",
        "POST v1/servers/{server}/batch KeyBroker.Host 4194304 batch",
        "GET v1/events KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "GET v1/operations KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "GET healthz anyone 65536 request",
        "GET readyz anyone 65536 request",
        "GET v1/audits KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "GET v1/audits/{slot} KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "POST v1/audits KeyBroker.Operator 65536 request",
        "POST v1/servers/{server}/drill KeyBroker.Operator 65536 request",
        "GET v1/status KeyBroker.Operator KeyBroker.Auditor 65536 request",
        "GET status anyone 65536 request",
        "GET openapi.json anyone 65536 request",
      ]
    `);
  });
});

const lookAlike = 'sql-dеmo'; // the Cyrillic letter e
const names = ['', 'a/b', 'a%2Fb', 'a\u0000b', 'a\nb', 'a b', '..', '-a', lookAlike, 'a'.repeat(1000), 'é', '{a}', 'a;b', "a'b"];

const badNames: Bad[] = [
  ...names.map((name): Bad => [
    `server ${JSON.stringify(name).slice(0, 30)}`,
    'getServer',
    params('getServer', { server: name }),
    'server',
  ]),
  ...names.map((name): Bad => [`vault ${JSON.stringify(name).slice(0, 30)}`, 'getVault', params('getVault', { vault: name }), 'vault']),
  ...names.map((name): Bad => [`database ${JSON.stringify(name).slice(0, 30)}`, 'wrap', params('wrap', { database: name }), 'database']),
  ['a thumbprint of 42 letters', 'dropKey', params('dropKey', { thumbprint: thumbprint.slice(1) }), 'thumbprint'],
];

const badBytes: Bad[] = [
  ...[
    ['padding', `${dekText}=`],
    ['a foreign letter', dekText.replace('c', '+')],
    ['white space', ` ${dekText}`],
    ['a line break at the end', `${dekText}\n`],
    ['15 bytes', Buffer.alloc(15).toString('base64url')],
    ['65 bytes', Buffer.alloc(65).toString('base64url')],
    ['nothing', ''],
    ['trailing bits that are not zero', `${dekText.slice(0, -1)}d`],
    ['a length that no byte string has', 'A'.repeat(33)],
    ['a number', 7],
    ['null', null],
    ['a list', [1, 2, 3]],
    ['an object that is none', { toString: 'AAAA' }],
  ].map(([what, dek]): Bad => [`a DEK: ${String(what)}`, 'wrap', body('wrap', { dek }), 'dek']),
  ['no DEK', 'wrap', { ...good['wrap'], body: {} }, 'dek'],
  ...(['unwrap', 'rewrap'] as const).flatMap((id): Bad[] => [
    ['an empty ciphertext', id, body(id, { wrappedDek: '' }), 'wrappedDek'],
    ['a ciphertext of 1025 bytes', id, body(id, { wrappedDek: Buffer.alloc(1025).toString('base64url') }), 'wrappedDek'],
    ['a padded ciphertext', id, body(id, { wrappedDek: `${wrappedText}==` }), 'wrappedDek'],
    ['no thumbprint', id, body(id, { thumbprint: undefined }), 'thumbprint'],
    ['a key id in place of the thumbprint', id, body(id, { thumbprint: keyId }), 'thumbprint'],
    ['an unknown algorithm', id, body(id, { algorithm: 'A256KW' }), 'algorithm'],
  ]),
  ['RSA1_5 to wrap', 'wrap', body('wrap', { algorithm: 'RSA1_5' }), 'algorithm'],
];

const badKeyIds = [
  'https://user@kv-west.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef',
  'https://kv-west.vault.azure.net:8443/keys/k/0123456789abcdef0123456789abcdef',
  `${keyId}?api-version=7.4`,
  `${keyId}#x`,
  `${keyId}/`,
  'https://kv-west.vault.azure.net/keys/k',
  'http://kv-west.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef',
  'https://kv-west.vault.azure.net/keys/../k/0123456789abcdef0123456789abcdef',
  'https://kv-west.vault.azure.net/secrets/k/0123456789abcdef0123456789abcdef',
  'https://evil.example/keys/k/0123456789abcdef0123456789abcdef',
  'https://127.0.0.1/keys/k/0123456789abcdef0123456789abcdef',
];

const badRegistrations: Bad[] = [
  ...badKeyIds.flatMap((bad): Bad[] => [
    [`key id ${bad}`, 'putProtector', body('putProtector', { keyId: bad }), 'keyId'],
    [`standby ${bad}`, 'linkKey', body('linkKey', { standbyKeyIds: [standbyKeyId, bad] }), 'standbyKeyIds[1]'],
  ]),
  ['a standby that is no list', 'putProtector', body('putProtector', { standbyKeyIds: keyId }), 'standbyKeyIds'],
  ['17 standbys', 'putProtector', body('putProtector', { standbyKeyIds: Array<string>(17).fill(keyId) }), 'standbyKeyIds'],
  ['a span that ends before it begins', 'linkKey', body('linkKey', { from: '2026-01-01T00:00:00Z', to: '2025-01-01T00:00:00Z' }), 'to'],
  ['a time without zone', 'linkKey', body('linkKey', { from: '2025-01-01T00:00:00' }), 'from'],
  ['a day that no calendar has', 'linkKey', body('linkKey', { to: '2026-13-01T00:00:00Z' }), 'to'],
  ['a vault URI outside the suffixes', 'putVault', body('putVault', { uri: 'https://vault.example' }), 'uri'],
  ['a vault URI that is no text', 'putVault', body('putVault', { uri: ['https://kv-west.vault.azure.net'] }), 'uri'],
  ['a region with a control character', 'putVault', body('putVault', { region: 'west\u0007' }), 'region'],
  ['a geography of 65 letters', 'putVault', body('putVault', { geography: 'e'.repeat(65) }), 'geography'],
  ['a subscription that is no GUID', 'putVault', body('putVault', { subscriptionId: `${subscriptionId}0` }), 'subscriptionId'],
  ['an unknown kind', 'putVault', body('putVault', { kind: 'hsm' }), 'kind'],
  ['an unknown engine', 'putServer', body('putServer', { engine: 'oracle' }), 'engine'],
  ['no engine', 'putServer', body('putServer', { engine: undefined }), 'engine'],
  ['a principal that is no GUID', 'putServer', body('putServer', { principalId: 'me' }), 'principalId'],
  ['an identity that is no GUID', 'putServer', body('putServer', { identityClientId: '' }), 'identityClientId'],
  ['an unknown origin', 'putServer', body('putServer', { origin: 'backup' }), 'origin'],
  ['an unknown tier', 'putDatabase', body('putDatabase', { tier: 'Hyperscale' }), 'tier'],
  ['__proto__', 'putDatabase', { ...good['putDatabase'], body: '{"tier":"GeneralPurpose","__proto__":{"tier":1}}' }, '__proto__'],
  ['a confirmation of something else', 'dropKey', { ...good['dropKey'], query: 'confirm=yes' }, 'confirm'],
];

const badAudits: Bad[] = [
  ...[
    'now',
    '2026-11-22',
    '2026-11-22T06:00:00.000Z',
    '2026-11-22T06:00:00+01:00',
    '2026-13-22T06:00:00Z',
    '2026-11-22T06:00:00Z/x',
    '',
  ].map((slot): Bad => [`slot ${slot}`, 'getAudit', params('getAudit', { slot }), 'slot']),
  ['a change that is none', 'getAudit', { ...good['getAudit'], query: 'change=all' }, 'change'],
  ['a drill of a server that is no name', 'drill', params('drill', { server: 'a/b' }), 'server'],
];

const badQueries: Bad[] = [
  ...['0', '1001', '-1', '1.5', '1e2', '0x10', ' 5', '', 'all', '1,2'].map((limit): Bad => [
    `limit ${limit}`,
    'listVaults',
    { query: `limit=${limit}` },
    'limit',
  ]),
  ['a parameter that is given twice', 'listVaults', { query: 'limit=1&limit=2' }, 'limit'],
  ['an empty cursor', 'listVaults', { query: 'after=' }, 'after'],
  ['a cursor with a control character', 'listEvents', { query: 'after=a%0Ab' }, 'after'],
  ['a time that is none', 'listEvents', { query: 'since=yesterday' }, 'since'],
  ['a server that is none', 'listOperations', { query: 'server=a/b' }, 'server'],
];

const notJson: Bad[] = [
  ['not JSON', 'wrap', { ...good['wrap'], body: '{"dek":' }, 'body'],
  ['no body', 'wrap', { params: good['wrap']?.params ?? {} }, 'body'],
  ['a list', 'wrap', { ...good['wrap'], body: '[1]' }, 'body'],
  ['null', 'wrap', { ...good['wrap'], body: 'null' }, 'body'],
  ['a text', 'wrap', { ...good['wrap'], body: '"AAAA"' }, 'body'],
  ['deeply nested', 'wrap', { ...good['wrap'], body: '['.repeat(60_000) }, 'body'],
  ['not UTF-8', 'wrap', { ...good['wrap'], body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]) }, 'body'],
  ['another content type', 'wrap', { ...good['wrap'], headers: { 'content-type': 'text/plain' } }, 'content-type'],
  ['another charset', 'wrap', { ...good['wrap'], headers: { 'content-type': 'application/json; charset=latin1' } }, 'content-type'],
];

describe('bad input is a 400 that names the field; no road is walked', () => {
  test.each([...badNames, ...badBytes, ...badRegistrations, ...badAudits, ...badQueries, ...notJson])(
    '%s (%s)',
    async (_what, id, sent, field) => {
      const wire = testWire(goodRoads);
      expectNamed(await wire.call(id, sent), field);
      expect(wire.walked).toEqual([]);
      expect(wire.defects).toEqual([]);
    },
  );

  test('every wrong field is named at once', async () => {
    const answer = await testWire().call('putServer', { params: { server: '-' }, body: { engine: 1, region: '', principalid: '' } });
    expectNamed(answer, 'server');
    const later = await testWire().call('putServer', { ...good['putServer'], body: { engine: 1, region: '', principalid: '' } });
    expect((later.json['errors'] as { field: string }[]).map((error) => error.field).sort()).toEqual([
      'engine',
      'principalId',
      'principalid',
      'region',
    ]);
  });

  const foreign = 'https://evil.example/keys/k/0123456789abcdef0123456789abcdef';

  test.each<[what: string, id: string, sent: object, fields: readonly string[]]>([
    [
      'K1: keys in foreign hosts beside what is wrong in form',
      'putProtector',
      body('putProtector', { keyId: `${keyId}?x`, standbyKeyIds: [standbyKeyId, foreign, 7], standbyKeyId: foreign }),
      ['keyId', 'standbyKeyIds[2]', 'standbyKeyId', 'standbyKeyIds[1]'],
    ],
    [
      'K1: every key in a foreign host',
      'linkKey',
      body('linkKey', { keyId: foreign, standbyKeyIds: [foreign], from: 'then' }),
      ['from', 'keyId', 'standbyKeyIds[0]'],
    ],
    [
      'K1: a foreign vault with a region that is none',
      'putVault',
      { ...body('putVault', { uri: 'https://vault.example', region: '' }), params: { vault: '-' } },
      ['vault', 'region', 'uri'],
    ],
    [
      'the path, the query and the body',
      'putProtector',
      { ...params('putProtector', { server: '-' }), query: 'force=1', body: { keyId: 1 } },
      ['server', 'force', 'keyId'],
    ],
  ])('%s: all are named at once', async (_what, id, sent, fields) => {
    const wire = testWire(goodRoads);
    const answer = await wire.call(id, sent);
    expect(answer.status).toBe(400);
    expect((answer.json['errors'] as { field: string }[]).map((error) => error.field)).toEqual(fields);
    expect(wire.walked).toEqual([]);
  });

  test('C4: what a client writes where a name belongs is not repeated', async () => {
    const answer = await testWire().call('wrap', { ...good['wrap'], body: { [dekText]: 'x' } });
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain(dekText);
  });
});

describe('what comes in is normalised', () => {
  test('K1: the vault URI, and GUIDs', async () => {
    const wire = testWire(goodRoads);
    await wire.call(
      'putVault',
      body('putVault', { uri: 'https://KV-West.Vault.Azure.net:443/', subscriptionId: subscriptionId.toUpperCase() }),
    );
    expect(wire.walked[0]?.request).toMatchObject({
      name: 'kv-west',
      uri: 'https://kv-west.vault.azure.net',
      kind: 'vault',
      subscriptionId,
    });
  });

  test('the host of a key id; the principal', async () => {
    const wire = testWire(goodRoads);
    await wire.call(
      'putProtector',
      body('putProtector', { keyId: keyId.replace('kv-west.vault', 'KV-WEST.Vault'), standbyKeyIds: undefined }),
    );
    await wire.call('putServer', body('putServer', { principalId: objectId.toUpperCase() }));
    expect(wire.walked.map((walk) => walk.request)).toMatchObject([{ keyId, standbyKeyIds: [] }, { principalId: objectId }]);
  });

  test('what is left out has its default', async () => {
    const wire = testWire(goodRoads);
    await wire.call('rewrap', good['rewrap']);
    await wire.call('listVaults');
    await wire.call('dropKey', { ...good['dropKey'], query: '' });
    expect(wire.walked.map((walk) => walk.request)).toMatchObject([
      { algorithm: 'RSA-OAEP-256' },
      { limit: 100, after: null },
      { confirmed: false },
    ]);
  });
});

describe('lists', () => {
  test('the keys of a server come in pages like every list', async () => {
    const wire = testWire(goodRoads);
    const first = await wire.call('listKeys', { ...good['listKeys'], query: 'limit=1' });
    expect([(first.json['items'] as { keyId: string }[]).map((link) => link.keyId), first.json['next']]).toEqual([[keyId], keyId]);
    const second = await wire.call('listKeys', { ...good['listKeys'], query: `limit=1&after=${keyId}` });
    expect([(second.json['items'] as { keyId: string }[]).map((link) => link.keyId), second.json['next']]).toEqual([[standbyKeyId], null]);
  });
});

describe('key operations', () => {
  test('answer what was asked, and where the record is', async () => {
    const wire = testWire(goodRoads);
    const wrapped = await wire.call('wrap', good['wrap']);
    expect(wrapped.headers['x-keybroker-record']).toBe('a1/17');
    expect(wrapped.json).toEqual({
      wrappedDek: wrappedText,
      keyId,
      thumbprint,
      algorithm: 'RSA-OAEP-256',
      vault: 'kv-west',
      failover: false,
    });
    const unwrapped = await wire.call('unwrap', good['unwrap']);
    expect(unwrapped.json).toEqual({ dek: dekText, keyId, thumbprint, algorithm: 'RSA-OAEP', vault: 'kv-west', failover: false });
  });
});
