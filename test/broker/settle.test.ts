import { expect, test } from 'vitest';
import type { AttemptParts } from '../../src/broker/key-call.ts';
import { createSettle } from '../../src/broker/settle.ts';
import { createSharedLooks } from '../../src/broker/shared-looks.ts';
import type { Sight } from '../../src/broker/witness.ts';
import type { Fault } from '../../src/domain/fault.ts';
import { millis } from '../../src/domain/time.ts';
import type { OperationRefusal } from '../../src/policy/denial.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { aRegisteredWith } from '../support/builders.ts';
import { aLink, aRef, aVault } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const revoked: Fault = {
  class: 'revoked',
  status: 403,
  code: 'ForbiddenByRbac',
  detail: 'the vault refuses this identity',
  reach: 'identity',
  outsideValidity: false,
  mayHideDenial: false,
};
const expired: Fault = { ...revoked, code: null, detail: 'the key has expired or is not yet active', outsideValidity: true };
const disabled: Fault = { ...revoked, code: 'KeyDisabled', reach: 'key' };

/** What the caller hears of `fault`, and which vaults were told to have an outage, or to deny, where an unwrap of the canary at the same link comes to `sight`. */
async function heard(operation: 'wrapKey' | 'unwrapKey', fault: Fault, sight: Sight) {
  const clock = virtualClock();
  const stored = () => Promise.resolve();
  const met: string[] = [];
  const told: string[] = [];
  const { failure } = createSettle({
    parts: { clock, registry: { peekVault: () => aVault() }, admission: { throttled: () => millis(4000) } },
    access: { denied: stored, otherDenied: stored, refused: stored, known: () => undefined },
    witness: { look: () => Promise.resolve(sight) },
    outages: { met: (vault: string) => Promise.resolve(met.push(vault)), denied: (vault: string) => void told.push(vault) },
  } as unknown as AttemptParts);
  const target = { registered: aRegisteredWith(), link: aLink(), ref: aRef() };
  const attempt = { vault: 'kv-west', role: 'primary', class: fault.class, status: 403, vaultCode: fault.code, ms: millis(3) } as const;
  return { answer: await failure(target, operation, { fault, receivedAt: clock.now(), attempt, deadline: 10_000 }), met, told };
}

test.each([
  { what: 'F4: a wrap denied where unwrap works', operation: 'wrapKey', fault: revoked, sight: 'proven', code: 'WrapDenied' },
  { what: 'F4: a wrap denied where unwrap is too', operation: 'wrapKey', fault: revoked, sight: 'denied', code: 'UnwrapDenied' },
  {
    what: 'F6: a wrap denied where nobody has seen whether unwrap is',
    operation: 'wrapKey',
    fault: revoked,
    sight: 'undecided',
    code: 'WrapDenied',
  },
  { what: 'F4: an unwrap denied', operation: 'unwrapKey', fault: revoked, sight: 'undecided', code: 'UnwrapDenied' },
  { what: 'T31: an unwrap with a disabled key', operation: 'unwrapKey', fault: disabled, sight: 'undecided', code: 'KeyDisabled' },
  { what: 'C2: a wrap with an expired key', operation: 'wrapKey', fault: expired, sight: 'undecided', code: 'KeyExpired' },
] as const)('section 5: $what answers with the finding and what to do', async ({ operation, fault, sight, code }) => {
  const { server, keyId } = aRef();
  expect((await heard(operation, fault, sight)).answer).toMatchObject({
    kind: 'refused',
    refusal: {
      code: 'KeyAccessDenied',
      // Suspected until a witness confirms it (F6); what latches nothing waits for a person.
      retryable: (code !== 'WrapDenied' && code !== 'KeyExpired') || (code === 'WrapDenied' && sight !== 'proven'),
      findings: [{ code, severity: 'error', server, keyId, vault: 'kv-west', action: expect.stringMatching(/\.$/) as string }],
    },
  });
});

test('F2: a wrap denied, and an outage where it is looked whether unwrap is too: the outage is told, to be probed until it ends', async () => {
  const { answer, met } = await heard('wrapKey', revoked, 'outage');
  expect(answer).toMatchObject({
    kind: 'refused',
    refusal: { code: 'KeyAccessDenied', retryable: true, findings: [{ code: 'WrapDenied' }] },
  });
  expect(met).toEqual(['kv-west']);
  for (const sight of ['proven', 'denied', 'undecided'] as const) expect((await heard('wrapKey', revoked, sight)).met).toEqual([]);
});

test('F8: what is denied is told, since it ends a failover; what is throttled is not', async () => {
  for (const operation of ['wrapKey', 'unwrapKey'] as const) expect((await heard(operation, revoked, 'denied')).told).toEqual(['kv-west']);
  expect((await heard('unwrapKey', { ...revoked, class: 'throttled', reach: null }, 'undecided')).told).toEqual([]);
});

