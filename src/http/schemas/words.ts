import * as z from 'zod/mini';
import { findingCodes } from '../../domain/finding.ts';
import { faultClasses } from '../../domain/fault.ts';
import { parseKeyId, parseThumbprint, type KeyId, type Thumbprint } from '../../domain/key.ts';
import { engines, tiers } from '../../domain/server.ts';
import { parseRfc3339, type Instant } from '../../domain/time.ts';

/** What the OpenAPI document says of a named schema beside its form. `id` is its component name. */
export interface SchemaNote extends Record<string, unknown> {
  readonly id: string;
  readonly description: string;
  readonly examples?: unknown[];
}

/** Every schema that has a name in the OpenAPI document. */
export const named = z.registry<SchemaNote>();

/** Text of one form. `rule` completes the sentence "{field}: ...". */
function text(form: RegExp, rule: string) {
  return z.string().check(z.regex(form, rule));
}

const guidForm = /^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$/;

/** Any case comes in, lower case goes on: Entra and ARM disagree about the case of the same id. */
export const guid = text(guidForm, 'must be a GUID')
  .check(z.toLowerCase())
  .register(named, {
    id: 'Guid',
    description: 'A GUID; any case, answered in lower case.',
    examples: ['6f2c1a0e-93b7-4a51-8a0c-2f6f5d0b7e11'],
  });

const shortName = /^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/;
const shortNameRule = 'must be 1 to 63 letters, digits or hyphens and begin with a letter or digit';

export const serverName = text(shortName, shortNameRule).register(named, {
  id: 'ServerName',
  description: 'Name of a logical server or instance.',
  examples: ['sql-demo'],
});

export const vaultName = text(shortName, shortNameRule).register(named, {
  id: 'VaultName',
  description: 'Name under which a vault is registered.',
  examples: ['kv-west'],
});

export const databaseName = text(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
  'must be 1 to 128 letters, digits, dots, underscores or hyphens and begin with a letter or digit',
).register(named, { id: 'DatabaseName', description: 'Name of a database of a server.', examples: ['orders'] });

export const place = text(/^[A-Za-z0-9][A-Za-z0-9 ()._-]{0,63}$/, 'must be 1 to 64 plain letters, digits, spaces or ()._-').register(
  named,
  {
    id: 'Place',
    description: 'Name of an Azure region or geography.',
    examples: ['westeurope'],
  },
);

export const keyId = z
  .pipe(
    text(
      /^https:\/\/[A-Za-z0-9.:-]{1,300}\/keys\/[A-Za-z0-9-]{1,127}\/[A-Za-z0-9]{1,64}$/,
      'must be https://{vault}/keys/{name}/{version}',
    ),
    z.transform((given: string, ctx): KeyId => {
      const parts = parseKeyId(given);
      if (parts !== undefined) return parts.keyId;
      ctx.issues.push({ code: 'custom', message: 'must be https://{vault}/keys/{name}/{version}', input: given });
      return z.NEVER;
    }),
  )
  .register(named, {
    id: 'KeyId',
    description:
      'Full versioned key URI. Its case does not matter: answers have it in lower case, or as a link of an earlier version spells it.',
    examples: ['https://kv-west.vault.azure.net/keys/tde-key/0123456789abcdef0123456789abcdef'],
  });

export const thumbprint = z
  .pipe(
    text(/^[A-Za-z0-9_-]{43}$/, 'must be an RFC 7638 SHA-256 thumbprint: 43 letters of base64url'),
    z.transform((given: string, ctx): Thumbprint => {
      const read = parseThumbprint(given);
      if (read !== undefined) return read;
      ctx.issues.push({ code: 'custom', message: 'must be an RFC 7638 SHA-256 thumbprint', input: given });
      return z.NEVER;
    }),
  )
  .register(named, {
    id: 'Thumbprint',
    description: 'RFC 7638 SHA-256 thumbprint of the public JWK, base64url. The same material in two vaults has the same thumbprint.',
    examples: ['NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs'],
  });

const timeRule = 'must be an RFC 3339 date-time, e.g. 2026-11-22T06:00:00Z';

/** A time that a caller gives. */
export const time = z
  .pipe(
    text(/^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/, timeRule),
    z.transform((given: string, ctx): Instant => {
      const read = parseRfc3339(given);
      if (read !== undefined) return read;
      ctx.issues.push({ code: 'custom', message: timeRule, input: given });
      return z.NEVER;
    }),
  )
  .register(named, { id: 'Time', description: 'RFC 3339 date-time.', format: 'date-time', examples: ['2026-11-22T06:00:00Z'] });

const slotRule = 'must be the slot of an audit, e.g. 2026-11-22T06:00:00Z';

export const slot = text(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/, slotRule)
  .check(z.refine((given) => parseRfc3339(given) !== undefined, slotRule))
  .register(named, {
    id: 'Slot',
    description: 'Names a permission audit: the start of its 6 hours, or of one begun by hand its start, to the second.',
    examples: ['2026-11-22T06:00:00Z'],
  });

/**
 * The letters of canonical base64url without padding (RFC 4648 sections 3.2, 3.5 and 5): no foreign letter, and the bits that a last
 * group has to spare are zero, so that every byte string has one text only.
 */
const canonicalBase64Url = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$/;
const base64UrlRule = 'must be canonical base64url without padding';

/** A byte string of `least` to `most` bytes, still as text: secrets are decoded by the route that zeroes them. */
function bytes(least: number, most: number) {
  const letters = (count: number) => Math.ceil((count * 8) / 6);
  const lengthRule = `must decode to ${least} to ${most} bytes`;
  return z
    .string()
    .check(z.minLength(letters(least), lengthRule), z.maxLength(letters(most), lengthRule), z.regex(canonicalBase64Url, base64UrlRule));
}

export const dek = bytes(16, 64).register(named, {
  id: 'Dek',
  description: 'A Data Encryption Key: 16 to 64 bytes, base64url without padding.',
  examples: ['AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'],
});

/** Lengths that no RSA key has go on: whether this ciphertext fits this key is the vault's to say (`CiphertextRejected`). */
export const wrappedDek = bytes(1, 1024).register(named, {
  id: 'WrappedDek',
  description: 'A wrapped DEK, as long as the modulus of the key that wrapped it, base64url without padding.',
});

export const engine = z.enum(engines).register(named, { id: 'Engine', description: 'What kind of server it is.' });
export const tier = z.enum(tiers).register(named, {
  id: 'Tier',
  description: 'Tier of a database: it counts 2 (GeneralPurpose) or 5 (BusinessCritical) points in the budgets.',
});
export const faultClass = z
  .enum([...faultClasses, 'ok', 'circuitOpen'])
  .register(named, { id: 'AttemptClass', description: 'How one try at one link ended. Only an outage may lead to failover.' });
export const findingCode = z
  .enum(findingCodes)
  .register(named, { id: 'FindingCode', description: 'What is wrong, or will be, with a key.' });

/** Where a list goes on. Its inner form belongs to the list; here only what a header or a log may carry. */
export const cursor = text(/^[\x21-\x7e]{1,1024}$/, 'must be the `next` of the page before');

/** `?limit=`; text, as every query parameter. */
export const limit = z.pipe(
  text(/^(?:[1-9]\d{0,2}|1000)$/, 'must be a whole number from 1 to 1000'),
  z.transform((given: string) => Number(given)),
);
