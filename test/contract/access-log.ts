import { beforeEach, describe, expect, it, vi } from 'vitest';
import { soundVault, type LinkAccess } from '../../src/domain/access.ts';
import { instant } from '../../src/domain/time.ts';
import type { AccessLog } from '../../src/ports/access-log.ts';
import type { EventLog } from '../../src/ports/events.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { anAccess, anEvent, aRef, keyId, morning } from '../support/stored-values.ts';

export interface AccessRig {
  open(): { readonly access: AccessLog; readonly events: EventLog };
  setAway(away: boolean): void | Promise<void>;
}

/** A change that counts: each witness adds one. */
function oneMore(stored: LinkAccess | undefined): { next: LinkAccess; events: [] } {
  const before = stored ?? anAccess(aRef(), { provenAt: null });
  return { next: { ...before, provenAt: instant((before.provenAt ?? 0) + 1) }, events: [] };
}

export function describeAccessLog(name: string, factory: () => Promise<AccessRig>): void {
  describe(`access log: ${name}`, () => {
    let rig: AccessRig;
    let a: AccessLog;
    let b: AccessLog;
    let events: EventLog;
    beforeEach(async () => {
      rig = await factory();
      const [one, other] = [rig.open(), rig.open()];
      a = one.access;
      b = other.access;
      events = other.events;
    });

    it('a vault of which nothing is stored is sound and has no links', async () => {
      expect(await a.read('kv-west')).toMatchObject({ vault: 'kv-west', health: soundVault, links: [] });
    });

    it("F4: what one instance stored of a link, every instance reads, with the vault's health beside it", async () => {
      const latched = anAccess(aRef(), {
        latch: {
          status: 'suspected',
          class: 'revoked',
          firstDenialAt: instant(morning),
          newestDenialAt: instant(morning + 1),
          witnesses: 1,
          generation: 'g1',
          code: 'ForbiddenByPolicy',
        },
        denials: { identity: instant(morning) },
        refused: { wrapKey: { since: instant(morning), finding: 'WrapDenied' } },
      });
      expect(await a.changeLink(latched.ref, () => ({ next: latched, events: [] }))).toEqual(latched);
      const health = { ...soundVault, outageSince: instant(morning), openAt: { 'instance-1': instant(morning) } };
      expect(await a.changeVault('kv-west', () => ({ next: health, events: [] }))).toEqual(health);
      const picture = await b.read('kv-west');
      expect(picture.links).toEqual([latched]);
      expect(picture.health).toEqual(health);
    });

    it('links of several servers, keys and vaults stay apart', async () => {
      const refs = [
        aRef(),
        aRef({ server: 'sql-two' }),
        aRef({ keyId: keyId('kv-west', 'b'.repeat(32)) }),
        aRef({ vault: 'kv-north', keyId: keyId('kv-north') }),
      ];
      for (const ref of refs) await a.changeLink(ref, (stored) => (stored === undefined ? { next: anAccess(ref), events: [] } : null));
      expect((await b.read('kv-west')).links).toHaveLength(3);
      expect((await b.read('kv-north')).links.map(({ ref }) => ref)).toEqual([refs[3]]);
    });

    it('null writes nothing and answers what is stored', async () => {
      expect(await a.changeLink(aRef(), () => null)).toBeUndefined();
      expect(await a.changeVault('kv-west', () => null)).toEqual(soundVault);
      expect((await b.read('kv-west')).links).toEqual([]);
    });

    it('a row that is removed is there no more, for any instance, and can be stored anew', async () => {
      const remove = { next: null, events: [] };
      expect(await a.changeLink(aRef(), () => remove)).toBeUndefined();
      await a.changeLink(aRef(), oneMore);
      expect(await b.changeLink(aRef(), () => remove)).toBeUndefined();
      expect((await a.read('kv-west')).links).toEqual([]);
      expect((await a.changeLink(aRef(), oneMore))?.provenAt).toBe(1);
      expect((await b.read('kv-west')).links).toHaveLength(1);
    });

    it('a removal sees the change that another instance makes at the same time', async () => {
      await a.changeLink(aRef(), oneMore);
      const unlessTwo = (stored: LinkAccess | undefined) => (stored?.provenAt === 2 ? null : { next: null, events: [] });
      await Promise.all([a.changeLink(aRef(), unlessTwo), b.changeLink(aRef(), oneMore)]);
      // Whichever came first: the change is kept, or is the first of a new row.
      expect([1, 2]).toContain((await a.read('kv-west')).links[0]?.provenAt);
    });

    it('two instances that change one link at once: none of the changes is lost', async () => {
      await Promise.all(Array.from({ length: 14 }, (_, number) => (number % 2 === 0 ? a : b).changeLink(aRef(), oneMore)));
      expect((await a.read('kv-west')).links[0]?.provenAt).toBe(14);
    });

    it('two instances that change one vault at once: none of the changes is lost', async () => {
      const open = (instance: string, log: AccessLog): Promise<unknown> =>
        log.changeVault('kv-west', (health) => ({
          next: { ...health, openAt: { ...health.openAt, [instance]: instant(morning) } },
          events: [],
        }));
      await Promise.all(Array.from({ length: 10 }, (_, number) => open(`i${number}`, number % 2 === 0 ? a : b)));
      expect(Object.keys((await b.read('kv-west')).health.openAt)).toHaveLength(10);
    });

    it('P2: events of a change reach the event log and are no part of the picture', async () => {
      const event = anEvent('latch', { type: 'keybroker.latch.suspected' });
      await a.changeLink(aRef(), () => ({ next: anAccess(), events: [event] }));
      expect((await b.read('kv-west')).links).toEqual([anAccess()]);
      await vi.waitFor(async () =>
        expect((await events.page({ after: null, limit: 10, since: null, subject: null })).items).toEqual([event]),
      );
    });

    it('store away: reads and changes reject with StoreAway', async () => {
      await rig.setAway(true);
      await expect(a.read('kv-west')).rejects.toBeInstanceOf(StoreAway);
      await expect(a.changeLink(aRef(), oneMore)).rejects.toBeInstanceOf(StoreAway);
      await rig.setAway(false);
      expect((await a.read('kv-west')).links).toEqual([]);
    });
  });
}
