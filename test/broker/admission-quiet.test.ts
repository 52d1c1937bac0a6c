import { describe, expect, test } from 'vitest';
import { createAdmission } from '../../src/broker/admission.ts';
import { millis } from '../../src/domain/time.ts';
import { fleet, request, rules, vault, warm } from '../support/admission-fleet.ts';
import { simulatedStore } from '../support/simulated-ledger.ts';
import { virtualClock } from '../support/virtual-clock.ts';

describe('B3: instances that have nothing to do leave the store alone', () => {
  test('after a probe on each of two', async () => {
    const subject = fleet([0, 0]);
    for (const instance of [0, 1]) void subject.ask(instance, { class: 'probe' });
    await subject.clock.advance(20_000);
    const { reads, writes } = subject.store;
    await subject.clock.advance(60_000);
    expect([subject.store.reads, subject.store.writes]).toEqual([reads, writes]);
  });
});

describe('F7: a vault that answers 429 twice', () => {
  test.each([0, 200, 1800])('is called again after its back-off, though it takes %i ms to tell of the first', async (publishMs) => {
    const clock = virtualClock(undefined, 7);
    const store = simulatedStore();
    const onTight = (): Promise<void> => clock.pause(millis(publishMs));
    const admission = createAdmission({ ledger: store.ledger(clock), clock, rules, queueLength: 1000, onTight });
    const ask = async (): Promise<unknown> => {
      const answer = Promise.resolve(admission.admit(request({ within: millis(8000) })));
      await clock.advance(8000);
      return answer;
    };
    expect(await ask()).toBeUndefined();
    admission.throttled(vault);
    await clock.advance(1400);
    admission.throttled(vault);
    await clock.advance(60_000);
    expect(await ask()).toBeUndefined();
  });

  test('B4: with the store away too, others are told what is left of the back-off', async () => {
    const subject = await warm();
    subject.store.away = true;
    await subject.clock.advance(1000);
    void subject.ask(0);
    await subject.clock.advance(4000);
    const told = subject.instances[0]!.throttled(vault);
    await subject.clock.advance(100);
    for (const key of [
      { keyType: 'RSA', keySize: 2048 },
      { keyType: 'managedHsm:RSA-HSM', keySize: 3072 },
    ]) {
      const comeBack = await subject.instances[0]!.admit(request({ server: 'sql-other', within: millis(100), key }));
      expect(comeBack).toBeLessThanOrEqual(Number(told) + 1000);
    }
  });
});

test.each([0.01, 0.02, 0.03, 0.1])('B3: with the store away a share of %d serves calls, one after another', async (awayShare) => {
  const subject = fleet([0], { rules: { ...rules, awayShare } });
  subject.store.away = true;
  const served: boolean[] = [];
  for (let i = 0; i < 5; i += 1) {
    void subject.ask(0, { server: `sql-${i}`, within: millis(60_000) }).then(({ passed }) => served.push(passed));
    await subject.clock.advance(30_000);
  }
  await subject.clock.advance(60_000);
  expect(served).toEqual([true, true, true, true, true]);
});
