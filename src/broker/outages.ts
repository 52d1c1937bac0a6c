import type { VaultHealth } from '../domain/access.ts';
import type { BrokerEvent, EventType } from '../domain/event.ts';
import { toRfc3339 } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { outageMet, vaultAnswered } from '../policy/outage.ts';
import { StoreAway } from '../ports/store.ts';
import type { Access } from './access.ts';
import { primaryLatched } from './witness.ts';
import type { Sight, Witness, WitnessTarget } from './witness.ts';
import type { Parts } from './parts.ts';
import { liveReports } from './views.ts';

/** Begins and ends of outages, by vault (F2, F3, F8). */
export interface Outages {
  /** A call met an outage: its beginning is durable when this resolves. Rejects with `StoreAway`. Starts looking with a canary. */
  met(vault: string, target: WitnessTarget, at: Instant): Promise<void>;
  /** A call met an open circuit: sees to it that the circuit is probed, whatever opened it (F2). Costs a look-up where it is. */
  lookAgain(vault: string, target: WitnessTarget): void;
  /** A call was answered: ends a known outage, and a failover in time, off the road of the answer. Costs a map look-up where none is known. */
  answered(vault: string, sentAt: Instant): void;
  /** An operation was served by a standby: one event a vault and outage, off the road of the answer. */
  failedOver(vault: string, to: string): void;
  /** The circuit of this instance opened or closed: one event a vault (F2). Never rejects. */
  circuitChanged(vault: string, state: 'open' | 'closed'): Promise<void>;
  /** Tells again what is not stored of this instance's circuits, since the store was away when they changed. Never rejects. */
  tellCircuits(): Promise<void>;
  /** Takes out the open circuits of instances that are gone. Rejects with `StoreAway`. */
  prune(vault: string): Promise<void>;
}

/** So many keys of a vault are kept to probe it with, in turn. */
const mostTargets = 16;

