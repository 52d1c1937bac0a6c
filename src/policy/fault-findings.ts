import type { Fault } from '../domain/fault.ts';
import type { Finding, FindingCode } from '../domain/finding.ts';
import type { KeyOperation } from '../domain/key.ts';
import { findingOf } from './key-rules.ts';
import type { Candidate } from './key-rules.ts';

/** The calls by which a key is proven. */
export type ProofStep = 'get' | 'wrap' | 'unwrap';

/** What each of them asks of a key. */
export const operationOf: Readonly<Record<ProofStep, KeyOperation>> = { get: 'get', wrap: 'wrapKey', unwrap: 'unwrapKey' };

const actions: Readonly<Partial<Record<FindingCode, string>>> = {
  GetDenied: 'Give the identity of the broker the right to get keys in this vault.',
  WrapDenied: 'Give the identity of the broker the right to wrap with keys in this vault.',
  UnwrapDenied: 'Give the identity of the broker the right to unwrap with keys in this vault.',
  KeyNotFound: 'Recover the key, or name a key version that exists.',
  KeyDisabled: 'Enable the key version in its vault.',
  KeyNotYetActive: 'Wait for the activation date or move it to the past.',
  KeyOperationsMissing: "Add the operation to the key's permitted operations.",
  KeyExpired: 'Extend the expiry of the key version, or use a newer key.',
  KeyUnreachable: 'See that the vault answers the broker, then try again.',
  MaterialMismatch: 'Name the key version that holds the material, or restore a backup of it.',
  WrongTenant: 'Use a vault in the tenant of the broker.',
};
const lessAsked = 'Try again when less is asked of the vault.';

/** What helps against a fault whose finding would say something else. */
function actionOf({ class: met, code }: Fault): string | undefined {
  if (met === 'throttled') return lessAsked;
  if (met === 'vaultGone') return 'Recover the vault before it is purged; if it is there, see that its name leads to it.';
  return code !== null && networkCodes.has(code)
    ? "Let the broker through the vault's firewall, private endpoint or perimeter."
    : undefined;
}

/** By these inner codes the vault refuses where a call comes from, whoever calls (facts, key-vault-behaviour 3.2). */
const networkCodes: ReadonlySet<string> = new Set(['ForbiddenByFirewall', 'ForbiddenByConnection', 'ForbiddenByNsp']);

const denied = { get: 'GetDenied', wrap: 'WrapDenied', unwrap: 'UnwrapDenied' } as const;

type About = Pick<Candidate, 'server' | 'keyId' | 'vault'>;

/** The finding that tells of a fault best. */
export function findingFrom(candidate: About, fault: Fault, step: ProofStep): Finding {
  const code = codeOf(fault, step);
  return findingOf(candidate, code, `${step}: ${fault.detail}`, actionOf(fault) ?? actions[code] ?? '');
}

/**
 * The same of a look at a linked key: one that the vault only throttled (F7) says nothing of the key, and is a warning. Not for K4, where a
 * warning lets a key pass.
 */
export function findingOfLook(candidate: About, fault: Fault, step: ProofStep): Finding {
  const finding = findingFrom(candidate, fault, step);
  return fault.class === 'throttled' ? { ...finding, severity: 'warning' } : finding;
}

/** Why a vault was not called. `noRoom`: its rate budget had no room in time (B4). */
export type NotCalled = 'circuitOpen' | 'noRoom';

const whyNot: Readonly<Record<NotCalled, readonly [detail: string, action: string]>> = {
  circuitOpen: ['not called: the vault does not answer such calls, its circuit is open for them', actions.KeyUnreachable ?? ''],
  noRoom: ["not called: the broker's rate budget for the vault is used up", lessAsked],
};

export function notCalled(candidate: About, why: NotCalled): Finding {
  return findingOf(candidate, 'KeyUnreachable', ...whyNot[why]);
}

/** By these inner codes the vault says which end of the key's time it is (facts 12.3: not established). */
const notYetCodes: ReadonlySet<string | null> = new Set(['KeyNotYetValid', 'KeyNotYetActive']);

function codeOf(fault: Fault, step: ProofStep): FindingCode {
  if (fault.outsideValidity) return notYetCodes.has(fault.code) ? 'KeyNotYetActive' : 'KeyExpired';
  // K3: a vault of another tenant trusts no token of ours (facts, key-vault-behaviour 3.1.2), so its refusal is all that it ever says.
  if (fault.code === 'AKV10032') return 'WrongTenant';
  if (fault.code === 'KeyDisabled') return 'KeyDisabled';
  if (fault.code === 'KeyOperationForbidden') return 'KeyOperationsMissing';
  if (fault.class === 'keyGone') return 'KeyNotFound';
  // A canary that the vault takes for no ciphertext of this key was wrapped with other material.
  if (step === 'unwrap' && fault.class === 'invalidRequest' && fault.status === 400) return 'MaterialMismatch';
  return fault.class === 'revoked' ? denied[step] : 'KeyUnreachable';
}
