import type { InstanceReport, Instances } from '../../src/ports/instances.ts';
import type { MemoryStore } from './memory-store.ts';

/** Reports of the instances in memory. */
export function createMemoryInstances(store: MemoryStore): Instances {
  const put = async (instance: string, report: InstanceReport | undefined): Promise<void> => {
    await store.change<InstanceReport | undefined>(`instance/${instance}`, undefined, () => ({ next: report }));
  };
  return {
    report: (report) => put(report.instance, report),
    read: () => store.list<InstanceReport>('instance/'),
    forget: (instance) => put(instance, undefined),
  };
}
