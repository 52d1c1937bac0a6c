import * as z from 'zod/mini';
import { unwrapAlgorithms, wrapAlgorithms } from '../../domain/key.ts';
import {
  cursor,
  databaseName,
  dek,
  engine,
  guid,
  keyId,
  limit,
  named,
  place,
  serverName,
  slot,
  thumbprint,
  tier,
  time,
  vaultName,
  wrappedDek,
} from './words.ts';

/*
 * What callers send. Bodies and queries are strict: a misspelt field is refused by name, never ignored. Path parameters are not, since
 * the Functions host mixes query parameters and trigger metadata into them.
 */

export const noParams = z.object({});
export const vaultPath = z.object({ vault: vaultName });
export const serverPath = z.object({ server: serverName });
export const keyPath = z.object({ server: serverName, thumbprint });
export const databasePath = z.object({ server: serverName, database: databaseName });

export const auditPath = z.object({ slot });

export const noQuery = z.strictObject({});
const paging = { limit: z.optional(limit), after: z.optional(cursor) };
export const pageQuery = z.strictObject(paging);
export const eventsQuery = z.strictObject({ ...paging, since: z.optional(time), subject: z.optional(serverName) });
export const operationsQuery = z.strictObject({ ...paging, since: z.optional(time), server: z.optional(serverName) });
export const auditQuery = z.strictObject({ ...paging, change: z.optional(z.enum(['new', 'continued', 'resolved'])) });
export const dropKeyQuery = z.strictObject({ confirm: z.optional(z.enum(['backupsGone'])) });

/** No body, or the empty object that some clients always send. */
export const noBody = z.optional(z.strictObject({}));

export const vaultBody = z
  .strictObject({
    uri: z.string().check(z.maxLength(300)),
    region: place,
    geography: place,
    subscriptionId: guid,
    kind: z._default(z.enum(['vault', 'managedHsm']), 'vault'),
  })
  .register(named, { id: 'PutVault', description: 'Registers a Key Vault or a Managed HSM pool.' });

export const serverBody = z
  .strictObject({
    engine,
    region: place,
    principalId: guid,
    defaultTier: z.optional(tier),
    identityClientId: z.optional(guid),
    origin: z.optional(z.enum(['restore', 'replica'])),
  })
  .register(named, { id: 'PutServer', description: 'Registers a server. With `origin` it starts in pendingValidation.' });

/** More than any server may have (K1): how many are allowed is a finding, not a matter of form. */
export const mostStandbyKeyIds = 16;
const standbyKeyIds = z._default(z.array(keyId).check(z.maxLength(mostStandbyKeyIds)), []);

export const protectorBody = z
  .strictObject({ keyId, standbyKeyIds })
  .register(named, { id: 'PutProtector', description: 'The key that becomes the protector, and the same material in other regions.' });

export const linkKeyBody = z
  .strictObject({ keyId, standbyKeyIds, from: z.optional(time), to: z.optional(time) })
  .check(
    z.refine(({ from, to }) => typeof from !== 'number' || typeof to !== 'number' || from < to, {
      path: ['to'],
      error: 'must be later than `from`',
    }),
  )
  .register(named, {
    id: 'LinkKey',
    description: 'An additional key: a former protector, with the span in which it was that, or a key that a backup needs.',
  });

export const databaseBody = z.strictObject({ tier: z.optional(tier) }).register(named, {
  id: 'PutDatabase',
  description: 'Registers a database, or changes its tier. Without `tier`: the default tier of the server.',
});

const wrapFields = { dek, algorithm: z._default(z.enum(wrapAlgorithms), 'RSA-OAEP-256') };
const unwrapFields = { wrappedDek, thumbprint, algorithm: z._default(z.enum(unwrapAlgorithms), 'RSA-OAEP-256') };

export const wrapBody = z.strictObject(wrapFields).register(named, { id: 'WrapRequest', description: 'A DEK to wrap with the protector.' });

export const unwrapBody = z
  .strictObject(unwrapFields)
  .register(named, { id: 'UnwrapRequest', description: 'A wrapped DEK, the thumbprint of the key that wrapped it, and how.' });

export const wrapItem = z
  .strictObject({ database: databaseName, ...wrapFields })
  .register(named, { id: 'WrapItem', description: 'A DEK of a database, to wrap with the protector.' });

export const unwrapItem = z
  .strictObject({ database: databaseName, ...unwrapFields })
  .register(named, { id: 'UnwrapItem', description: 'A wrapped DEK of a database, to unwrap or to rewrap.' });

/** Read one by one, each at its turn: a broken item gets a problem of its own and harms no other. */
const batchItem = z.unknown().register(named, {
  id: 'BatchItem',
  description: 'A WrapItem where the operation is wrap, an UnwrapItem where it is unwrap or rewrap.',
  anyOf: [{ $ref: '#/components/schemas/WrapItem' }, { $ref: '#/components/schemas/UnwrapItem' }],
});

export const batchBody = z
  .strictObject({
    operation: z.enum(['wrap', 'unwrap', 'rewrap']),
    items: z.array(batchItem).check(z.minLength(1, 'must have at least 1 item'), z.maxLength(1000, 'must have at most 1000 items')),
  })
  .register(named, { id: 'BatchRequest', description: 'The same key operation for up to 1000 databases of one server.' });
