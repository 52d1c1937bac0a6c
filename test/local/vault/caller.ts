import * as errors from './errors.ts';
import type { TokenClaims, TokenFlaw } from './tokens.ts';

/** What a vault asks of a token. */
export interface CallerWorld {
  readonly tenant: string;
  /** The audience that tokens must have. */
  readonly resource: string;
  readonly clock: () => number;
  readonly claimsOf: (token: string) => TokenClaims | Promise<TokenClaims | TokenFlaw>;
}

/** Whoever calls: known, with a token that is not accepted, or without a token. */
export type Caller = TokenClaims | errors.VaultError | 'anonymous';

const bearer = /^Bearer +(\S+)$/i;

/** Reads the `Authorization` header. */
export async function identify(world: CallerWorld, authorization: string | undefined): Promise<Caller> {
  const token = authorization === undefined ? undefined : bearer.exec(authorization)?.[1];
  if (token === undefined) return 'anonymous';
  const claims = await world.claimsOf(token);
  if (claims === 'invalid') return errors.invalidToken;
  if (claims === 'unresolvedKey') return errors.unresolvedSigningKey(token.split('.', 1)[0] ?? '');
  if (claims.tenant !== world.tenant) return errors.wrongIssuer(world.tenant, claims.tenant);
  if (claims.audience !== world.resource && claims.audience !== `${world.resource}/`) {
    return errors.wrongAudience(world.resource, claims.audience);
  }
  return claims.expiresAt <= world.clock() ? errors.expiredToken : claims;
}
