import type { LinkRef } from '../domain/access.ts';
import type { Fault } from '../domain/fault.ts';
import type { Finding } from '../domain/finding.ts';
import { refuse } from '../domain/refusal.ts';
import type { Refusal } from '../domain/refusal.ts';
import { millis } from '../domain/time.ts';
import { findingFrom } from '../policy/fault-findings.ts';
import type { ProofStep } from '../policy/fault-findings.ts';
import type { Access } from './access.ts';
import type { Parts } from './parts.ts';

/** When it is worth to ask again after a denial that is not confirmed. */
export const comeBackMs = millis(1000);

/** What callers hear of a denial that is stored. */
export interface DeniedAccess {
  /** Unwrap is denied at the link: worth to try again while that is only suspected (F6). */
  refusal(ref: LinkRef, fault: Fault): Refusal;
  /** What is wrong and what to do, in the words of an audit of the same key. */
  finding(ref: LinkRef, fault: Fault, step: ProofStep): Finding;
}

export function createDeniedAccess({
  parts: { registry },
  access,
}: {
  readonly parts: Pick<Parts, 'registry'>;
  readonly access: Pick<Access, 'known'>;
}): DeniedAccess {
  const told: DeniedAccess = {
    refusal(ref, fault) {
      const suspected = access.known(ref)?.latch?.status !== 'confirmed';
      const again = suspected ? { retryable: true, retryAfterMs: comeBackMs } : { retryable: false };
      const detail = `vault ${ref.vault} denies access to the key: ${fault.detail}`;
      return refuse('KeyAccessDenied', detail, { ...again, findings: [told.finding(ref, fault, 'unwrap')] }).refusal;
    },
    finding: (ref, fault, step) => findingFrom({ server: ref.server, keyId: ref.keyId, vault: registry.peekVault(ref.vault) }, fault, step),
  };
  return told;
}
