import type { RequestContext } from '../domain/caller.ts';
import type { Finding } from '../domain/finding.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import { groupOf } from '../domain/server.ts';
import type { Group, RegisteredServer } from '../domain/server.ts';
import { latest, span, toRfc3339 } from '../domain/time.ts';
import { deniesAccess } from '../policy/audit-rules.ts';
import { newestProof } from '../policy/denial.ts';
import { acceptable, findingOf, standbyMissing } from '../policy/key-rules.ts';
import { stateAllows } from './authority.ts';
import { candidateOf, createDrillStandby, deniedFinding } from './drill-standby.ts';
import type { DrillReport, DrilledPrimary } from './fleet-views.ts';
import type { AttemptParts } from './key-call.ts';
import { createRecords } from './records.ts';
import type { Roads } from './roads.ts';
import { refOf } from './witness.ts';

/**
 * Proof that each standby of a server would work now, without switching anything: it unwraps the canary that its primary wrapped, so that
 * access and parity of material are proven in one call. Standbys of former protectors too (K5). The records of it stay among those of key
 * operations, for whoever must show later that it was done (P3).
 *
 * Where a primary denies access no call goes to its standbys, not even to look (F3): a drill of a server whose protector does is refused.
 */
export function createDrill({ parts, access, outages }: Pick<AttemptParts, 'parts' | 'access' | 'outages'>): Pick<Roads, 'drill'> {
  const { clock, registry, rules } = parts;
  const drillStandby = createDrillStandby({ parts, access, outages });
  const keepRecord = createRecords(parts);

  async function denies(registered: RegisteredServer, { primary }: Group): Promise<boolean> {
    const ref = refOf(registered, primary);
    return deniesAccess(await access.picture(primary.vault), ref, access.provenAt(ref), {
      now: clock.now(),
      clockSkewMs: rules.gate.clockSkewMs,
    });
  }

  async function primaryOf(registered: RegisteredServer, { primary }: Group): Promise<DrilledPrimary> {
    const ref = refOf(registered, primary);
    const provenAt = latest(newestProof(await access.picture(primary.vault), ref), access.provenAt(ref));
    const { keyId, thumbprint, vault } = primary;
    return { keyId, role: primary.role === 'protector' ? 'protector' : 'additional', thumbprint, vault, provenAt };
  }

  /** F3: a failover also rests on a young proof of the primary. */
  async function primaryFindings(registered: RegisteredServer, { primary, standbys }: Group): Promise<readonly Finding[]> {
    const candidate = candidateOf(registry, registered, primary);
    if (standbys.length === 0) return primary.role === 'protector' ? standbyMissing(candidate, 0) : [];
    const { provenAt } = await primaryOf(registered, { primary, standbys });
    const since = (await access.picture(primary.vault)).health.outageSince ?? clock.now();
    if (provenAt !== null && span(provenAt, since) <= rules.gate.proofMaxAgeMs) return [];
    const detail = `a failover rests on a proof of the primary; the newest is ${provenAt === null ? 'none' : `of ${toRfc3339(provenAt)}`}`;
    return [findingOf(candidate, 'ProofStale', detail, 'See that the vault of the primary answers; the watch then renews the proof.')];
  }

  /** That it was asked for and refused is kept as well. */
  function refuseDenied(registered: RegisteredServer, { primary }: Group, context: RequestContext): ReturnType<typeof refuse> {
    const finding = deniedFinding(candidateOf(registry, registered, primary), primary);
    const record = keepRecord('drill', { server: registered.server.name, database: null }, context);
    const place = record({ link: primary, outcome: 'Conflict', attempts: [] });
    return place === null ? unrecorded : refuse('Conflict', finding.detail, { findings: [finding] });
  }

  return {
    async drill(name, context): Promise<Outcome<DrillReport>> {
      const registered = await registry.readServer(name);
      if (registered === undefined) return refuse('NotFound', `there is no server ${name}`);
      const refusal = stateAllows(registered, 'operate', clock.now());
      if (refusal !== undefined) return { ok: false, refusal };
      const groups = registered.links.filter((link) => link.standbyOf === null).map((primary) => groupOf(registered, primary));
      const denying = new Set<Group>();
      for (const group of groups) if (await denies(registered, group)) denying.add(group);
      const protector = groups.find(({ primary }) => primary.role === 'protector');
      if (protector === undefined) return refuse('Conflict', `server ${name} has no protector`);
      if (denying.has(protector)) return refuseDenied(registered, protector, context);
      const at = clock.now();
      const drilled = groups.flatMap((group) =>
        group.standbys.map((standby) => {
          const target = { registered, group, standby };
          return denying.has(group) ? drillStandby.leave(target, context) : drillStandby.prove(target, context);
        }),
      );
      const standbys = (await Promise.all(drilled)).filter((standby) => standby !== null);
      if (standbys.length < drilled.length) return unrecorded;
      const findings = (await Promise.all(groups.map((group) => primaryFindings(registered, group)))).flat();
      const ok = protector.standbys.length > 0 && standbys.every((standby) => standby.ok) && acceptable(findings);
      const primaries = await Promise.all(groups.map((group) => primaryOf(registered, group)));
      return done({ server: name, at, by: context.caller.objectId, requestId: context.requestId, ok, primaries, standbys, findings });
    },
  };
}

const unrecorded = refuse('StateUnavailable', 'the record of the drill can be kept nowhere', { retryable: true });
