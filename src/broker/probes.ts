import { accessKey } from '../domain/access.ts';
import { isDenial } from '../domain/fault.ts';
import type { KeyOperation } from '../domain/key.ts';
import type { Instant } from '../domain/time.ts';
import { wrapsGoTo } from '../policy/audit-rules.ts';
import { shapeAt } from '../policy/rate.ts';
import { consequenceOf } from '../policy/verdict.ts';
import { StoreAway } from '../ports/store.ts';
import type { Access } from './access.ts';
import { layCanary } from './canary.ts';
import type { SettleReply } from './link-replies.ts';
import type { Parts } from './parts.ts';
import { primaryLatched, primaryLatchedNow } from './witness.ts';
import type { Sight, Witness, WitnessTarget } from './witness.ts';

/**
 * While a vault does not answer, a canary goes there each `probeMs`: at first as the second witness that lets the circuit open (F2), then as
 * its probe. Each instance probes its own circuits. Ends with the first answer of the vault.
 */
export interface Probes {
  /** @param failed what met the outage, so that a canary of that kind must be answered too; absent: the circuit was found open. */
  lookAt(vault: string, target: WitnessTarget, failed?: KeyOperation): void;
}

interface ProbeParts {
  readonly parts: Parts;
  readonly access: Access;
  readonly witness: Witness;
  readonly settle: SettleReply;
  /** Told when a probe that was sent at that time found the vault well. */
  readonly onAnswer: (vault: string, sentAt: Instant) => void;
}

/** So many keys of a vault, each by one identity, are kept to probe it with, in turn. */
const mostTargets = 16;

/** What one vault is looked at with, and what of it is in doubt, whatever the circuit says. */
interface Look {
  readonly targets: Map<string, WitnessTarget>;
  unwrapsDoubted: boolean;
  wrapsDoubted: boolean;
}

