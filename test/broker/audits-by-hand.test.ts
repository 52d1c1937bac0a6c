import { beforeEach, describe, expect, it } from 'vitest';
import { auditFleet, type AuditFleet, type AuditInstance } from '../support/audit-fleet.ts';
import { aCaller, aContext } from '../support/builders.ts';

const context = aContext(aCaller(['KeyBroker.Operator']));

describe('P1: audits by hand within one second', () => {
  let fleet: AuditFleet;
  let one: AuditInstance;
  beforeEach(async () => {
    fleet = await auditFleet();
    one = fleet.start('one');
    await fleet.addServer('sql-demo');
  });

  it('while it runs they are the same audit, on every instance: whoever lost the answer may ask again', async () => {
    one.budget.used = 999;
    const begun = await one.roads.startAudit(context);
    const again = await Promise.all([one.roads.startAudit(context), fleet.start('two').roads.startAudit(context)]);
    expect(again).toMatchObject([begun, begun].map(() => ({ ok: true, value: { slot: '2026-11-22T06:00:01Z', finishedAt: null } })));
    expect(begun).toMatchObject({ value: { slot: '2026-11-22T06:00:01Z' } });
  });

  it('one that has ended already is not answered for a new one: that is begun with the next second', async () => {
    await one.roads.startAudit(context);
    await fleet.clock.advance(500);
    expect((await listed()).items[0]?.finishedAt).not.toBeNull();
    const asked = one.roads.startAudit(context);
    await fleet.clock.advance(500);
    expect(await asked).toMatchObject({ ok: true, value: { slot: '2026-11-22T06:00:02Z' } });
    expect((await listed()).items.map(({ slot }) => slot)).toEqual(['2026-11-22T06:00:02Z', '2026-11-22T06:00:01Z']);
  });

  async function listed() {
    const answer = await one.roads.listAudits({ after: null, limit: 10 }, context);
    if (!answer.ok) throw new Error(answer.refusal.detail);
    return answer.value;
  }
});
