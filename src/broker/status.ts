import type { AccessPicture, LinkAccess } from '../domain/access.ts';
import { done } from '../domain/refusal.ts';
import type { ServerState } from '../domain/server.ts';
import { millis } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import { standingAt } from '../policy/server-state.ts';
import type { Page, PageRequest } from '../ports/events.ts';
import type { InstanceReport } from '../ports/instances.ts';
import type { ServerStanding } from '../ports/registry.ts';
import type { Access } from './access.ts';
import { sumOf } from './audit-permissions.ts';
import type { Parts } from './parts.ts';
import type { StatusView, Undelivered, VaultStatus } from './fleet-views.ts';
import type { Roads } from './roads.ts';
import { liveReports, viewVault } from './views.ts';

/** The number of servers is counted anew after so long: it takes a read a thousand names. */
const countAgainMs = millis(30_000);
const namesARead = 1000;

/**
 * One picture of the whole fleet. It costs a read a vault (shared with the gate, so at most one a second), one a thousand servers that are not
 * online, and a handful of others; servers that are online are not looked at.
 */
export function createStatus(parts: Parts, access: Access, undelivered: () => Promise<Undelivered>): Pick<Roads, 'status'> {
  const { audits, clock, registry } = parts;
  let counted: { readonly at: Millis; readonly total: Promise<number> } | undefined;

  function total(): Promise<number> {
    if (counted !== undefined && clock.elapsed() - counted.at < countAgainMs) return counted.total;
    const count = countNames();
    counted = { at: clock.elapsed(), total: count };
    count.catch(() => (counted = undefined));
    return count;
  }

  async function countNames(): Promise<number> {
    let all = 0;
    for (let after: string | null = null; ;) {
      const names: readonly string[] = await registry.serverNames(after, namesARead);
      all += names.length;
      after = names.at(-1) ?? null;
      if (names.length < namesARead) return all;
    }
  }

  async function everyoneNotOnline(): Promise<readonly ServerStanding[]> {
    const all: ServerStanding[] = [];
    for (let after: string | null = null; ;) {
      const some: readonly ServerStanding[] = await registry.serversNotOnline(after, namesARead);
      all.push(...some.map((server) => ({ ...server, ...standingAt(server, clock.now()) })));
      after = some.at(-1)?.name ?? null;
      if (some.length < namesARead) return all;
    }
  }

  /** What a kill left in the list of those not online shows when it is looked up. */
  async function lookUp({ name }: ServerStanding): Promise<ServerStanding | undefined> {
    const registered = await registry.readServer(name);
    if (registered === undefined) return undefined;
    const { state, since, clock: running } = standingAt(registered.server, clock.now());
    return state === 'online' ? undefined : { name, state, since, clock: running };
  }

  async function servers(request: PageRequest): Promise<StatusView['servers']> {
    const [all, out] = await Promise.all([total(), everyoneNotOnline()]);
    const rest = out.filter(({ name }) => request.after === null || name > request.after);
    const listed = rest.slice(0, request.limit);
    const shown = (await Promise.all(listed.map(lookUp))).filter((server) => server !== undefined);
    const wrong = listed.length - shown.length;
    const count = (state: ServerState): number => out.filter((server) => server.state === state).length;
    const byState = {
      online: Math.max(0, all - out.length + wrong),
      atRisk: count('atRisk'),
      inaccessible: count('inaccessible'),
      needsRevalidation: count('needsRevalidation'),
      pendingValidation: count('pendingValidation'),
    };
    const notOnline: Page<ServerStanding> = { items: shown, next: rest.length > listed.length ? (listed.at(-1)?.name ?? null) : null };
    return { total: all, byState, notOnline };
  }

  async function vaultStatus(vault: Vault, reports: readonly InstanceReport[]): Promise<{ status: VaultStatus; picture: AccessPicture }> {
    const [view, picture] = await Promise.all([viewVault(parts, vault, reports), access.picture(vault.name)]);
    const latched = (status: 'suspected' | 'confirmed'): number => picture.links.filter(({ latch }) => latch?.status === status).length;
    const { outageSince, failoverSince } = picture.health;
    const latches = { suspected: latched('suspected'), confirmed: latched('confirmed') };
    return { status: { ...view, latches, outageSince, failoverSince }, picture };
  }

  /** Of the primaries: whether a failover from them is allowed rests on it (F3). Proofs of traffic are stored at half of their age by the watch. */
  function oldestProof(pictures: readonly AccessPicture[]): StatusView['oldestProof'] {
    let oldest: (LinkAccess & { readonly provenAt: Instant }) | null = null;
    for (const one of pictures.flatMap(({ links }) => links)) {
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
      const [seen, fleet, audit, waiting] = await Promise.all([
        Promise.all(vaults.map((vault) => vaultStatus(vault, reports))),
        servers(request),
        newestAudit(),
        undelivered(),
      ]);
      return done({
        at: clock.now(),
        servers: fleet,
        vaults: seen.map(({ status }) => status),
        audit,
        oldestProof: oldestProof(seen.map(({ picture }) => picture)),
        undelivered: waiting,
        instances: reports,
      });
    },
  };
}