export function createProbes({ parts, access, witness, settle, onAnswer }: ProbeParts): Probes {
  const { admission, circuits, clock, registry, rules } = parts;
  const looks = new Map<string, Look>();

  async function lookUntilAnswered(vault: string, look: Look): Promise<void> {
    try {
      let answered = false;
      while (!answered) {
        // A canary that was sent before the circuit opened may be answered after it, and closes nothing.
        answered = (await probeOnce(vault, look)) && circuits.state(vault).state === 'closed';
        // With nothing left to look at it ends too: the next call that meets the vault brings another target, and so does the watch.
        if (look.targets.size === 0) break;
        if (!answered) await clock.pause(rules.probeMs);
      }
    } finally {
      looks.delete(vault);
    }
  }

  /** Takes the targets in turn, so that one key that fails alone does not keep a sound vault's circuit open. */
  async function probeOnce(vault: string, look: Look): Promise<boolean> {
    const { targets } = look;
    const next = [...targets].find(([, target]) => !primaryLatched(access, target));
    if (next === undefined) return true;
    const [key, target] = next;
    targets.delete(key);
    // Who was unlinked since has nothing to look at.
    if (!(await isLinked(target))) return targets.size === 0;
    targets.set(key, target);
    const sentAt = clock.now();
    // F7: where wraps alone are out a wrap alone is asked for. A vault that throttles answers to it, and has no room for two.
    const sight = look.unwrapsDoubted || !isOpenForWrapsAlone(vault) ? await unwrapAt(target) : undefined;
    const granted = sight === undefined || sight === 'proven' || sight === 'denied';
    // F7: a vault that throttles answers too; what else is in doubt is asked for the next time.
    if (granted || sight === 'throttled') look.unwrapsDoubted = false;
    if (!granted) return false;
    if (look.wrapsDoubted || isOpenForWrapsAlone(vault)) {
      // While the vault answers no unwrap, no wrap is asked for.
      if (circuits.state(vault, 'unwrapKey').state !== 'closed') return false;
      if (!(await wrapsAnswered(await wrapTarget(look, target)))) return false;
      look.wrapsDoubted = false;
    }
    if (sight === 'proven') onAnswer(vault, sentAt);
    return true;
  }

  function isOpenForWrapsAlone(vault: string): boolean {
    return circuits.state(vault, 'unwrapKey').state === 'closed' && circuits.state(vault).state !== 'closed';
  }

  function unwrapAt(target: WitnessTarget): Promise<Sight> {
    return quietly(() => witness.look(target, 'probe'), 'undecided');
  }

  /** Whether a wrap there shows that the vault can wrap: who may not is refused also by one that can wrap nothing. */
  function isWrappedAt({ registered, link, ref }: WitnessTarget): boolean {
    return wrapsGoTo(registered.links, link) && access.known(ref)?.refused.wrapKey === undefined;
  }

  /** The one that was looked at, where wraps go to it; any other that they go to; where there is none, the vault's word counts at any key. */
  async function wrapTarget({ targets }: Look, looked: WitnessTarget): Promise<WitnessTarget> {
    if (isWrappedAt(looked)) return looked;
    for (const target of targets.values())
      if (isWrappedAt(target) && !primaryLatched(access, target) && (await isLinked(target))) return target;
    return looked;
  }

  /** F2: wraps a new canary, and drops it. What the answer says counts like any other (F4, F7). */
  async function wrapsAnswered(target: WitnessTarget): Promise<boolean> {
    const { link, ref, registered } = target;
    const vault = registry.peekVault(link.vault);
    if (vault === undefined) return false;
    const cost = { vault: vault.name, key: shapeAt(vault.kind, link), points: rules.association.points.GeneralPurpose };
    const within = rules.probeMs;
    const request = { ...cost, server: ref.server, class: 'probe', tier: 'GeneralPurpose', within } as const;
    if ((await admission.admit(request)) !== undefined) return false;
    return quietly(async () => {
      // F3: while the canary waited, access to the primary may have been taken away.
      if (await primaryLatchedNow(access, target)) return false;
      const key = { vault, keyId: link.keyId, identity: ref.identity };
      const call = { keyId: link.keyId, operation: 'wrapKey' } as const;
      const reply = await circuits.canary(vault.name, call, () => layCanary(parts, key, rules.attemptMs));
      admission.ended(cost);
      if (reply === undefined) return false;
      const denied = !reply.ok && isDenial(reply.fault.class);
      // Where no wraps go to, it is right that one is denied.
      if (denied && !wrapsGoTo(registered.links, link)) return true;
      await settle(target, 'wrap', reply);
      // F4: whether what was denied is a latch, an unwrap at the same link says that is sent after it.
      if (denied && !reply.fault.outsideValidity) await witness.look(target, 'probe');
      return reply.ok || !consequenceOf(reply.fault, 'wrap').outage;
    }, false);
  }

  /** With the store away and no copy: rather one canary too many than a circuit that nobody probes. */
  function isLinked({ ref }: WitnessTarget): Promise<boolean> {
    return quietly(async () => {
      const registered = registry.peekServer(ref.server) ?? (await registry.readServer(ref.server));
      return registered?.links.some(({ keyId }) => keyId === ref.keyId) === true;
    }, true);
  }

  async function quietly<T>(ask: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return otherwise;
    }
  }

  /** One place is for a link that wraps go to, whatever else is looked at. */
  function remember({ targets }: Look, target: WitnessTarget): void {
    const key = accessKey(target.ref);
    const [first] = targets.keys();
    if (targets.size < mostTargets || targets.has(key)) targets.set(key, target);
    else if (first !== undefined && isWrappedAt(target) && ![...targets.values()].some(isWrappedAt)) {
      targets.delete(first);
      targets.set(key, target);
    }
  }

  return {
    lookAt(vault, target, failed) {
      const known = looks.get(vault);
      // What else fails nobody knows when the first one does.
      const look = known ?? { targets: new Map<string, WitnessTarget>(), unwrapsDoubted: failed !== undefined, wrapsDoubted: false };
      if (failed === 'wrapKey') look.wrapsDoubted = true;
      else if (failed !== undefined) look.unwrapsDoubted = true;
      remember(look, target);
      if (known !== undefined) return;
      looks.set(vault, look);
      void lookUntilAnswered(vault, look);
    },
  };
}
