import { createBackupSeal } from '../local/vault/backup.ts';
import type { VaultRequest } from '../local/vault/handler.ts';
import type { TokenClaims, TokenFlaw } from '../local/vault/tokens.ts';
import { createVault, type LocalVault, type VaultSpec } from '../local/vault/vault.ts';

const tenant = '11111111-1111-1111-1111-111111111111';
export const principal = '22222222-2222-2222-2222-222222222222';
export const version = `${'0'.repeat(31)}1`;
export const start = Date.parse('2026-11-22T06:00:00Z');
const spec: VaultSpec = {
  name: 'kv-west',
  region: 'westeurope',
  geography: 'Europe',
  kind: 'vault',
  softDelete: true,
  purgeProtection: true,
  tenant,
  denial: 'rbac',
};

/** The clock of every bare vault. */
export const clock = { now: start };
const claims: TokenClaims = { principal, appId: 'app', audience: 'https://vault.localhost', tenant, expiresAt: start + 3_600_000 };
const tokens = new Map<string, TokenClaims | TokenFlaw>([
  ['header.good.signature', claims],
  ['header.foreign.signature', { ...claims, tenant: '99999999-9999-9999-9999-999999999999' }],
  ['header.audience.signature', { ...claims, audience: 'https://management.azure.com/' }],
  ['header.expired.signature', { ...claims, expiresAt: start }],
  ['header.rotated.signature', 'unresolvedKey'],
  ['header.hsm.signature', { ...claims, audience: 'https://managedhsm.localhost' }],
]);

/** A vault with the key `tde`, whose random numbers are counted from 1: the first is the version of the key. */
export async function vaultWith(change: Partial<VaultSpec> = {}): Promise<LocalVault> {
  let ids = 0;
  const uri = change.kind === 'managedHsm' ? 'https://pool.managedhsm.localhost:44301' : 'https://kv-west.vault.localhost:44301';
  const vault = createVault({ ...spec, ...change }, uri, {
    clock: () => clock.now,
    authority: 'https://login.example',
    verifyToken: (token) => Promise.resolve(tokens.get(token) ?? 'invalid'),
    seal: createBackupSeal(),
    newId: () => `00000000-0000-0000-0000-${String((ids += 1)).padStart(12, '0')}`,
    random: () => 0.5,
  });
  await vault.controls.createKey('tde');
  return vault;
}

interface Sending {
  readonly token?: string | null;
  readonly body?: unknown;
}

export async function ask(vault: LocalVault, line: string, { token = 'good', body }: Sending = {}) {
  const [method = '', path = ''] = line.split(' ');
  const request: VaultRequest = {
    method,
    target: `${path}?api%2Dversion=7.4`,
    authorization: token === null ? undefined : `Bearer header.${token}.signature`,
    clientRequestId: '33333333-3333-3333-3333-333333333333',
    body: body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body)),
  };
  const reaction = await vault.handle(request);
  if (!('answer' in reaction)) throw new Error(`the vault answered with ${reaction.act}`);
  const { status, headers, body: text } = reaction.answer;
  const pairs = headers.flatMap((value, at) => (at % 2 === 0 ? [[value.toLowerCase(), headers[at + 1]]] : []));
  return { status, headers: Object.fromEntries(pairs) as Record<string, string>, body: text };
}

export const key = `/keys/tde/${version}`;
export const wrap = (vault: LocalVault, sending: Sending = {}) =>
  ask(vault, `POST ${key}/wrapkey`, { body: { alg: 'RSA-OAEP-256', value: 'ZGVr' }, ...sending });
export async function wrapped(vault: LocalVault): Promise<string> {
  return (JSON.parse((await wrap(vault)).body) as { value: string }).value;
}
export const unwrap = (vault: LocalVault, value: string, sending: Sending = {}) =>
  ask(vault, `POST ${key}/unwrapkey`, { body: { alg: 'RSA-OAEP-256', value }, ...sending });
export const garbage = Buffer.alloc(256, 1).toString('base64url');
