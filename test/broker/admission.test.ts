import { describe, expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { exhaust, fleet, fullestWindow, request, traffic, usageOf, vault, warm } from '../support/admission-fleet.ts';

describe('B3: the healthy case', () => {
  test('B3: the first call on a cold vault waits for the lease, and passes', async () => {
    const subject = fleet([0]);
    const answer = subject.instances[0]!.admit(request());
    expect(answer).toBeInstanceOf(Promise);
    await subject.clock.advance(100);
    expect(await answer).toBeUndefined();
  });

  test('B3: in budget the answer is there at once, without a promise', async () => {
    const subject = await warm();
    expect(subject.instances[0]!.admit(request())).toBeUndefined();
  });

  test('B3: under steady load it writes about once a second, and no call waits', async () => {
    const subject = await warm();
    const before = subject.store.writes;
    let waited = 0;
    for (let at = 0; at < 30_000; at += 50) {
      if (subject.instances[0]!.admit(request()) !== undefined) waited += 1;
      await subject.clock.advance(50);
    }
    expect(waited).toBe(0);
    expect(subject.store.writes - before).toBeLessThanOrEqual(30 * 1.5);
    expect(subject.store.writes - before).toBeGreaterThanOrEqual(20);
  });

  test('B3: who draws alone need not read the row for that; who comes later is seen at the next draw', async () => {
    const subject = fleet([0, 0]);
    void subject.ask(0);
    await subject.clock.advance(1000);
    const { reads, writes } = subject.store;
    for (let at = 0; at < 10_000; at += 500) {
      void subject.ask(0);
      await subject.clock.advance(500);
    }
    expect(subject.store.reads - reads).toBe(0);
    expect(subject.store.writes - writes).toBeGreaterThanOrEqual(10);
    for (let k = 0; k < 475; k += 1) void subject.ask(1, { server: `sql-${k}` });
    await subject.clock.advance(1000);
    for (let k = 0; k < 475; k += 1) void subject.ask(0, { server: `sql-${k}` });
    await subject.clock.advance(30_000);
    expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(traffic);
  });

  test('B3: an idle instance neither writes nor reads, and keeps no timer', async () => {
    const subject = await warm();
    await subject.clock.advance(15_000);
    const { writes, reads } = subject.store;
    await subject.clock.advance(3_600_000);
    expect([subject.store.writes, subject.store.reads, subject.clock.pending]).toEqual([writes, reads, 0]);
  });

  test('B3: what a burst left unspent is given back when its lease lapses', async () => {
    const subject = fleet([0, 0]);
    for (let k = 0; k < 200; k += 1) void subject.ask(0, { server: `sql-${k}` });
    await subject.clock.advance(3000);
    for (let k = 0; k < 275; k += 1) void subject.ask(1, { server: `sql-${k}` });
    await subject.clock.advance(500);
    expect(subject.passed).toHaveLength(475);
  });

  test('B3: a lease that was given back without an answer is not given back again and again', async () => {
    const subject = fleet([0]);
    for (let k = 0; k < 200; k += 1) void subject.ask(0, { server: `sql-${k}` });
    await subject.clock.advance(100);
    const holding = () => subject.store.row(vault).holdings[0]?.lease.points;
    for (let ms = 0; holding() !== 0 && ms < 3000; ms += 1) await subject.clock.advance(1);
    expect(holding()).toBe(0);
    // The row has it, and its answer is lost.
    subject.store.away = true;
    await subject.clock.advance(2100);
    subject.store.away = false;
    const { reads } = subject.store;
    await subject.clock.advance(15_000);
    expect(subject.store.reads - reads).toBeLessThan(5);
    expect(subject.clock.pending).toBe(0);
  });
});

describe('B2: both rules', () => {
  test.each([
    ['RSA', 2048, 475],
    ['RSA', 3072, 475],
    ['RSA', 4096, 380],
    ['RSA-HSM', 2048, 475],
    ['RSA-HSM', 3072, 380],
    ['RSA-HSM', 4096, 190],
    ['EC', 0, 190],
    ['managedHsm:RSA-HSM', 4096, 475],
  ])('B2: %s %i: %i General Purpose calls at once, no more', async (keyType, keySize, calls) => {
    const subject = fleet([0]);
    for (let k = 0; k < 600; k += 1) void subject.ask(0, { server: `sql-${k}`, key: { keyType, keySize } });
    await subject.clock.advance(5000);
    expect(subject.passed).toHaveLength(calls);
  });

  test('B2: two types on one vault share the service limit by weight', async () => {
    const subject = fleet([0]);
    for (let k = 0; k < 95; k += 1) void subject.ask(0, { key: { keyType: 'RSA-HSM', keySize: 4096 } });
    for (let k = 0; k < 400; k += 1) void subject.ask(0, { key: { keyType: 'RSA-HSM', keySize: 3072 } });
    await subject.clock.advance(5000);
    expect(subject.passed).toHaveLength(95 + 190);
  });

  test('B2: a refused call costs nothing', async () => {
    const subject = fleet([0]);
    await exhaust(subject);
    for (let k = 0; k < 1000; k += 1) void subject.ask(0, { server: 'loop', within: millis(0) });
    await subject.clock.advance(60_000);
    expect((await usageOf(subject, 0)).used).toBe(0);
  });
});

describe('B4: refusal', () => {
  test('B4: what cannot be served in time is refused at once, with the time to come back', async () => {
    const subject = fleet([0]);
    await exhaust(subject);
    const answer = subject.instances[0]!.admit(request({ within: millis(2000) }));
    expect(answer).toBeGreaterThan(8000);
    expect(answer).toBeLessThan(11_000);
  });

  test('B4: the queue is bounded', async () => {
    const subject = fleet([0], { queueLength: 10 });
    await exhaust(subject);
    await subject.clock.advance(5000);
    const answers = Array.from({ length: 15 }, (_, k) => subject.instances[0]!.admit(request({ server: `sql-${k}` })));
    expect(answers.filter((answer) => answer instanceof Promise)).toHaveLength(10);
    expect(answers.filter((answer) => typeof answer === 'number')).toHaveLength(5);
    await subject.clock.advance(10_000);
  });
});