export function createOutages(parts: Parts, access: Access, witness: Witness): Outages {
  const { circuits, clock, registry, rules, log } = parts;
  const targets = new Map<string, Map<string, WitnessTarget>>();
  const watching = new Set<string>();
  const ending = new Set<string>();
  /** Vaults whose circuit here changed while the store was away. */
  const untold = new Set<string>();

  async function quietly(
    vault: string,
    decide: (stored: VaultHealth) => { next: VaultHealth; events: BrokerEvent[] } | null,
  ): Promise<boolean> {
    try {
      await access.changeVault(vault, decide);
      return true;
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      log('warn', 'the health of a vault could not be stored', { vault });
      return false;
    }
  }

  function event(type: EventType, vault: string, data: Record<string, unknown>): BrokerEvent {
    return { id: clock.uuid(), type, subject: vault, time: clock.now(), data };
  }

  /**
   * While the vault does not answer, a canary goes there each `probeMs`: at first as the second witness that lets the circuit open (F2),
   * then as its probe. Each instance probes its own circuits. Ends with the first answer of the vault.
   */
  async function lookAt(vault: string): Promise<void> {
    if (watching.has(vault)) return;
    watching.add(vault);
    try {
      let answered = false;
      while (!answered) {
        // A canary that was sent before the circuit opened may be answered after it, and closes nothing.
        answered = (await probeOnce(vault)) && circuits.state(vault).state === 'closed';
        // With nothing left to look at it ends too: the next call that meets the vault brings another target, and so does the watch.
        if ((targets.get(vault)?.size ?? 0) === 0) break;
        if (!answered) await clock.pause(rules.probeMs);
      }
    } finally {
      watching.delete(vault);
      targets.delete(vault);
    }
  }

  /** Takes the targets in turn, so that one key that fails alone does not keep a sound vault's circuit open. */
  async function probeOnce(vault: string): Promise<boolean> {
    const known = targets.get(vault);
    const next = [...(known ?? [])].find(([, target]) => !primaryLatched(access, target));
    if (known === undefined || next === undefined) return true;
    const [key, target] = next;
    known.delete(key);
    // Who was unlinked since has nothing to look at.
    if (!(await isLinked(target))) return known.size === 0;
    known.set(key, target);
    const sentAt = clock.now();
    const sight = await lookQuietly(target);
    if (sight === 'proven') answered(vault, sentAt);
    return sight === 'proven' || sight === 'denied';
  }

  /** With the store away and no copy: rather one canary too many than a circuit that nobody probes. */
  async function isLinked({ ref }: WitnessTarget): Promise<boolean> {
    try {
      const registered = registry.peekServer(ref.server) ?? (await registry.readServer(ref.server));
      return registered?.links.some(({ keyId }) => keyId === ref.keyId) === true;
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return true;
    }
  }

  async function lookQuietly(target: WitnessTarget): Promise<Sight> {
    try {
      return await witness.look(target, 'probe');
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return 'undecided';
    }
  }

  function answered(vault: string, sentAt: Instant): void {
    const health = access.health(vault);
    if (health.outageSince === null && health.failoverSince === null) return;
    if (ending.has(vault) || vaultAnswered(health, sentAt, clock.now(), rules.gate) === null) return;
    ending.add(vault);
    void quietly(vault, (stored) => {
      const next = vaultAnswered(stored, sentAt, clock.now(), rules.gate);
      if (next === null) return null;
      const { failoverSince } = stored;
      const over = failoverSince !== null && next.failoverSince === null;
      return { next, events: over ? [event('keybroker.failover.ended', vault, { since: toRfc3339(failoverSince) })] : [] };
    }).finally(() => ending.delete(vault));
  }

  function remember(vault: string, target: WitnessTarget): void {
    const known = targets.get(vault) ?? new Map<string, WitnessTarget>();
    targets.set(vault, known);
    if (known.size < mostTargets) known.set(target.ref.keyId, target);
  }

  async function circuitChanged(vault: string, state: 'open' | 'closed'): Promise<void> {
    const { instance } = parts.operations;
    untold.delete(vault);
    const told = await quietly(vault, (stored) => {
      const { [instance]: mine, ...others } = stored.openAt;
      const alone = Object.keys(others).length === 0;
      if ((mine !== undefined) === (state === 'open')) return null;
      const openAt = state === 'open' ? { ...others, [instance]: clock.now() } : others;
      return {
        next: { ...stored, openAt },
        events: alone ? [event(state === 'open' ? 'keybroker.circuit.opened' : 'keybroker.circuit.closed', vault, { instance })] : [],
      };
    });
    if (!told) untold.add(vault);
  }

  return {
    lookAgain(vault, target) {
      remember(vault, target);
      void lookAt(vault);
    },

    async met(vault, target, at) {
      remember(vault, target);
      // Begun before the outage is stored: also with the store away the circuit opens, and must be probed.
      void lookAt(vault);
      if (outageMet(access.health(vault), at, rules.gate) === null) return;
      await access.changeVault(vault, (stored) => {
        const next = outageMet(stored, at, rules.gate);
        return next && { next, events: [] };
      });
    },

    answered,

    failedOver(vault, to) {
      if (access.health(vault).failoverSince !== null) return;
      void quietly(vault, (stored) =>
        stored.failoverSince === null && stored.outageSince !== null
          ? { next: { ...stored, failoverSince: clock.now() }, events: [event('keybroker.failover.started', vault, { to })] }
          : null,
      );
    },

    circuitChanged,

    async tellCircuits() {
      for (const vault of [...untold]) await circuitChanged(vault, circuits.state(vault).state === 'closed' ? 'closed' : 'open');
    },

    async prune(vault) {
      if (Object.keys(access.health(vault).openAt).length === 0) return;
      const alive = new Set((await liveReports(parts)).map((report) => report.instance));
      await access.changeVault(vault, (stored) => {
        const kept = Object.entries(stored.openAt).filter(([instance]) => alive.has(instance) || instance === parts.operations.instance);
        if (kept.length === Object.keys(stored.openAt).length) return null;
        return {
          next: { ...stored, openAt: Object.fromEntries(kept) },
          events: kept.length === 0 ? [event('keybroker.circuit.closed', vault, { instance: null })] : [],
        };
      });
    },
  };
}
