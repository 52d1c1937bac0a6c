import type { Finding } from '../domain/finding.ts';
import { parseKeyId } from '../domain/key.ts';
import type { OperationRecord } from '../domain/operation.ts';
import type { Attempt } from '../domain/refusal.ts';
import { countDatabases } from '../domain/server.ts';
import type { Group, Link, RegisteredServer } from '../domain/server.ts';
import { latest, millis, rounded } from '../domain/time.ts';
import type { RequestContext } from '../domain/caller.ts';
import { associationPoints, carryingVaults } from '../policy/association.ts';
import { roomFindings } from '../policy/audit-rules.ts';
import { findingOfLook, notCalled } from '../policy/fault-findings.ts';
import { acceptable, findingOf, standbyFindings } from '../policy/key-rules.ts';
import type { Candidate } from '../policy/key-rules.ts';
import { consequenceOf } from '../policy/verdict.ts';
import type { DrilledStandby } from './fleet-views.ts';
import type { AttemptParts } from './key-call.ts';
import { createLinkCalls, letGoAsProbe } from './link-calls.ts';
import type { Looked } from './link-calls.ts';
import type { Parts } from './parts.ts';
import { createRecords } from './records.ts';
import { targetOf } from './witness.ts';

/** A standby of a server, with what a drill of it needs to know. */
export interface DrillTarget {
  readonly registered: RegisteredServer;
  readonly group: Group;
  readonly standby: Link;
}

/** What a drill does at one standby, or leaves undone where its primary denies access (F3). Null: the record of it can be kept nowhere (P3). */
export interface DrillStandby {
  prove(target: DrillTarget, context: RequestContext): Promise<DrilledStandby | null>;
  leave(target: DrillTarget, context: RequestContext): Promise<DrilledStandby | null>;
}

export function createDrillStandby({ parts, access, outages }: Pick<AttemptParts, 'parts' | 'access' | 'outages'>): DrillStandby {
  const { association, registry, rules } = parts;
  const calls = createLinkCalls({ parts, access, outages });
  const keepRecord = createRecords(parts);
  // A person waits.
  const asProbe = letGoAsProbe(parts);

  /** B1: the ledger counts the server at its standbys already, so that a failover brings nothing that is not in `used`. */
  async function roomAt(registered: RegisteredServer, vault: string): Promise<DrilledStandby['association']> {
    const { counts } = await association.read(vault);
    const own = carryingVaults(registered).includes(vault) ? associationPoints(countDatabases(registered.databases), rules.association) : 0;
    return { used: associationPoints(counts, rules.association), limit: rules.association.limit, ofServer: own };
  }

  /** @param looked what came of the unwrap. @param record place of its record. */
  async function tell(
    { registered, group: { primary }, standby }: DrillTarget,
    looked: Looked<boolean>,
    record: string | null,
  ): Promise<DrilledStandby | null> {
    if (record === null) return null;
    const { ref } = targetOf(registered, standby);
    const candidate = candidateOf(registry, registered, standby);
    const room = await roomAt(registered, standby.vault);
    const pair = {
      primary: { ...candidateOf(registry, registered, primary), thumbprint: primary.thumbprint },
      standby: { ...candidate, thumbprint: standby.thumbprint },
    };
    const findings = [
      ...unwrapFindings(candidate, looked, primary),
      ...(looked.kind === 'heldBack' ? [] : standbyFindings(pair)),
      ...roomFindings(standby.vault, room),
    ];
    const result = resultOf(looked);
    return {
      keyId: standby.keyId,
      standbyOf: primary.keyId,
      thumbprint: standby.thumbprint,
      vault: standby.vault,
      region: candidate.vault?.region ?? '',
      ok: result === 'proven' && acceptable(findings),
      result,
      provenAt: looked.kind === 'ok' && looked.value ? looked.sentAt : latest(access.known(ref)?.provenAt, access.provenAt(ref)),
      latencyMs: looked.kind === 'ok' ? rounded(looked.ms) : null,
      association: room,
      record,
      findings,
    };
  }

  function begin({ registered }: DrillTarget, context: RequestContext): ReturnType<typeof keepRecord> {
    return keepRecord('drill', { server: registered.server.name, database: null }, context);
  }

  return {
    async prove(target, context) {
      const { registered, group, standby } = target;
      const record = begin(target, context);
      const looked = await calls.unwrap(targetOf(registered, standby), group.primary.canary, asProbe);
      return tell(target, looked, record({ link: standby, outcome: outcomeOf(looked), attempts: attemptsOf(standby, looked) }));
    },
    leave: (target, context) => tell(target, heldBack, begin(target, context)({ link: target.standby, outcome: 'Conflict', attempts: [] })),
  };
}

const heldBack = { kind: 'heldBack' } as const;

/** The link as findings name it. */
export function candidateOf(registry: Pick<Parts['registry'], 'peekVault'>, { server }: RegisteredServer, link: Link): Candidate {
  const keyName = parseKeyId(link.keyId)?.name ?? '';
  return { server: server.name, keyId: link.keyId, keyName, vault: registry.peekVault(link.vault) };
}

/** F3: what a drill says where a primary denies access. */
export function deniedFinding(candidate: Candidate, primary: Link): Finding {
  const detail = `access to ${primary.keyId} is denied: while it is, its standbys are neither used nor called, so that nothing gets round whoever took it away`;
  return findingOf(candidate, 'ProofStale', detail, 'Give back access to the primary first.');
}

/** A vault that throttles, or whose budget was used up, did not say whether the standby works. */
function resultOf(looked: Looked<boolean>): DrilledStandby['result'] {
  if (looked.kind === 'ok') return looked.value ? 'proven' : 'failed';
  const undecided =
    looked.kind === 'noRoom' || looked.kind === 'heldBack' || (looked.kind === 'fault' && looked.fault.class === 'throttled');
  return undecided ? 'notProven' : 'failed';
}

function outcomeOf(looked: Looked<boolean>): OperationRecord['outcome'] {
  switch (looked.kind) {
    case 'ok':
      return looked.value ? 'ok' : 'CiphertextRejected';
    case 'fault':
      return consequenceOf(looked.fault, 'unwrap').code;
    case 'circuitOpen':
      return 'VaultUnavailable';
    case 'noRoom':
      return 'Throttled';
    case 'heldBack':
      return 'Conflict';
  }
}

function attemptsOf({ vault }: Link, looked: Looked<boolean>): readonly Attempt[] {
  const at = { vault, role: 'standby' } as const;
  switch (looked.kind) {
    case 'ok':
      return [{ ...at, class: 'ok', status: 200, vaultCode: null, ms: rounded(looked.ms) }];
    case 'fault':
      return [{ ...at, class: looked.fault.class, status: looked.fault.status, vaultCode: looked.fault.code, ms: rounded(looked.ms) }];
    case 'circuitOpen':
      return [{ ...at, class: 'circuitOpen', status: null, vaultCode: null, ms: millis(0) }];
    case 'noRoom':
    case 'heldBack':
      return [];
  }
}

function unwrapFindings(candidate: Candidate, looked: Looked<boolean>, primary: Link): readonly Finding[] {
  switch (looked.kind) {
    case 'fault':
      return [findingOfLook(candidate, looked.fault, 'unwrap')];
    case 'circuitOpen':
      return [notCalled(candidate, 'circuitOpen')];
    case 'noRoom':
      return [{ ...notCalled(candidate, 'noRoom'), severity: 'warning' }];
    case 'heldBack':
      return [deniedFinding(candidate, primary)];
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
