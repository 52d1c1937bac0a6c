import { z } from 'zod';
import { operations, type Operation } from './operations.ts';

const limited = { operations: z.array(z.enum(operations)).optional() };

/**
 * A fault, as the control API takes it. `refuse`, `dns` and `tls` come before there is a request, so they cannot be limited to some
 * operations; any other fault without `operations` strikes every request, challenges too.
 */
export const faultSchema = z.discriminatedUnion('fault', [
  /** TCP connections are refused and those that exist are cut. */
  z.strictObject({ fault: z.literal('refuse') }),
  /** The name has no answer, or the wrong one; connections that exist are cut, so that clients look it up. */
  z.strictObject({ fault: z.literal('dns'), answer: z.enum(['nxdomain', 'servfail']) }),
  /** The certificate comes from an authority that nobody trusts. */
  z.strictObject({ fault: z.literal('tls') }),
  /** The request is read and never answered. */
  z.strictObject({ fault: z.literal('hang'), ...limited }),
  /** The answer stops after its headers. */
  z.strictObject({ fault: z.literal('hangBody'), ...limited }),
  /** The connection is reset (TCP RST) in place of an answer. */
  z.strictObject({ fault: z.literal('reset'), ...limited }),
  /** An error answer of the service; `rate` is the share of requests that get it. */
  z.strictObject({
    fault: z.literal('status'),
    status: z.int().min(400).max(599),
    code: z.string().optional(),
    innerCode: z.string().optional(),
    rate: z.number().min(0).max(1).optional(),
    ...limited,
  }),
  /** 429, as the service words it. */
  z.strictObject({ fault: z.literal('throttle'), ...limited }),
  /** The request waits `ms` before it is looked at. */
  z.strictObject({ fault: z.literal('slow'), ms: z.int().min(0).max(600_000), ...limited }),
  /** A captive portal's page: 200, HTML, none of Key Vault's headers. */
  z.strictObject({ fault: z.literal('html200'), ...limited }),
  /** The operation is done, but the answer names another version of the key. */
  z.strictObject({ fault: z.literal('wrongKid'), ...limited }),
]);
export type Fault = z.infer<typeof faultSchema>;

/** How a vault that was deleted shows itself: its name is gone, or it answers as if it were down. */
export const deletedAnswers = ['nxdomain', '503', 'reset'] as const;
export type DeletedAnswer = (typeof deletedAnswers)[number];

/** Whether a fault strikes a request; one without a token counts as a `challenge`, whatever it asks for. */
export function strikes(fault: Fault, operation: Operation | 'unknown'): boolean {
  if (!('operations' in fault) || fault.operations === undefined) return true;
  return operation !== 'unknown' && fault.operations.includes(operation);
}
