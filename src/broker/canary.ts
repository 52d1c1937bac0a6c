import { createHash } from 'node:crypto';
import { Dek } from '../domain/dek.ts';
import type { Canary } from '../domain/server.ts';
import type { Millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import type { KeyTarget, Reply, VaultPort } from '../ports/vault.ts';

const canaryBytes = 32;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url');
}

/** Wraps a new random value with the key. The plaintext does not outlive the call. */
export async function layCanary(
  parts: { readonly vaults: VaultPort; readonly clock: Clock },
  target: KeyTarget,
  within: Millis,
): Promise<Reply<Canary>> {
  const dek = new Dek(parts.clock.randomBytes(canaryBytes));
  try {
    const reply = await parts.vaults.wrap(target, dek, 'RSA-OAEP-256', within);
    if (!reply.ok) return reply;
    return {
      ...reply,
      value: { wrapped: Buffer.from(reply.value).toString('base64url'), sha256: sha256(dek.reveal()), algorithm: 'RSA-OAEP-256' },
    };
  } finally {
    dek.zero();
  }
}

/** Unwraps a canary. The value says whether what came out is what went in: `false` means other material under this key id. */
export async function proveCanary(vaults: VaultPort, target: KeyTarget, canary: Canary, within: Millis): Promise<Reply<boolean>> {
  const reply = await vaults.unwrap(target, Buffer.from(canary.wrapped, 'base64url'), canary.algorithm, within);
  if (!reply.ok) return reply;
  try {
    return { ...reply, value: sha256(reply.value.reveal()) === canary.sha256 };
  } finally {
    reply.value.zero();
  }
}
