import { sameLink } from '../domain/access.ts';
import type { LinkRef } from '../domain/access.ts';
import type { RegisteredServer } from '../domain/server.ts';
import type { Instant } from '../domain/time.ts';
import { deniesAccess } from '../policy/audit-rules.ts';
import { newestDenialReaching } from '../policy/denial.ts';
import { findingOf } from '../policy/key-rules.ts';
import type { Candidate } from '../policy/key-rules.ts';
import type { Access } from './access.ts';
import type { Parts } from './parts.ts';
import type { HeldBack } from './prove-key.ts';
import { refOf } from './witness.ts';

/** What is known against a primary whose group is being proven, by pictures that are at most a second old. Each rejects with `StoreAway`. */
export interface PrimaryDenials {
  /** The server has linked the primary. Of another nothing is known, and nothing is held back for it. */
  readonly linked: boolean;
  /** Whether the primary denies access, as far as anyone knows. */
  denies(): Promise<boolean>;
  /**
   * F3: nothing goes to its standbys once access to the primary was denied since the proof began, whoever met that. What was known before
   * holds nothing back: a proof of the primary that succeeds ends it (F5).
   */
  readonly heldBack: HeldBack;
}

/** Begins with what is known now. */
export async function seePrimary(
  { access, clock, rules }: Pick<Parts, 'clock' | 'rules'> & { readonly access: Access },
  registered: RegisteredServer,
  primary: Candidate,
): Promise<PrimaryDenials> {
  const link = registered.links.find(({ keyId }) => keyId === primary.keyId);
  if (link === undefined) return stranger;
  const ref = refOf(registered, link);
  const before = await newestSeen(access, ref);
  return {
    linked: true,
    async denies() {
      const { clockSkewMs } = rules.gate;
      return deniesAccess(await access.picture(ref.vault), ref, access.provenAt(ref), { now: clock.now(), clockSkewMs });
    },
    async heldBack() {
      const now = await newestSeen(access, ref);
      const latched = now.generation !== null && now.generation !== before.generation;
      return latched || (now.denial ?? 0) > (before.denial ?? 0) ? deniedMeanwhile(primary) : undefined;
    },
  };
}

const stranger: PrimaryDenials = {
  linked: false,
  denies: () => Promise.resolve(false),
  heldBack: () => Promise.resolve(undefined),
};

/** Of the latch its generation, since the clocks of two instances differ. */
async function newestSeen(access: Access, ref: LinkRef): Promise<{ readonly generation: string | null; readonly denial: Instant | null }> {
  const picture = await access.picture(ref.vault);
  const stored = picture.links.find((one) => sameLink(one.ref, ref));
  return { generation: stored?.latch?.generation ?? null, denial: newestDenialReaching(picture, ref) };
}

function deniedMeanwhile(primary: Candidate): ReturnType<typeof findingOf> {
  const detail =
    'access was denied while the key was being proven; its standbys are not called, so that nothing gets round whoever took it away';
  return findingOf(primary, 'UnwrapDenied', detail, 'See who took access away, give it back, then try again.');
}
