/** What a token says of its bearer, once its signature holds. */
export interface TokenClaims {
  /** `oid`: object id of the identity. */
  readonly principal: string;
  /** `appid` (or `azp`): client id of the identity. */
  readonly appId: string;
  /** `aud`. */
  readonly audience: string;
  /** `tid`. */
  readonly tenant: string;
  /** `exp` in milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Why a token's claims cannot be believed: its signing key is not among the issuer's, or anything else is wrong with it. */
export type TokenFlaw = 'unresolvedKey' | 'invalid';

/** Checks a token's form and signature; expiry, audience and tenant are the vault's to judge. Never rejects. */
export type VerifyToken = (token: string) => Promise<TokenClaims | TokenFlaw>;

/**
 * Remembers the claims of tokens that were verified, so that a token costs one check of its signature however often it comes.
 * At most `limit` tokens: the one that was verified first makes room.
 */
export function rememberTokens(verify: VerifyToken, limit = 2000): (token: string) => TokenClaims | Promise<TokenClaims | TokenFlaw> {
  const known = new Map<string, TokenClaims>();
  async function check(token: string): Promise<TokenClaims | TokenFlaw> {
    const claims = await verify(token);
    if (typeof claims === 'string') return claims;
    for (const [oldest] of known) {
      if (known.size < limit) break;
      known.delete(oldest);
    }
    known.set(token, claims);
    return claims;
  }
  return (token) => known.get(token) ?? check(token);
}
