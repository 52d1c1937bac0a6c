import { loopback } from './kinds.ts';
import type { Read } from './kinds.ts';

export const insightsBounds = 'a connection string with InstrumentationKey, and IngestionEndpoint https, or http on a loopback address';

function pairsOf(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .split(';')
      .map((pair) => /^\s*([^=]+?)\s*=\s*(.*?)\s*$/.exec(pair))
      .map((found): [string, string] => [found?.[1]?.toLowerCase() ?? '', found?.[2] ?? '']),
  );
}

function isIngestionEndpoint(given: string): boolean {
  if (!URL.canParse(given)) return false;
  const { protocol, hostname, username, password } = new URL(given);
  return `${username}${password}` === '' && (protocol === 'https:' || (protocol === 'http:' && loopback.test(hostname)));
}

/** A connection string of Application Insights, kept as it is. */
export function readInsights(given: string): Read<string> {
  const pairs = pairsOf(given);
  const key = pairs.get('instrumentationkey') ?? '';
  const endpoint = pairs.get('ingestionendpoint');
  const fits = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(key) && (endpoint === undefined || isIngestionEndpoint(endpoint));
  return fits ? { ok: true, value: given } : { ok: false, problem: `must be ${insightsBounds}` };
}

/** How Application Insights is told who sends: by a managed identity, the broker's own where `clientId` is null. */
export interface InsightsIdentity {
  readonly clientId: string | null;
}

export const insightsIdentityBounds = '`Authorization=AAD`, with or without `ClientId=` a GUID, separated by a semicolon';

export function readInsightsIdentity(given: string): Read<InsightsIdentity> {
  const pairs = pairsOf(given);
  const clientId = pairs.get('clientid')?.toLowerCase();
  const fits =
    pairs.get('authorization')?.toUpperCase() === 'AAD' &&
    (clientId === undefined || /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(clientId));
  return fits ? { ok: true, value: { clientId: clientId ?? null } } : { ok: false, problem: `must be ${insightsIdentityBounds}` };
}
