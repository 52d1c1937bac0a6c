import type { Finding } from '../domain/finding.ts';
import { parseKeyId } from '../domain/key.ts';
import { groupOf } from '../domain/server.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import { latest } from '../domain/time.ts';
import { excessFindings } from '../policy/excess.ts';
import type { Candidate } from '../policy/key-rules.ts';
import { lookedAtBy } from '../policy/audit-changes.ts';
import type { LookedAt } from '../policy/audit-changes.ts';
import { deniesAccess, serverFindings, wrapsGoTo } from '../policy/audit-rules.ts';
import type { LinkSeen, Seen } from '../policy/audit-rules.ts';
import type { AttemptParts } from './key-call.ts';
import { createLinkCalls } from './link-calls.ts';
import type { LetGo, Looked } from './link-calls.ts';
import { targetOf } from './witness.ts';
import type { WitnessTarget } from './witness.ts';

/** What an audit saw at one server. */
export interface ServerSeen {
  readonly links: number;
  readonly findings: readonly Finding[];
  readonly lookedAt: LookedAt;
  readonly permissionsChecked: number;
  readonly permissionsUnchecked: number;
}

/** P1 at one server: every link of it. Undefined: a call was held back before all was seen, so that nothing can be said of it yet. Rejects with `StoreAway`. */
export type AuditServer = (registered: RegisteredServer, letGo: LetGo) => Promise<ServerSeen | undefined>;

export function createAuditServer({ parts, access, outages }: Pick<AttemptParts, 'parts' | 'access' | 'outages'>): AuditServer {
  const { clock, permissions, registry, rules } = parts;
  const calls = createLinkCalls({ parts, access, outages });

  /** GET, wrap where wraps go to the link and the key is valid, and the canary last: it says what the other denials mean (F4). */
  async function seeLink(target: WitnessTarget, canaryOf: Link, letGo: LetGo): Promise<LinkSeen | undefined> {
    const { registered, link, ref } = target;
    const get = await calls.get(target, letGo);
    if (waits(get)) return undefined;
    const expires = get.kind === 'ok' ? get.value.expires : null;
    const mayWrap = wrapsGoTo(registered.links, link) && (expires === null || expires > clock.now());
    const wrap = mayWrap ? await calls.wrap(target, letGo) : leftOut;
    if (waits(wrap)) return undefined;
    const unwrap = await calls.unwrap(target, canaryOf.canary, letGo);
    if (waits(unwrap)) return undefined;
    const provenAt = latest(access.provenAt(ref), access.known(ref)?.provenAt);
    return { link, candidate: candidateOf(target), get, wrap, unwrap, provenAt, primaryDenied: false };
  }

  /** F3: where the primary denies access nothing goes to its standbys, not even to look. */
  async function seeGroup(registered: RegisteredServer, primary: Link, letGo: LetGo): Promise<readonly LinkSeen[] | undefined> {
    const target = targetOf(registered, primary);
    const first = await seeLink(target, primary, letGo);
    if (first === undefined) return undefined;
    const targets = groupOf(registered, primary).standbys.map((standby) => targetOf(registered, standby));
    // A picture has a row for every link of the vault: it is read only for the sake of standbys.
    if (targets.length === 0) return [first];
    const denied = deniesAccess(await access.picture(primary.vault), target.ref, first.provenAt, {
      now: clock.now(),
      clockSkewMs: rules.gate.clockSkewMs,
    });
    if (denied) return [first, ...targets.map(unseen)];
    const standbys = await Promise.all(targets.map((standby) => seeLink(standby, primary, letGo)));
    const complete = standbys.filter((one) => one !== undefined);
    return complete.length < standbys.length ? undefined : [first, ...complete];
  }

  function unseen(target: WitnessTarget): LinkSeen {
    const { link, ref } = target;
    const provenAt = access.known(ref)?.provenAt ?? null;
    return { link, candidate: candidateOf(target), get: leftOut, wrap: leftOut, unwrap: leftOut, provenAt, primaryDenied: true };
  }

  function candidateOf({ registered, link }: WitnessTarget): Candidate {
    const keyName = parseKeyId(link.keyId)?.name ?? '';
    return { server: registered.server.name, keyId: link.keyId, keyName, vault: registry.peekVault(link.vault) };
  }

  /** Of a server's own identity; what the broker's own one may do is looked at once a vault. */
  async function seePermissions({ server, links }: RegisteredServer): Promise<PermissionsSeen> {
    const identity = server.identityClientId;
    const names = identity === null ? [] : [...new Set(links.map((link) => link.vault))];
    const named = names.map((name) => registry.peekVault(name)).filter((vault) => vault !== undefined);
    const granted = await Promise.all(named.map(async (vault) => ({ vault, granted: await permissions.granted(vault, identity) })));
    const unchecked = granted.filter((one) => one.granted === null).map(({ vault }) => vault.name);
    return {
      findings: granted.flatMap((one) => (one.granted === null ? [] : excessFindings(one.vault.name, server.name, one.granted))),
      checked: granted.length - unchecked.length,
      unchecked,
    };
  }

  return async (registered, letGo) => {
    const primaries = registered.links.filter((link) => link.standbyOf === null);
    const groups = await Promise.all(primaries.map((primary) => seeGroup(registered, primary, letGo)));
    const complete = groups.filter((group) => group !== undefined);
    if (complete.length < groups.length) return undefined;
    const { engine, region } = registered.server;
    const { proofMaxAgeMs, standbyProofMaxAgeMs } = rules.gate;
    const context = { engine, serverRegion: region, tenant: rules.tenant, now: clock.now(), proofMaxAgeMs, standbyProofMaxAgeMs };
    const held = await seePermissions(registered);
    const seen = complete.flat();
    return {
      links: registered.links.length,
      findings: [...serverFindings(registered, seen, context), ...held.findings],
      lookedAt: lookedAtBy(seen, new Set(held.unchecked)),
      permissionsChecked: held.checked,
      permissionsUnchecked: held.unchecked.length,
    };
  };
}

const leftOut = { kind: 'leftOut' } as const;

/** Whether the look is to be made again: what stood in the way passes, or is known by then. */
function waits<T>(looked: Looked<T> | typeof leftOut): looked is Exclude<Looked<T>, Seen<T>> {
  return looked.kind === 'noRoom' || looked.kind === 'heldBack';
}

interface PermissionsSeen {
  readonly findings: readonly Finding[];
  /** So many vaults, and the names of the others. */
  readonly checked: number;
  readonly unchecked: readonly string[];
}
