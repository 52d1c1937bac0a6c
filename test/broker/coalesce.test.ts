import { describe, expect, test } from 'vitest';
import { createCoalesce } from '../../src/broker/coalesce.ts';
import type { Unwrapping } from '../../src/broker/flights.ts';
import type { Tried } from '../../src/broker/key-call.ts';
import { Dek } from '../../src/domain/dek.ts';
import { refuse } from '../../src/domain/refusal.ts';
import type { Attempt } from '../../src/domain/refusal.ts';
import { millis } from '../../src/domain/time.ts';
import { keyId } from '../support/stored-values.ts';
import { settled, virtualClock } from '../support/virtual-clock.ts';

const attempt: Attempt = { vault: 'kv-west', role: 'primary', class: 'ok', status: 200, vaultCode: null, ms: millis(5) };
const one: Unwrapping = {
  target: { server: 'sql-a', keyId: keyId(), identity: null },
  algorithm: 'RSA-OAEP-256',
  wrappedDek: Uint8Array.of(9, 1, 2, 3, 4),
};
const plaintext = Uint8Array.of(1, 2, 3, 4);

const refused: Tried<Dek> = {
  kind: 'refused',
  refusal: refuse('KeyAccessDenied', 'denied').refusal,
  attempt: { ...attempt, class: 'revoked', status: 403 },
};

function granted(bytes = Uint8Array.from(plaintext)): Tried<Dek> {
  return { kind: 'served', value: new Dek(bytes), attempt };
}

/** A vault that answers when told to. */
function heldVault(): { readonly send: () => Promise<Tried<Dek>>; readonly calls: PromiseWithResolvers<Tried<Dek>>[] } {
  const calls: PromiseWithResolvers<Tried<Dek>>[] = [];
  return {
    calls,
    send: () => {
      const call = Promise.withResolvers<Tried<Dek>>();
      calls.push(call);
      return call.promise;
    },
  };
}

function dekOf(reply: Tried<Dek>): Dek {
  if (reply.kind !== 'served') throw new Error(reply.kind);
  return reply.value;
}

describe('C4: identical unwraps in flight share one call', () => {
  test('five callers, one call, the same plaintext for each, as a copy of its own', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const asked = Array.from({ length: 5 }, () => coalesce.share(one, 10_000, send));
    expect(calls).toHaveLength(1);
    calls[0]!.resolve(granted());
    const deks = (await Promise.all(asked)).map(dekOf);
    for (const dek of deks) expect(dek.reveal()).toEqual(plaintext);
    expect(new Set(deks.map((dek) => dek.reveal().buffer)).size).toBe(5);
  });

  test.each([0, 1, 2, 3, 4])('caller %i may zero its bytes at once: those of the others stay', async (first) => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const kept: Uint8Array[] = [];
    const asked = Array.from({ length: 5 }, async (_, i) => {
      const dek = dekOf(await coalesce.share(one, 10_000, send));
      if (i === first) dek.zero();
      else kept.push(dek.reveal());
    });
    calls[0]!.resolve(granted());
    await Promise.all(asked);
    expect(kept).toEqual(Array.from({ length: 4 }, () => plaintext));
  });

  test('nobody keeps the bytes that the vault gave: when all callers have zeroed theirs, no plaintext is left', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const given = Uint8Array.from(plaintext);
    const asked = Array.from({ length: 3 }, () => coalesce.share(one, 10_000, send));
    calls[0]!.resolve(granted(given));
    const deks = (await Promise.all(asked)).map(dekOf);
    for (const dek of deks) dek.zero();
    expect(given).toEqual(new Uint8Array(4));
    expect(deks.map((dek) => dek.reveal())).toEqual(deks.map(() => new Uint8Array(4)));
  });

  test('a lone caller gets what the vault gave, without a copy', async () => {
    const given = Uint8Array.from(plaintext);
    const reply = await createCoalesce(virtualClock()).share(one, 10_000, () => Promise.resolve(granted(given)));
    expect(dekOf(reply).reveal()).toBe(given);
  });

  test('what differs in server, link, algorithm or ciphertext is another call', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const { target, wrappedDek } = one;
    // The last ends as the first does: what is under way is looked for by its end.
    const others: readonly Unwrapping[] = [
      { ...one, target: { ...target, server: 'sql-b' } },
      { ...one, target: { ...target, keyId: keyId('kv-north') } },
      { ...one, target: { ...target, identity: '00000000-0000-0000-0000-000000000001' } },
      { ...one, algorithm: 'RSA1_5' },
      { ...one, wrappedDek: Uint8Array.of(8, ...wrappedDek) },
      { ...one, wrappedDek: Uint8Array.of(8, ...wrappedDek.subarray(1)) },
    ];
    const asked = [one, ...others, ...others, { ...one, wrappedDek: Uint8Array.from(wrappedDek) }].map((wanted) =>
      coalesce.share(wanted, 10_000, send),
    );
    expect(calls).toHaveLength(7);
    calls.forEach((call, i) => call.resolve(granted(Uint8Array.of(i))));
    expect((await Promise.all(asked)).map((reply) => dekOf(reply).reveal()[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 0]);
  });

  test('C1: nothing is kept beyond the call: the next unwrap is a call again', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const first = coalesce.share(one, 10_000, send);
    calls[0]!.resolve(granted());
    await first;
    const second = coalesce.share(one, 10_000, send);
    expect(calls).toHaveLength(2);
    calls[1]!.resolve(refused);
    expect(await second).toEqual(refused);
  });

  test('a failure is shared like a success, with its attempt', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const asked = [coalesce.share(one, 10_000, send), coalesce.share(one, 10_000, send)];
    calls[0]!.resolve(refused);
    expect(await Promise.all(asked)).toEqual([refused, refused]);
  });

  test('a defect reaches each caller, and does not stay in the way of the next', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const asked = Promise.allSettled([coalesce.share(one, 10_000, send), coalesce.share(one, 10_000, send)]);
    calls[0]!.reject(new Error('defect'));
    expect((await asked).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    void coalesce.share(one, 10_000, send);
    await settled();
    expect(calls).toHaveLength(2);
  });
});

