import { beforeEach, describe, expect, it } from 'vitest';
import { hours, millis } from '../../src/domain/time.ts';
import type { AuditStore } from '../../src/ports/audit-store.ts';
import { auditFleet, linkTo } from '../support/audit-fleet.ts';
import type { AuditFleet } from '../support/audit-fleet.ts';
import { createMemoryAccessLog } from '../support/memory-access-log.ts';
import { createMemoryAuditStore } from '../support/memory-audit-store.ts';

/** Several pages of servers, all in one vault. */
const servers = 80;

let fleet: AuditFleet;
beforeEach(async () => {
  fleet = await auditFleet();
});

async function addServers(links: Parameters<AuditFleet['addServer']>[1]): Promise<void> {
  for (let i = 0; i < servers; i += 1) await fleet.addServer(`sql-${i}`, links);
}

/** @returns how often the second audit of two reads all that is known of access at a vault: the first stores proofs that were missing. */
async function surveys(): Promise<number> {
  const log = createMemoryAccessLog(fleet.store, fleet.clock);
  let reads = 0;
  const read: typeof log.read = (vault) => {
    reads += 1;
    return log.read(vault);
  };
  const one = fleet.start('one', { accessLog: { ...log, read } });
  await fleet.audit(one);
  await fleet.clock.advance(hours(6));
  reads = 0;
  await fleet.audit(one);
  expect(await fleet.events('keybroker.audit.completed')).toMatchObject([{ data: { servers } }, { data: { servers } }]);
  return reads;
}

describe('P1: the store beside an audit', () => {
  it('is not asked for the access of all links of a vault where no server has a standby', async () => {
    await addServers({ links: [linkTo('west', 'k1')] });
    expect(await surveys()).toBeLessThan(3);
  });

  it('F3: is asked for it where standbys are called', async () => {
    await addServers({});
    expect(await surveys()).toBeGreaterThan(10);
  });

  it('has one step of an audit to do at a time, however many pages are worked on', async () => {
    await addServers({});
    const audits = createMemoryAuditStore(fleet.store);
    const gauge = { underWay: 0, most: 0, steps: 0 };
    async function gauged<T>(work: () => Promise<T>): Promise<T> {
      gauge.underWay += 1;
      gauge.steps += 1;
      gauge.most = Math.max(gauge.most, gauge.underWay);
      await fleet.clock.pause(millis(100));
      return work().finally(() => (gauge.underWay -= 1));
    }
    const slow: AuditStore = {
      ...audits,
      changePage: (...asked) => gauged(() => audits.changePage(...asked)),
      findingsOf: (...asked) => gauged(() => audits.findingsOf(...asked)),
    };
    await fleet.audit(fleet.start('one', { audits: slow }));
    expect(gauge.steps).toBeGreaterThan(8);
    expect(gauge.most).toBe(1);
  });
});
