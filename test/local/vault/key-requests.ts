import { z } from 'zod';
import type { BackupSeal } from './backup.ts';
import { deletedBundle, deletedItem, keyBundle, keyItem, rotationPolicy } from './bundles.ts';
import { readBytes, type RequestBody } from './crypto-requests.ts';
import {
  deletedKeyNotFound,
  foreignBackup,
  invalidProperty,
  isError,
  keyNotFound,
  malformedBackup,
  throttled,
  type VaultError,
} from './errors.ts';
import { generateMaterial, keySizes } from './key-material.ts';
import type { Keys, KeysWorld, VersionChange } from './keys.ts';
import type { Limits } from './limits.ts';
import { cryptoOperations, type CryptoOperation, type RoutedOperation } from './operations.ts';

/** Operations on keys, apart from those that use a key's material. */
export type KeyRequestOperation = Exclude<RoutedOperation, CryptoOperation>;

export interface KeyRequestWorld extends KeysWorld {
  readonly kind: 'vault' | 'managedHsm';
  readonly geography: string;
  readonly keys: Keys;
  /** Undefined where nothing is limited. */
  readonly limits: Limits | undefined;
  readonly seal: BackupSeal;
}

export interface KeyRequest {
  /** Empty where the path names no key. */
  readonly name: string;
  readonly version: string | null;
  readonly query: URLSearchParams;
  readonly body: RequestBody;
}

/** The body of the answer; null for an answer without one. */
type Outcome = object | null | VaultError;

/** Does what a request asks of the vault's keys. */
export const keyRequests: Readonly<
  Record<KeyRequestOperation, (world: KeyRequestWorld, request: KeyRequest) => Outcome | Promise<Outcome>>
> = {
  get(world, { name, version }) {
    const key = world.keys.find(name, version);
    return key === undefined ? keyNotFound(name, version) : keyBundle(world, key);
  },
  list: (world, request) =>
    page(
      world,
      request,
      'keys',
      world.keys.list().map((key) => keyItem(world, key, false)),
    ),
  listVersions(world, request) {
    const versions = world.keys.versions(request.name).map((key) => keyItem(world, key, true));
    return versions.length === 0 ? keyNotFound(request.name, null) : page(world, request, `keys/${request.name}/versions`, versions);
  },
  create: createKey,
  update(world, { name, version, body }) {
    const change = updateBody.safeParse(body);
    if (!change.success) return invalidProperty;
    const key = world.keys.update(name, version, changeOf(change.data));
    return isError(key) ? key : keyBundle(world, key);
  },
  delete(world, { name }) {
    const gone = world.keys.remove(name);
    if (isError(gone)) return gone;
    return 'purgeAt' in gone ? deletedBundle(world, gone) : keyBundle(world, gone);
  },
  async rotate(world, { name }) {
    const before = world.keys.find(name, null);
    if (before === undefined) return keyNotFound(name, null);
    if (world.limits?.drawCreate(before.hsm) === false) return throttled;
    const material = await generateMaterial(before.material.bits);
    const { hsm, keyOps, tags } = before;
    const key = world.keys.create(name, { hsm, keyOps, tags, material, enabled: true, notBefore: null, expires: null });
    return isError(key) ? key : keyBundle(world, key);
  },
  getRotationPolicy(world, { name }) {
    const [first] = world.keys.versions(name);
    return first === undefined ? keyNotFound(name, null) : rotationPolicy(world, first);
  },
  async backup(world, { name }) {
    const versions = world.keys.versions(name);
    if (versions.length === 0) return keyNotFound(name, null);
    return { value: Buffer.from(await world.seal.seal(world.geography, versions, world.newId())).toString('base64url') };
  },
  async restore(world, { body }) {
    const opened = await world.seal.open(readBytes(body?.['value']) ?? Buffer.alloc(0));
    if (opened === undefined) return malformedBackup;
    if (opened.geography !== world.geography) return foreignBackup;
    const key = world.keys.restore(opened.versions);
    return isError(key) ? key : keyBundle(world, key);
  },
  getDeleted(world, { name }) {
    const deleted = world.keys.findDeleted(name);
    return deleted === undefined ? deletedKeyNotFound(name) : deletedBundle(world, deleted);
  },
  listDeleted: (world, request) =>
    page(
      world,
      request,
      'deletedkeys',
      world.keys.listDeleted().map((deleted) => deletedItem(world, deleted)),
    ),
  recover(world, { name }) {
    const key = world.keys.recover(name);
    return isError(key) ? key : keyBundle(world, key);
  },
  purge: (world, { name }) => world.keys.purge(name) ?? null,
};

