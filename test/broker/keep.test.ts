import { expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { fleet, request, skews, traffic } from '../support/admission-fleet.ts';
import type { Fleet } from '../support/admission-fleet.ts';

/** Two instances of which the second has used all of the budget up, and the first has not looked since. */
async function usedElsewhere(): Promise<Fleet> {
  const subject = fleet(skews(2));
  for (let k = 0; k < traffic / 2; k += 1) void subject.ask(1, { server: `sql-${k}` });
  await subject.clock.advance(1500);
  return subject;
}

/** What a caller hears whom another vault told to come back in 3 s, and when. */
async function told(subject: Fleet, left = 9000): Promise<{ readonly comeBack: number; readonly afterMs: number }> {
  const began = subject.clock.elapsed();
  const asked = subject.instances[0]!.keep(request({ server: 'sql-a' }), { comeBack: millis(3000), left: millis(left) });
  return asked.then((comeBack) => ({ comeBack, afterMs: subject.clock.elapsed() - began }));
}

test('B4: what others have used is looked up before a time is told: by one read for all who ask', async () => {
  const subject = await usedElsewhere();
  const reads = subject.store.reads;
  const asked = [told(subject), told(subject), told(subject)];
  await subject.clock.advance(100);
  for (const { comeBack } of await Promise.all(asked)) expect(comeBack).toBeGreaterThan(7000);
  expect(subject.store.reads - reads).toBe(1);
});

test.each([
  ['no longer than half a second', 9000, 500],
  ['no longer than he has time', 120, 120],
])('B4: a caller waits for a slow store %s, and is told by what is known', async (_what, left, waits) => {
  const subject = await usedElsewhere();
  subject.store.latencyMs = 1900;
  const asked = told(subject, left);
  await subject.clock.advance(waits);
  expect(await asked).toEqual({ comeBack: 3000 - waits, afterMs: waits });
  await subject.clock.advance(5000);
});

test('B4: with the store away a caller is told by what is known', async () => {
  const subject = await usedElsewhere();
  subject.cutOff(0, true);
  const asked = told(subject);
  await subject.clock.advance(3000);
  expect((await asked).comeBack).toBeGreaterThan(0);
});

test('B4: a read that comes late takes nothing back of what a draw saw meanwhile', async () => {
  const subject = fleet(skews(2));
  // The row is read 10 to 30 ms from now, and comes back half a second later or more.
  subject.store.latencyMs = 20;
  const asked = told(subject);
  await subject.clock.advance(5);
  subject.store.latencyMs = 900;
  await subject.clock.advance(30);
  subject.store.latencyMs = 5;
  for (let k = 0; k < traffic / 2; k += 1) void subject.ask(1, { server: `sql-${k}` });
  await subject.clock.advance(200);
  void subject.ask(0, { server: 'sql-b' });
  await subject.clock.advance(1300);
  await asked;
  const next = told(subject);
  await subject.clock.advance(100);
  expect((await next).comeBack).toBeGreaterThan(7000);
});
