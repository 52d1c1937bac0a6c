import type { LinkAccess } from '../domain/access.ts';
import { done } from '../domain/refusal.ts';
import type { ServerState } from '../domain/server.ts';
import type { Instant } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import { standingAt } from '../policy/server-state.ts';
import type { AccessSurvey } from '../ports/access-log.ts';
import type { PageRequest } from '../ports/events.ts';
import type { InstanceReport } from '../ports/instances.ts';
import type { ServerStanding } from '../ports/registry.ts';
import { Unreadable } from '../ports/store.ts';
import type { Access } from './access.ts';
import { sumOf } from './audit-permissions.ts';
import { inTurns } from './in-turns.ts';
import type { Hours } from './last-hour.ts';
import type { Parts } from './parts.ts';
import type { StatusView, Undelivered, VaultStatus } from './fleet-views.ts';
import type { Roads } from './roads.ts';
import { liveReports, viewVault } from './views.ts';

const namesARead = 1000;
/** So many servers that are not online are looked up at once. */
const lookUpsAtOnce = 16;

/** What else the picture is made of. */
export interface StatusSources {
  readonly hours: Hours;
  readonly undelivered: () => Promise<Undelivered>;
}

/**
 * One picture of the whole fleet. It costs a read a vault (shared with the gate, so at most one a second), one a thousand servers by their
 * names alone, one a thousand that are not online, and a handful of others: about a dozen for 10,000 servers, however many databases they
 * have. Nothing of the count is kept: a number of yesterday's servers less today's sick ones would be true of no moment.
 */
export function createStatus(parts: Parts, access: Access, { hours, undelivered }: StatusSources): Pick<Roads, 'status'> {
  const { accessLog, audits, clock, registry } = parts;

  /**
   * Whether a server that is said not to be online is: a kill leaves such words behind, and each that is shown is looked up. Of one that cannot
   * be read they are all that there is.
   */
  async function lookUp(listed: ServerStanding): Promise<ServerStanding | undefined> {
    try {
      const registered = await registry.readServer(listed.name);
      if (registered === undefined) return undefined;
      const { state, since, clock: running } = standingAt(registered.server, clock.now());
      return { name: listed.name, state, since, clock: running };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return listed;
    }
  }

  /**
   * Each name once, in the state that its standing says, and online if it has none. Names are read first: a server has its name before it has
   * a standing, so that a new one is missing rather than taken to be online.
   */
  async function servers(request: PageRequest): Promise<StatusView['servers']> {
    const names = new Set(await allOf((after) => registry.serverNames(after, namesARead), String));
    const standings = await allOf(
      (after) => registry.serversNotOnline(after, namesARead),
      ({ name }) => name,
    );
    const out = new Map<string, ServerStanding>();
    for (const one of standings) if (names.has(one.name)) out.set(one.name, { ...one, ...standingAt(one, clock.now()) });

    const rest = [...out.values()].filter(({ name }) => request.after === null || name > request.after);
    const listed = rest.slice(0, request.limit);
    const lookedUp = new Map<string, ServerStanding | undefined>();
    await inTurns(listed, lookUpsAtOnce, async (one) => void lookedUp.set(one.name, await lookUp(one)));
    const shown: ServerStanding[] = [];
    for (const { name } of listed) {
      const found = lookedUp.get(name);
      if (found === undefined) names.delete(name);
      if (found === undefined || found.state === 'online') out.delete(name);
      else {
        out.set(name, found);
        shown.push(found);
      }
    }
    const byState: Record<ServerState, number> = {
      online: names.size - out.size,
      atRisk: 0,
      inaccessible: 0,
      needsRevalidation: 0,
      pendingValidation: 0,
    };
    for (const { state } of out.values()) byState[state] += 1;
    const next = rest.length > listed.length ? (listed.at(-1)?.name ?? null) : null;
    return { total: names.size, byState, notOnline: { items: shown, next } };
  }

  async function vaultStatus(vault: Vault, reports: readonly InstanceReport[]): Promise<Pictured> {
    const [view, survey] = await Promise.all([viewVault(parts, vault, reports), surveyOf(vault.name)]);
    const { links, health, unreadable } = survey;
    const latched = (status: 'suspected' | 'confirmed'): number => links.filter(({ latch }) => latch?.status === status).length;
    const { outageSince, failoverSince } = health ?? access.health(vault.name);
    const latches = { suspected: latched('suspected'), confirmed: latched('confirmed'), unknown: unreadable };
    return { view: { ...view, latches, outageSince, failoverSince }, links };
  }

  /** The picture of the gate, which has all or nothing (F3). A row that cannot be read costs the vault its failover, and this document no more than itself. */
  async function surveyOf(vault: string): Promise<AccessSurvey> {
    try {
      return { ...(await access.picture(vault)), unreadable: 0 };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return accessLog.survey(vault);
    }
  }

  /** Of the primaries: whether a failover from them is allowed rests on it (F3). Proofs of traffic are stored at half of their age by the watch. */
  function oldestProof(links: readonly LinkAccess[]): StatusView['oldestProof'] {
    let oldest: (LinkAccess & { readonly provenAt: Instant }) | null = null;
    for (const one of links) {
      const { latch, provenAt, ref } = one;
      if (latch !== null || provenAt === null || !isPrimary(one)) continue;
      const newest = Math.max(provenAt, access.provenAt(ref) ?? provenAt);
      if (oldest === null || newest < oldest.provenAt) oldest = { ...one, provenAt };
    }
    return oldest && { server: oldest.ref.server, keyId: oldest.ref.keyId, vault: oldest.ref.vault, provenAt: oldest.provenAt };
  }

  /** By the copy of the registry alone: a server that this instance never looked at counts as if it were one. */
  function isPrimary({ ref }: LinkAccess): boolean {
    const registered = registry.peekServer(ref.server);
    const standbyOf = registered?.links.find(({ keyId }) => keyId === ref.keyId)?.standbyOf ?? null;
    return standbyOf === null;
  }

  async function newestAudit(): Promise<StatusView['audit']> {
    const [audit] = (await audits.list({ after: null, limit: 1 })).items;
    if (audit === undefined) return null;
    return audit.finishedAt === null ? { ...audit, counts: sumOf(await audits.pages(audit.slot)) } : audit;
  }

  return {
    async status(request) {
      const vaults = [...(await registry.readVaults())].sort((a, b) => (a.name < b.name ? -1 : 1));
      const reports = await liveReports(parts);
      const [seen, lastHourOf, fleet, audit, waiting] = await Promise.all([
        Promise.all(vaults.map((vault) => vaultStatus(vault, reports))),
        hours.read(),
        servers(request),
        newestAudit(),
        undelivered(),
      ]);
      return done({
        at: clock.now(),
        servers: fleet,
        vaults: seen.map(({ view }) => ({ ...view, lastHour: lastHourOf(view.name) })),
        audit,
        oldestProof: oldestProof(seen.flatMap(({ links }) => links)),
        undelivered: waiting,
        instances: reports,
      });
    },
  };
}

interface Pictured {
  readonly view: Omit<VaultStatus, 'lastHour'>;
  readonly links: readonly LinkAccess[];
}

/** All pages of a list by name. `namesARead` entries make a full page. */
async function allOf<T>(read: (after: string | null) => Promise<readonly T[]>, nameOf: (item: T) => string): Promise<readonly T[]> {
  const all: T[] = [];
  for (let after: string | null = null; ;) {
    const some = await read(after);
    all.push(...some);
    const last = some.at(-1);
    if (last === undefined || some.length < namesARead) return all;
    after = nameOf(last);
  }
}
