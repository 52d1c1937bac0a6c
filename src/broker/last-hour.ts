import { instant, millis, minutes, plus } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { FleetMinute, VaultMinute } from '../ports/history.ts';
import { StoreAway } from '../ports/store.ts';
import type { LastHour } from './fleet-views.ts';
import { inTurns } from './in-turns.ts';
import type { Parts } from './parts.ts';
import { liveReports, worse, worstCircuit } from './views.ts';

/*
 * What each vault's rate budget and circuit did in the last hour. Each pass of the watch, every 15 s, adds what it sees to the row of the
 * minute: two requests to the store for the whole fleet and a read a vault, none of them on the road of a request. Passes of several
 * instances add up: of two sights of a minute the worse stays.
 */

const step = minutes(1);
const steps = 60;

/** So many vaults are asked for their use at once. */
const atOnce = 16;

/** Passes of the watch are so far apart: what was read less long ago is still all that there is, but for a part of the present minute. */
const readAgainMs = millis(15_000);

export interface Hours {
  /** Adds what is seen now. Rejects with `StoreAway`. */
  note(): Promise<void>;
  /** The last hour of a vault; nothing of it where the rows cannot be read, which is no reason to show nothing else. */
  read(): Promise<(vault: string) => LastHour>;
}

export function createHours(parts: Parts): Hours {
  const { admission, clock, history, log, registry } = parts;
  let known: { readonly at: Millis; readonly minutes: Promise<readonly FleetMinute[]> } | undefined;

  async function see(): Promise<FleetMinute> {
    const reports = await liveReports(parts);
    const vaults: Record<string, VaultMinute> = {};
    await inTurns(registry.peekVaults(), atOnce, async ({ name }) => {
      const { used, limit } = await admission.usage(name);
      vaults[name] = {
        // What was used before the vault was throttled may be more than its budget is now (F7).
        rate: Math.min(1, Math.round((1000 * used) / limit) / 1000),
        circuit: worstCircuit(parts, name, reports).circuit,
      };
    });
    return { at: minuteOf(clock.now()), vaults };
  }

  /** The rows are read at most once a quarter of a minute, however many look. */
  function minutesRead(): Promise<readonly FleetMinute[]> {
    if (known !== undefined && clock.elapsed() - known.at < readAgainMs) return known.minutes;
    const read = history.read();
    known = { at: clock.elapsed(), minutes: read };
    read.catch(() => (known = undefined));
    return read;
  }

  async function minutesOrNone(): Promise<readonly FleetMinute[]> {
    try {
      return await minutesRead();
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      log('warn', 'the last hour cannot be shown', { reason: error.message });
      return [];
    }
  }

  return {
    async note() {
      const seen = await see();
      await history.change(seen.at, (stored) =>
        stored === undefined ? seen : { at: seen.at, vaults: worseOf(stored.vaults, seen.vaults) },
      );
    },

    async read() {
      const from = plus(minuteOf(clock.now()), millis(-(steps - 1) * step));
      const byTime = new Map((await minutesOrNone()).map(({ at, vaults }) => [at, vaults]));
      const hour = Array.from({ length: steps }, (_unused, n) => byTime.get(plus(from, millis(n * step))));
      return (vault) => ({
        from,
        stepMs: step,
        rate: hour.map((seen) => seen?.[vault]?.rate ?? null),
        circuit: hour.map((seen) => seen?.[vault]?.circuit ?? null),
      });
    },
  };
}

function minuteOf(now: Instant): Instant {
  return instant(now - (now % step));
}

function worseOf(a: FleetMinute['vaults'], b: FleetMinute['vaults']): FleetMinute['vaults'] {
  const both = Object.entries(b).map(([vault, seen]): [string, VaultMinute] => {
    const before = a[vault];
    if (before === undefined) return [vault, seen];
    const circuit = worse[before.circuit] > worse[seen.circuit] ? before.circuit : seen.circuit;
    return [vault, { rate: Math.max(before.rate, seen.rate), circuit }];
  });
  return { ...a, ...Object.fromEntries(both) };
}
