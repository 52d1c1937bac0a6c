import type { Fault } from '../domain/fault.ts';
import type { Finding, FindingCode } from '../domain/finding.ts';
import { findingOf } from './key-rules.ts';
import type { Candidate } from './key-rules.ts';

/** The calls by which a key is proven. */
export type ProofStep = 'get' | 'wrap' | 'unwrap';

const actions: Readonly<Partial<Record<FindingCode, string>>> = {
  GetDenied: 'Give the identity of the broker the right to get keys in this vault.',
  WrapDenied: 'Give the identity of the broker the right to wrap with keys in this vault.',
  UnwrapDenied: 'Give the identity of the broker the right to unwrap with keys in this vault.',
  KeyNotFound: 'Recover the key, or name a key version that exists.',
  KeyDisabled: 'Enable the key version in its vault.',
  KeyOperationsMissing: "Add the operation to the key's permitted operations.",
  KeyExpired: 'Extend the expiry of the key version, or use a newer key.',
  KeyUnreachable: 'See that the vault answers the broker, then try again.',
  WrongTenant: 'Use a vault in the tenant of the broker.',
};

const denied = { get: 'GetDenied', wrap: 'WrapDenied', unwrap: 'UnwrapDenied' } as const;

/** The finding that tells of a fault best. */
export function findingFrom(candidate: Pick<Candidate, 'server' | 'keyId' | 'vault'>, fault: Fault, step: ProofStep): Finding {
  const code = codeOf(fault, step);
  return findingOf(candidate, code, `${step}: ${fault.detail}`, actions[code] ?? '');
}

/** The vault was not called: its circuit is open, or its budget is used up. */
export function notCalled(candidate: Candidate): Finding {
  return findingOf(candidate, 'KeyUnreachable', 'the vault is down, or its budget is used up', actions.KeyUnreachable ?? '');
}

function codeOf(fault: Fault, step: ProofStep): FindingCode {
  if (fault.outsideValidity) return 'KeyExpired';
  // K3: a vault of another tenant trusts no token of ours (facts, key-vault-behaviour 3.1.2), so its refusal is all that it ever says.
  if (fault.code === 'AKV10032') return 'WrongTenant';
  if (fault.code === 'KeyDisabled') return 'KeyDisabled';
  if (fault.code === 'KeyOperationForbidden') return 'KeyOperationsMissing';
  if (fault.class === 'keyGone') return 'KeyNotFound';
  return fault.class === 'revoked' ? denied[step] : 'KeyUnreachable';
}
