import { beforeEach, describe, expect, it } from 'vitest';
import type { NumberedRecord } from '../../src/domain/operation.ts';
import { instant } from '../../src/domain/time.ts';
import type { OperationLog } from '../../src/ports/operation-log.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { aRecord, morning } from '../support/stored-values.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';

export interface OperationRig {
  readonly clock: VirtualClock;
  /** An instance whose memory queue holds `queueLength` records, and whose log lines `spilled` collects; `log` may be made to fail. */
  open(instance: string, queueLength: number): { readonly log: OperationLog; readonly spilled: NumberedRecord[]; breakLog(): void };
  setAway(away: boolean): void | Promise<void>;
}

/** Reads all pages. */
export async function allRecords(
  log: OperationLog,
  limit: number,
  filter: { since?: number; server?: string } = {},
): Promise<readonly NumberedRecord[]> {
  const items: NumberedRecord[] = [];
  let after: string | null = null;
  do {
    const page = await log.page({ after, limit, since: filter.since ?? null, server: filter.server ?? null });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    after = page.next;
  } while (after !== null);
  return items;
}

export function describeOperationLog(name: string, factory: () => Promise<OperationRig>): void {
  describe(`operation log: ${name}`, () => {
    let rig: OperationRig;
    beforeEach(async () => {
      rig = await factory();
    });

    it('P3: each record gets the next number of its instance, at once, and is read back whole', async () => {
      const { log } = rig.open('i1', 100);
      const records = Array.from({ length: 5 }, (_, number) => aRecord({ requestId: `r${number}`, database: 'é "quoted" 😀' }));
      expect(records.map((record) => log.append(record))).toEqual([1, 2, 3, 4, 5]);
      expect(log.backlog()).toEqual({ issued: 5, waiting: 5, spilled: 0 });
      await log.flush();
      expect(log.backlog()).toEqual({ issued: 5, waiting: 0, spilled: 0 });
      expect(await allRecords(log, 100)).toEqual(records.map((record, index) => ({ ...record, instance: 'i1', number: index + 1 })));
    });

    it('records of two instances are one list; each instance has its own numbers', async () => {
      const [one, two] = [rig.open('i1', 100).log, rig.open('i2', 100).log];
      for (let round = 0; round < 3; round += 1) {
        one.append(aRecord({ requestId: `one${round}` }));
        two.append(aRecord({ requestId: `two${round}` }));
        await one.flush();
        await two.flush();
        await rig.clock.advance(1000);
      }
      const all = await allRecords(two, 2);
      expect(all.filter(({ instance }) => instance === 'i1').map(({ number }) => number)).toEqual([1, 2, 3]);
      expect(all.filter(({ instance }) => instance === 'i2').map(({ number }) => number)).toEqual([1, 2, 3]);
    });

    it('pages of any size give every record once, and are stable while new ones arrive', async () => {
      const { log } = rig.open('i1', 1000);
      const ids = Array.from({ length: 57 }, (_, number) => `r${number}`);
      for (const [index, requestId] of ids.entries()) {
        log.append(aRecord({ requestId }));
        if (index % 10 === 9) {
          await log.flush();
          await rig.clock.advance(1_800_000);
        }
      }
      await log.flush();
      for (const limit of [1, 7, 10, 56, 57, 1000]) expect((await allRecords(log, limit)).map(({ requestId }) => requestId)).toEqual(ids);

      const first = await log.page({ after: null, limit: 30, since: null, server: null });
      log.append(aRecord({ requestId: 'late' }));
      await log.flush();
      const rest = await log.page({ after: first.next, limit: 1000, since: null, server: null });
      expect([...first.items, ...rest.items].map(({ requestId }) => requestId)).toEqual([...ids, 'late']);
    });

    it('since is the time of the operation, its own moment included; server leaves out all others', async () => {
      const { log } = rig.open('i1', 1000);
      for (let number = 0; number < 20; number += 1) {
        log.append(aRecord({ requestId: `r${number}`, at: instant(rig.clock.now()), server: number % 2 === 0 ? 'sql-a' : 'sql-b' }));
        await log.flush();
        await rig.clock.advance(1_000_000);
      }
      const since = morning + 8_000_000;
      expect((await allRecords(log, 3, { since, server: 'sql-b' })).map(({ requestId }) => requestId)).toEqual([
        'r9',
        'r11',
        'r13',
        'r15',
        'r17',
        'r19',
      ]);
      expect((await allRecords(log, 3, { since }))[0]?.requestId).toBe('r8');
    });

    it('P3: with the store away records wait up to the bound, then go to the log, under one gapless sequence; nothing is lost', async () => {
      const { log, spilled } = rig.open('i1', 4);
      await rig.setAway(true);
      expect(Array.from({ length: 6 }, () => log.append(aRecord()))).toEqual([1, 2, 3, 4, 5, 6]);
      await log.flush();
      expect(log.backlog()).toEqual({ issued: 6, waiting: 4, spilled: 2 });
      expect(spilled.map(({ number }) => number)).toEqual([5, 6]);
      await expect(log.page({ after: null, limit: 1, since: null, server: null })).rejects.toBeInstanceOf(StoreAway);
      await rig.setAway(false);
      await log.flush();
      log.append(aRecord());
      await log.flush();
      expect((await allRecords(log, 100)).map(({ number }) => number)).toEqual([1, 2, 3, 4, 7]);
    });

    it('P3: where a record can neither wait nor be written to the log it is refused, and takes no number', async () => {
      const { log, spilled, breakLog } = rig.open('i1', 1);
      await rig.setAway(true);
      breakLog();
      expect(log.append(aRecord())).toBe(1);
      expect(log.append(aRecord())).toBeNull();
      expect(spilled).toEqual([]);
      await rig.setAway(false);
      await log.flush();
      expect(log.append(aRecord())).toBe(2);
    });
  });
}
