import { constants, createHash, createPublicKey, publicEncrypt } from 'node:crypto';
import type { LinkRef } from '../domain/access.ts';
import { isDenial } from '../domain/fault.ts';
import type { Finding } from '../domain/finding.ts';
import type { KeyFacts } from '../domain/key.ts';
import type { Canary } from '../domain/server.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { KeyShape } from '../domain/vault.ts';
import { findingFrom, notCalled, operationOf } from '../policy/fault-findings.ts';
import type { ProofStep } from '../policy/fault-findings.ts';
import { acceptable, factFindings, findingOf } from '../policy/key-rules.ts';
import type { Candidate, KeyContext } from '../policy/key-rules.ts';
import type { KeyTarget, Reply } from '../ports/vault.ts';
import { layCanary, proveCanary } from './canary.ts';
import type { Parts } from './parts.ts';

/** What asking a vault about a candidate gave. */
export interface ProvenKey {
  readonly candidate: Candidate;
  readonly facts: KeyFacts | undefined;
  readonly canary: Canary | undefined;
  /** When the unwrap that proves access was sent; undefined if none succeeded. */
  readonly provenAt: Instant | undefined;
  readonly findings: readonly Finding[];
  /** What the vault answered, step by step. */
  readonly replies: readonly StepReply[];
  /** Where the budget of the vault kept a step from being tried: when it is worth trying again. Null: nothing was kept back. */
  readonly retryAfterMs: Millis | null;
}

export interface StepReply {
  readonly step: ProofStep;
  readonly reply: Reply<unknown>;
}

/** Asked right before each call to the vault, after whatever it waited for. @returns what is found where it is not to be made. Rejects with `StoreAway`. */
export type HeldBack = () => Promise<Finding | undefined>;

/** Told of each answer before the next call: what it says holds from then on (F4). Rejects with `StoreAway`: then nothing more is asked. */
export type Settled = (met: StepReply) => Promise<void>;

/** In whose name and for what use a key is proven. */
export interface ProofWish {
  readonly identity: string | null;
  readonly heldBack: HeldBack;
  readonly settled: Settled;
  readonly use: 'protector' | 'additional';
  /** The canary of the link, where the key is linked already: it tells whether unwrap works where no new one can be laid (F4). */
  readonly canary: Canary | undefined;
}

export interface ProveKey {
  /** K4 at one key: GET, canary wrap, canary unwrap; each step that can be tried is, so that all findings come at once. Rejects with `StoreAway`. */
  prove(candidate: Candidate, context: KeyContext, wish: ProofWish): Promise<ProvenKey>;
  /** Unwraps at `standby` what was wrapped at its primary: proves the same material, not only the same public part. Rejects with `StoreAway`. */
  proveParity(
    standby: ProvenKey,
    primary: ProvenKey,
    wish: Pick<ProofWish, 'identity' | 'heldBack' | 'settled'>,
  ): Promise<Pick<ProvenKey, 'findings' | 'retryAfterMs'>>;
}

/** The budget counts a key of which nothing is known yet like a costly one. */
const notYetKnown = { keyType: 'RSA-HSM', keySize: 4096 };

/** What one step gave. */
interface Step {
  readonly findings: readonly Finding[];
  /** Absent where the vault was not called. */
  readonly met?: StepReply;
  readonly retryAfterMs?: Millis;
}

const untried: Step & { readonly canary?: Canary } = { findings: [] };

/** Which key is asked about, and what may keep it from being asked. */
interface Asking {
  readonly candidate: Candidate;
  readonly target: KeyTarget;
  readonly heldBack: HeldBack;
  readonly settled: Settled;
}

/** What the vault answered, or why it was not called. */
type Asked<T> = { readonly reply: Reply<T>; readonly met: StepReply } | { readonly notCalled: Step };

