import { describe, expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { fleet, fullestWindow, request, rules, vault, warm, usageOf } from '../support/admission-fleet.ts';
import type { Answer, Fleet } from '../support/admission-fleet.ts';

describe('F7: throttling', () => {
  test('F7: a 429 lowers the budget for all instances, and is one event an episode', async () => {
    const subject = fleet([0, 1000]);
    for (let n = 0; n < 2; n += 1) void subject.ask(n);
    await subject.clock.advance(12_000);
    subject.instances[0]!.throttled(vault);
    subject.instances[0]!.throttled(vault);
    await subject.clock.advance(50);
    const from = subject.clock.elapsed();
    for (let k = 0; k < 500; k += 1) void subject.ask(1, { server: `sql-${k}`, within: millis(4000) });
    await subject.clock.advance(800);
    expect(subject.passed.filter(({ at }) => at > from)).toHaveLength(0);
    await subject.clock.advance(700);
    const afterBackOff = subject.passed.filter(({ at }) => at > from).length;
    expect(afterBackOff).toBeGreaterThan(0);
    expect(afterBackOff).toBeLessThanOrEqual(265);
    expect(subject.tight).toEqual([vault]);
  });

  test('F7: back-off grows 1, 2, 4, 8, 16 s while each try meets another 429', async () => {
    const subject = await warm();
    const pauses: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      subject.instances[0]!.throttled(vault);
      const began = subject.clock.elapsed();
      const answers: Answer[] = [];
      void subject.ask(0, { within: millis(20_000) }).then((answer) => answers.push(answer));
      for (let at = 0; answers.length === 0 && at < 20_000; at += 50) await subject.clock.advance(50);
      pauses.push(Math.floor((subject.clock.elapsed() - began) / 1000));
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 16]);
    expect(subject.tight).toHaveLength(1);
  });

  test('F7: the budget comes back, and a later 429 is a new episode', async () => {
    const subject = await warm();
    subject.instances[0]!.throttled(vault);
    await subject.clock.advance(30_000);
    for (let k = 0; k < 475; k += 1) void subject.ask(0, { server: `sql-${k}` });
    await subject.clock.advance(500);
    expect(subject.passed).toHaveLength(476);
    subject.instances[0]!.throttled(vault);
    await subject.clock.advance(500);
    expect(subject.tight).toHaveLength(2);
  });

  test('F7: the limit that is shown is the lowered one, at every instance, until the budget is whole again', async () => {
    const subject = fleet([0, 1000]);
    for (let n = 0; n < 2; n += 1) void subject.ask(n);
    await subject.clock.advance(12_000);
    const limits = async () => [(await usageOf(subject, 0)).limit, (await usageOf(subject, 1)).limit];
    expect(await limits()).toEqual([1000, 1000]);
    subject.instances[0]!.throttled(vault);
    await subject.clock.advance(300);
    expect(await limits()).toEqual([500, 500]);
    await subject.clock.advance(5000);
    for (const limit of await limits()) {
      expect(limit).toBeGreaterThan(600);
      expect(limit).toBeLessThan(800);
    }
    await subject.clock.advance(10_000);
    expect(await limits()).toEqual([1000, 1000]);
  });

  test('F7: the limit is shown lowered at once where the 429 came, also with the store away', async () => {
    const subject = await warm();
    subject.store.away = true;
    subject.instances[0]!.throttled(vault);
    expect(await usageOf(subject, 0)).toMatchObject({ limit: 500 });
    const later = subject.instances[0]!.usage(vault);
    await subject.clock.advance(6000);
    expect((await later).limit).toBeGreaterThanOrEqual(500);
    expect((await later).limit).toBeLessThan(1000);
  });

  test('F7: the limit is shown lowered where the 429 came also while the row, read anew, does not tell of it yet', async () => {
    const subject = await warm();
    await subject.clock.advance(12_000);
    subject.store.loses = Infinity;
    subject.instances[0]!.throttled(vault);
    const { reads } = subject.store;
    expect((await usageOf(subject, 0)).limit).toBe(500);
    expect(subject.store.reads).toBeGreaterThan(reads);
    expect(subject.store.row(vault).slowdown).toBeNull();
  });

  test('F7: of a budget of few points, too, a point is shown: a share of nothing could not be told', async () => {
    const subject = fleet([0], { rules: { ...rules, points: 10, probeShare: 0.5 } });
    void subject.ask(0);
    await subject.clock.advance(300);
    for (let bursts = 0; bursts < 5; bursts += 1) {
      const backOff = subject.instances[0]!.throttled(vault);
      await subject.clock.advance(backOff + 10);
    }
    expect((await usageOf(subject, 0)).limit).toBe(1);
  });

  test('F7: with the store away the instance leaves the vault in peace alone', async () => {
    const subject = await warm();
    subject.store.away = true;
    subject.instances[0]!.throttled(vault);
    const from = subject.clock.elapsed();
    await subject.clock.advance(400);
    const answer = subject.instances[0]!.admit(request({ within: millis(300) }));
    expect(typeof answer).toBe('number');
    void subject.ask(0);
    await subject.clock.advance(5000);
    expect(subject.passed.filter(({ at }) => at > from).map(({ at }) => at >= from + 1000)).toEqual([true]);
  });
});

