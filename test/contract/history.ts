import { describe, expect, it } from 'vitest';
import { instant } from '../../src/domain/time.ts';
import type { FleetMinute, History } from '../../src/ports/history.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { morning } from '../support/stored-values.ts';

export interface HistoryRig {
  open(): History;
  setAway(away: boolean): void | Promise<void>;
}

const minute = 60_000;
const first = morning - (morning % minute);

function aMinute(n: number, rate = 0.5): FleetMinute {
  return { at: instant(first + n * minute), vaults: { 'kv-west': { rate, circuit: 'halfOpen' } } };
}

export function describeHistory(name: string, factory: () => Promise<HistoryRig>): void {
  describe(`history: ${name}`, () => {
    async function kept(history: History): Promise<readonly FleetMinute[]> {
      return [...(await history.read())].sort((a, b) => a.at - b.at);
    }

    it('minutes are kept for an hour, whoever added them; one takes the place of that an hour before it', async () => {
      const rig = await factory();
      const [a, b] = [rig.open(), rig.open()];
      expect(await a.read()).toEqual([]);
      for (let n = 0; n < 62; n += 1) await (n % 2 === 0 ? a : b).change(aMinute(n).at, () => aMinute(n));
      expect(await kept(a)).toEqual(Array.from({ length: 60 }, (_, n) => aMinute(n + 2)));
    });

    it('a change sees what is stored of its minute, and nothing of the one an hour before', async () => {
      const history = (await factory()).open();
      const seen: (FleetMinute | undefined)[] = [];
      for (const [n, rate] of [
        [0, 0.1],
        [0, 0.2],
        [60, 0.3],
      ] as const) {
        await history.change(aMinute(n).at, (stored) => {
          seen.push(stored);
          return aMinute(n, rate);
        });
      }
      expect(seen).toEqual([undefined, aMinute(0, 0.1), undefined]);
      expect(await history.read()).toEqual([aMinute(60, 0.3)]);
    });

    it('changes of one minute by several instances at once are all in it', async () => {
      const rig = await factory();
      const at = instant(first);
      const add = (vault: string) =>
        rig.open().change(at, (stored) => ({ at, vaults: { ...stored?.vaults, [vault]: { rate: 0, circuit: 'closed' } } }));
      await Promise.all(['kv-a', 'kv-b', 'kv-c', 'kv-d'].map(add));
      expect((await rig.open().read()).map(({ vaults }) => Object.keys(vaults).sort())).toEqual([['kv-a', 'kv-b', 'kv-c', 'kv-d']]);
    });

    it('a minute of many vaults is kept whole', async () => {
      const history = (await factory()).open();
      const names = Array.from({ length: 600 }, (_, n) => [`kv-${n}`, { rate: n / 1000, circuit: 'closed' as const }] as const);
      const whole = { at: instant(first), vaults: Object.fromEntries(names) };
      await history.change(whole.at, () => whole);
      expect(await history.read()).toEqual([whole]);
    });

    it('store away: every method rejects with StoreAway', async () => {
      const rig = await factory();
      const history = rig.open();
      await rig.setAway(true);
      await expect(history.read()).rejects.toThrow(StoreAway);
      await expect(history.change(instant(first), () => aMinute(0))).rejects.toThrow(StoreAway);
    });
  });
}
