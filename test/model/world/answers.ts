import type { FaultClass } from '../../../src/domain/fault.ts';
import type { Attempt, RefusalCode } from '../../../src/domain/refusal.ts';
import { dekOf } from './fleet.ts';
import { wrapped } from './vaults.ts';
import type { Asked } from './world.ts';

/** What the caller hears of the last attempt (design section 4). `StateUnavailable` stands where what follows could not be stored. */
const heardOf: Readonly<Record<FaultClass, readonly RefusalCode[]>> = {
  outage: ['VaultUnavailable', 'StateUnavailable', 'KeyAccessDenied', 'DeadlineExceeded'],
  ambiguous: ['VaultUnavailable', 'StateUnavailable'],
  revoked: ['KeyAccessDenied', 'StateUnavailable'],
  keyGone: ['KeyAccessDenied', 'StateUnavailable'],
  vaultGone: ['KeyAccessDenied', 'StateUnavailable'],
  throttled: ['Throttled'],
  identityOutage: ['IdentityUnavailable'],
  invalidRequest: [],
};

/** Codes of an operation that was turned away before any vault was tried. */
const untried: readonly RefusalCode[] = ['ServerInaccessible', 'StateUnavailable', 'DeadlineExceeded'];

/** What is wrong with an answer; undefined if nothing is. */
export function expectedCodes(asked: Asked): string | undefined {
  const { answer } = asked;
  if (answer === undefined) return undefined;
  if (answer.ok) return wrongSuccess(asked, answer.value);
  const { code, attempts = [], detail } = answer.refusal;
  const last = attempts.at(-1);
  const allowed = last === undefined ? untried : codesOf(last, attempts.length > 1);
  return allowed.includes(code)
    ? undefined
    : `${code} after ${attempts.map(({ role, class: met }) => `${role} ${met}`).join(', ')} (${detail})`;
}

function codesOf(last: Attempt, failedOver: boolean): readonly RefusalCode[] {
  if (last.class === 'ok') return [];
  if (last.class === 'circuitOpen') return heardOf.outage;
  // The primary is down and the standby says no: the key as such is not denied.
  return failedOver && last.role === 'standby' ? [...heardOf[last.class], 'VaultUnavailable'] : heardOf[last.class];
}

function wrongSuccess(
  { server, operation, key }: Asked,
  value: { readonly failover: boolean; readonly vault: string; readonly dek?: { reveal(): Uint8Array }; readonly wrappedDek?: Uint8Array },
): string | undefined {
  const expected = operation === 'unwrap' ? dekOf(server) : wrapped(key, dekOf(server));
  const actual = operation === 'unwrap' ? value.dek?.reveal() : value.wrappedDek;
  return actual !== undefined && Buffer.compare(expected, actual) === 0 ? undefined : `the answer of ${value.vault} holds other bytes`;
}
