import { expect, test } from 'vitest';
import { createAccess } from '../../src/broker/access.ts';
import { createAttempts } from '../../src/broker/attempt.ts';
import { createAtGroup } from '../../src/broker/failover.ts';
import type { AttemptParts } from '../../src/broker/key-call.ts';
import { createOperate } from '../../src/broker/operate.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { Dek } from '../../src/domain/dek.ts';
import { millis } from '../../src/domain/time.ts';
import type { AdmissionRequest } from '../../src/ports/admission.ts';
import type { Reply } from '../../src/ports/vault.ts';
import { aContext, aDenial, aRegisteredWith, denialRules, gateRules } from '../support/builders.ts';
import { createMemoryAccessLog } from '../support/memory-access-log.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { aLink, aRef, aVault, thumbprint } from '../support/stored-values.ts';
import { settled, virtualClock } from '../support/virtual-clock.ts';

/** One instance whose vault answers unwraps when told to. */
function instance() {
  const clock = virtualClock();
  const registered = { ...aRegisteredWith(), links: [aLink()] };
  const calls: PromiseWithResolvers<Reply<Dek>>[] = [];
  const admitted: AdmissionRequest[] = [];
  const ended: unknown[] = [];
  const parts = {
    clock,
    registry: { peekServer: () => registered, peekVault: () => aVault() },
    accessLog: createMemoryAccessLog(createMemoryStore(), clock),
    vaults: {
      unwrap: () => {
        const call = Promise.withResolvers<Reply<Dek>>();
        calls.push(call);
        return call.promise;
      },
    },
    circuits: { state: () => ({ state: 'closed', since: null }), through: (_vault: string, _key: string, call: () => unknown) => call() },
    admission: { admit: (request: AdmissionRequest) => void admitted.push(request), ended: (call: unknown) => void ended.push(call) },
    operations: { append: () => 1, instance: 'instance-1' },
    rules: {
      attemptMs: millis(2000),
      pictureMaxAgeMs: millis(1000),
      denial: denialRules,
      gate: gateRules,
      association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 },
    },
    log: () => undefined,
  } as unknown as Parts;
  const access = createAccess(parts);
  const all: AttemptParts = {
    parts,
    access,
    outages: {
      met: () => Promise.resolve(),
      lookAgain: () => undefined,
      answered: () => undefined,
      denied: () => undefined,
      failedOver: () => undefined,
      circuitChanged: () => Promise.resolve(),
      tellCircuits: () => Promise.resolve(),
      prune: () => Promise.resolve(),
    },
    witness: { look: () => Promise.resolve('undecided') },
  };
  const { unwrap } = createOperate(parts, createAtGroup(all, createAttempts(all)));
  const ask = () =>
    unwrap(
      { server: 'sql-demo', database: 'orders', wrappedDek: Uint8Array.of(7), thumbprint: thumbprint(), algorithm: 'RSA-OAEP-256' },
      aContext(),
    );
  const grant = (call: number, sentAt = clock.now()): void =>
    calls[call]!.resolve({ ok: true, value: new Dek(new Uint8Array(32)), sentAt, receivedAt: clock.now(), ms: millis(5) });
  return { clock, access, calls, admitted, ended, ask, grant };
}

test('F5: an unwrap that was sent after the denial was known releases the latch', async () => {
  const { clock, access, calls, ask, grant } = instance();
  await access.denied(aRef(), aDenial({ receivedAt: clock.now() }));
  await clock.advance(1000);
  const asked = ask();
  await settled();
  expect(calls).toHaveLength(1);
  grant(0);
  expect(await asked).toMatchObject({ ok: true });
  await settled();
  expect(access.known(aRef())?.latch).toBeNull();
});

// The second caller shares the flight of the first (C4), and knows of a latch that the first did not know when the call was sent.
test('F5, C4: an unwrap sent before the denial releases nothing, though one who knows the denial waits for it too', async () => {
  const { clock, access, calls, ask, grant } = instance();
  const first = ask();
  await settled();
  const sentAt = clock.now();
  await clock.advance(1000);
  await access.denied(aRef(), aDenial({ receivedAt: clock.now() }));
  const second = ask();
  await settled();
  expect(calls).toHaveLength(1);
  grant(0, sentAt);
  expect(await Promise.all([first, second])).toMatchObject([{ ok: true }, { ok: true }]);
  await settled();
  expect(access.known(aRef())?.latch).not.toBeNull();
});

test('C4, B2: identical unwraps in flight are one call, and cost the points of one', async () => {
  const { admitted, ended, calls, ask, grant } = instance();
  const asked = Array.from({ length: 5 }, ask);
  await settled();
  expect(admitted).toMatchObject([{ points: 5 }]);
  expect(ended).toEqual([]);
  grant(0);
  expect(await Promise.all(asked)).toMatchObject(asked.map(() => ({ ok: true, value: { failover: false } })));
  expect(calls).toHaveLength(1);
  expect(ended).toEqual(admitted.map(({ vault, key, points }) => ({ vault, key, points })));
  const next = ask();
  await settled();
  grant(1);
  await next;
  expect(admitted).toHaveLength(2);
});
