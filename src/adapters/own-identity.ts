import { seconds } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import type { OwnIdentity } from '../ports/own-identity.ts';
import type { Identities } from './identity.ts';

const within = seconds(2);
const askAgainAfter = seconds(5);

export interface OwnIdentityOptions {
  readonly clock: Clock;
  readonly identities: Pick<Identities, 'token'>;
  /** Where vaults are, e.g. `.vault.azure.net`: in each cloud the resource of their tokens is that without the dot. */
  readonly hostSuffix: string;
}

export function createOwnIdentity({ clock, identities, hostSuffix }: OwnIdentityOptions): OwnIdentity {
  const scope = `https://${hostSuffix.slice(1)}/.default`;
  let failed: { readonly at: number; readonly reason: string } | undefined;

  return {
    async missing() {
      if (failed !== undefined && clock.elapsed() - failed.at < askAgainAfter) return failed.reason;
      const answer = await identities.token(null, scope, within);
      if (answer.ok) {
        failed = undefined;
        return null;
      }
      const { code, detail } = answer.fault;
      failed = { at: clock.elapsed(), reason: code === null ? detail : `${detail} (${code})` };
      return failed.reason;
    },
  };
}
