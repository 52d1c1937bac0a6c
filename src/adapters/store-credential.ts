import type { TokenCredential } from '@azure/identity';
import { millis, minutes } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import { StoreAway } from '../ports/store.ts';
import type { Identities } from './identity.ts';

/** How long the wait for a token may take; the call itself has its own limit. */
const tokenMs = millis(2000);

/**
 * The broker's own identity for the tables' client. `identities` keeps and renews the token, so what is handed out is called short-lived:
 * the client asks again soon, and is answered from memory.
 */
export function storeCredential(identities: Identities, clock: Clock): TokenCredential {
  return {
    async getToken(scopes) {
      const [scope = ''] = [scopes].flat();
      const answer = await identities.token(null, scope, tokenMs);
      if (!answer.ok) throw new StoreAway(`no token for the store: ${answer.fault.detail}`);
      return { token: answer.token, expiresOnTimestamp: clock.now() + minutes(5) };
    },
  };
}