describe('C4: what concerns the starter alone is not shared: he had no time left, or found no room', () => {
  const noRoom: Tried<Dek> = { kind: 'refused', refusal: refuse('Throttled', 'no room').refusal, attempt: null };
  const noTime: Tried<Dek> = { kind: 'refused', refusal: refuse('DeadlineExceeded', 'over').refusal, attempt: null };

  test.each([
    ['no room', noRoom],
    ['no time', noTime],
  ])('%s: the one with the most time starts, the others join him', async (_name, refusal) => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const waited: boolean[] = [];
    const start = (late: boolean) => {
      waited.push(late);
      return send();
    };
    const [starter, ...joined] = [500, 5000, 9000, 7000].map((deadline) => coalesce.share(one, deadline, start));
    calls[0]!.resolve(refusal);
    expect(await starter).toEqual(refusal);
    await settled();
    expect(calls).toHaveLength(2);
    const given = Uint8Array.from(plaintext);
    calls[1]!.resolve(granted(given));
    const deks = (await Promise.all(joined)).map(dekOf);
    for (const dek of deks) {
      expect(dek.reveal()).toEqual(plaintext);
      dek.zero();
    }
    expect(given).toEqual(new Uint8Array(4));
    expect(waited).toEqual([false, true]);
  });

  test('no herd: of a hundred who have hardly more time than who was refused, none asks again', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const asked = [9000, ...Array.from({ length: 100 }, (_, i) => 9149 + i)].map((deadline) => coalesce.share(one, deadline, send));
    calls[0]!.resolve(noRoom);
    expect(await Promise.all(asked)).toEqual(asked.map(() => noRoom));
    expect(calls).toHaveLength(1);
  });

  test('a hundred, each with more time than the one before: two tries in all', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const asked = Array.from({ length: 100 }, (_, i) => coalesce.share(one, 1000 + 300 * i, send));
    calls[0]!.resolve(noRoom);
    await settled();
    calls[1]!.resolve(noRoom);
    expect(await Promise.all(asked)).toEqual(asked.map(() => noRoom));
    expect(calls).toHaveLength(2);
  });

  test('F7: a 429 of the vault itself is a failure of the call, and is shared', async () => {
    const coalesce = createCoalesce(virtualClock());
    const { send, calls } = heldVault();
    const throttled: Tried<Dek> = {
      kind: 'refused',
      refusal: refuse('Throttled', 'the vault').refusal,
      attempt: { ...attempt, class: 'throttled', status: 429 },
    };
    const asked = [500, 9000].map((deadline) => coalesce.share(one, deadline, send));
    calls[0]!.resolve(throttled);
    expect(await Promise.all(asked)).toEqual([throttled, throttled]);
    expect(calls).toHaveLength(1);
  });
});

describe('C5: one who joins waits no longer than he has time', () => {
  const late = { kind: 'refused', refusal: { code: 'DeadlineExceeded' }, attempt: null };

  test.each([
    [1999, []],
    [2000, [late]],
  ])('%i ms after a request with 2 s left joined one of a batch with 60 s', async (ms, answers) => {
    const clock = virtualClock();
    const coalesce = createCoalesce(clock);
    const { send, calls } = heldVault();
    const heard: unknown[] = [];
    const first = coalesce.share(one, 60_000, send);
    void coalesce.share(one, 2000, send).then((tried) => heard.push(tried));
    await clock.advance(ms);
    expect(heard).toMatchObject(answers);
    calls[0]!.resolve(granted());
    expect(dekOf(await first).reveal()).toEqual(plaintext);
    expect(calls).toHaveLength(1);
  });

  test('C4: what comes for one who has gone is wiped, and the others have theirs', async () => {
    const clock = virtualClock();
    const coalesce = createCoalesce(clock);
    const { send, calls } = heldVault();
    const given = Uint8Array.from(plaintext);
    const asked = [60_000, 1000, 30_000, 1500].map((deadline) => coalesce.share(one, deadline, send));
    await clock.advance(2000);
    calls[0]!.resolve(granted(given));
    const tried = await Promise.all(asked);
    expect(tried.map(({ kind }) => kind)).toEqual(['served', 'refused', 'served', 'refused']);
    for (const dek of [dekOf(tried[0]!), dekOf(tried[2]!)]) {
      expect(dek.reveal()).toEqual(plaintext);
      dek.zero();
    }
    await settled();
    expect(given).toEqual(new Uint8Array(4));
  });

  test('a defect that comes after one has gone reaches nobody twice', async () => {
    const clock = virtualClock();
    const coalesce = createCoalesce(clock);
    const { send, calls } = heldVault();
    const first = coalesce.share(one, 60_000, send);
    const second = coalesce.share(one, 1000, send);
    await clock.advance(1000);
    calls[0]!.reject(new Error('defect'));
    await expect(first).rejects.toThrow('defect');
    expect(await second).toMatchObject(late);
  });

  test('an answer in time leaves no timer behind', async () => {
    const clock = virtualClock();
    const coalesce = createCoalesce(clock);
    const { send, calls } = heldVault();
    const asked = [coalesce.share(one, 10_000, send), coalesce.share(one, 10_000, send)];
    calls[0]!.resolve(granted());
    await Promise.all(asked);
    expect(clock.pending).toBe(0);
  });
});
