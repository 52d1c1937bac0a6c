import type { VaultHealth } from '../domain/access.ts';
import type { BrokerEvent, EventType } from '../domain/event.ts';
import { toRfc3339 } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { outageMet, vaultAnswered, vaultDenied } from '../policy/outage.ts';
import { StoreAway } from '../ports/store.ts';
import type { Access } from './access.ts';
import { createSettleReply } from './link-replies.ts';
import type { OutageReports } from './link-replies.ts';
import type { Parts } from './parts.ts';
import { createProbes } from './probes.ts';
import type { Witness, WitnessTarget } from './witness.ts';
import { liveReports } from './views.ts';

/** Begins and ends of outages, by vault (F2, F3, F8). */
export interface Outages extends OutageReports {
  /** A call met an open circuit: sees to it that the circuit is probed, whatever opened it (F2). Costs a look-up where it is. */
  lookAgain(vault: string, target: WitnessTarget): void;
  /** An operation was served by a standby: one event a vault and failover, which outlasts outages that follow one another; off the road of the answer. */
  failedOver(vault: string, to: string): void;
  /** The circuit of this instance opened or closed: one event a vault (F2). Never rejects. */
  circuitChanged(vault: string, state: 'open' | 'closed'): Promise<void>;
  /**
   * Tells again what is not stored of this instance's circuits: the store was away when they changed, or they were taken out, since its reports
   * were late. Costs a look-up a vault where all is. Never rejects.
   */
  tellCircuits(): Promise<void>;
  /** Takes out the open circuits of instances that are gone. Rejects with `StoreAway`. */
  prune(vault: string): Promise<void>;
}

export function createOutages(parts: Parts, access: Access, witness: Witness): Outages {
  const { circuits, clock, log, operations, registry, rules } = parts;
  const ending = new Set<string>();
  async function quietly(
    vault: string,
    decide: (stored: VaultHealth) => { next: VaultHealth; events: BrokerEvent[] } | null,
  ): Promise<void> {
    try {
      await access.changeVault(vault, decide);
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      log('warn', 'the health of a vault could not be stored', { vault });
    }
  }

  function event(type: EventType, vault: string, data: Record<string, unknown>): BrokerEvent {
    return { id: clock.uuid(), type, subject: vault, time: clock.now(), data };
  }

  function answered(vault: string, sentAt: Instant): void {
    const { outageSince, failoverSince } = access.health(vault);
    if (outageSince !== null || failoverSince !== null) end(vault, (stored) => vaultAnswered(stored, sentAt, clock.now(), rules.gate));
  }

  function denied(vault: string, at: Instant): void {
    if (access.health(vault).failoverSince !== null) end(vault, (stored) => vaultDenied(stored, at, clock.now(), rules.gate));
  }

  /** Stores what an answer ends, off its road. */
  function end(vault: string, by: (stored: VaultHealth) => VaultHealth | null): void {
    if (ending.has(vault) || by(access.health(vault)) === null) return;
    ending.add(vault);
    void quietly(vault, (stored) => {
      const next = by(stored);
      if (next === null) return null;
      const { failoverSince } = stored;
      const over = failoverSince !== null && next.failoverSince === null;
      return { next, events: over ? [event('keybroker.failover.ended', vault, { since: toRfc3339(failoverSince) })] : [] };
    }).finally(() => ending.delete(vault));
  }

  async function circuitChanged(vault: string, state: 'open' | 'closed'): Promise<void> {
    const { instance } = operations;
    await quietly(vault, (stored) => {
      const { [instance]: mine, ...others } = stored.openAt;
      const alone = Object.keys(others).length === 0;
      if ((mine !== undefined) === (state === 'open')) return null;
      const openAt = state === 'open' ? { ...others, [instance]: clock.now() } : others;
      return {
        next: { ...stored, openAt },
        events: alone ? [event(state === 'open' ? 'keybroker.circuit.opened' : 'keybroker.circuit.closed', vault, { instance })] : [],
      };
    });
  }

  const outages: Outages = {
    lookAgain: (vault, target) => probes.lookAt(vault, target),

    async met(vault, target, at, operation) {
      // Begun before the outage is stored: also with the store away the circuit opens, and must be probed.
      probes.lookAt(vault, target, operation);
      if (outageMet(access.health(vault), at, rules.gate) === null) return;
      await access.changeVault(vault, (stored) => {
        const next = outageMet(stored, at, rules.gate);
        return next && { next, events: [] };
      });
    },

    answered,
    denied,

    failedOver(vault, to) {
      if (access.health(vault).failoverSince !== null) return;
      void quietly(vault, (stored) =>
        stored.failoverSince === null && isOut(stored)
          ? { next: { ...stored, failoverSince: clock.now() }, events: [event('keybroker.failover.started', vault, { to })] }
          : null,
      );
    },

    circuitChanged,

    async tellCircuits() {
      for (const { name } of registry.peekVaults()) {
        const state = circuits.state(name).state === 'closed' ? 'closed' : 'open';
        const seen = access.health(name).openAt[operations.instance] === undefined ? 'closed' : 'open';
        // What was seen of an open one may be old: others take it out where this instance's reports are late.
        if (state === 'open' || seen === 'open') await circuitChanged(name, state);
      }
    },

    async prune(vault) {
      if (Object.keys(access.health(vault).openAt).length === 0) return;
      const alive = new Set((await liveReports(parts)).map((report) => report.instance));
      await access.changeVault(vault, (stored) => {
        const kept = Object.entries(stored.openAt).filter(([instance]) => alive.has(instance) || instance === operations.instance);
        if (kept.length === Object.keys(stored.openAt).length) return null;
        return {
          next: { ...stored, openAt: Object.fromEntries(kept) },
          events: kept.length === 0 ? [event('keybroker.circuit.closed', vault, { instance: null })] : [],
        };
      });
    },
  };
  const settle = createSettleReply({ parts, access, outages });
  const probes = createProbes({ parts, access, witness, settle, onAnswer: answered });
  return outages;
}

/** Where wraps alone fail, each unwrap ends the outage, while the circuit stays open for wraps. */
function isOut({ outageSince, openAt }: VaultHealth): boolean {
  return outageSince !== null || Object.keys(openAt).length > 0;
}