export function createProveKey(parts: Pick<Parts, 'admission' | 'circuits' | 'clock' | 'rules' | 'vaults'>): ProveKey {
  const { admission, circuits, rules, vaults } = parts;

  /** One call behind all real traffic, counted like any other. It is of the people's work, so the share that is kept for probes is not for it. */
  async function ask<T>(
    { candidate, target, heldBack, settled }: Asking,
    step: ProofStep,
    key: KeyShape,
    call: () => Promise<Reply<T>>,
  ): Promise<Asked<T>> {
    const { name } = target.vault;
    const cost = { vault: name, key, points: rules.association.points.GeneralPurpose };
    const { server } = candidate;
    const retryAfterMs = await admission.admit({ ...cost, server, class: 'audit', tier: 'GeneralPurpose', within: rules.attemptMs });
    if (retryAfterMs !== undefined) return { notCalled: { findings: [notCalled(candidate, 'noRoom')], retryAfterMs } };
    const found = await heldBack();
    if (found !== undefined) return { notCalled: { findings: [found] } };
    // An open circuit that nobody else has a key to probe with is probed by who proves one.
    const operation = operationOf[step];
    const way = circuits.state(name, operation).state === 'closed' ? circuits.through : circuits.canary;
    const reply = await way(name, { keyId: target.keyId, operation }, call);
    admission.ended(cost);
    if (reply === undefined) return { notCalled: { findings: [notCalled(candidate, 'circuitOpen')] } };
    const met = { step, reply };
    await settled(met);
    return { reply, met };
  }

  async function lay(asking: Asking, facts: KeyFacts | undefined, wish: ProofWish): Promise<Step & { readonly canary?: Canary }> {
    const { candidate, target } = asking;
    const asked = await ask(asking, 'wrap', facts ?? notYetKnown, () => layCanary(parts, target, rules.attemptMs));
    if ('notCalled' in asked) return asked.notCalled;
    const { reply, met } = asked;
    if (reply.ok) return { met, canary: reply.value, findings: [] };
    const told = { met, findings: [findingFrom(candidate, reply.fault, 'wrap')] };
    if (!isDenial(reply.fault.class)) return told;
    // Unwrap is tried all the same: it is a right of its own, and for an additional key the only one that counts.
    const canary = facts?.publicKey === undefined ? wish.canary : layHere(facts.publicKey, parts.clock.randomBytes(32));
    if (canary === undefined) return told;
    const mayNotWrap = reply.fault.outsideValidity || reply.fault.code === 'KeyOperationForbidden';
    return wish.use === 'additional' && mayNotWrap ? { met, canary, findings: [] } : { ...told, canary };
  }

  async function unwrapHere(
    asking: Asking,
    facts: KeyFacts | undefined,
    canary: Canary | undefined,
  ): Promise<Step & { readonly provenAt?: Instant }> {
    if (canary === undefined) return { findings: [] };
    const { candidate, target } = asking;
    const asked = await ask(asking, 'unwrap', facts ?? notYetKnown, () => proveCanary(vaults, target, canary, rules.attemptMs));
    if ('notCalled' in asked) return asked.notCalled;
    const { reply, met } = asked;
    if (!reply.ok) return { met, findings: [findingFrom(candidate, reply.fault, 'unwrap')] };
    if (reply.value) return { met, provenAt: reply.sentAt, findings: [] };
    return {
      met,
      findings: [
        findingOf(
          candidate,
          'MaterialMismatch',
          'what was wrapped does not unwrap to itself',
          'Name the key version that holds the material.',
        ),
      ],
    };
  }

  return {
    async prove(candidate, context, wish) {
      const { keyId, vault } = candidate;
      const nothing = {
        candidate,
        facts: undefined,
        canary: undefined,
        provenAt: undefined,
        findings: [],
        replies: [],
        retryAfterMs: null,
      };
      if (vault === undefined) return nothing;
      const target = { vault, keyId, identity: wish.identity };
      const asking = { candidate, target, heldBack: wish.heldBack, settled: wish.settled };
      const asked = await ask(asking, 'get', notYetKnown, () => vaults.get(target, rules.attemptMs));
      if ('notCalled' in asked) return { ...nothing, ...asked.notCalled };
      const got = asked.reply;
      const facts = got.ok ? got.value : undefined;
      const findings = got.ok ? factFindings(candidate, got.value, context, wish.use) : [findingFrom(candidate, got.fault, 'get')];
      const seen: Step = { met: asked.met, findings };
      // A vault that does not answer would say the same three times over.
      const laid = got.ok || isDenial(got.fault.class) ? await lay(asking, facts, wish) : untried;
      const unwrapped = await unwrapHere(asking, facts, laid.canary);
      const steps: readonly Step[] = [seen, laid, unwrapped];
      return {
        candidate,
        facts,
        canary: laid.canary,
        provenAt: unwrapped.provenAt,
        findings: distinct(steps.flatMap((step) => step.findings)),
        replies: steps.flatMap((step) => step.met ?? []),
        retryAfterMs: laid.retryAfterMs ?? unwrapped.retryAfterMs ?? null,
      };
    },

    async proveParity(standby, primary, { identity, ...wish }) {
      const { candidate, facts } = standby;
      const { vault, keyId } = candidate;
      if (vault === undefined || primary.canary === undefined || !acceptable(standby.findings)) return { findings: [], retryAfterMs: null };
      const asking = { candidate, target: { vault, keyId, identity }, ...wish };
      const { findings, met, retryAfterMs = null } = await unwrapHere(asking, facts, primary.canary);
      const told = findings.map((finding): Finding =>
        met === undefined || finding.code === 'KeyUnreachable'
          ? finding
          : { ...finding, code: 'MaterialMismatch', action: 'Restore a backup of the primary key into the vault of the standby.' },
      );
      return { findings: told, retryAfterMs };
    },
  };
}

/** A key that is disabled, say, shows in its attributes and in the refusal of wrap: it is told once. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [finding.code, finding])).values()];
}

/**
 * A canary for an earlier key that may only unwrap by now. C1 forbids to wrap a DEK with the public key, since a wrap that the vault never
 * saw can be neither revoked nor audited; a canary guards nothing, and the vault sees its unwrap.
 */
function layHere({ n, e }: NonNullable<KeyFacts['publicKey']>, value: Uint8Array): Canary {
  const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
  const wrapped = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, value);
  const sha256 = createHash('sha256').update(value).digest('base64url');
  value.fill(0);
  return { wrapped: wrapped.toString('base64url'), sha256, algorithm: 'RSA-OAEP-256' };
}

/** The reference of a candidate's link. */
export function candidateRef(candidate: Candidate, identity: string | null): LinkRef {
  return { server: candidate.server, keyId: candidate.keyId, vault: candidate.vault?.name ?? '', identity };
}
