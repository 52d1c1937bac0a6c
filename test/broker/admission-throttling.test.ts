import { describe, expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { fleet, request, rules, vault, warm, usageOf } from '../support/admission-fleet.ts';
import type { Answer } from '../support/admission-fleet.ts';

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

  test('F7: with the store away the instance leaves the vault in peace alone', async () => {
    const subject = await warm();
    subject.store.away = true;
    subject.instances[0]!.throttled(vault);
    await subject.clock.advance(2600);
    const answer = subject.instances[0]!.admit(request({ within: millis(500) }));
    expect(typeof answer).toBe('number');
    await subject.clock.advance(5000);
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
