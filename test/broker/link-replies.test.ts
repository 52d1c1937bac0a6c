import { expect, test } from 'vitest';
import type { Access } from '../../src/broker/access.ts';
import { createSettleReply } from '../../src/broker/link-replies.ts';
import { millis } from '../../src/domain/time.ts';
import { aFault, aRegisteredWith } from '../support/builders.ts';
import { aLink, aRef } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

/** What is told of the vault when a call that a person or a timer asked for comes to `fault`. */
async function toldOf(step: 'get' | 'wrap' | 'unwrap', fault: Parameters<typeof aFault>[0]): Promise<readonly string[]> {
  const clock = virtualClock();
  const told: string[] = [];
  const stored = () => Promise.resolve(null);
  const settle = createSettleReply({
    parts: { clock, admission: { throttled: () => millis(4000) } as never },
    access: { denied: stored, otherDenied: stored, refused: stored } as unknown as Access,
    outages: {
      met: (vault) => Promise.resolve(void told.push(`${vault} is out`)),
      answered: (vault) => void told.push(`${vault} answers`),
      denied: (vault, at) => void told.push(`${vault} denies at ${at - clock.now()}`),
    },
  });
  const reply = { ok: false, fault: aFault(fault), sentAt: clock.now(), receivedAt: clock.now(), ms: millis(3) } as const;
  await settle({ registered: aRegisteredWith(), link: aLink(), ref: aRef() }, step, reply);
  return told;
}

test.each(['get', 'wrap', 'unwrap'] as const)('F8: a denied %s tells that the vault denies, which ends its failover', async (step) => {
  expect(await toldOf(step, { class: 'revoked', reach: 'identity' })).toEqual(['kv-west denies at 0']);
});

test('a throttled call tells nothing, an outage tells that', async () => {
  expect(await toldOf('wrap', { class: 'throttled' })).toEqual([]);
  expect(await toldOf('wrap', { class: 'outage' })).toEqual(['kv-west is out']);
});
