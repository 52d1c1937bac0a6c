/** What a vault's challenge says: the answer to a request without a token (facts, key-vault-behaviour 3.1.1). */
export interface Challenge {
  /** The header `WWW-Authenticate` as it came. */
  readonly header: string;
  /** Scope of the tokens that the vault takes, e.g. `https://vault.azure.net/.default`. */
  readonly scope: string;
  /** Tenant that the vault trusts; null where the challenge names none. */
  readonly tenant: string | null;
}

const member = /([a-z_]+)="([^"]*)"/gi;

/** Reads a challenge; undefined if the header is absent or names neither resource nor scope. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  if (!header?.startsWith('Bearer ')) return undefined;
  const members = new Map([...header.matchAll(member)].map(([, name = '', value = '']) => [name, value]));
  const resource = members.get('resource');
  const scope = resource === undefined ? members.get('scope') : `${resource}/.default`;
  if (scope === undefined) return undefined;
  return { header, scope, tenant: tenantOf(members.get('authorization') ?? members.get('authorization_uri')) };
}

/** True for a challenge of Conditional Access or continuous access evaluation: the token was good and is no longer enough (facts 3.1.2). */
export function wantsClaims(header: string | undefined): boolean {
  return header?.includes('error="insufficient_claims"') ?? false;
}

function tenantOf(authorization: string | undefined): string | null {
  if (authorization === undefined || !URL.canParse(authorization)) return null;
  const [, tenant] = new URL(authorization).pathname.split('/');
  return tenant === undefined || tenant === '' ? null : tenant;
}
