import { beforeEach, describe, expect, it } from 'vitest';
import type { StatusView } from '../../src/broker/fleet-views.ts';
import { instant } from '../../src/domain/time.ts';
import type { AuditFleet, AuditInstance } from '../support/audit-fleet.ts';
import { auditFleet } from '../support/audit-fleet.ts';
import { aCaller, aContext, hour, minute } from '../support/builders.ts';

const context = aContext(aCaller(['KeyBroker.Auditor']));

let fleet: AuditFleet;
let one: AuditInstance;
beforeEach(async () => {
  fleet = await auditFleet();
  one = fleet.start('one');
});

async function status(page: { readonly after?: string; readonly limit?: number } = {}): Promise<StatusView> {
  const answer = await one.roads.status({ after: page.after ?? null, limit: page.limit ?? 100 }, context);
  if (!answer.ok) throw new Error(answer.refusal.detail);
  return answer.value;
}

describe('the status document', () => {
  it('of an empty fleet has nothing, and is whole', async () => {
    expect(await status()).toMatchObject({
      servers: { total: 0, byState: { online: 0, atRisk: 0 }, notOnline: { items: [], next: null } },
      vaults: [{ name: 'north' }, { name: 'south' }, { name: 'west' }],
      audit: null,
      oldestProof: null,
    });
  });

  it('A5: counts servers by state, as their clocks run on, and pages those that are not online', async () => {
    const now = fleet.clock.now();
    const clock = { firstDenialAt: now, inaccessibleAt: instant(now + 10 * minute), healsUntil: instant(now + 8 * hour) };
    await fleet.addServer('sql-a');
    await fleet.addServer('sql-b', { server: { state: 'atRisk', since: now, clock } });
    await fleet.addServer('sql-c', { server: { state: 'pendingValidation' } });
    await fleet.addServer('sql-d', { server: { state: 'atRisk', since: now, clock } });
    expect((await status()).servers).toMatchObject({ total: 4, byState: { online: 1, atRisk: 2, inaccessible: 0, pendingValidation: 1 } });
    await fleet.clock.advance(11 * minute);
    const first = await status({ limit: 2 });
    expect(first.servers.byState).toMatchObject({ online: 1, atRisk: 0, inaccessible: 2, pendingValidation: 1 });
    expect(first.servers.notOnline).toMatchObject({
      items: [{ name: 'sql-b', state: 'inaccessible', clock }, { name: 'sql-c' }],
      next: 'sql-c',
    });
    expect((await status({ limit: 2, after: 'sql-c' })).servers.notOnline).toMatchObject({ items: [{ name: 'sql-d' }], next: null });
  });

  it('shows latches by vault, the newest audit, and no proof of a latched link', async () => {
    await fleet.addServer('sql-a');
    fleet.vaults.truth.get('west')!.forbidden.set(null, new Set(['unwrapKey']));
    await fleet.audit(one);
    const shown = await status();
    expect(shown.vaults.map(({ name, latches }) => [name, latches])).toEqual([
      ['north', { suspected: 0, confirmed: 0 }],
      ['south', { suspected: 0, confirmed: 0 }],
      ['west', { suspected: 1, confirmed: 0 }],
    ]);
    expect(shown.audit).toMatchObject({ slot: '2026-11-22T06:00:00Z', counts: { servers: 1, errors: 1 } });
    expect(shown.oldestProof).toBeNull();
  });

  it('counts each server once, whatever changes: registered, gone online and removed servers show at once', async () => {
    const counts = async () => {
      const { byState, total } = (await status()).servers;
      expect(Object.values(byState).reduce((sum, one) => sum + one, 0)).toBe(total);
      return [total, byState.online, byState.pendingValidation];
    };
    await fleet.addServer('sql-a');
    expect(await counts()).toEqual([1, 1, 0]);
    await fleet.addServer('sql-b', { server: { state: 'pendingValidation' } });
    expect(await counts()).toEqual([2, 1, 1]);
    await fleet.addServer('sql-b', { server: { state: 'online' } });
    expect(await counts()).toEqual([2, 2, 0]);
    await fleet.removeServer('sql-a');
    expect(await counts()).toEqual([1, 1, 0]);
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

  it('of two instances that watch the same minute the worse sight stays', async () => {
    const two = fleet.start('two');
    one.budget.used = 400;
    two.budget.used = 100;
    await one.roads.watch();
    await two.roads.watch();
    expect((await status()).vaults[0]!.lastHour.rate.at(-1)).toBe(0.4);
  });

  it('looks at no server that is online: its cost does not grow with them', async () => {
    const readsOf = async (): Promise<number> => {
      const reads: string[] = [];
      fleet.store.before = (access, key) => {
        if (access === 'read' && key.startsWith('server/sql')) reads.push(key);
      };
      await status();
      fleet.store.before = undefined;
      return reads.length;
    };
    for (let i = 0; i < 50; i += 1) await fleet.addServer(`sql-${i}`);
    expect(await readsOf()).toBe(0);
    await fleet.addServer('sql-waits', { server: { state: 'pendingValidation' } });
    expect(await readsOf()).toBe(1);
  });
});
