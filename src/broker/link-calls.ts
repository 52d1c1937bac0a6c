import type { Fault } from '../domain/fault.ts';
import type { KeyFacts } from '../domain/key.ts';
import type { Canary } from '../domain/server.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import { operationOf } from '../policy/fault-findings.ts';
import type { ProofStep } from '../policy/fault-findings.ts';
import { shapeAt } from '../policy/rate.ts';
import type { AdmissionRequest } from '../ports/admission.ts';
import type { KeyTarget, Reply } from '../ports/vault.ts';
import { layCanary, proveCanary } from './canary.ts';
import type { AttemptParts } from './key-call.ts';
import { createSettleReply } from './link-replies.ts';
import type { Parts } from './parts.ts';
import { primaryLatchedNow } from './witness.ts';
import { vaultOf } from './vault-of.ts';
import type { WitnessTarget } from './witness.ts';

/**
 * What came of a call that a person or a timer asked for, not a host. It was not made where the circuit is open, where the vault's budget had
 * no room in time (`noRoom`), and where the primary of the link was latched meanwhile (`heldBack`, F3).
 */
export type Looked<T> =
  | { readonly kind: 'ok'; readonly value: T; readonly sentAt: Instant; readonly ms: Millis }
  | { readonly kind: 'fault'; readonly fault: Fault; readonly ms: Millis }
  | { readonly kind: 'circuitOpen' }
  | { readonly kind: 'noRoom' }
  | { readonly kind: 'heldBack' };

/** Lets a call go to the vault, or not; resolves when it is decided. */
export type LetGo = (request: Omit<AdmissionRequest, 'class' | 'within'>) => Promise<boolean>;

/** Behind traffic, but by the share that is kept for probes. */
export function letGoAsProbe({ admission, rules }: Pick<Parts, 'admission' | 'rules'>): LetGo {
  return async (request) => (await admission.admit({ ...request, class: 'probe', within: rules.probeMs })) === undefined;
}

/**
 * Calls to linked keys outside of traffic. What they meet counts like anything else (`SettleReply`), and a canary that unwraps is a proof.
 * All reject with `StoreAway`: a denial that could not be stored is kept by `Access`.
 */
export interface LinkCalls {
  get(target: WitnessTarget, letGo: LetGo): Promise<Looked<KeyFacts>>;
  /** Wraps a new canary, and drops it. */
  wrap(target: WitnessTarget, letGo: LetGo): Promise<Looked<Canary>>;
  /** @param canary what a key of the same material wrapped. The value says whether what came out is what went in. */
  unwrap(target: WitnessTarget, canary: Canary, letGo: LetGo): Promise<Looked<boolean>>;
}

export function createLinkCalls(all: Pick<AttemptParts, 'parts' | 'access' | 'outages'>): LinkCalls {
  const { parts, access } = all;
  const { circuits, registry, rules, vaults } = parts;
  const settle = createSettleReply(all);

  async function look<T>(
    target: WitnessTarget,
    step: ProofStep,
    how: { readonly letGo: LetGo; readonly send: (key: KeyTarget) => Promise<Reply<T>> },
  ): Promise<Looked<T>> {
    const { link, ref } = target;
    const vault = registry.peekVault(link.vault) ?? (await vaultOf(registry, link.vault));
    // Vaults are never taken out of the registry: a link whose vault is not there was written by hand.
    if (vault === undefined) return { kind: 'circuitOpen' };
    const request = requestFor(target, vault);
    if (!(await how.letGo(request))) return { kind: 'noRoom' };
    // F3: while the call waited, access to the primary may have been taken away.
    if (await primaryLatchedNow(access, target)) return { kind: 'heldBack' };
    const reply = await circuits.through(vault.name, { keyId: link.keyId, operation: operationOf[step] }, () =>
      how.send({ vault, keyId: link.keyId, identity: ref.identity }),
    );
    parts.admission.ended(request);
    if (reply === undefined) return { kind: 'circuitOpen' };
    await settle(target, step, reply);
    if (!reply.ok) return { kind: 'fault', fault: reply.fault, ms: reply.ms };
    return { kind: 'ok', value: reply.value, sentAt: reply.sentAt, ms: reply.ms };
  }

  function requestFor({ link, ref }: WitnessTarget, vault: Vault): Parameters<LetGo>[0] {
    const key = shapeAt(vault.kind, { keyType: link.keyType, keySize: link.keySize });
    return { vault: vault.name, server: ref.server, key, tier: 'GeneralPurpose', points: 2 };
  }

  return {
    get: (target, letGo) => look(target, 'get', { letGo, send: (key) => vaults.get(key, rules.attemptMs) }),
    wrap: (target, letGo) => look(target, 'wrap', { letGo, send: (key) => layCanary(parts, key, rules.attemptMs) }),
    async unwrap(target, canary, letGo) {
      const known: { generation: string | null } = { generation: null };
      const looked = await look(target, 'unwrap', {
        letGo,
        send(key) {
          known.generation = access.known(target.ref)?.latch?.generation ?? null;
          return proveCanary(vaults, key, canary, rules.attemptMs);
        },
      });
      if (looked.kind === 'ok' && looked.value) await access.proven(target.ref, { sentAt: looked.sentAt, known: known.generation });
      return looked;
    },
  };
}
