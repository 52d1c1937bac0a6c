import { randomUUID } from 'node:crypto';
import type { Issuer } from './issuer.ts';

/** A database server and the identity with which its host calls the broker. */
export interface KnownServer {
  readonly name: string;
  readonly principalId: string;
}

/** What a caller's token shall say. */
export interface TokenWish {
  /** Object id; default: one that nothing else has. */
  readonly principalId?: string;
  readonly roles: readonly string[];
  /** Seconds; negative for a token that has expired. */
  readonly expiresIn?: number | undefined;
  readonly audience?: string | undefined;
}

/** The audience that the local broker asks of its callers' tokens. */
export const brokerAudience = 'api://key-operations-broker';

/** An access token (version 2.0) of a caller of the broker. */
export function callerToken(
  issuer: Issuer,
  { principalId = randomUUID(), roles, expiresIn = 3600, audience = brokerAudience }: TokenWish,
): string {
  const claims = { iss: issuer.issuer, aud: audience, oid: principalId, sub: principalId, azp: randomUUID(), roles, ver: '2.0' };
  return issuer.sign(claims, expiresIn);
}

export function hostToken(issuer: Issuer, principalId: string, wish: Omit<TokenWish, 'roles' | 'principalId'> = {}): string {
  return callerToken(issuer, { ...wish, principalId, roles: ['KeyBroker.Host'] });
}
