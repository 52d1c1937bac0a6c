import { expect, test } from 'vitest';
import type { AtGroup } from '../../src/broker/failover.ts';
import { createOperate } from '../../src/broker/operate.ts';
import type { Parts } from '../../src/broker/parts.ts';
import type { RegisteredServer } from '../../src/domain/server.ts';
import type { OperationRecord } from '../../src/domain/operation.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import { aContext, aRegisteredWith } from '../support/builders.ts';
import { aLink, thumbprint } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

/** One unwrap of sql-demo, and the records that it leaves. */
function rig(atGroup: AtGroup, readServer: () => Promise<RegisteredServer | undefined> = () => Promise.resolve(undefined)) {
  const registered = { ...aRegisteredWith(), links: [aLink()] };
  const records: OperationRecord[] = [];
  const parts = {
    clock: virtualClock(),
    registry: { peekServer: (name: string) => (name === 'sql-demo' ? registered : undefined), readServer },
    operations: { append: (record: OperationRecord) => records.push(record), instance: 'instance-1' },
  } as unknown as Parts;
  const { unwrap } = createOperate(parts, atGroup);
  const ask = (server = 'sql-demo') =>
    unwrap({ server, database: 'orders', wrappedDek: Uint8Array.of(7), thumbprint: thumbprint(), algorithm: 'RSA-OAEP-256' }, aContext());
  return { records, ask };
}

const unreached: AtGroup = () => Promise.reject(new Error('not reached'));

test('P3: an operation that ends by a defect leaves its record too, and the defect goes on to the error boundary', async () => {
  const { records, ask } = rig(() => Promise.reject(new TypeError('a defect')));
  await expect(ask()).rejects.toThrow('a defect');
  expect(records).toMatchObject([{ operation: 'unwrap', server: 'sql-demo', database: 'orders', outcome: 'Internal', keyId: null }]);
});

test('P3: an operation that is refused for its server leaves its record each time', async () => {
  const { records, ask } = rig(unreached, () => Promise.resolve(undefined));
  for (let i = 0; i < 20; i += 1) expect(await ask('sql-none')).toMatchObject({ ok: false, refusal: { code: 'NotFound' } });
  expect(records.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 20 }, () => 'NotFound'));
});

test.each([
  ['the store is away', new StoreAway('reset'), 'the store of the broker is away'],
  ['the server cannot be read', new Unreadable('server `sql-none` cannot be read'), 'server `sql-none` cannot be read'],
])('%s: StateUnavailable says so, and is recorded', async (_name, error, detail) => {
  const { records, ask } = rig(unreached, () => Promise.reject(error));
  expect(await ask('sql-none')).toMatchObject({ ok: false, refusal: { code: 'StateUnavailable', detail, retryable: true } });
  expect(records).toMatchObject([{ outcome: 'StateUnavailable' }]);
});
