import { z } from 'zod';
import { parseDuration } from './clock.ts';
import { HttpError } from './json-server.ts';
import type { JsonObject } from './json-server.ts';
import { deletedAnswers } from './vault/faults.ts';
import { cryptoOperations, operations } from './vault/operations.ts';
import type { CryptoOperation } from './vault/operations.ts';

/** Bodies of the control API. Unknown fields are refused, so that a misspelt one is not ignored. */
const cryptoOperation = z.custom<CryptoOperation>((value) => cryptoOperations.some((known) => known === value), 'is no key operation');

/** RFC 3339 to milliseconds since the epoch; null takes the date away. */
const date = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .nullable()
  .optional();

export const schemas = {
  nothing: z.strictObject({}),
  newVault: z.strictObject({
    name: z.string(),
    region: z.string().min(1),
    geography: z.string().min(1).default('Europe'),
    kind: z.enum(['vault', 'managedHsm']).default('vault'),
    softDelete: z.boolean().default(true),
    purgeProtection: z.boolean().default(true),
    tenant: z.string().min(1).optional(),
  }),
  access: z.strictObject({ principal: z.string().min(1).optional(), allow: z.array(z.enum(operations)) }),
  deletion: z.strictObject({ answers: z.enum(deletedAnswers).default('nxdomain') }),
  newKey: z.strictObject({
    name: z.string().regex(/^[0-9A-Za-z-]{1,127}$/, 'is no name of a key: 1 to 127 letters, digits and hyphens'),
    size: z.union([z.literal(2048), z.literal(3072), z.literal(4096)]).default(2048),
    hsm: z.boolean().default(false),
    keyOps: z.array(cryptoOperation).optional(),
  }),
  copy: z.strictObject({ to: z.string() }),
  keyChange: z.strictObject({ enabled: z.boolean().optional(), notBefore: date, expires: date }),
  identityFault: z.discriminatedUnion('fault', [
    z.strictObject({ fault: z.literal('down') }),
    z.strictObject({ fault: z.literal('notFound') }),
    z.strictObject({ fault: z.literal('slow'), ms: z.int().min(0).max(600_000).default(3000) }),
  ]),
  tableFault: z.discriminatedUnion('fault', [
    z.strictObject({ fault: z.literal('down'), instance: z.int().min(0).optional() }),
    z.strictObject({ fault: z.literal('slow'), instance: z.int().min(0).optional(), ms: z.int().min(0).max(600_000).default(1000) }),
  ]),
  token: z
    .strictObject({
      server: z.string().min(1).optional(),
      roles: z.array(z.string()).optional(),
      expiresIn: z.int().optional(),
      audience: z.string().optional(),
    })
    .refine(({ server, roles }) => (server === undefined) !== (roles === undefined), {
      path: ['server'],
      message: 'say either server or roles',
    }),
  clock: z.strictObject({
    advance: z.string().transform((text, context) => {
      const ms = parseDuration(text);
      if (ms === undefined) context.addIssue('is no ISO 8601 duration of days, hours, minutes and seconds, such as PT10M');
      return ms ?? 0;
    }),
  }),
};

/**
 * Reads a body.
 *
 * @throws HttpError 400, naming each field that is wrong
 */
export function read<S extends z.ZodType>(schema: S, body: JsonObject): z.output<S> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const fields = issue.code === 'unrecognized_keys' ? issue.keys : [issue.path.join('.')];
    return `${fields.join(', ')}: ${issue.code === 'unrecognized_keys' ? 'unknown' : issue.message}`;
  });
  throw new HttpError(400, problems.join('; '));
}
