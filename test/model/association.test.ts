import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAssociationWorld, limit, vaultNames, type AssociationWorld, type Work } from './association-world.ts';

const server = fc.constantFrom('s1', 's1', 's2', 's3');
const database = fc.constantFrom('d1', 'd2', 'd3', 'd4');
const tier = fc.constantFrom('GeneralPurpose' as const, 'BusinessCritical' as const);
const vaults = fc.uniqueArray(fc.constantFrom(...vaultNames), { minLength: 1, maxLength: 2 });
const instance = fc.nat(1);

const work: fc.Arbitrary<Work> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), server, database, tier }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), server, database }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('move' as const, 'enlist' as const), server, vaults }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), server }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('register' as const), server }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reconcile' as const), vault: fc.constantFrom(...vaultNames) }) },
);

type Act = (world: AssociationWorld) => Promise<void>;

/** So many reads and writes of one instance; null: until it has nothing left to do. */
const stretch = fc.option(fc.nat(16), { freq: 3 });

async function go(world: AssociationWorld, number: number, steps: number | null): Promise<void> {
  for (let step = 0; steps === null ? world.busy(number) : step < steps; step += 1) {
    await world.step(step, number);
    await withinLimit(world);
  }
}

const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(instance, work, stretch).map(([number, begun, steps]) =>
      told(`${number} begins ${JSON.stringify(begun)}, ${steps ?? 'all'} steps`, async (world) => {
        await world.begin(number, begun);
        await go(world, number, steps);
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(instance, stretch)
      .map(([number, steps]) => told(`${number} goes ${steps ?? 'all'} steps`, (world) => go(world, number, steps))),
  },
  { weight: 1, arbitrary: instance.map((number) => told(`${number} is killed`, (world) => world.kill(number))) },
  { weight: 1, arbitrary: fc.constant(told('a minute passes', (world) => world.advance(60_001))) },
);

/** Gives an act a text, so that a counter-example can be read. */
function told(name: string, run: Act): Act {
  return Object.assign(run, { [fc.toStringMethod]: () => name });
}

async function withinLimit(world: AssociationWorld): Promise<void> {
  for (const vault of vaultNames) expect(await world.points(vault), `points at ${vault}`).toBeLessThanOrEqual(limit);
}

/** Each server carried by two vaults, which are then half full already. */
async function furnished(): Promise<AssociationWorld> {
  const world = createAssociationWorld();
  await world.at({ kind: 'enlist', server: 's1', vaults: ['kv-a', 'kv-b'] });
  await world.at({ kind: 'enlist', server: 's2', vaults: ['kv-b', 'kv-c'] });
  await world.at({ kind: 'enlist', server: 's3', vaults: ['kv-a', 'kv-c'] });
  return world;
}

/** When all is quiet a database is refused if, and only if, it does not fit beside what is registered. */
async function acceptsWhatFits(world: AssociationWorld, name: string): Promise<void> {
  const moved = await world.at({ kind: 'register', server: name });
  expect(moved).toBeNull();
  for (let number = 0; number < limit; number += 1) {
    const before = await Promise.all(vaultNames.map((vault) => world.points(vault)));
    const links = (await world.registered(name))?.links ?? [];
    const carried = vaultNames.flatMap((vault, at) => (links.some((link) => link.vault === vault) ? (before[at] ?? 0) : []));
    const fits = carried.every((points) => points + 2 <= limit);
    const answer = await world.at({ kind: 'put', server: name, database: `more-${number}`, tier: 'GeneralPurpose' });
    expect(answer).toBe(fits ? null : 'VaultBudgetExceeded');
    if (!fits || carried.length === 0) return;
  }
}

describe('B1: the association budget, in any order of steps, on two instances', () => {
  test('no vault is ever over its limit; when all is quiet the ledger is what is registered, and what fits is accepted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 4, maxLength: 40 }), server, async (acts, last) => {
        const world = await furnished();
        for (const one of acts) {
          await one(world);
          await withinLimit(world);
        }
        await world.quiet();
        await withinLimit(world);
        for (const vault of vaultNames) expect(await world.counted(vault), `counted at ${vault}`).toBe(await world.points(vault));
        await acceptsWhatFits(world, last);
        await withinLimit(world);
      }),
      { numRuns: 2000 },
    );
  }, 60_000);
});
