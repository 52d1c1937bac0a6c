/** An allowed ending of a vault's host (K1), e.g. `.vault.azure.net`, and the port that goes with it. */
export interface HostSuffix {
  /** Begins with a dot, lower case. */
  readonly suffix: string;
  readonly port: number | 'any';
}

/** One label and the rest, of plain letters: no user info, no escape, no backslash, no other alphabet can get in. */
const origin = /^https:\/\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9.-]+?)(?::([1-9]\d{0,4}))?$/;
const httpsPort = 443;

/**
 * The origin of a vault, normalised: lower case, no default port, no slash.
 *
 * INVARIANT: what is returned is `https://`, exactly one label, an allowed suffix and its port. DEKs are sent nowhere else (K1). The text
 * is matched before it is given to any URL parser, so that no two readers can take it for two hosts.
 * @returns undefined for everything else.
 */
export function allowedOrigin(text: string, allowed: readonly HostSuffix[]): string | undefined {
  // Looked at before `toLowerCase`, which makes a plain k of the Kelvin sign.
  if (!/^[\x21-\x7e]+$/.test(text)) return undefined;
  const [, label, suffix, portText] = origin.exec(text.toLowerCase().replace(/\/$/, '')) ?? [];
  if (label === undefined || label.startsWith('xn--')) return undefined;
  const port = portText === undefined ? httpsPort : Number(portText);
  const known = allowed.some((entry) => entry.suffix === suffix && (entry.port === 'any' || entry.port === port));
  if (!known || port > 65_535) return undefined;
  return `https://${label}${suffix}${port === httpsPort ? '' : `:${port}`}`;
}
