import { describe, expect, test } from 'vitest';
import type { Attempts } from '../../src/broker/attempt.ts';
import { createAtGroup } from '../../src/broker/failover.ts';
import type { AttemptParts, KeyCall, Tried } from '../../src/broker/key-call.ts';
import type { LinkAccess, LinkRef } from '../../src/domain/access.ts';
import { instant, millis } from '../../src/domain/time.ts';
import { refuse } from '../../src/domain/refusal.ts';
import type { Attempt, RefusalCode } from '../../src/domain/refusal.ts';
import type { Link } from '../../src/domain/server.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { aLatch, anUntried, aPicture, aRegisteredWith, at, gateRules, hour, minute, noon } from '../support/builders.ts';
import { aLink, aRef, aVault, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const primary = aLink();
const [north, south] = ['kv-north', 'kv-south'].map((vault) =>
  aLink({ keyId: keyId(vault), vault, role: 'standby', standbyOf: primary.keyId }),
) as [Link, Link];

function attemptAt({ vault, standbyOf }: Link, of: Attempt['class']): Attempt {
  return { vault, role: standbyOf === null ? 'primary' : 'standby', class: of, status: null, vaultCode: null, ms: millis(1) };
}

function refusedAt(link: Link, code: RefusalCode, leadsOn: boolean): Tried<never> {
  return { kind: 'refused', refusal: refuse(code, 'as the test says').refusal, attempt: attemptAt(link, 'ambiguous'), leadsOn };
}

/** A group whose primary is out; `answers` by vault, `known` of the links. Which vaults were asked, and what the gate said there. */
async function failOver(
  answers: Readonly<Record<string, (link: Link) => Tried<never>>>,
  { operation = 'unwrapKey', known = [] }: { operation?: KeyCall<never>['operation']; known?: readonly LinkAccess[] } = {},
) {
  const asked: string[] = [];
  const attempts = {
    at(link: Link) {
      asked.push(link.vault);
      if (link === primary) return Promise.resolve({ kind: 'outage', attempt: attemptAt(link, 'outage') } as const);
      return Promise.resolve(answers[link.vault]?.(link) ?? { kind: 'served', value: undefined, attempt: attemptAt(link, 'ok') });
    },
  } as Attempts;
  const all = {
    parts: { clock: virtualClock(), registry: { peekVault: () => undefined }, rules: { probeMs: millis(2000) } },
    access: { known: (ref: LinkRef) => known.find((one) => one.ref.keyId === ref.keyId) },
    outages: { failedOver: () => undefined },
  } as unknown as AttemptParts;
  const registered = { ...aRegisteredWith(), links: [primary, north, south] };
  const call = { registered, operation } as unknown as KeyCall<never>;
  return { operated: await createAtGroup(all, attempts)({ primary, standbys: [north, south] }, call), asked };
}

describe('standbys are tried in their order while the primary is out', () => {
  test.each<[string, (link: Link) => Tried<never>]>([
    ['an outage', (link) => ({ kind: 'outage', attempt: attemptAt(link, 'outage') })],
    ['an open circuit', (link) => ({ kind: 'outage', attempt: attemptAt(link, 'circuitOpen') })],
    ['a gate that is closed', (link) => ({ ...refusedAt(link, 'VaultUnavailable', false), attempt: null }) as Tried<never>],
    ['an answer that says nothing of the key', (link) => refusedAt(link, 'VaultUnavailable', true)],
    ['a throttle', (link) => refusedAt(link, 'Throttled', true)],
    ['a wrap with an expired key', (link) => refusedAt(link, 'KeyAccessDenied', true)],
  ])('%s at the first leads to the next', async (_what, first) => {
    const { operated, asked } = await failOver({ 'kv-north': first });
    expect(asked).toEqual(['kv-west', 'kv-north', 'kv-south']);
    expect(operated).toMatchObject({ ok: true, link: { vault: 'kv-south' } });
  });

  test.each<[string, RefusalCode, string]>([
    ['T33: a denial', 'KeyAccessDenied', 'VaultUnavailable'],
    ['F1: what may hide a denial', 'VaultUnavailable', 'VaultUnavailable'],
    ['a ciphertext that is none', 'CiphertextRejected', 'CiphertextRejected'],
  ])('%s ends the search', async (_what, code, heard) => {
    const { operated, asked } = await failOver({ 'kv-north': (link) => refusedAt(link, code, false) });
    expect(asked).toEqual(['kv-west', 'kv-north']);
    expect(operated).toMatchObject({ ok: false, refusal: { code: heard } });
  });

  test('F4: to wrap, one that refused it and has not wrapped since comes last; to unwrap it does not', async () => {
    const refused = { wrapKey: { since: noon, finding: 'KeyExpired' } } as const;
    const known = [anUntried(aRef({ keyId: north.keyId, vault: north.vault }), { refused })];
    expect((await failOver({}, { operation: 'wrapKey', known })).asked).toEqual(['kv-west', 'kv-south']);
    expect((await failOver({}, { operation: 'unwrapKey', known })).asked).toEqual(['kv-west', 'kv-north']);
    const all = await failOver({ 'kv-south': (link) => refusedAt(link, 'Throttled', true) }, { operation: 'wrapKey', known });
    expect(all.asked).toEqual(['kv-west', 'kv-south', 'kv-north']);
  });
});

test('F3: a DEK under a former protector stays where it is once the latch of the protector, in a third vault, is confirmed', async () => {
  const former = aLink({ keyId: keyId('kv-old'), vault: 'kv-old', role: 'additional' });
  const standby = aLink({ keyId: keyId('kv-copy'), vault: 'kv-copy', role: 'standby', standbyOf: former.keyId });
  const refOf = (link: Link): LinkRef => aRef({ keyId: link.keyId, vault: link.vault });
  const rows = (latched: boolean): Readonly<Record<string, LinkAccess>> => ({
    'kv-west': anUntried(refOf(primary), { latch: latched ? aLatch({ status: 'confirmed' }) : null }),
    'kv-old': anUntried(refOf(former), { provenAt: at(-minute) }),
    'kv-copy': anUntried(refOf(standby), { provenAt: at(-minute) }),
  });
  for (const latched of [false, true]) {
    const clock = virtualClock(noon);
    const attempts = {
      async at(link: Link, _call: unknown, guard?: () => Promise<unknown>) {
        const refusal = await guard?.();
        if (refusal !== undefined) return { kind: 'refused', refusal, attempt: null };
        return link === former
          ? { kind: 'outage', attempt: attemptAt(link, 'outage') }
          : { kind: 'served', attempt: attemptAt(link, 'ok') };
      },
    } as unknown as Attempts;
    const all = {
      parts: {
        clock,
        registry: { peekVault: () => aVault() },
        controlPlane: { vaultStatus: () => Promise.resolve('exists') },
        rules: { probeMs: millis(2000), gate: gateRules },
      },
      access: {
        known: () => undefined,
        health: () => ({ outageSince: noon }),
        pictures: (...vaults: readonly string[]) =>
          Promise.resolve(vaults.map((vault) => aPicture([rows(latched)[vault]!], { outageSince: instant(noon) }))),
      },
      outages: { failedOver: () => undefined },
    } as unknown as AttemptParts;
    const registered = { ...aRegisteredWith(), links: [primary, former, standby] };
    const call = { registered, operation: 'unwrapKey' } as unknown as KeyCall<never>;
    const operated = await createAtGroup(all, attempts)({ primary: former, standbys: [standby] }, call);
    expect(operated.ok).toBe(!latched);
    if (!operated.ok) expect(operated.refusal.detail).toMatch(/F3: the protector is latched/);
  }
});

test.each([
  { what: 'has been linked since', appears: true, ok: true, reads: 2 },
  { what: 'is not there a second later either', appears: false, ok: false, reads: 2 },
  { what: 'could only be waited for beyond the deadline', appears: true, ok: false, reads: 1, deadline: 2000 },
  { what: 'was linked long ago, so that no new picture shows it', appears: true, ok: false, reads: 1, linkedAt: at(-3001) },
])(
  'F3: a standby that the picture does not show, and which $what',
  async ({ appears, ok, reads, deadline = 10_000, linkedAt = at(-3000) }) => {
    const clock = virtualClock(noon);
    const standby = { ...north, linkedAt };
    const old = { ...primary, linkedAt: at(-hour) };
    const seen: number[] = [];
    const rows = [primary, north].map(({ keyId: key, vault }) => anUntried(aRef({ keyId: key, vault }), { provenAt: at(-minute) }));
    const attempts = {
      async at(link: Link, _call: unknown, guard?: () => Promise<unknown>) {
        if (link === old) return { kind: 'outage', attempt: attemptAt(link, 'outage') };
        const refusal = await guard?.();
        return refusal === undefined ? { kind: 'served', attempt: attemptAt(link, 'ok') } : { kind: 'refused', refusal, attempt: null };
      },
    } as unknown as Attempts;
    const all = {
      parts: {
        clock,
        registry: { peekVault: () => undefined },
        rules: { probeMs: millis(2000), gate: gateRules, pictureMaxAgeMs: millis(1000) },
      },
      access: {
        known: () => undefined,
        pictures(...vaults: readonly string[]) {
          seen.push(clock.elapsed());
          const known = appears && seen.length > 1 ? rows : rows.slice(0, 1);
          return Promise.resolve(
            vaults.map((vault) =>
              aPicture(
                known.filter(({ ref }) => ref.vault === vault),
                { outageSince: instant(noon) },
              ),
            ),
          );
        },
      },
      outages: { failedOver: () => undefined },
    } as unknown as AttemptParts;
    const registered = { ...aRegisteredWith(), links: [old, standby] };
    const call = { registered, operation: 'unwrapKey', deadline: clock.elapsed() + deadline } as unknown as KeyCall<never>;
    const operated = createAtGroup(all, attempts)({ primary: old, standbys: [standby] }, call);
    await clock.advance(1001);
    expect({ ok: (await operated).ok, reads: seen.length }).toEqual({ ok, reads });
  },
);

describe('a key without a standby, whose vault is out', () => {
  async function alone(
    latch: LinkAccess['latch'],
    vaultStatus: 'exists' | 'deleted' | 'unknown',
    picture: () => Promise<unknown> = () => Promise.resolve(aPicture([anUntried(aRef(), { latch })])),
    storing: () => Promise<void> = () => Promise.resolve(),
  ) {
    const stored: unknown[] = [];
    const all = {
      parts: {
        clock: virtualClock(),
        registry: { peekVault: () => aVault() },
        controlPlane: { vaultStatus: () => Promise.resolve(vaultStatus) },
        rules: { probeMs: millis(2000) },
      },
      access: {
        known: () => anUntried(aRef(), { latch }),
        health: () => ({ outageSince: noon }),
        picture,
        denied: (_ref: LinkRef, seen: unknown) => storing().then(() => stored.push(seen)),
      },
      outages: { failedOver: () => undefined },
    } as unknown as AttemptParts;
    const attempts = { at: (link: Link) => Promise.resolve({ kind: 'outage', attempt: attemptAt(link, 'outage') }) } as unknown as Attempts;
    const registered = { ...aRegisteredWith(), links: [primary] };
    const call = { registered, operation: 'unwrapKey' } as unknown as KeyCall<never>;
    const operated = await createAtGroup(all, attempts)({ primary, standbys: [] }, call);
    return { refusal: operated.ok ? undefined : operated.refusal, stored };
  }

  test.each(['exists', 'unknown'] as const)('is told that it has none: the control plane says %s', async (status) => {
    const { refusal, stored } = await alone(null, status);
    expect(refusal).toMatchObject({ code: 'VaultUnavailable', retryable: true, retryAfterMs: 2000 });
    expect(refusal?.detail).toMatch(/^F3: .* no standby$/);
    expect(stored).toEqual([]);
  });

  test('F4: is told why access was denied before', async () => {
    const { refusal } = await alone(aLatch({ status: 'confirmed' }), 'unknown');
    expect(refusal).toMatchObject({ code: 'VaultUnavailable' });
    expect(refusal?.detail).toMatch(/^F4: access to the key in vault kv-west was denied at .* \(confirmed\)$/);
  });

  test.each([
    { latch: aLatch(), again: { retryable: true, retryAfterMs: 1000 } },
    { latch: aLatch({ status: 'confirmed' }), again: { retryable: false } },
  ])('F9, F6: of a vault that was deleted is denied, and worth to try again while that is $latch.status', async ({ latch, again }) => {
    const { refusal, stored } = await alone(latch, 'deleted');
    const finding = { code: 'KeyUnreachable', action: expect.stringMatching(/^Recover the vault/) as string };
    expect(refusal).toMatchObject({ code: 'KeyAccessDenied', ...again, findings: [finding] });
    expect(refusal?.detail).toMatch(/F9: vault kv-west was deleted/);
    expect(stored).toMatchObject([{ class: 'vaultGone', reach: 'vault', code: 'VaultDeleted', witness: false }]);
  });

  test('F4: of a vault that was deleted hears that the store is away, where the denial cannot be stored', async () => {
    const away = () => Promise.reject(new StoreAway('away'));
    const { refusal } = await alone(null, 'deleted', away, away);
    expect(refusal).toMatchObject({ code: 'StateUnavailable', retryable: true });
  });

  test('hears of the outage where the store is away', async () => {
    const { refusal } = await alone(null, 'unknown', () => Promise.reject(new StoreAway('away')));
    expect(refusal).toMatchObject({ code: 'VaultUnavailable' });
  });
});
