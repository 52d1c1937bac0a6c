import { accessKey, linkKey } from '../../../src/domain/access.ts';
import { pictureMs } from './law.ts';
import type { Bench, Law } from './law.ts';

/**
 * What is less than a denial holds back too: an answer that may hide one, until the next unwrap succeeds there (F1); a wrap that is refused
 * while unwrap works, until a wrap succeeds there (F4, C2).
 */
export function lesserSignsHeldBack({ world, history, breaks }: Bench): Law {
  /** By key and identity: true time at which the newest doubt was stored. */
  const doubted = new Map<string, number>();
  /** By link: true time from which its wraps are known as refused. */
  const wrapRefused = new Map<string, number>();

  return {
    link(before, after) {
      if (after.doubtedAt !== null && after.doubtedAt !== before?.doubtedAt) doubted.set(accessKey(after.ref), world.now());
      const key = linkKey(after.ref);
      if (after.refused.wrapKey === undefined) wrapRefused.delete(key);
      else if (!wrapRefused.has(key)) wrapRefused.set(key, world.now());
    },

    called({ server, keyId, operation }) {
      const roles = server === null ? [] : history.rolesOf(server, keyId);
      const [role, ...others] = roles;
      if (role?.link.role !== 'standby' || others.length > 0 || world.clocksWrong) return;
      const { primary } = role;
      const long = world.now() - pictureMs;
      const doubt = doubted.get(accessKey(primary)) ?? Infinity;
      if (doubt < long && !history.provenSince(primary, doubt))
        breaks('F1', `${server} uses a standby, and access to its primary is in doubt`);
      if (operation === 'wrapKey' && (wrapRefused.get(linkKey(primary)) ?? Infinity) < long)
        breaks('F4', `${server} wraps at a standby, and its primary refuses to wrap`);
    },
  };
}
