import { describe, expect, it } from 'vitest';
import { until, useJourneys } from '../support/journeys.ts';
import type { Body, Fleet, OwnVault, Traveller, VaultBody } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* B1: 500 GP or 200 BC databases a vault, counted at the protector's vault and at every standby's; never one over. */
const journeys = useJourneys({ instances: 2 });

const usedBy = async (traveller: Traveller, { name }: OwnVault): Promise<number> =>
  (await traveller.as<VaultBody>('Auditor', `GET /v1/vaults/${name}`)).body.association.used;

interface DatabaseOf {
  readonly server: string;
  readonly name: string;
  readonly tier: string;
  readonly instance?: number;
}

const put = (traveller: Traveller, { server, name, tier, instance = 0 }: DatabaseOf): Promise<Answer<Body>> =>
  traveller.as('Operator', `PUT /v1/servers/${server}/databases/${name}`, { tier }, { instance });

/** Servers that share the two vaults; each one's own database counts already. */
async function serversOf(traveller: Traveller, count: number): Promise<readonly Fleet[]> {
  const first = await traveller.fleet();
  const others: Fleet[] = [];
  while (others.length < count - 1) others.push(await traveller.fleet({ vaults: first }));
  return [first, ...others];
}

/** Asks for `count` more databases of a tier, spread over the servers, all through both instances at once. */
async function fill(traveller: Traveller, servers: readonly Fleet[], tier: string, count: number): Promise<ReadonlyMap<string, number>> {
  const outcomes = new Map<string, number>();
  let left = count;
  const lane = async ({ server }: Fleet, at: number): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const name = `${tier}-${String(left)}`;
      const outcome = await until(`a decision about ${name}`, async () => {
        const { status, body } = await put(traveller, { server, name, tier, instance: at % 2 });
        // As any client does with what is retryable.
        if (body.code === 'StateUnavailable' && body.retryable === true) return undefined;
        // 200: the try before had been stored, though its answer said less.
        return status < 300 ? 'registered' : (body.code ?? String(status));
      });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(servers.map(lane));
  return outcomes;
}

describe('the association budget', () => {
  it.for([
    { tier: 'GeneralPurpose', room: 500 },
    { tier: 'BusinessCritical', room: 200 },
  ])(
    'B1: exactly $room databases of tier $tier fit, registered through two instances at once, on the standby’s vault too',
    async ({ tier, room }, context) => {
      const traveller = journeys.begin(context);
      const servers = await serversOf(traveller, 8);
      const [first] = servers;
      if (!first) throw new Error('no server was made');
      for (const { server } of servers) await traveller.as('Operator', `DELETE /v1/servers/${server}/databases/orders`);
      expect(await usedBy(traveller, first.west)).toBe(0);

      const outcomes = await fill(traveller, servers, tier, room + 12);
      expect(Object.fromEntries(outcomes)).toEqual({ registered: room, VaultBudgetExceeded: 12 });
      for (const vault of [first.west, first.north]) expect(await usedBy(traveller, vault)).toBe(1000);
      const counted = await Promise.all(servers.map(async (fleet) => (await traveller.server(fleet)).databases));
      expect(counted.reduce((sum, { GeneralPurpose, BusinessCritical }) => sum + GeneralPurpose + BusinessCritical, 0)).toBe(room);

      const refused = await put(traveller, { server: first.server, name: 'one-more', tier: 'GeneralPurpose' });
      expect(refused).toMatchObject({ status: 409, body: { code: 'VaultBudgetExceeded' } });
      expect(refused.body.detail).toMatch(/\b0\b/);
    },
  );
});

describe('with a small budget', () => {
  const small = useJourneys({ instances: 2, settings: { KEYBROKER_ASSOCIATION_POINTS: '20' } });

  it('B1: a change of tier counts, and is refused with the room left when it does not fit', async (context) => {
    const traveller = small.begin(context);
    const fleet = await traveller.fleet();
    const tiersOf = async (names: readonly string[], tier: string): Promise<readonly number[]> => {
      const statuses: number[] = [];
      for (const name of names) statuses.push((await put(traveller, { server: fleet.server, name, tier })).status);
      return statuses;
    };
    expect(await tiersOf(['a', 'b', 'c', 'd'], 'GeneralPurpose')).toEqual([201, 201, 201, 201]);
    expect(await tiersOf(['a', 'b'], 'BusinessCritical')).toEqual([200, 200]);
    expect(await tiersOf(['e'], 'GeneralPurpose')).toEqual([201]);
    for (const vault of [fleet.west, fleet.north]) expect(await usedBy(traveller, vault)).toBe(18);
    const refused = await put(traveller, { server: fleet.server, name: 'c', tier: 'BusinessCritical', instance: 1 });
    expect(refused).toMatchObject({ status: 409, body: { code: 'VaultBudgetExceeded' } });
    expect(refused.body.detail).toMatch(/\b2 of 20 points\b/);
    expect((await traveller.as('Auditor', `GET /v1/servers/${fleet.server}/databases/c`)).body).toEqual({
      name: 'c',
      tier: 'GeneralPurpose',
    });
    expect(await tiersOf(['a'], 'GeneralPurpose')).toEqual([200]);
    for (const vault of [fleet.west, fleet.north]) expect(await usedBy(traveller, vault)).toBe(15);
  });

  it('B1: of two changes of tier at once, for which there is room for one, one fits', async (context) => {
    const traveller = small.begin(context);
    const first = await traveller.fleet();
    const second = await traveller.fleet({ vaults: first });
    const registered: readonly [string, string, string][] = [
      [first.server, 'a', 'GeneralPurpose'],
      [first.server, 'b', 'BusinessCritical'],
      [second.server, 'a', 'GeneralPurpose'],
      [second.server, 'b', 'GeneralPurpose'],
    ];
    for (const [server, name, tier] of registered) expect((await put(traveller, { server, name, tier })).status).toBe(201);
    expect(await usedBy(traveller, first.west)).toBe(15);
    const both = await Promise.all(
      [first, second].map(({ server }, instance) => put(traveller, { server, name: 'a', tier: 'BusinessCritical', instance })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(await usedBy(traveller, first.west)).toBe(18);
    expect(await usedBy(traveller, first.north)).toBe(18);
  });

  it('B1: a change of protector takes the databases along, or is refused and changes nothing', async (context) => {
    const traveller = small.begin(context);
    const moving = await traveller.fleet();
    const full = await traveller.fleet();
    for (const name of ['a', 'b', 'c', 'd']) await put(traveller, { server: full.server, name, tier: 'GeneralPurpose' });
    for (const name of ['a', 'b', 'c', 'd', 'e']) await put(traveller, { server: moving.server, name, tier: 'GeneralPurpose' });
    const { keyId } = await traveller.control<{ keyId: string }>(`POST /vaults/${full.west.name}/keys`, { name: 'target' });
    const change = () => traveller.as('Operator', `PUT /v1/servers/${moving.server}/protector`, { keyId });
    expect(await change()).toMatchObject({ status: 409, body: { code: 'VaultBudgetExceeded' } });
    expect((await traveller.protector(moving)).keyId).toBe(moving.keyId);
    expect(await usedBy(traveller, full.west)).toBe(10);
    expect(await usedBy(traveller, moving.west)).toBe(12);

    await traveller.as('Operator', `DELETE /v1/servers/${moving.server}/databases/e`);
    expect((await change()).status).toBe(200);
    expect(await usedBy(traveller, full.west)).toBe(20);
    expect((await put(traveller, { server: full.server, name: 'one-more', tier: 'GeneralPurpose' })).status).toBe(409);
  });
});
