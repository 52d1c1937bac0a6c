import { soundVault, untriedLink } from '../../src/domain/access.ts';
import type { AccessPicture, Latch, LinkAccess, LinkRef, VaultHealth } from '../../src/domain/access.ts';
import type { Caller, RequestContext, Role } from '../../src/domain/caller.ts';
import type { Fault } from '../../src/domain/fault.ts';
import type { KeyFacts } from '../../src/domain/key.ts';
import type { RegisteredServer, Server } from '../../src/domain/server.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { Instant } from '../../src/domain/time.ts';
import type { DenialRules, UnwrapDenial } from '../../src/policy/denial.ts';
import type { GateQuestion, GateRules } from '../../src/policy/gate.ts';
import type { Candidate, KeyContext } from '../../src/policy/key-rules.ts';
import type { StateRules } from '../../src/policy/server-state.ts';
import { aRef, aRegistered, aServer, aVault, keyId, thumbprint } from './stored-values.ts';

/** 2026-11-22T12:00:00Z: the `now` of tests of decisions. */
export const noon: Instant = instant(1_795_348_800_000);
export const second = 1000;
export const minute = 60_000;
export const hour = 3_600_000;

/** So many milliseconds after noon; before it, if negative. */
export function at(ms: number): Instant {
  return instant(noon + ms);
}

/** The numbers of the laws, as literals: a changed default must not change what these tests say. */
export const denialRules: DenialRules = { witnessAfterMs: millis(30_000), forgetAfterMs: millis(600_000) };
export const gateRules: GateRules = {
  proofMaxAgeMs: millis(900_000),
  standbyProofMaxAgeMs: millis(86_400_000),
  denialQuietMs: millis(600_000),
  clockSkewMs: millis(2000),
};
export const stateRules: StateRules = { inaccessibleAfterMs: millis(600_000), healsWithinMs: millis(28_800_000) };

/** A suspected latch, first denied at noon. */
export function aLatch(changes: Partial<Latch> = {}): Latch {
  return {
    status: 'suspected',
    class: 'revoked',
    firstDenialAt: noon,
    newestDenialAt: noon,
    witnesses: 1,
    generation: 'denial-1~1',
    code: 'ForbiddenByPolicy',
    ...changes,
  };
}

/** A denial of the link's identity, met by traffic at noon; written at once, if nothing else is said. */
export function aDenial(changes: Partial<UnwrapDenial> = {}): UnwrapDenial {
  const receivedAt = changes.receivedAt ?? noon;
  const seen = { class: 'revoked', reach: 'identity', code: 'ForbiddenByPolicy', receivedAt, id: 'denial-1' } as const;
  return { ...seen, witness: false, writtenAt: receivedAt, ...changes };
}

/** A link of which nothing is known but `changes`. */
export function anUntried(ref: LinkRef = aRef(), changes: Partial<LinkAccess> = {}): LinkAccess {
  return { ...untriedLink(ref), ...changes };
}

export function aPicture(links: readonly LinkAccess[], health: Partial<VaultHealth> = {}): AccessPicture {
  return { vault: links[0]?.ref.vault ?? 'kv-west', health: { ...soundVault, ...health }, links, readAt: noon };
}

export function aStandbyRef(changes: Partial<LinkRef> = {}): LinkRef {
  return aRef({ keyId: keyId('kv-north'), vault: 'kv-north', ...changes });
}

/**
 * A question that the gate answers with yes: the vault is down since noon, the primary was proven a minute before, the standby an hour
 * before, and nobody was denied anything. It is asked five seconds after noon.
 */
export function aQuestion(changes: Partial<GateQuestion> = {}): GateQuestion {
  return {
    now: at(5 * second),
    state: 'online',
    protectorLatch: null,
    operation: 'unwrapKey',
    primary: aRef(),
    primaryPicture: aPicture([anUntried(aRef(), { provenAt: at(-minute) })], { outageSince: noon }),
    standby: aStandbyRef(),
    standbyPicture: aPicture([anUntried(aStandbyRef(), { provenAt: at(-hour) })]),
    controlPlane: 'exists',
    ...changes,
  };
}

export function aFault(changes: Partial<Fault> = {}): Fault {
  return {
    class: 'outage',
    status: 503,
    code: null,
    detail: 'the vault is down',
    reach: null,
    mayHideDenial: false,
    outsideValidity: false,
    ...changes,
  };
}

/** A key that may become a link of sql-demo. */
export function aCandidate(changes: Partial<Candidate> = {}): Candidate {
  return { server: 'sql-demo', keyId: keyId(), keyName: 'tde', vault: aVault(), ...changes };
}

/** What a sound vault says of a sound key. */
export function someFacts(changes: Partial<KeyFacts> = {}): KeyFacts {
  return {
    keyId: keyId(),
    keyType: 'RSA',
    keySize: 2048,
    thumbprint: thumbprint(),
    publicKey: { n: 'AQAB', e: 'AQAB' },
    enabled: true,
    notBefore: null,
    expires: null,
    operations: ['wrapKey', 'unwrapKey'],
    recoveryLevel: 'Recoverable',
    vaultRegion: null,
    tenant: 'tenant-1',
    ...changes,
  };
}

export function aKeyContext(changes: Partial<KeyContext> = {}): KeyContext {
  return { engine: 'sql', serverRegion: 'westeurope', tenant: 'tenant-1', now: noon, ...changes };
}

/** The database host of `aServer()`, unless roles or object id say otherwise. */
export function aCaller(assigned: readonly Role[] = ['KeyBroker.Host'], objectId = aServer().principalId): Caller {
  return { objectId, roles: new Set(assigned) };
}

export function aContext(caller: Caller = aCaller()): RequestContext {
  return { caller, requestId: 'request-1', deadline: 10_000 };
}

/** sql-demo with one Business Critical database, `orders`, and these traits of the server. */
export function aRegisteredWith(changes: Partial<Server> = {}): RegisteredServer {
  return { ...aRegistered('sql-demo', [['orders', 'BusinessCritical']]), server: aServer('sql-demo', changes) };
}
