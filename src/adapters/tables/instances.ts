import type { InstanceReport, Instances } from '../../ports/instances.ts';
import { hashKey, jsonColumns, jsonValue } from './rows.ts';
import type { Row, RowKey, Store } from './table.ts';

const partition = 'instances';

function keyOf(instance: string): RowKey {
  return { partition, row: hashKey(instance) };
}

export function reportToRow(report: InstanceReport): Row {
  return { ...keyOf(report.instance), columns: { instance: report.instance, ...jsonColumns(report) } };
}

/** Reports of the instances in table `instances`, a row each. Only the instance itself writes its row, so nothing is conditional. */
export function createInstances(store: Store): Instances {
  const table = store.table('instances');
  return {
    async report(report) {
      await table.write([{ kind: 'put', row: reportToRow(report) }]);
    },
    async read() {
      const { rows } = await table.list({ partition });
      return rows.map((row) => jsonValue<InstanceReport>(row));
    },
    async forget(instance) {
      await table.write([{ kind: 'remove', row: keyOf(instance) }]);
    },
  };
}
