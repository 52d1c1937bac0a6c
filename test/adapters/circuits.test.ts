import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCircuits } from '../../src/adapters/circuits.ts';
import { systemClock } from '../../src/adapters/clock.ts';
import type { Fault, FaultClass } from '../../src/domain/fault.ts';
import type { KeyId } from '../../src/domain/key.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { CircuitCall, Circuits } from '../../src/ports/circuits.ts';
import type { Reply } from '../../src/ports/vault.ts';
import { describeCircuits } from '../contract/circuits.ts';

const keyA = 'https://kv.vault.test/keys/a/1' as KeyId;
const keyB = 'https://kv.vault.test/keys/b/1' as KeyId;

type Outcome = FaultClass | 'ok';
const times = { sentAt: instant(0), receivedAt: instant(0), ms: millis(1) };

function reply(outcome: Outcome): Reply<string> {
  if (outcome === 'ok') return { ok: true, value: 'x', ...times };
  const fault: Fault = { class: outcome, status: null, code: null, detail: '', reach: null, mayHideDenial: false, outsideValidity: false };
  return { ok: false, fault, ...times };
}

let changes: string[];
let circuits: Circuits;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  changes = [];
  circuits = createCircuits({ clock: systemClock, onChange: ({ vault, state }) => changes.push(`${vault} ${state}`) });
});
afterEach(() => vi.useRealTimers());

const unwrapAt = (keyId: KeyId): CircuitCall => ({ keyId, operation: 'unwrapKey' });
const meet = (key: KeyId, outcome: Outcome, vault = 'one') => circuits.through(vault, unwrapAt(key), () => Promise.resolve(reply(outcome)));
const canary = (outcome: Outcome, key = keyA) => circuits.canary('one', unwrapAt(key), () => Promise.resolve(reply(outcome)));
const state = () => circuits.state('one').state;

async function openByTraffic(): Promise<void> {
  for (const key of [keyA, keyB, keyA, keyB]) await meet(key, 'outage');
  expect(state()).toBe('open');
}

/** A call that ends when it is told. */
function pending(): { call: () => Promise<Reply<string>>; end: (outcome: Outcome) => void } {
  const { promise, resolve } = Promise.withResolvers<Reply<string>>();
  return { call: () => promise, end: (outcome) => resolve(reply(outcome)) };
}

describe('opening', () => {
  it('F2: outages of two keys open the circuit; then no call is made', async () => {
    await openByTraffic();
    const call = vi.fn(() => Promise.resolve(reply('ok')));
    expect(await circuits.through('one', unwrapAt(keyA), call)).toBeUndefined();
    expect(call).not.toHaveBeenCalled();
    expect(changes).toEqual(['one open']);
    expect(circuits.state('one').since).toBe(Date.now());
    expect(circuits.state('two')).toEqual({ state: 'closed', since: null });
  });

  it('F2: one poisoned ciphertext opens nothing, however often it is tried', async () => {
    for (let i = 0; i < 100; i += 1) await meet(keyA, 'outage');
    expect(state()).toBe('closed');
  });

  it('F2: a success of the key clears what it met', async () => {
    for (let i = 0; i < 10; i += 1) await meet(keyA, 'outage');
    await meet(keyA, 'ok');
    for (let i = 0; i < 10; i += 1) await meet(keyB, 'outage');
    expect(state()).toBe('closed');
  });

  it('F2: what one key met counts as soon as a second key meets it too', async () => {
    for (let i = 0; i < 5; i += 1) await meet(keyA, 'outage');
    await meet(keyB, 'outage');
    expect(state()).toBe('open');
  });

  it('F2: outages older than the window count no more', async () => {
    for (let i = 0; i < 10; i += 1) await meet(keyA, 'outage');
    vi.advanceTimersByTime(10_001);
    for (let i = 0; i < 10; i += 1) await meet(keyB, 'outage');
    expect(state()).toBe('closed');
  });

  it('F2: too few, or few among many answers, open nothing', async () => {
    await meet(keyA, 'outage');
    await meet(keyB, 'outage');
    expect(state()).toBe('closed');
    for (let i = 0; i < 20; i += 1) await meet(`${keyA}${i}` as KeyId, 'ok');
    for (const key of [keyA, keyB, keyA, keyB]) await meet(key, 'outage');
    expect(state()).toBe('closed');
  });

  it.each(['revoked', 'keyGone', 'vaultGone', 'throttled', 'invalidRequest', 'identityOutage', 'ambiguous', 'ok'] as const)(
    'F2: %s never opens it and passes through as a value',
    async (outcome) => {
      for (let i = 0; i < 20; i += 1) expect(await meet(i % 2 ? keyA : keyB, outcome)).toEqual(reply(outcome));
      expect(state()).toBe('closed');
    },
  );

  it('F1: what says nothing of the vault does not dilute its outages', async () => {
    for (let i = 0; i < 50; i += 1) await meet(keyA, 'identityOutage');
    await openByTraffic();
  });

  it('F2: the outage of a canary opens it alone', async () => {
    expect(await canary('outage')).toEqual(reply('outage'));
    expect(state()).toBe('open');
    expect(changes).toEqual(['one open']);
  });

  it('F2: a canary that is answered clears the key’s outages', async () => {
    for (let i = 0; i < 10; i += 1) await meet(keyA, 'outage');
    await canary('ok');
    await meet(keyB, 'outage');
    await meet(keyB, 'outage');
    expect(state()).toBe('closed');
  });

  it('a call that throws, a defect, goes through to the caller and leaves the circuit as it is', async () => {
    await expect(circuits.through('one', unwrapAt(keyA), () => Promise.reject(new Error('defect')))).rejects.toThrow('defect');
    expect(state()).toBe('closed');
    await openByTraffic();
    await expect(circuits.canary('one', unwrapAt(keyA), () => Promise.reject(new Error('defect')))).rejects.toThrow('defect');
    expect(state()).toBe('open');
    await canary('ok');
    expect(state()).toBe('closed');
  });
});

