import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { millis } from '../../../src/domain/time.ts';
import { markedDek, patience, useKeyVaultRig } from '../../support/key-vault-rig.ts';
import { anonymous401, vaultError, vaultHeaders, type Seen, type Step } from '../../support/scripted-vault.ts';

// Before the SDK is loaded: it reads its log level once. All that it can log is logged here.
vi.hoisted(() => {
  process.env['AZURE_LOG_LEVEL'] = 'verbose';
});

const rigOf = useKeyVaultRig();
let written: string[];

beforeEach(() => {
  written = [];
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      written.push(String(chunk));
      return true;
    });
  }
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    vi.spyOn(console, method).mockImplementation((...said: readonly unknown[]) => {
      written.push(said.map((one) => inspect(one, { depth: 10 })).join(' '));
    });
  }
});
afterEach(() => vi.restoreAllMocks());

const echo =
  (status: number, headers: Readonly<Record<string, string>> = vaultHeaders) =>
  (request: Seen) => ({
    status,
    headers,
    body: JSON.stringify({
      error: { code: request.body, message: `${request.body} ${request.token ?? ''}`, innererror: { code: request.body } },
    }),
  });

it.each([
  ['an error body that quotes the request', echo(400)],
  ['a 403 that quotes the request', echo(403)],
  ['a 404 that quotes the request', echo(404)],
  ['a 401 that quotes the request', echo(401)],
  ['a 500 that quotes the request', echo(500)],
  ['a proxy that quotes the request', echo(403, {})],
  ['a success that does not parse', (request: Seen) => ({ status: 200, headers: vaultHeaders, body: `{${request.body}` })],
  [
    'a success for another key',
    (request: Seen) => ({
      status: 200,
      headers: vaultHeaders,
      body: JSON.stringify({ ...(JSON.parse(request.body) as object), kid: 'x' }),
    }),
  ],
  ['a reset', 'reset'],
  ['a body that stalls', { stall: vaultError(403, { code: 'Forbidden' }) }],
  ['a challenge in return', anonymous401()],
] satisfies readonly (readonly [string, Step | ((request: Seen) => Step)])[])(
  'C4: neither DEK nor token shows in fault, error or log: %s',
  async (_, step) => {
    const { vaults, vault, target, identity } = rigOf();
    const dek = markedDek();
    const bytes = Buffer.from(dek.reveal());
    vault.answer(step);
    const wrapReply = await vaults.wrap(target, dek, 'RSA-OAEP-256', millis(400));
    vault.answer(step);
    const unwrapReply = await vaults.unwrap(target, bytes, 'RSA-OAEP-256', millis(400));
    const told = [...written, inspect([wrapReply, unwrapReply], { depth: 10 }), JSON.stringify([wrapReply, unwrapReply])].join('\n');
    expect([wrapReply.ok, unwrapReply.ok]).toEqual([false, false]);
    expect(written.length).toBeGreaterThan(0);
    for (const form of ['base64url', 'base64', 'hex'] as const) expect(told).not.toContain(bytes.toString(form));
    expect(identity.seen.length).toBeGreaterThan(0);
    expect(told).not.toMatch(/token-\d/);
  },
);

it('C4: nor in a success', async () => {
  const { vaults, target } = rigOf();
  const dek = markedDek();
  const reply = await vaults.unwrap(target, dek.reveal(), 'RSA-OAEP-256', patience);
  expect(reply.ok).toBe(true);
  const told = [...written, inspect(reply, { depth: 10 }), JSON.stringify(reply)].join('\n');
  for (const form of ['base64url', 'base64', 'hex'] as const) expect(told).not.toContain(Buffer.from(dek.reveal()).toString(form));
  expect(told).not.toMatch(/token-\d/);
});
