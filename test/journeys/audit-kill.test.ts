import { expect, it } from 'vitest';
import { until, untilTrue, useJourneys } from '../support/journeys.ts';
import type { FindingBody, Fleet, PageBody, Traveller } from '../support/journeys.ts';

/* A broker is killed in the middle of a permission audit. Half of the budget is for probes, since proving the protectors of many servers is probing. */
const journeys = useJourneys({ instances: 2, settings: { KEYBROKER_PROBE_SHARE: '0.5' } });

interface AuditBody {
  readonly slot: string;
  readonly finishedAt: string | null;
  readonly servers: number;
  readonly errors: number;
  readonly findings: PageBody<FindingBody>;
}

const pairs = 5;
/** Together more than a page of the audit holds. */
const serversAPair = 6;

async function serversOf(traveller: Traveller): Promise<readonly Fleet[]> {
  const fleets = await Promise.all(
    Array.from({ length: pairs }, async () => {
      const first = await traveller.fleet();
      const others = Array.from({ length: serversAPair - 1 }, () => traveller.fleet({ vaults: first }));
      return [first, ...(await Promise.all(others))];
    }),
  );
  return fleets.flat();
}

it('P1: an audit whose instance is killed goes on elsewhere: every server is reported once, and told of once', async (context) => {
  const traveller = journeys.begin(context);
  const quick = await serversOf(traveller);
  const slow = await traveller.fleet();
  const all = [...quick, slow];
  for (const vault of new Set(all.map(({ north }) => north.name)))
    await traveller.control(`PUT /vaults/${vault}/access`, { allow: ['wrapKey', 'unwrapKey'] });
  // Its page cannot end before the kill; the other one does.
  await traveller.fault(slow.west, { fault: 'slow', ms: 1900 });
  const { instance } = await traveller.control<{ instance: number }>('POST /instances');
  const begun = await traveller.as<AuditBody>('Operator', 'POST /v1/audits', undefined, { instance });
  expect(begun.status).toBe(202);
  const read = async (): Promise<AuditBody> =>
    (await traveller.as<AuditBody>('Auditor', `GET /v1/audits/${begun.body.slot}?limit=1000`)).body;

  const middle = await until('the first reports', async () => {
    const audit = await read();
    return audit.servers > 0 ? audit : undefined;
  });
  await traveller.control(`DELETE /instances/${String(instance)}`);
  expect(middle.servers).toBeLessThan(all.length);
  expect((await read()).finishedAt).toBeNull();
  await traveller.heal(slow.west);
  // What the dead instance held is free when its claim has lapsed.
  await traveller.advance('PT1M');
  await traveller.watchUntil('the audit to end', async () => (await read()).finishedAt !== null);

  const report = await read();
  expect(report.servers).toBe(all.length);
  const reported = report.findings.items.map(({ server, code }) => `${server} ${code}`).sort();
  expect(reported).toEqual(all.map(({ server }) => `${server} GetDenied`).sort());
  expect(report.errors).toBe(all.length);
  for (const { server } of [...middle.findings.items.slice(0, 2), slow]) {
    const told = async () => (await traveller.events(server)).filter(({ type }) => type === 'keybroker.audit.finding');
    await untilTrue(`the event of ${server}`, async () => (await told()).length > 0);
    expect(await told()).toHaveLength(1);
  }
});
