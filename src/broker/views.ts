import { soundVault } from '../domain/access.ts';
import type { AccessPicture, VaultHealth } from '../domain/access.ts';
import { countDatabases } from '../domain/server.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import { instant, millis, plus, rounded, span } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import { associationPoints } from '../policy/association.ts';
import { newestDenialReaching } from '../policy/denial.ts';
import { standingAt } from '../policy/server-state.ts';
import type { CircuitState } from '../ports/circuits.ts';
import type { InstanceReport, VaultReport } from '../ports/instances.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import type { Access } from './access.ts';
import type { Parts } from './parts.ts';
import type { VaultView } from './fleet-views.ts';
import type { LinkView, ServerView } from './roads.ts';
import { refOf } from './witness.ts';

/** The server as its readers see it, at this moment: its clock runs on without a write (A5). */
export function viewServer(registered: RegisteredServer, now: Instant): ServerView {
  return { ...registered.server, ...standingAt(registered.server, now), databases: countDatabases(registered.databases) };
}

/** The links of a server with what the store knows of access to them. Rejects with `StoreAway`. */
export async function viewLinks(parts: Parts, access: Access, registered: RegisteredServer): Promise<readonly LinkView[]> {
  const names = [...new Set(registered.links.map((link) => link.vault))];
  const read = await Promise.all(names.map((vault) => access.picture(vault)));
  const pictures = new Map(read.map((picture) => [picture.vault, picture]));
  const order = { protector: 0, additional: 1, standby: 2 } as const;
  const links = [...registered.links].sort((a, b) => order[a.role] - order[b.role] || a.rank - b.rank);
  return links.map((link) => viewLink(parts, registered, link, pictures.get(link.vault)));
}

function viewLink(
  { clock, registry, rules }: Parts,
  registered: RegisteredServer,
  link: Link,
  picture: AccessPicture | undefined,
): LinkView {
  const { canary: _canary, rank: _rank, linkedAt: _linkedAt, ...shown } = link;
  const ref = refOf(registered, link);
  const seen = picture ?? { vault: link.vault, links: [], health: soundVault, readAt: instant(0) };
  const access = seen.links.find((one) => one.ref.server === ref.server && one.ref.keyId === ref.keyId);
  const denial = newestDenialReaching(seen, ref);
  const quietUntil = denial === null ? null : plus(denial, rules.gate.denialQuietMs);
  return {
    ...shown,
    region: registry.peekVault(link.vault)?.region ?? '',
    latch: access?.latch ?? null,
    failoverFrom: quietUntil !== null && span(clock.now(), quietUntil) > 0 ? quietUntil : null,
    provenAt: access?.provenAt ?? null,
  };
}

export const worse: Readonly<Record<CircuitState, number>> = { closed: 0, halfOpen: 1, open: 2 };

/** Where an instance has said nothing of a vault yet. */
const unsaid: VaultReport = { circuit: 'closed', since: null, p50Ms: null, p99Ms: null };

/**
 * What is known of each instance's circuit to the vault; this one first. Reports are up to 15 s old; which circuits are open is stored as they
 * change, with the events that tell of it, so it goes before them. One that is gone has its circuit open until that is taken out.
 */
function saidOf(
  parts: Parts,
  vault: string,
  reports: readonly InstanceReport[],
  health: VaultHealth | undefined,
): readonly [VaultReport, ...VaultReport[]] {
  const said = new Map(reports.map((report) => [report.instance, report.vaults[vault] ?? unsaid]));
  if (health !== undefined) {
    for (const instance of new Set([...said.keys(), ...Object.keys(health.openAt)]))
      said.set(instance, asStored(said.get(instance) ?? unsaid, health.openAt[instance]));
  }
  said.delete(parts.operations.instance);
  return [ownReport(parts, vault), ...said.values()];
}

function asStored(said: VaultReport, openedAt: Instant | undefined): VaultReport {
  if (openedAt !== undefined) return { ...said, circuit: said.circuit === 'halfOpen' ? 'halfOpen' : 'open', since: openedAt };
  return said.circuit === 'closed' ? said : { ...said, circuit: 'closed', since: null };
}

function worstOf(said: readonly [VaultReport, ...VaultReport[]]): VaultReport {
  return said.reduce((a, b) => (worse[b.circuit] > worse[a.circuit] ? b : a));
}

/** The worst that an instance reports of its circuit to the vault (F2), nothing being read of the vault for it. */
export function worstCircuit(parts: Parts, vault: string, reports: readonly InstanceReport[]): VaultReport {
  return worstOf(saidOf(parts, vault, reports, undefined));
}

/** What is stored of the vault's circuits and outages, at most a second old; undefined where it cannot be read. */
export async function storedHealth(access: Pick<Access, 'changeVault'>, vault: string): Promise<VaultHealth | undefined> {
  try {
    return await access.changeVault(vault, () => null);
  } catch (error) {
    if (!(error instanceof StoreAway)) throw error;
    return undefined;
  }
}

/**
 * A vault with its circuit over all instances: the worst shows, with how many see what (F2). Without its health it goes by the reports alone.
 * Rejects with `StoreAway`.
 */
export async function viewVault(
  parts: Parts,
  vault: Vault,
  reports: readonly InstanceReport[],
  health: VaultHealth | undefined,
): Promise<VaultView> {
  const { admission, rules } = parts;
  const used = await pointsUsed(parts, vault.name);
  const seen = saidOf(parts, vault.name, reports, health);
  const worst = worstOf(seen);
  const [mine] = seen;
  const count = (state: CircuitState): number => seen.filter((report) => report.circuit === state).length;
  return {
    ...vault,
    circuit: {
      state: worst.circuit,
      since: worst.since === null ? null : instant(worst.since),
      instances: { closed: count('closed'), open: count('open'), halfOpen: count('halfOpen') },
    },
    association: { used, limit: rules.association.limit },
    rate: await admission.usage(vault.name),
    latencyMs: { p50: orNull(mine.p50Ms), p99: orNull(mine.p99Ms) },
  };
}

/** Where the sum cannot be read nothing more fits (B1): the vault shows as full. */
async function pointsUsed({ association, rules }: Parts, vault: string): Promise<number> {
  try {
    return associationPoints((await association.read(vault)).counts, rules.association);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return rules.association.limit;
  }
}

function orNull(ms: number | null): VaultView['latencyMs']['p50'] {
  return ms === null ? null : rounded(millis(ms));
}

/** What this instance says of a vault. */
export function ownReport({ circuits, latencies }: Pick<Parts, 'circuits' | 'latencies'>, vault: string): VaultReport {
  const { state, since } = circuits.state(vault);
  return { circuit: state, since, ...latencies.of(vault) };
}

/** Reports of instances that are alive. */
export async function liveReports({
  clock,
  instances,
  rules,
}: Pick<Parts, 'clock' | 'instances' | 'rules'>): Promise<readonly InstanceReport[]> {
  const now = clock.now();
  return (await instances.read()).filter((report) => Math.abs(now - report.at) <= rules.instanceGoneMs);
}