const attributes = z.object({
  enabled: z.boolean().optional(),
  nbf: z.int().nonnegative().nullish(),
  exp: z.int().nonnegative().nullish(),
});
const keyOps = z.array(z.enum([...cryptoOperations, 'import', 'export']));
const tags = z.record(z.string(), z.string());
const createBody = z.object({
  kty: z.enum(['RSA', 'RSA-HSM']),
  key_size: z.literal(keySizes).default(2048),
  public_exponent: z.literal(65_537).optional(),
  key_ops: keyOps.default([...cryptoOperations]),
  attributes: attributes.optional(),
  tags: tags.optional(),
});
const updateBody = z.object({ key_ops: keyOps.optional(), attributes: attributes.optional(), tags: tags.optional() });

async function createKey(world: KeyRequestWorld, { name, body }: KeyRequest): Promise<Outcome> {
  const asked = createBody.safeParse(body);
  if (!asked.success) return invalidProperty;
  const hsm = asked.data.kty === 'RSA-HSM';
  // A Managed HSM holds no software-protected keys.
  if (world.kind === 'managedHsm' && !hsm) return invalidProperty;
  if (world.limits?.drawCreate(hsm) === false) return throttled;
  const material = await generateMaterial(asked.data.key_size);
  const { key_ops: operations, attributes: wanted } = asked.data;
  const dates = { notBefore: milliseconds(wanted?.nbf), expires: milliseconds(wanted?.exp) };
  const key = world.keys.create(name, {
    hsm,
    material,
    keyOps: operations,
    enabled: wanted?.enabled ?? true,
    ...dates,
    tags: asked.data.tags,
  });
  return isError(key) ? key : keyBundle(world, key);
}

/** What a member leaves out stays as it is. */
function changeOf({ key_ops: operations, attributes: wanted, tags: given }: z.infer<typeof updateBody>): VersionChange {
  return {
    ...(operations !== undefined && { keyOps: operations }),
    ...(wanted?.enabled !== undefined && { enabled: wanted.enabled }),
    ...(wanted?.nbf !== undefined && { notBefore: milliseconds(wanted.nbf) }),
    ...(wanted?.exp !== undefined && { expires: milliseconds(wanted.exp) }),
    ...(given !== undefined && { tags: given }),
  };
}

function milliseconds(seconds: number | null | undefined): number | null {
  return seconds === null || seconds === undefined ? null : seconds * 1000;
}

const largestPage = 25;

/** One page of a list; `nextLink` leads to the next, null at the end. */
function page(world: KeyRequestWorld, { query }: KeyRequest, path: string, items: readonly object[]): Outcome {
  const size = Number(query.get('maxresults') ?? largestPage);
  const start = Number(query.get('$skiptoken') ?? 0);
  if (!Number.isInteger(size) || size < 1 || size > largestPage || !Number.isInteger(start) || start < 0) return invalidProperty;
  const end = start + size;
  const more = `${world.uri}/${path}?api-version=${query.get('api-version') ?? ''}&$skiptoken=${end}&maxresults=${size}`;
  return { value: items.slice(start, end), nextLink: end < items.length ? more : null };
}
