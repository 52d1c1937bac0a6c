import type { LinkAccess } from '../domain/access.ts';
import { done, refuse } from '../domain/refusal.ts';
import { instant } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import { compareLatches, placeFromCursor } from '../policy/worst-first.ts';
import type { AccessSurvey } from '../ports/access-log.ts';
import type { InstanceReport } from '../ports/instances.ts';
import { Unreadable } from '../ports/store.ts';
import type { Access } from './access.ts';
import { sumOf } from './audit-permissions.ts';
import type { Hours } from './last-hour.ts';
import type { Parts } from './parts.ts';
import type { LatchedLink, StatusView, Undelivered, VaultStatus } from './fleet-views.ts';
import type { Roads } from './roads.ts';
import { createServersStatus } from './servers-status.ts';
import { liveReports, viewVault } from './views.ts';

const noCursor = refuse('InvalidRequest', 'after: is not the `next` of this list');

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
  const servers = createServersStatus(parts);

  async function vaultStatus(vault: Vault, reports: readonly InstanceReport[]): Promise<Pictured> {
    const { links, health, unreadable } = await surveyOf(vault.name);
    const view = await viewVault(parts, vault, reports, health);
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
      if (oldest === null || newest < oldest.provenAt) oldest = { ...one, provenAt: instant(newest) };
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
    async status({ after: cursor, limit }) {
      const after = cursor === null ? null : placeFromCursor(cursor);
      if (after === undefined) return noCursor;
      const vaults = [...(await registry.readVaults())].sort((a, b) => (a.name < b.name ? -1 : 1));
      const reports = await liveReports(parts);
      const [seen, lastHourOf, fleet, audit, waiting] = await Promise.all([
        Promise.all(vaults.map((vault) => vaultStatus(vault, reports))),
        hours.read(),
        servers({ after, limit }),
        newestAudit(),
        undelivered(),
      ]);
      const links = seen.flatMap((one) => one.links);
      return done({
        at: clock.now(),
        servers: fleet,
        vaults: seen.map(({ view }) => ({ ...view, lastHour: lastHourOf(view.name) })),
        audit,
        latchedLinks: latchedLinks(links),
        oldestProof: oldestProof(links),
        undelivered: waiting,
        instances: reports,
      });
    },
  };
}

/** So many links with a latch are named; of the others each vault has the count. */
const mostNamed = 100;

function latchedLinks(links: readonly LinkAccess[]): StatusView['latchedLinks'] {
  const all = links.flatMap(({ latch, ref: { server, keyId, vault } }): LatchedLink[] =>
    latch === null ? [] : [{ server, keyId, vault, status: latch.status, class: latch.class, since: latch.firstDenialAt }],
  );
  return { total: all.length, items: all.sort(compareLatches).slice(0, mostNamed) };
}

interface Pictured {
  readonly view: Omit<VaultStatus, 'lastHour'>;
  readonly links: readonly LinkAccess[];
}
