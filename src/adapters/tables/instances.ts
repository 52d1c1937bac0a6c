import type { InstanceReport, Instances } from '../../ports/instances.ts';
import { createReadReadable } from './readable-rows.ts';
import { hashKey, jsonColumns, jsonValue } from './rows.ts';
import type { Row, RowKey, Store, Tell } from './table.ts';

const partition = 'instances';

function keyOf(instance: string): RowKey {
  return { partition, row: hashKey(instance) };
}

export function reportToRow(report: InstanceReport): Row {
  return { ...keyOf(report.instance), columns: { instance: report.instance, ...jsonColumns(report) } };
}

/**
 * Reports of the instances in table `instances`, a row each. Only the instance itself writes its row, so nothing is conditional.
 * @param tell hears once of each report that cannot be read.
 */
export function createInstances(store: Store, tell: Tell = () => undefined): Instances {
  const table = store.table('instances');
  const readReadable = createReadReadable(table, 'the report of an instance cannot be read', tell);
  return {
    async report(report) {
      await table.write([{ kind: 'put', row: reportToRow(report) }]);
    },
    async read() {
      return (await readReadable({ partition }, (row) => jsonValue<InstanceReport>(row))).values;
    },
    async forget(instance) {
      await table.write([{ kind: 'remove', row: keyOf(instance) }]);
    },
  };
}
