import type { TokenCredential } from '@azure/identity';
import { millis, minutes } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import type { Identities } from './identity.ts';
import type { InsightsTarget } from './telemetry/exporter.ts';

/** How long the wait for a token may take: as long as an export may. */
const tokenMs = millis(2000);

export interface InsightsOptions {
  /** Null: telemetry does not go to Application Insights. */
  readonly insights: string | null;
  /** The managed identity that writes, `clientId` null being the broker's own; null: none does. */
  readonly insightsIdentity: { readonly clientId: string | null } | null;
}

/** The Application Insights resource of the settings, with its credential. `identities` keeps and renews tokens, as for the store. */
export function insightsTarget(
  { insights, insightsIdentity }: InsightsOptions,
  identities: Identities,
  clock: Clock,
): InsightsTarget | null {
  if (insights === null) return null;
  if (insightsIdentity === null) return { connectionString: insights, credential: null };
  const credential: TokenCredential = {
    async getToken(scopes) {
      const [scope = ''] = [scopes].flat();
      const answer = await identities.token(insightsIdentity.clientId, scope, tokenMs);
      if (!answer.ok) throw new Error(`no token for Application Insights: ${answer.fault.detail}`);
      return { token: answer.token, expiresOnTimestamp: clock.now() + minutes(5) };
    },
  };
  return { connectionString: insights, credential };
}
