/** The broker's own managed identity, as far as readiness asks for it. */
export interface OwnIdentity {
  /**
   * Why there is no token for vaults; null: one is at hand. Never rejects and answers within 2 s. Anyone may ask for it as often as they
   * like: the source of tokens is asked at most once in 5 s, and not at all while a token is good.
   */
  missing(): Promise<string | null>;
}
