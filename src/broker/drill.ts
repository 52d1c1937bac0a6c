import type { Finding } from '../domain/finding.ts';
import { parseKeyId } from '../domain/key.ts';
import type { KeyId } from '../domain/key.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import { groupOf } from '../domain/server.ts';
import type { Group, Link, RegisteredServer } from '../domain/server.ts';
import { latest, rounded, span, toRfc3339 } from '../domain/time.ts';
import { associationPoints } from '../policy/association.ts';
import { deniesAccess, roomFindings } from '../policy/audit-rules.ts';
import { newestProof } from '../policy/denial.ts';
import { findingFrom, notCalled } from '../policy/fault-findings.ts';
import { findingOf, standbyFindings, standbyMissing } from '../policy/key-rules.ts';
import type { Candidate } from '../policy/key-rules.ts';
import { stateAllows } from './authority.ts';
import type { AttemptParts } from './key-call.ts';
import { createLinkCalls, letGoAsProbe } from './link-calls.ts';
import type { Looked } from './link-calls.ts';
import type { DrillReport, DrilledStandby } from './fleet-views.ts';
import type { Roads } from './roads.ts';
import { refOf, targetOf } from './witness.ts';

/**
 * Proof that each standby of a server would work now, without switching anything: it unwraps the canary that its primary wrapped, so that
 * access and parity of material are proven in one call. Standbys of former protectors too (K5).
 *
 * Where a primary denies access no call goes to its standbys, not even to look (F3): a drill of a server whose protector does is refused.
 */
export function createDrill({ parts, access, outages }: Pick<AttemptParts, 'parts' | 'access' | 'outages'>): Pick<Roads, 'drill'> {
  const { association, clock, registry, rules } = parts;
  const calls = createLinkCalls({ parts, access, outages });

  // A person waits.
  const asProbe = letGoAsProbe(parts);

  function candidateOf({ server }: RegisteredServer, link: Link): Candidate {
    const keyName = parseKeyId(link.keyId)?.name ?? '';
    return { server: server.name, keyId: link.keyId, keyName, vault: registry.peekVault(link.vault) };
  }

  async function denies(registered: RegisteredServer, { primary }: Group): Promise<boolean> {
    const ref = refOf(registered, primary);
    return deniesAccess(await access.picture(primary.vault), ref, access.provenAt(ref), {
      now: clock.now(),
      clockSkewMs: rules.gate.clockSkewMs,
    });
  }

  async function drillStandby(registered: RegisteredServer, { primary }: Group, standby: Link): Promise<DrilledStandby> {
    const target = targetOf(registered, standby);
    const candidate = candidateOf(registered, standby);
    const looked = await calls.unwrap(target, primary.canary, asProbe);
    const { counts } = await association.read(standby.vault);
    const room = { used: associationPoints(counts, rules.association), limit: rules.association.limit };
    const pair = {
      primary: { ...candidateOf(registered, primary), thumbprint: primary.thumbprint },
      standby: { ...candidate, thumbprint: standby.thumbprint },
    };
    const findings = [...unwrapFindings(candidate, looked), ...standbyFindings(pair), ...roomFindings(standby.vault, room)];
    const worked = looked.kind === 'ok' && looked.value;
    return {
      keyId: standby.keyId,
      vault: standby.vault,
      region: candidate.vault?.region ?? '',
      ok: worked && withoutError(findings),
      provenAt: worked ? looked.sentAt : latest(access.known(target.ref)?.provenAt, access.provenAt(target.ref)),
      latencyMs: looked.kind === 'ok' ? rounded(looked.ms) : null,
      findings,
    };
  }

  function drillGroup(registered: RegisteredServer, group: Group): Promise<readonly DrilledStandby[]> {
    return Promise.all(group.standbys.map((standby) => drillStandby(registered, group, standby)));
  }

  /** The standbys of a former protector that denies access. */
  function untouchedGroup(registered: RegisteredServer, { primary, standbys }: Group): Promise<readonly DrilledStandby[]> {
    const untouched = standbys.map((standby): DrilledStandby => {
      const candidate = candidateOf(registered, standby);
      const findings = [findingOf(candidate, 'ProofStale', deniedDetail(primary.keyId), 'Give back access to the primary first.')];
      const provenAt = access.known(refOf(registered, standby))?.provenAt ?? null;
      const region = candidate.vault?.region ?? '';
      return { keyId: standby.keyId, vault: standby.vault, region, ok: false, provenAt, latencyMs: null, findings };
    });
    return Promise.resolve(untouched);
  }

  /** F3: a failover also rests on a young proof of the primary. */
  async function primaryFindings(registered: RegisteredServer, { primary, standbys }: Group): Promise<readonly Finding[]> {
    const candidate = candidateOf(registered, primary);
    if (standbys.length === 0) return primary.role === 'protector' ? standbyMissing(candidate, 0) : [];
    const picture = await access.picture(primary.vault);
    const ref = refOf(registered, primary);
    const proof = latest(newestProof(picture, ref), access.provenAt(ref));
    const since = picture.health.outageSince ?? clock.now();
    if (proof !== null && span(proof, since) <= rules.gate.proofMaxAgeMs) return [];
    const detail = `a failover rests on a proof of the primary; the newest is ${proof === null ? 'none' : `of ${toRfc3339(proof)}`}`;
    return [findingOf(candidate, 'ProofStale', detail, 'See that the vault of the primary answers; the watch then renews the proof.')];
  }

  return {
    async drill(name): Promise<Outcome<DrillReport>> {
      const registered = await registry.readServer(name);
      if (registered === undefined) return refuse('NotFound', `there is no server ${name}`);
      const refusal = stateAllows(registered, 'operate', clock.now());
      if (refusal !== undefined) return { ok: false, refusal };
      const groups = registered.links.filter((link) => link.standbyOf === null).map((primary) => groupOf(registered, primary));
      const denying = new Set<Group>();
      for (const group of groups) if (await denies(registered, group)) denying.add(group);
      const protector = groups.find(({ primary }) => primary.role === 'protector');
      if (protector === undefined) return refuse('Conflict', `server ${name} has no protector`);
      if (denying.has(protector)) return refuse('Conflict', deniedDetail(protector.primary.keyId));
      const at = clock.now();
      const drilled = groups.map((group) => (denying.has(group) ? untouchedGroup(registered, group) : drillGroup(registered, group)));
      const standbys = (await Promise.all(drilled)).flat();
      const findings = (await Promise.all(groups.map((group) => primaryFindings(registered, group)))).flat();
      const ok = protector.standbys.length > 0 && standbys.every((standby) => standby.ok) && withoutError(findings);
      return done({ server: name, at, ok, standbys, findings });
    },
  };
}

function deniedDetail(primary: KeyId): string {
  return `access to ${primary} is denied: while it is, its standbys are neither used nor called, so that nothing gets round whoever took it away`;
}

function withoutError(findings: readonly Finding[]): boolean {
  return findings.every(({ severity }) => severity !== 'error');
}

function unwrapFindings(candidate: Candidate, looked: Looked<boolean>): readonly Finding[] {
  switch (looked.kind) {
    case 'fault':
      return [findingFrom(candidate, looked.fault, 'unwrap')];
    case 'circuitOpen':
    case 'heldBack':
      return [notCalled(candidate)];
    case 'ok':
      return looked.value
        ? []
        : [
            findingOf(
              candidate,
              'MaterialMismatch',
              'the standby does not unwrap what its primary wrapped',
              'Restore a backup of the primary key into the vault of the standby.',
            ),
          ];
  }
}