test('F4: a denied wrap is kept as such also where the store is away for what was denied', async () => {
  const clock = virtualClock();
  const kept: string[] = [];
  const { failure } = createSettle({
    parts: { clock, registry: { peekVault: () => aVault() } },
    access: {
      otherDenied: () => Promise.reject(new StoreAway('away')),
      refused: (_ref: unknown, { operation, found }: OperationRefusal) => Promise.resolve(kept.push(`${operation} ${found?.code}`)),
    },
    outages: { denied: () => undefined },
  } as unknown as AttemptParts);
  const target = { registered: aRegisteredWith(), link: aLink(), ref: aRef() };
  const attempt = { vault: 'kv-west', role: 'primary', class: 'revoked', status: 403, vaultCode: null, ms: millis(3) } as const;
  const settled = await failure(target, 'wrapKey', { fault: revoked, receivedAt: clock.now(), attempt, deadline: 10_000 });
  expect(settled).toMatchObject({ kind: 'refused', refusal: { code: 'StateUnavailable' } });
  // P2: with what an event is to tell of it.
  expect(kept).toEqual(['wrapKey WrapDenied']);
});

test('F7: whoever met a 429 is told to come back when the back-off ends', async () => {
  const throttled: Fault = { ...revoked, class: 'throttled', status: 429, code: 'Throttled', detail: 'the vault throttles' };
  expect((await heard('unwrapKey', throttled, 'undecided')).answer).toMatchObject({
    kind: 'refused',
    refusal: { code: 'Throttled', retryable: true, retryAfterMs: 4000 },
  });
});

test('F4, F5: however many wraps of a link are denied at once, two looks follow one another; each is answered by one that was sent after its denial was stored', async () => {
  const clock = virtualClock();
  const stored = () => Promise.resolve();
  const looks: ((sight: Sight) => void)[] = [];
  const { failure } = createSettle({
    parts: { clock, registry: { peekVault: () => aVault() } },
    access: { otherDenied: stored, refused: stored, known: () => undefined },
    witness: {
      look() {
        const { promise, resolve } = Promise.withResolvers<Sight>();
        looks.push(resolve);
        return promise;
      },
    },
    outages: { denied: () => undefined },
  } as unknown as AttemptParts);
  const attempt = { vault: 'kv-west', role: 'primary', class: 'revoked', status: 403, vaultCode: null, ms: millis(3) } as const;
  const heardAll = new Map<string, string | undefined>();
  async function denied(name: string, server = 'sql-demo'): Promise<void> {
    const target = { registered: aRegisteredWith(), link: aLink(), ref: aRef({ server }) };
    void failure(target, 'wrapKey', { fault: revoked, receivedAt: clock.now(), attempt, deadline: 10_000 }).then((answer) => {
      heardAll.set(name, answer.kind === 'refused' ? answer.refusal.findings?.[0]?.code : answer.kind);
    });
    await clock.advance(0);
  }
  await denied('first');
  expect(looks).toHaveLength(1);
  for (let i = 0; i < 100; i += 1) await denied(`later ${i}`);
  expect(looks).toHaveLength(1);
  looks[0]?.('proven');
  await clock.advance(0);
  expect([...heardAll]).toEqual([['first', 'WrapDenied']]);
  expect(looks).toHaveLength(2);
  // Another link is looked at beside it.
  await denied('elsewhere', 'sql-other');
  expect(looks).toHaveLength(3);
  looks[1]?.('denied');
  await clock.advance(0);
  expect(heardAll.size).toBe(101);
  expect(heardAll.get('later 0')).toBe('UnwrapDenied');
  expect(heardAll.get('later 99')).toBe('UnwrapDenied');
  // When nobody looks any more, the next one looks for itself.
  await denied('last');
  expect(looks).toHaveLength(4);
});

test('C5: who has no time left for the look hears of the denied wrap in time; an outage that is seen later is told all the same', async () => {
  const clock = virtualClock();
  const stored = () => Promise.resolve();
  const met: string[] = [];
  const { promise: sight, resolve: see } = Promise.withResolvers<Sight>();
  const { failure } = createSettle({
    parts: { clock, registry: { peekVault: () => aVault() } },
    access: { otherDenied: stored, refused: stored, known: () => undefined },
    witness: { look: () => sight },
    outages: { met: (vault: string) => Promise.resolve(met.push(vault)), denied: () => undefined },
  } as unknown as AttemptParts);
  const target = { registered: aRegisteredWith(), link: aLink(), ref: aRef() };
  const attempt = { vault: 'kv-west', role: 'primary', class: 'revoked', status: 403, vaultCode: null, ms: millis(3) } as const;
  const deadline = clock.elapsed() + 3000;
  const answer = failure(target, 'wrapKey', { fault: revoked, receivedAt: clock.now(), attempt, deadline });
  await clock.advance(2999);
  expect(await answer).toMatchObject({ refusal: { code: 'KeyAccessDenied', retryable: true, findings: [{ code: 'WrapDenied' }] } });
  see('outage');
  await clock.advance(0);
  expect(met).toEqual(['kv-west']);
  expect(clock.pending).toBe(0);
});

test('F4: a look that fails, since the store is away, fails those who asked for it; the next one is made all the same', async () => {
  const sights: PromiseWithResolvers<Sight>[] = [];
  const look = createSharedLooks(() => (sights.push(Promise.withResolvers<Sight>()), sights.at(-1)!.promise));
  const target = { registered: aRegisteredWith(), link: aLink(), ref: aRef() };
  const first = look(target);
  const [second, third] = [look(target), look(target)];
  sights[0]?.reject(new StoreAway('away'));
  await expect(first).rejects.toBeInstanceOf(StoreAway);
  sights[1]?.resolve('proven');
  expect(await Promise.all([second, third])).toEqual(['proven', 'proven']);
  expect(sights).toHaveLength(2);
});
