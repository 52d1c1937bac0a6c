import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DatabaseCounts } from '../../src/domain/server.ts';
import type { AssociationLedger, Claim } from '../../src/ports/association.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';

export interface AssociationRig {
  readonly clock: VirtualClock;
  open(): AssociationLedger;
}

function counts(GeneralPurpose: number, BusinessCritical = 0): DatabaseCounts {
  return { GeneralPurpose, BusinessCritical };
}

function claim(server: string, id: string, incarnation = 'first'): Claim {
  return { vault: 'kv-west', server, incarnation, id };
}

/** B1's points. */
export function pointsOf({ GeneralPurpose, BusinessCritical }: DatabaseCounts): number {
  return 2 * GeneralPurpose + 5 * BusinessCritical;
}

const always = (): boolean => true;
const never = (): boolean => false;
/** B1's sum in points, against a limit. */
const within =
  (points: number) =>
  (sum: DatabaseCounts): boolean =>
    pointsOf(sum) <= points;

/** @param runs how many random interleavings the property tries. */
export function describeAssociationLedger(name: string, factory: () => Promise<AssociationRig>, runs: number): void {
  describe(`association ledger: ${name}`, () => {
    let rig: AssociationRig;
    let a: AssociationLedger;
    let b: AssociationLedger;
    beforeEach(async () => {
      rig = await factory();
      a = rig.open();
      b = rig.open();
    });

    /** What a change that was reserved and stored leaves. */
    async function settled(of: Claim, now: DatabaseCounts, revision: number): Promise<void> {
      await a.reserve(of, now, always);
      await a.settle(of, now, revision);
    }

    const sum = async (): Promise<DatabaseCounts> => (await b.read('kv-west')).counts;

    it('an unused vault sums to nothing', async () => {
      expect(await a.read('kv-west')).toEqual({ vault: 'kv-west', counts: counts(0) });
    });

    it('B1: a claim counts at once, and what it claims goes on counting when it is settled', async () => {
      expect(await a.reserve(claim('sql-a', '1'), counts(3, 1), within(11))).toEqual({ fitted: true, sum: counts(3, 1) });
      expect(await sum()).toEqual(counts(3, 1));
      await a.settle(claim('sql-a', '1'), counts(3, 1), 1);
      expect(await sum()).toEqual(counts(3, 1));
    });

    it('B1: what does not fit changes nothing, and says how full the vault is', async () => {
      await a.reserve(claim('sql-a', '1'), counts(3), always);
      expect(await b.reserve(claim('sql-b', '2'), counts(3), within(11))).toEqual({ fitted: false, sum: counts(3) });
      expect(await sum()).toEqual(counts(3));
    });

    it('a claim that does not raise the sum always fits', async () => {
      await settled(claim('sql-a', '1'), counts(3), 1);
      expect(await b.reserve(claim('sql-a', '2'), counts(2), never)).toEqual({ fitted: true, sum: counts(3) });
    });

    it('B1: the server counts with the heaviest, in points, of what is settled and what is claimed', async () => {
      await settled(claim('sql-a', '0'), counts(5, 1), 1);
      await a.reserve(claim('sql-a', '1'), counts(4, 2), always);
      await b.reserve(claim('sql-a', '2'), counts(8, 0), always);
      expect(await sum()).toEqual(counts(4, 2));
      await b.reserve(claim('sql-a', '3'), counts(10, 0), always);
      expect(await sum()).toEqual(counts(10, 0));
      await b.abandon(claim('sql-a', '3'));
      expect(await sum()).toEqual(counts(4, 2));
      await a.abandon(claim('sql-a', '1'));
      expect(await sum()).toEqual(counts(8, 0));
      await b.settle(claim('sql-a', '2'), counts(0, 2), 2);
      expect(await sum()).toEqual(counts(0, 2));
    });

    it('B1: a change of tier is refused only by the points that it adds, and takes none to a lighter one', async () => {
      await settled(claim('sql-a', '0'), counts(2, 0), 1);
      expect(await a.reserve(claim('sql-a', '1'), counts(1, 1), within(6))).toEqual({ fitted: false, sum: counts(2, 0) });
      expect(await a.reserve(claim('sql-a', '1'), counts(1, 1), within(7))).toEqual({ fitted: true, sum: counts(1, 1) });
      await a.settle(claim('sql-a', '1'), counts(1, 1), 2);
      expect(await a.reserve(claim('sql-a', '2'), counts(2, 0), never)).toEqual({ fitted: true, sum: counts(1, 1) });
    });

    it('doing anything twice changes nothing', async () => {
      for (let time = 0; time < 2; time += 1) await a.reserve(claim('sql-a', '1'), counts(3), always);
      expect(await sum()).toEqual(counts(3));
      for (let time = 0; time < 2; time += 1) await a.settle(claim('sql-a', '1'), counts(2), 1);
      expect(await sum()).toEqual(counts(2));
      for (let time = 0; time < 2; time += 1) await a.abandon(claim('sql-a', '1'));
      expect(await sum()).toEqual(counts(2));
    });

    it('an earlier revision never overwrites a later one, but its claim ends', async () => {
      await a.reserve(claim('sql-a', '1'), counts(9), always);
      await settled(claim('sql-a', '2'), counts(4), 7);
      await a.settle(claim('sql-a', '1'), counts(9), 6);
      expect(await sum()).toEqual(counts(4));
    });

    it('B1: a claim that has ended settles nothing, whatever its revision: who ended it knew what is registered', async () => {
      await settled(claim('sql-a', '1'), counts(4), 1);
      await a.settle(claim('sql-a', '1'), counts(9), 7);
      await b.settle(claim('sql-a', 'never made'), counts(0), 8);
      expect(await sum()).toEqual(counts(4));
    });

    it('a removal holds against the changes before it that are settled after it, and leaves nothing', async () => {
      await settled(claim('sql-a', '1'), counts(4), 1);
      await b.reserve(claim('sql-a', '2'), counts(5), always);
      await a.reserve(claim('sql-a', '3'), counts(0), never);
      await a.settle(claim('sql-a', '3'), counts(0), Number.MAX_SAFE_INTEGER);
      expect(await sum()).toEqual(counts(5));
      await b.settle(claim('sql-a', '2'), counts(5), 2);
      expect(await sum()).toEqual(counts(0));
    });

    it('B1: each incarnation of a server has its own account: the end of one takes nothing from the other', async () => {
      await settled(claim('sql-a', '1', 'first'), counts(4), 30);
      await a.reserve(claim('sql-a', '2', 'first'), counts(0), never);
      await settled(claim('sql-a', '3', 'second'), counts(1), 1);
      expect(await sum()).toEqual(counts(5));
      await a.settle(claim('sql-a', '2', 'first'), counts(0), Number.MAX_SAFE_INTEGER);
      expect(await sum()).toEqual(counts(1));
      await settled(claim('sql-a', '4', 'second'), counts(2), 2);
      expect(await sum()).toEqual(counts(2));
    });

    it('the claim of a killed instance counts until it is settled with what the registry says; after a minute it is stale', async () => {
      await a.reserve(claim('sql-a', '1'), counts(5), always);
      await rig.clock.advance(60_000);
      expect(await b.stale(claim('sql-a', '1').vault)).toEqual([]);
      await rig.clock.advance(1);
      expect((await b.reserve(claim('sql-b', '2'), counts(1), within(10))).fitted).toBe(false);
      expect(await b.stale(claim('sql-a', '1').vault)).toEqual([claim('sql-a', '1')]);
      await b.settle(claim('sql-a', '1'), counts(4), 3);
      expect(await b.reserve(claim('sql-b', '2'), counts(1), within(10))).toEqual({ fitted: true, sum: counts(5) });
    });

    it('B1: of claims by two instances at once as many fit as there is room for, never one more', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, number) => (number % 2 === 0 ? a : b).reserve(claim(`sql-${number}`, 'x'), counts(1), within(20))),
      );
      expect(answers.filter(({ fitted }) => fitted)).toHaveLength(10);
      expect(await sum()).toEqual(counts(10));
    });

    it('B1: whatever two instances do at once, the sum stays within the limit and covers what is settled and claimed', async () => {
      const act = fc.record({
        instance: fc.boolean(),
        server: fc.constantFrom('s1', 's2', 's3'),
        kind: fc.constantFrom('reserve', 'settle', 'abandon'),
        gp: fc.nat(6),
        bc: fc.nat(3),
      });
      const limit = 40;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(act, { minLength: 1, maxLength: 4 }), { maxLength: 12 }), async (rounds) => {
          const { open } = await factory();
          const [one, other] = [open(), open()];
          const claims = new Map<string, { claim: Claim; counts: DatabaseCounts }[]>();
          const settledAt = new Map<string, DatabaseCounts>();
          let revision = 0;
          let ids = 0;
          for (const round of rounds) {
            await Promise.all(
              round.map(async ({ instance, server, kind, gp, bc }) => {
                const ledger = instance ? one : other;
                const open = claims.get(server) ?? [];
                claims.set(server, open);
                if (kind === 'reserve') {
                  const wanted = { claim: claim(server, `c${(ids += 1)}`), counts: counts(gp, bc) };
                  if ((await ledger.reserve(wanted.claim, wanted.counts, within(limit))).fitted) open.push(wanted);
                  return;
                }
                const first = open.shift();
                if (first === undefined) return;
                if (kind === 'abandon') return ledger.abandon(first.claim);
                revision += 1;
                settledAt.set(server, first.counts);
                return ledger.settle(first.claim, first.counts, revision);
              }),
            );
            const total = (await one.read('kv-west')).counts;
            expect(within(limit)(total)).toBe(true);
            expect(pointsOf(total)).toBe(expectedPoints(settledAt, claims));
          }
        }),
        { numRuns: runs },
      );
    });
  });
}

/** The model, in points: each server with the heaviest of what was settled last and what is claimed. */
function expectedPoints(
  settledAt: ReadonlyMap<string, DatabaseCounts>,
  claims: ReadonlyMap<string, readonly { counts: DatabaseCounts }[]>,
): number {
  let points = 0;
  for (const server of new Set([...settledAt.keys(), ...claims.keys()])) {
    const all = [settledAt.get(server) ?? counts(0), ...(claims.get(server) ?? []).map((open) => open.counts)];
    points += Math.max(...all.map(pointsOf));
  }
  return points;
}
