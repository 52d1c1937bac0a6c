import { randomUUID } from 'node:crypto';
import type { RegisteredFunction } from './core.ts';
import { parseSchedule, resolveSchedule } from './cron.ts';
import type { Schedule } from './cron.ts';
import type { InvocationRequest } from './seam.ts';

/** Wall clock and timer of the host. They do not follow the moved clock: timers do not fire by it (design section 8). */
export interface TimerClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `due` once after `ms`; returns how to call it off. */
  after(ms: number, due: () => void): () => void;
}

/** The machine's clock, read around a moved `Date`: start of the process plus monotonic time. */
export const machineClock: TimerClock = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, due) {
    const timer = setTimeout(due, ms);
    return () => clearTimeout(timer);
  },
};

export interface Timers {
  /** Functions whose schedule is unreadable, and why: as in Azure only these do not run. */
  readonly errors: readonly string[];
  stop(): void;
}

interface TimerParts {
  readonly functions: Iterable<RegisteredFunction>;
  readonly settings: Readonly<Record<string, string | undefined>>;
  readonly clock: TimerClock;
  /** Runs one invocation to its end. Never rejects. */
  readonly run: (target: RegisteredFunction, request: InvocationRequest) => Promise<void>;
}

/** A run that begins later than this after its time says `isPastDue`. */
const pastDueMs = 1000;
/** The longest wait of one `setTimeout` is below 2^31 ms. */
const longestWaitMs = 86_400_000;

/**
 * Runs timer functions by their schedules. Runs of one function never overlap in a process; of the occurrences missed meanwhile one is
 * made up for, at once. Azure runs a timer on one instance only, by a lease in blob storage; here each instance runs its own, which is the
 * harder case.
 */
export function startTimers(parts: TimerParts): Timers {
  const errors: string[] = [];
  const stops: (() => void)[] = [];
  for (const target of parts.functions) {
    const trigger = timerTrigger(target);
    if (!trigger) continue;
    try {
      if (target.metadata.retryOptions !== undefined) throw new Error('retry of a timer is not imitated by the local host');
      const schedule = parseSchedule(resolveSchedule(trigger.schedule, parts.settings));
      stops.push(startTimer(target, schedule, parts));
    } catch (error) {
      errors.push(`${target.metadata.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return {
    errors,
    stop() {
      for (const stop of stops) stop();
    },
  };
}

/** Name of the trigger binding and schedule of a timer function; undefined for another kind of function. */
export function timerTrigger(target: RegisteredFunction): { name: string; schedule: string; runOnStartup: boolean } | undefined {
  for (const [name, binding] of Object.entries(target.metadata.bindings)) {
    if (binding.type === 'timerTrigger') return { name, schedule: binding.schedule ?? '', runOnStartup: binding.runOnStartup ?? false };
  }
  return undefined;
}

/** The invocation of a timer as the host sends it: JSON in PascalCase. Times are milliseconds since the epoch; `last` 0 says never. */
export function timerRequest(binding: string, times: { last: number; next: number; isPastDue: boolean }): InvocationRequest {
  const last = times.last === 0 ? '0001-01-01T00:00:00+00:00' : new Date(times.last).toISOString();
  const timer = {
    Schedule: { AdjustForDST: true },
    ScheduleStatus: { Last: last, Next: new Date(times.next).toISOString(), LastUpdated: last },
    IsPastDue: times.isPastDue,
  };
  return { invocationId: randomUUID(), inputData: [{ name: binding, data: { json: JSON.stringify(timer) } }], triggerMetadata: {} };
}

function startTimer(target: RegisteredFunction, schedule: Schedule, { clock, run }: TimerParts): () => void {
  const binding = timerTrigger(target);
  if (!binding) return () => undefined;
  let last = 0;
  let stopped = false;
  let callOff = (): void => undefined;

  const waitFor = (due: number): void => {
    if (stopped) return;
    const wait = Math.max(0, due - clock.now());
    callOff = clock.after(Math.min(wait, longestWaitMs), () => {
      if (clock.now() < due) waitFor(due);
      else void fire(due);
    });
  };
  const fire = async (due: number): Promise<void> => {
    const begun = clock.now();
    const next = schedule.next(begun);
    await run(target, timerRequest(binding.name, { last, next: next ?? begun, isPastDue: begun - due > pastDueMs }));
    last = begun;
    if (next !== undefined) waitFor(next);
  };

  const first = schedule.next(clock.now());
  if (binding.runOnStartup) void fire(clock.now());
  else if (first !== undefined) waitFor(first);
  return () => {
    stopped = true;
    callOff();
  };
}