describe('F7: throttling where the store does not take it at once', () => {
  /** Asks for all that may pass, for so long, and answers how many calls passed. */
  async function passing(subject: Fleet, ms: number): Promise<number> {
    const before = subject.passed.length;
    for (let at = 0; at < ms; at += 50) {
      for (let k = 0; k < 20; k += 1) void subject.ask(0, { server: `sql-${at}-${k}`, within: millis(40) });
      await subject.clock.advance(50);
    }
    return subject.passed.length - before;
  }

  const backs = [3700, 3900, 4100, 4300, 4500, 4700];

  test.each(backs)('F7: a back-off that the store did not take is kept through what is read when it is back (%i)', async (back) => {
    const subject = await warm();
    subject.store.limitMs = 100;
    subject.store.away = true;
    const from = subject.clock.elapsed();
    const at = (elapsed: number): Promise<void> => subject.clock.advance(from + elapsed - subject.clock.elapsed());
    for (const throttled of [0, 1100, 3200]) {
      await at(throttled);
      subject.instances[0]!.throttled(vault);
    }
    // Those who wait make the instance draw, and read the row, before it has been written.
    for (let k = 0; k < 10; k += 1) void subject.ask(0, { server: `waiting-${k}`, within: millis(9000) });
    await at(back);
    subject.store.away = false;
    // The third step of the back-off: 4 s.
    expect(await passing(subject, 7150 - back)).toBe(0);
    await passing(subject, 2000);
    expect(subject.store.row(vault).slowdown).toMatchObject({ step: 2 });
  });

  test('F7: where other instances win every write, the slowdown is written all the same', async () => {
    const subject = fleet([0, 100]);
    void subject.ask(0);
    await subject.clock.advance(5000);
    subject.store.loses = 20;
    subject.instances[0]!.throttled(vault);
    await subject.clock.advance(600);
    expect(subject.store.row(vault).slowdown).toBeNull();
    await subject.clock.advance(20_000);
    expect(subject.tight).toEqual([vault]);
  });

  test('F7: the event of an episode is told once, as soon as the store is back, though the episode is over by then', async () => {
    const subject = fleet([0, 100]);
    for (let n = 0; n < 2; n += 1) void subject.ask(n);
    await subject.clock.advance(100);
    subject.store.away = true;
    for (let round = 0; round < 3; round += 1) {
      subject.instances[0]!.throttled(vault);
      await subject.clock.advance(12_000);
    }
    expect(subject.tight).toEqual([]);
    subject.store.away = false;
    await subject.clock.advance(4000);
    expect(subject.tight).toEqual([vault]);
    await subject.clock.advance(30_000);
    expect(subject.tight).toEqual([vault]);
  });

  test('F7: an event that the store did not take is told again', async () => {
    const subject = await warm();
    subject.refuseTight(2);
    subject.instances[0]!.throttled(vault);
    await subject.clock.advance(5000);
    expect(subject.tight).toEqual([vault]);
  });

  test('F7: each 429 after a back-off lengthens the next also with the store away', async () => {
    const subject = await warm();
    subject.store.away = true;
    const told: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const comeBack = subject.instances[0]!.throttled(vault);
      told.push(comeBack);
      await subject.clock.advance(Math.max(3000, comeBack));
    }
    expect(told).toEqual([1000, 2000, 4000, 8000, 16_000]);
  });

  test('F7: while the 429 is being written nothing goes, however slow the store is', async () => {
    const subject = await warm();
    await subject.clock.advance(3000);
    subject.store.latencyMs = 700;
    const from = subject.clock.elapsed();
    subject.instances[0]!.throttled(vault);
    for (let k = 0; k < 30; k += 1) {
      void subject.ask(0, { server: `sql-${k}`, within: millis(9000) });
      await subject.clock.advance(30);
    }
    expect(subject.passed.filter(({ at }) => at > from && at <= from + 1000)).toEqual([]);
  });

  test('B2, F7: a store that goes at the 429 takes nothing of what is known of the others', async () => {
    const subject = fleet([0, 100], { rules: { ...rules, awayShare: 0.9 } });
    void subject.ask(0);
    for (let k = 0; k < 460; k += 1) void subject.ask(1, { server: `other-${k}` });
    await subject.clock.advance(1500);
    void subject.ask(0);
    await subject.clock.advance(100);
    subject.store.limitMs = 100;
    subject.store.away = true;
    subject.instances[0]!.throttled(vault);
    for (let at = 0; at < 6000; at += 50) {
      for (let k = 0; k < 5; k += 1) void subject.ask(0, { server: `late-${at}-${k}`, within: millis(5000) });
      await subject.clock.advance(50);
    }
    expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(rules.points);
  });

  test('F7: whoever met a 429 hears when the back-off ends, in a burst and after it', async () => {
    const subject = await warm();
    expect(subject.instances[0]!.throttled(vault)).toBe(1000);
    await subject.clock.advance(300);
    expect(subject.instances[0]!.throttled(vault)).toBe(700);
    await subject.clock.advance(700);
    expect(subject.instances[0]!.throttled(vault)).toBe(2000);
    const comeBack = 2000;
    await subject.clock.advance(comeBack);
    const answer = await Promise.all([subject.ask(0), subject.clock.advance(300)]);
    expect(answer[0].passed).toBe(true);
  });
});

describe('usage', () => {
  test('B2: of the last window, by key shape, over what other instances wrote', async () => {
    const subject = fleet([0, 500]);
    for (let k = 0; k < 3; k += 1) void subject.ask(0, { key: { keyType: 'RSA-HSM', keySize: 3072 } });
    await subject.clock.advance(1500);
    void subject.ask(0, { key: { keyType: 'RSA-HSM', keySize: 3072 } });
    await subject.clock.advance(100);
    void subject.ask(1, { tier: 'BusinessCritical', points: 5 });
    void subject.ask(1, { class: 'probe' });
    await subject.clock.advance(300);
    expect(await usageOf(subject, 1)).toEqual({
      used: 13,
      limit: 1000,
      windowMs: rules.windowMs,
      byKeyType: { 'RSA-HSM/3072': 3, 'RSA/2048': 2 },
    });
    await subject.clock.advance(20_000);
    expect((await usageOf(subject, 1)).used).toBe(0);
    expect(await usageOf(subject, 1, 'unknown')).toEqual({ used: 0, limit: 1000, windowMs: rules.windowMs, byKeyType: {} });
  });
});
