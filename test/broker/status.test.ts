import { beforeEach, describe, expect, it } from 'vitest';
import { linkKey } from '../../src/domain/access.ts';
import { instant } from '../../src/domain/time.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import { keyIdOf, thumbprintOf, wrapped } from '../model/world/vaults.ts';
import type { KeyName } from '../model/world/vaults.ts';
import type { AuditFleet, AuditInstance } from '../support/audit-fleet.ts';
import { auditFleet, linkTo } from '../support/audit-fleet.ts';
import { aCaller, aContext, aLatch, anUntried, minute, second } from '../support/builders.ts';
import { statusAt } from '../support/status-document.ts';
import type { StatusPage } from '../support/status-document.ts';

const context = aContext(aCaller(['KeyBroker.Auditor']));

let fleet: AuditFleet;
let one: AuditInstance;
beforeEach(async () => {
  fleet = await auditFleet();
  one = fleet.start('one');
});

const status = (page?: StatusPage) => statusAt(one, page);

describe('the status document', () => {
  it('of an empty fleet has nothing, and is whole', async () => {
    expect(await status()).toMatchObject({
      servers: { total: 0, byState: { online: 0, atRisk: 0 }, notOnline: { items: [], next: null } },
      vaults: [{ name: 'north' }, { name: 'south' }, { name: 'west' }],
      audit: null,
      oldestProof: null,
    });
  });

  it('F3: the oldest proof is that of the primary whose newest is the oldest, those of traffic included that are not stored yet', async () => {
    const stored = async (server: string, key: KeyName, ago: number) => {
      await fleet.addServer(server, { links: [linkTo('west', key)] });
      const ref = { server, keyId: keyIdOf('west', key), vault: 'west', identity: null };
      const next = anUntried(ref, { provenAt: instant(fleet.clock.now() - ago) });
      await fleet.store.change(`access/west/link/${linkKey(ref)}`, undefined, () => ({ next }));
    };
    await stored('sql-a', 'k1', 5 * minute);
    await stored('sql-b', 'k2', 3 * minute);
    expect((await status()).oldestProof).toMatchObject({ server: 'sql-a' });
    const host = aContext(aCaller(['KeyBroker.Host']));
    const unwrap = { server: 'sql-a', database: 'orders', thumbprint: thumbprintOf('k1'), algorithm: 'RSA-OAEP-256' } as const;
    const provenAt = instant(fleet.clock.now() - 3 * minute);
    const unwrapped = one.roads.unwrap({ ...unwrap, wrappedDek: wrapped('k1', new Uint8Array(32).fill(7)) }, host);
    await fleet.clock.advance(second);
    expect(await unwrapped).toMatchObject({ ok: true });
    expect((await status()).oldestProof).toEqual({ server: 'sql-b', keyId: keyIdOf('west', 'k2'), vault: 'west', provenAt });
  });

  it('shows latches by vault, the newest audit, and no proof of a latched link', async () => {
    await fleet.addServer('sql-a');
    fleet.vaults.truth.get('west')!.forbidden.set(null, new Set(['unwrapKey']));
    await fleet.audit(one);
    const shown = await status();
    expect(shown.vaults.map(({ name, latches }) => [name, latches])).toEqual([
      ['north', { suspected: 0, confirmed: 0, unknown: 0 }],
      ['south', { suspected: 0, confirmed: 0, unknown: 0 }],
      ['west', { suspected: 1, confirmed: 0, unknown: 0 }],
    ]);
    expect(shown.audit).toMatchObject({ slot: '2026-11-22T06:00:00Z', counts: { servers: 1, errors: 1 } });
    expect(shown.oldestProof).toBeNull();
  });

  it('A5: names the links with a latch, the confirmed first and then the oldest, at most a hundred of all', async () => {
    const latch = async (server: string, status: 'suspected' | 'confirmed', ago: number) => {
      const ref = { server, keyId: keyIdOf('west', 'k1'), vault: 'west', identity: null };
      const at = instant(fleet.clock.now() - ago);
      const next = anUntried(ref, { latch: aLatch({ status, class: 'keyGone', firstDenialAt: at, newestDenialAt: at }) });
      await fleet.store.change(`access/west/link/${linkKey(ref)}`, undefined, () => ({ next }));
      return { server, keyId: ref.keyId, vault: 'west', status, class: 'keyGone', since: at };
    };
    expect((await status()).latchedLinks).toEqual({ total: 0, items: [] });
    const young = await latch('sql-young', 'confirmed', minute);
    const old = await latch('sql-old', 'confirmed', 2 * minute);
    const suspects = [];
    for (let n = 100; n < 205; n += 1) suspects.push(await latch(`sql-${n}`, 'suspected', 3 * minute));
    await fleet.clock.advance(minute);
    const { total, items } = (await status()).latchedLinks;
    expect(total).toBe(107);
    expect(items).toHaveLength(100);
    expect(items.slice(0, 2).map(({ server }) => server)).toEqual([old.server, young.server]);
    expect(items.slice(2)).toEqual(suspects.slice(0, 98));
  });

  it('F3: of a vault of which a row of access cannot be read shows the others, and that it is not all; the gate has no picture', async () => {
    const shown = async () => Object.fromEntries((await status()).vaults.map(({ name, latches }) => [name, latches]));
    await fleet.addServer('sql-a');
    await fleet.addServer('sql-b', { links: [linkTo('west', 'k2')] });
    fleet.vaults.truth.get('west')!.forbidden.set(null, new Set(['unwrapKey']));
    await fleet.audit(one);
    const sound = { suspected: 0, confirmed: 0, unknown: 0 };
    expect(await shown()).toEqual({ north: sound, south: sound, west: { suspected: 2, confirmed: 0, unknown: 0 } });
    const key = `access/west/link/${linkKey({ server: 'sql-b', keyId: keyIdOf('west', 'k2') })}`;
    await fleet.store.change(key, undefined, () => ({ next: new Unreadable('a row') }));
    await fleet.clock.advance(minute);
    expect(await shown()).toEqual({ north: sound, south: sound, west: { suspected: 1, confirmed: 0, unknown: 1 } });
    const drilled = await one.roads.drill('sql-a', context);
    expect(drilled).toMatchObject({ ok: false, refusal: { code: 'StateUnavailable', detail: 'a row' } });
  });

  it('shows the last hour of each vault by the minute: the worst that a pass of the watch saw, null where none looked', async () => {
    const shown = async () => (await status()).vaults.find(({ name }) => name === 'west')!.lastHour;
    expect(await shown()).toMatchObject({ stepMs: minute, rate: Array(60).fill(null), circuit: Array(60).fill(null) });
    for (const used of [100, 730, 20]) {
      one.budget.used = used;
      await one.roads.watch();
      await fleet.clock.advance(15_000);
    }
    await fleet.clock.advance(2 * minute);
    const hour = await shown();
    expect(hour.from % minute).toBe(0);
    expect(hour.rate.slice(-4)).toEqual([null, 0.73, null, null]);
    expect(hour.circuit.slice(-4)).toEqual([null, 'closed', null, null]);
    await fleet.clock.advance(58 * minute);
    expect((await shown()).rate).toEqual(Array(60).fill(null));
  });

  it('F7: what was used before a vault was throttled is shown as all of the budget that it has left, never as more', async () => {
    one.budget.used = 16_000;
    await one.roads.watch();
    expect((await status()).vaults[0]!.lastHour.rate.at(-1)).toBe(1);
  });

  it('of two instances that watch the same minute the worse sight stays', async () => {
    const two = fleet.start('two');
    one.budget.used = 400;
    two.budget.used = 100;
    await one.roads.watch();
    await two.roads.watch();
    expect((await status()).vaults[0]!.lastHour.rate.at(-1)).toBe(0.4);
  });

  it('of a last hour that cannot be read shows nothing, and all else', async () => {
    await fleet.addServer('sql-a');
    await one.roads.watch();
    fleet.store.before = (access, key) => {
      if (access === 'read' && key.startsWith('history/')) throw new Unreadable('a row');
    };
    const shown = await status();
    expect(shown.servers.total).toBe(1);
    expect(shown.vaults.map(({ lastHour }) => lastHour.rate)).toEqual(Array(3).fill(Array(60).fill(null)));
  });

  it('what keeps the last hour from being stored keeps neither audits nor upkeep from going on', async () => {
    await fleet.addServer('sql-a');
    one.budget.used = 999;
    await fleet.audit(one, 500_000);
    one.budget.used = 0;
    const seen: string[] = [];
    fleet.store.before = (access, key) => {
      seen.push(key);
      if (access === 'write' && key.startsWith('history/')) throw new StoreAway('the history alone');
    };
    await expect(one.roads.watch()).rejects.toThrow('the history alone');
    // Upkeep looked at the claims of every vault.
    expect(seen.filter((key) => key.startsWith('association/'))).toHaveLength(3);
    await fleet.clock.advance(10_000);
    expect((await status()).audit?.finishedAt).not.toBeNull();
  });
});
