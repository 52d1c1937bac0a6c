import { describe, expect, it } from 'vitest';
import { instant } from '../../src/domain/time.ts';
import type { InstanceReport, Instances } from '../../src/ports/instances.ts';
import { morning } from '../support/stored-values.ts';

export function aReport(instance: string, changes: Partial<InstanceReport> = {}): InstanceReport {
  return {
    instance,
    startedAt: instant(morning),
    at: instant(morning + 1000),
    vaults: { 'kv-west': { circuit: 'open', since: instant(morning), p50Ms: 3, p99Ms: null } },
    records: { issued: 3_000_000_000, waiting: 0, spilled: 0 },
    ...changes,
  };
}

export function describeInstances(name: string, factory: () => Promise<() => Instances>): void {
  describe(`instances: ${name}`, () => {
    it('each instance has one report, its newest; a forgotten one has none', async () => {
      const open = await factory();
      const [a, b] = [open(), open()];
      await a.report(aReport('host/one #1'));
      await b.report(aReport('two'));
      await a.report(aReport('host/one #1', { at: instant(morning + 5000) }));
      const reports = [...(await b.read())].sort((x, y) => x.instance.localeCompare(y.instance));
      expect(reports).toEqual([aReport('host/one #1', { at: instant(morning + 5000) }), aReport('two')]);
      await b.forget('host/one #1');
      await b.forget('host/one #1');
      expect(await a.read()).toEqual([aReport('two')]);
    });

    it('a report of many vaults is kept whole', async () => {
      const open = await factory();
      const vaults = Object.fromEntries(
        Array.from({ length: 600 }, (_, number) => [`kv-${number}`, { circuit: 'closed' as const, since: null, p50Ms: 1, p99Ms: 2 }]),
      );
      await open().report(aReport('one', { vaults }));
      expect(await open().read()).toEqual([aReport('one', { vaults })]);
    });
  });
}
