import { expect, it } from 'vitest';
import { until, untilTrue, useJourneys } from '../support/journeys.ts';
import type { Body, Fleet, Traveller } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* A broker is killed between the vault's denial and its own answer: what a caller has heard is never lost. */
const journeys = useJourneys({ instances: 2 });

const serversATrial = 5;

/** Servers of one pair of vaults, each with a DEK of its own. */
async function serversOf(traveller: Traveller): Promise<readonly { readonly fleet: Fleet; readonly wrappedDek: string }[]> {
  const first = await traveller.fleet();
  const others = await Promise.all(Array.from({ length: serversATrial - 1 }, () => traveller.fleet({ vaults: first })));
  return Promise.all([first, ...others].map(async (fleet) => ({ fleet, wrappedDek: (await traveller.wrapped(fleet)).wrappedDek })));
}

/** When the broker dies: as soon as the vault has denied so many calls, or as soon as one caller has heard of it. */
const moments = [
  ...[1, 2, 3, 4, 5].map((denials) => ({ name: `the vault has denied ${String(denials)}`, denials, storeMs: 0 })),
  ...[1, 3, 5].map((denials) => ({ name: `the vault has denied ${String(denials)}, the store being slow`, denials, storeMs: 150 })),
  ...[0, 60].map((storeMs) => ({ name: `a caller has heard, the store taking ${String(storeMs)} ms`, denials: null, storeMs })),
];

it.for(moments)(
  'F4: killed when $name: every denial that a caller heard is latched, and no standby is used against it',
  async (moment, context) => {
    const traveller = journeys.begin(context);
    const servers = await serversOf(traveller);
    const [first] = servers;
    if (!first) throw new Error('no server was made');
    const { west, north } = first.fleet;
    const { instance } = await traveller.control<{ instance: number }>('POST /instances');
    for (const { fleet, wrappedDek } of servers) expect((await traveller.unwrap(fleet, wrappedDek, { instance })).status).toBe(200);
    await traveller.clearCalls(west, north);
    await traveller.control(`PUT /vaults/${west.name}/access`, { allow: [] });
    if (moment.storeMs > 0) await traveller.control('PUT /tables/fault', { fault: 'slow', ms: moment.storeMs, instance });

    let heard = 0;
    // A broker that dies answers nobody: such a request rejects, and its caller has heard nothing.
    const asked = servers.map(async ({ fleet, wrappedDek }) => {
      const answer: Answer<Body> | undefined = await traveller.unwrap(fleet, wrappedDek, { instance }).catch(() => undefined);
      if (answer?.body.code === 'KeyAccessDenied') heard += 1;
      return { fleet, wrappedDek, code: answer?.body.code };
    });
    await until('the moment', async () => {
      const denied = (await traveller.calls(west)).filter(({ status }) => status === 403).length;
      return (moment.denials === null ? heard > 0 : denied >= moment.denials) || undefined;
    });
    await traveller.control(`DELETE /instances/${String(instance)}`);
    const outcomes = await Promise.all(asked);
    // F3: what a survivor read before the kill may be a second old.
    const died = Date.now();
    await untilTrue('that second to be over', () => Promise.resolve(Date.now() > died + 1000));

    await traveller.fault(west, { fault: 'refuse' });
    for (const { fleet, wrappedDek, code } of outcomes) {
      expect([undefined, 'KeyAccessDenied']).toContain(code);
      if (code === undefined) continue;
      await untilTrue(`the latch of ${fleet.server}`, async () => (await traveller.protector(fleet)).latch?.class === 'revoked', 40);
      for (const survivor of [0, 1]) expect((await traveller.unwrap(fleet, wrappedDek, { instance: survivor })).status).toBe(503);
    }
    // F4: a denial of this identity that was stored reaches every server of the vault, so none may be at the standby.
    const stored = (await Promise.all(servers.map(({ fleet }) => traveller.protector(fleet)))).some(({ latch }) => latch !== null);
    if (moment.denials === null) expect(stored).toBe(true);
    if (stored) {
      await traveller.clearCalls(north);
      for (const { fleet, wrappedDek } of servers) expect((await traveller.unwrap(fleet, wrappedDek)).status).toBe(503);
      expect(await traveller.calls(north)).toEqual([]);
    }
  },
);