describe('probing', () => {
  it.each(['ok', 'revoked', 'keyGone', 'vaultGone', 'throttled', 'invalidRequest'] as const)(
    'F2, F8: a canary that is answered with %s closes it',
    async (outcome) => {
      await openByTraffic();
      expect(await canary(outcome)).toEqual(reply(outcome));
      expect(state()).toBe('closed');
      expect(await meet(keyA, 'ok')).toEqual(reply('ok'));
      expect(changes).toEqual(['one open', 'one closed']);
    },
  );

  it.each(['outage', 'identityOutage', 'ambiguous'] as const)(
    'F2: one that ends in %s leaves it open, without an event, as of the time when it opened',
    async (outcome) => {
      await openByTraffic();
      const { since } = circuits.state('one');
      vi.advanceTimersByTime(2000);
      await canary(outcome);
      expect(circuits.state('one')).toEqual({ state: 'open', since });
      expect(changes).toEqual(['one open']);
      await canary('ok');
      expect(state()).toBe('closed');
    },
  );

  it('F2: time alone neither closes it nor lets a call through', async () => {
    await openByTraffic();
    vi.advanceTimersByTime(24 * 3_600_000);
    expect(await meet(keyA, 'ok')).toBeUndefined();
    expect(state()).toBe('open');
  });

  it('F2: half-open admits exactly one probe and no traffic', async () => {
    await openByTraffic();
    const probe = pending();
    const probing = circuits.canary('one', unwrapAt(keyA), probe.call);
    expect(state()).toBe('halfOpen');
    expect(await canary('ok', keyB)).toBeUndefined();
    expect(await meet(keyB, 'ok')).toBeUndefined();
    probe.end('ok');
    await probing;
    expect(state()).toBe('closed');
  });

  it('F2: after it closed, old outages count no more', async () => {
    await openByTraffic();
    await canary('ok');
    await meet(keyA, 'outage');
    await meet(keyB, 'outage');
    expect(state()).toBe('closed');
  });
});

describe('late answers', () => {
  it('F2: a success that was sent before the circuit opened does not close it', async () => {
    const late = pending();
    const sent = circuits.through('one', unwrapAt(keyA), late.call);
    await openByTraffic();
    late.end('ok');
    expect(await sent).toEqual(reply('ok'));
    expect(state()).toBe('open');
  });

  it('F2: nor does it end a probe', async () => {
    const late = pending();
    const probe = pending();
    const sent = circuits.through('one', unwrapAt(keyA), late.call);
    await openByTraffic();
    const probing = circuits.canary('one', unwrapAt(keyA), probe.call);
    late.end('ok');
    await sent;
    expect(state()).toBe('halfOpen');
    probe.end('outage');
    await probing;
    expect(state()).toBe('open');
  });

  it('F2: outages that were sent before it closed do not open it again', async () => {
    const late = [pending(), pending(), pending(), pending()];
    const sent = late.map(({ call }, i) => circuits.through('one', unwrapAt(i % 2 ? keyA : keyB), call));
    await openByTraffic();
    await canary('ok');
    for (const one of late) one.end('outage');
    await Promise.all(sent);
    expect(state()).toBe('closed');
  });

  it('F2: nor does a canary of a time gone by', async () => {
    const late = pending();
    const sent = circuits.canary('one', unwrapAt(keyA), late.call);
    await openByTraffic();
    await canary('ok');
    late.end('outage');
    await sent;
    expect(state()).toBe('closed');
  });
});

describe('timers', () => {
  it('a circuit that opened and closed many times keeps no more timers than a new one', async () => {
    await meet(keyA, 'ok');
    const before = vi.getTimerCount();
    for (let i = 0; i < 50; i += 1) {
      await openByTraffic();
      await canary('outage');
      await canary('ok');
    }
    expect(vi.getTimerCount()).toBe(before);
  });
});

describeCircuits('on opossum', () => {
  const told: ('open' | 'closed')[] = [];
  return { circuits: createCircuits({ clock: systemClock, onChange: ({ state: now }) => told.push(now) }), changes: told };
});
