import { beforeEach, describe, expect, it } from 'vitest';
import type { StatusView } from '../../src/broker/fleet-views.ts';
import type { Server } from '../../src/domain/server.ts';
import { instant } from '../../src/domain/time.ts';
import { Unreadable } from '../../src/ports/store.ts';
import type { AuditFleet, AuditInstance } from '../support/audit-fleet.ts';
import { auditFleet } from '../support/audit-fleet.ts';
import { aCaller, aContext, hour, minute } from '../support/builders.ts';
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

describe('the servers in the status document', () => {
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
    expect(first.servers.notOnline.items).toMatchObject([{ name: 'sql-b', state: 'inaccessible', clock }, { name: 'sql-d' }]);
    const second = (await status({ limit: 2, after: first.servers.notOnline.next! })).servers;
    expect(second.notOnline).toMatchObject({ items: [{ name: 'sql-c' }], next: null });
  });

  it('A5: shows the worst first, by the time that is left, also where hundreds wait for their protector', async () => {
    const now = fleet.clock.now();
    const denied = (ago: number) => ({
      firstDenialAt: instant(now - ago),
      inaccessibleAt: instant(now - ago + 10 * minute),
      healsUntil: instant(now - ago + 8 * hour),
    });
    for (let i = 0; i < 206; i += 1) await fleet.addServer(`a${i}`, { server: { state: 'pendingValidation', since: now } });
    const states: readonly [string, Partial<Server>][] = [
      ['late', { state: 'atRisk', since: now, clock: denied(2 * minute) }],
      ['lost', { state: 'needsRevalidation', since: now, clock: denied(9 * hour) }],
      ['soon', { state: 'atRisk', since: now, clock: denied(8 * minute) }],
      ['down', { state: 'inaccessible', since: now, clock: denied(hour) }],
      ['long', { state: 'atRisk', since: now, clock: denied(7 * hour) }],
    ];
    for (const [name, server] of states) await fleet.addServer(`sql-${name}`, { server });
    const { items } = (await status({ limit: 6 })).servers.notOnline;
    expect(items.map(({ name, state }) => [name, state])).toEqual([
      ['sql-long', 'inaccessible'],
      ['sql-down', 'inaccessible'],
      ['sql-soon', 'atRisk'],
      ['sql-late', 'atRisk'],
      ['sql-lost', 'needsRevalidation'],
      ['a0', 'pendingValidation'],
    ]);
  });

  it('A5: pages show each server once while clocks run on and new servers come in front', async () => {
    const now = fleet.clock.now();
    for (let i = 0; i < 10; i += 1) {
      const inaccessibleAt = instant(now + (i + 1) * minute);
      const clock = { firstDenialAt: now, inaccessibleAt, healsUntil: instant(now + 8 * hour) };
      await fleet.addServer(`sql-${i}`, { server: { state: 'atRisk', since: now, clock } });
    }
    const seen: string[] = [];
    let after: string | null = null;
    for (let pages = 0; pages === 0 || after !== null; pages += 1) {
      const { items, next }: StatusView['servers']['notOnline'] = (await status({ limit: 3, ...(after === null ? {} : { after }) })).servers
        .notOnline;
      seen.push(...items.map(({ name }) => name));
      after = next;
      await fleet.clock.advance(5 * minute);
      await fleet.addServer(`new-${pages}`, { server: { state: 'inaccessible', since: now } });
    }
    expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => `sql-${i}`));
  });

  it('a cursor that is none of this list is refused by its field', async () => {
    const answer = await one.roads.status({ after: 'sql-c', limit: 10 }, context);
    expect(answer).toMatchObject({ ok: false, refusal: { code: 'InvalidRequest', detail: 'after: is not the `next` of this list' } });
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

  it('of a server that cannot be read shows what is listed of it; few are looked up at once', async () => {
    for (let i = 0; i < 40; i += 1) await fleet.addServer(`sql-${i}`, { server: { state: 'pendingValidation' } });
    let [under, most] = [0, 0];
    fleet.store.before = async (access, key) => {
      if (access !== 'read' || !key.startsWith('server/sql')) return;
      if (key === 'server/sql-7') throw new Unreadable('a row');
      most = Math.max(most, (under += 1));
      await new Promise(setImmediate);
      under -= 1;
    };
    const { byState, notOnline } = (await status()).servers;
    expect(byState.pendingValidation).toBe(40);
    expect(notOnline.items).toContainEqual(expect.objectContaining({ name: 'sql-7', state: 'pendingValidation' }));
    expect(notOnline.items.map(({ name }) => name)).toEqual(notOnline.items.map(({ name }) => name).sort());
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(16);
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
