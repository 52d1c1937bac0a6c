import { accessKey } from '../domain/access.ts';
import { isDenial } from '../domain/fault.ts';
import type { FaultClass } from '../domain/fault.ts';
import type { KeyId, KeyOperation } from '../domain/key.ts';
import type { Instant } from '../domain/time.ts';
import { wrapsGoTo } from '../policy/audit-rules.ts';
import { shapeAt } from '../policy/rate.ts';
import { consequenceOf } from '../policy/verdict.ts';
import { StoreAway } from '../ports/store.ts';
import type { Access } from './access.ts';
import { layCanary } from './canary.ts';
import type { SettleReply } from './link-replies.ts';
import type { Parts } from './parts.ts';
import { primaryLatched, primaryLatchedNow, targetOf } from './witness.ts';
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

/** An answer of such a kind says of no vault that it is alive. */
const saysNothing: ReadonlySet<FaultClass> = new Set(['ambiguous', 'identityOutage']);

/** So many keys of a vault, each by one identity, are kept to probe it with, in turn. */
const mostTargets = 16;

/** What one vault is looked at with, and what of it is in doubt, whatever the circuit says. */
interface Look {
  readonly targets: Map<string, WitnessTarget>;
  unwrapsDoubted: boolean;
  /** The keys whose wraps met an outage. */
  readonly wrapsDoubted: Set<KeyId>;
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

  /**
   * In turn, so that one key that fails alone does not keep a sound vault's circuit open. Where all are held back, any other link in the vault:
   * else nobody would probe the circuit before the next call that meets it.
   */
  async function nextTarget(vault: string, { targets }: Look): Promise<WitnessTarget | undefined> {
    for (const [key, known] of [...targets]) {
      if (primaryLatched(access, known)) continue;
      targets.delete(key);
      const target = await asLinked(known);
      // Who was unlinked since has nothing to look at.
      if (target === undefined) continue;
      targets.set(key, target);
      return target;
    }
    const others = circuits.state(vault).state === 'closed' ? [] : (await linkedIn(vault)).filter((one) => !primaryLatched(access, one));
    // Those that are held back must not keep others from their place.
    if (others.length > 0 || targets.size >= mostTargets) targets.clear();
    const inOrder = isOpenForWrapsAlone(vault) ? others.toSorted((a, b) => Number(isWrappedAt(b)) - Number(isWrappedAt(a))) : others;
    const [first, ...rest] = inOrder.slice(0, mostTargets);
    for (const other of first === undefined ? [] : [...rest, first]) targets.set(accessKey(other.ref), other);
    return first;
  }

  async function probeOnce(vault: string, look: Look): Promise<boolean> {
    const target = await nextTarget(vault, look);
    if (target === undefined) return true;
    const sentAt = clock.now();
    // F7: where wraps alone are out a wrap alone is asked for. A vault that throttles answers to it, and has no room for two.
    const sight = look.unwrapsDoubted || !isOpenForWrapsAlone(vault) ? await unwrapAt(target) : undefined;
    const granted = sight === undefined || sight === 'proven' || sight === 'denied';
    // F7: a vault that throttles answers too; what else is in doubt is asked for the next time.
    if (granted || sight === 'throttled') look.unwrapsDoubted = false;
    if (!granted) return false;
    if (look.wrapsDoubted.size > 0 || isOpenForWrapsAlone(vault)) {
      // While the vault answers no unwrap, no wrap is asked for.
      if (circuits.state(vault, 'unwrapKey').state !== 'closed') return false;
      const doubted = new Set(look.wrapsDoubted);
      if (!(await wrapsAnswered(await wrapTarget(look, target)))) return false;
      for (const keyId of doubted) look.wrapsDoubted.delete(keyId);
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

  /**
   * While the circuit is closed, one whose key is not in doubt, since a key that fails alone opens no circuit (F2). Else the one that was
   * looked at, where wraps go to it, or any other that they go to; where there is none, the vault's word counts at any key.
   */
  async function wrapTarget(look: Look, looked: WitnessTarget): Promise<WitnessTarget> {
    const { vault } = looked.link;
    const known = [looked, ...look.targets.values()];
    const isOther = ({ link }: WitnessTarget): boolean => !look.wrapsDoubted.has(link.keyId);
    const other =
      circuits.state(vault).state === 'closed'
        ? ((await firstWrapped(known.filter(isOther))) ?? (await firstWrapped((await linkedIn(vault)).filter(isOther))))
        : undefined;
    return other ?? (await firstWrapped(known)) ?? looked;
  }

  async function firstWrapped(targets: readonly WitnessTarget[]): Promise<WitnessTarget | undefined> {
    for (const target of targets) {
      if (!isWrappedAt(target) || primaryLatched(access, target)) continue;
      const linked = await asLinked(target);
      if (linked !== undefined && isWrappedAt(linked)) return linked;
    }
    return undefined;
  }

  /** The links in the vault, of servers that this instance knows. */
  function linkedIn(vault: string): Promise<readonly WitnessTarget[]> {
    return quietly(async () => {
      const { links } = await access.picture(vault);
      return links.flatMap(({ ref, latch }) => {
        const registered = latch === null ? registry.peekServer(ref.server) : undefined;
        const link = registered?.links.find(({ keyId }) => keyId === ref.keyId);
        return registered === undefined || link === undefined ? [] : [targetOf(registered, link)];
      });
    }, []);
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
      return reply.ok || !(consequenceOf(reply.fault, 'wrap').outage || saysNothing.has(reply.fault.class));
    }, false);
  }

  /**
   * The link as it is now; undefined where it is linked no more. With the store away and no copy as it was: rather one canary too many than a
   * circuit that nobody probes.
   */
  function asLinked(target: WitnessTarget): Promise<WitnessTarget | undefined> {
    const { ref } = target;
    return quietly(async () => {
      const registered = registry.peekServer(ref.server) ?? (await registry.readServer(ref.server));
      const link = registered?.links.find(({ keyId }) => keyId === ref.keyId);
      return registered === undefined || link === undefined ? undefined : targetOf(registered, link);
    }, target);
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
      const look = known ?? { targets: new Map(), unwrapsDoubted: failed !== undefined, wrapsDoubted: new Set() };
      if (failed === 'wrapKey') look.wrapsDoubted.add(target.link.keyId);
      else if (failed !== undefined) look.unwrapsDoubted = true;
      remember(look, target);
      if (known !== undefined) return;
      looks.set(vault, look);
      void lookUntilAnswered(vault, look);
    },
  };
}
