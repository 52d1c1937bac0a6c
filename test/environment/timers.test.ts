import { expect, it } from 'vitest';
import { startTimers } from '../local/functions-host/timers.ts';
import type { TimerClock } from '../local/functions-host/timers.ts';
import type { InvocationRequest } from '../local/functions-host/seam.ts';

/** A clock that is moved by hand; what is due runs in order. */
function manualClock(start: string): TimerClock & { to(at: string): Promise<void>; jump(at: string): Promise<void> } {
  let now = Date.parse(start);
  let waiting: { at: number; due: () => void }[] = [];
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const runDue = async (until: number): Promise<void> => {
    for (;;) {
      const [next] = waiting.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) return;
      waiting = waiting.filter((one) => one !== next);
      now = Math.max(now, next.at);
      next.due();
      await settle();
    }
  };
  return {
    now: () => now,
    after(ms, due) {
      const one = { at: now + ms, due };
      waiting.push(one);
      return () => (waiting = waiting.filter((other) => other !== one));
    },
    async to(at) {
      await runDue(Date.parse(at));
      now = Date.parse(at);
    },
    async jump(at) {
      now = Date.parse(at);
      await runDue(now);
    },
  };
}

function timerFunction(schedule: string) {
  return {
    metadata: { name: 'tick', bindings: { timer: { type: 'timerTrigger', direction: 'in' as const, schedule } } },
    callback: () => undefined,
  };
}

function setUp(schedule: string) {
  const clock = manualClock('2026-11-22T06:00:01Z');
  const runs: { at: string; isPastDue: boolean; last: string }[] = [];
  let hold: Promise<void> | undefined;
  const run = async (_: unknown, request: InvocationRequest): Promise<void> => {
    const timer = JSON.parse(request.inputData[0]?.data.json ?? '') as { IsPastDue: boolean; ScheduleStatus: { Last: string } };
    runs.push({ at: new Date(clock.now()).toISOString(), isPastDue: timer.IsPastDue, last: timer.ScheduleStatus.Last });
    await hold;
  };
  const timers = startTimers({ functions: [timerFunction(schedule)], settings: { EVERY: '*/15 * * * * *' }, clock, run });
  return { clock, runs, timers, hold: (promise: Promise<void> | undefined): void => void (hold = promise) };
}

it('runs at each occurrence of a schedule from a setting, and tells the last run', async () => {
  const { clock, runs, timers } = setUp('%EVERY%');
  await clock.to('2026-11-22T06:00:31Z');
  expect(runs).toEqual([
    { at: '2026-11-22T06:00:15.000Z', isPastDue: false, last: '0001-01-01T00:00:00+00:00' },
    { at: '2026-11-22T06:00:30.000Z', isPastDue: false, last: '2026-11-22T06:00:15.000Z' },
  ]);
  timers.stop();
});

it('waits for what is further away than one timer can wait', async () => {
  const { clock, runs } = setUp('0 0 0 25 12 *');
  await clock.to('2026-12-24T23:59:59Z');
  expect(runs).toEqual([]);
  await clock.to('2026-12-25T00:00:00Z');
  expect(runs.map(({ at }) => at)).toEqual(['2026-12-25T00:00:00.000Z']);
});

it('says isPastDue of a run that begins late, and makes up for one occurrence only', async () => {
  const { clock, runs } = setUp('%EVERY%');
  await clock.jump('2026-11-22T06:05:05Z');
  expect(runs).toEqual([{ at: '2026-11-22T06:05:05.000Z', isPastDue: true, last: expect.anything() as string }]);
});

it('never runs one timer twice at once', async () => {
  const { clock, runs, hold } = setUp('%EVERY%');
  let end = (): void => undefined;
  hold(new Promise((resolve) => (end = resolve)));
  await clock.to('2026-11-22T06:01:01Z');
  expect(runs).toHaveLength(1);
  hold(undefined);
  end();
  await clock.to('2026-11-22T06:01:02Z');
  await clock.to('2026-11-22T06:01:03Z');
  expect(runs).toHaveLength(2);
});

it('runs no more after a stop', async () => {
  const { clock, runs, timers } = setUp('%EVERY%');
  timers.stop();
  await clock.to('2026-11-22T06:05:00Z');
  expect(runs).toEqual([]);
});

it('names a timer whose schedule or setting is unreadable', () => {
  const clock = manualClock('2026-11-22T06:00:00Z');
  const timers = startTimers({ functions: [timerFunction('%MISSING%')], settings: {}, clock, run: () => Promise.resolve() });
  expect(timers.errors).toEqual([expect.stringMatching(/^tick: .*MISSING/)]);
});
