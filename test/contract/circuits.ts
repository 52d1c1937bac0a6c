import { describe, expect, it } from 'vitest';
import type { KeyId, KeyOperation } from '../../src/domain/key.ts';
import type { Circuits } from '../../src/ports/circuits.ts';
import type { Reply } from '../../src/ports/vault.ts';
import { aFault, noon } from '../support/builders.ts';
import { millis } from '../../src/domain/time.ts';

export interface CircuitsRig {
  readonly circuits: Circuits;
  /** What was told of the vault's circuit, oldest first. */
  readonly changes: readonly ('open' | 'closed')[];
}

type Outcome = 'ok' | 'outage' | 'revoked' | 'ambiguous';

const keys = ['a', 'b'].map((name) => `https://kv-west.vault.test/keys/${name}/1` as KeyId);
const timing = { sentAt: noon, receivedAt: noon, ms: millis(1) };

function reply(outcome: Outcome): Reply<null> {
  return outcome === 'ok' ? { ...timing, ok: true, value: null } : { ...timing, ok: false, fault: aFault({ class: outcome }) };
}

/** F2 where a vault fails some operations and not others. */
export function describeCircuits(name: string, factory: () => CircuitsRig): void {
  function begin() {
    const rig = factory();
    const { circuits } = rig;
    const meet = (operation: KeyOperation, outcome: Outcome, key = 0) =>
      circuits.through('kv-west', { keyId: keys[key]!, operation }, () => Promise.resolve(reply(outcome)));
    return {
      ...rig,
      meet,
      canary: (operation: KeyOperation, outcome: Outcome) =>
        circuits.canary('kv-west', { keyId: keys[0]!, operation }, () => Promise.resolve(reply(outcome))),
      /** Calls that are not made, and what the circuit is as a whole. */
      async held() {
        const held: KeyOperation[] = [];
        for (const operation of ['get', 'wrapKey', 'unwrapKey'] as const) {
          if (circuits.state('kv-west', operation).state !== 'closed') held.push(operation);
          expect((await meet(operation, 'ambiguous')) === undefined, operation).toBe(held.includes(operation));
        }
        return { held, state: circuits.state('kv-west').state };
      },
      async failing(...operations: readonly KeyOperation[]) {
        for (let i = 0; i < 4; i += 1) for (const operation of operations) await meet(operation, 'outage', i % 2);
      },
    };
  }

  const nothingHeld = { held: [], state: 'closed' };
  const wrapsHeld = { held: ['wrapKey'], state: 'open' };
  const allHeld = { held: ['get', 'wrapKey', 'unwrapKey'], state: 'open' };

  describe(`circuits: ${name}`, () => {
    it('F2: outages of wraps open it for wraps and for nothing else', async () => {
      const { changes, failing, held } = begin();
      await failing('wrapKey');
      expect(await held()).toEqual(wrapsHeld);
      expect(changes).toEqual(['open']);
    });

    it.each(['get', 'unwrapKey'] as const)('F2: outages of %s open it for all', async (operation) => {
      const { changes, failing, held } = begin();
      await failing(operation);
      expect(await held()).toEqual(allHeld);
      expect(changes).toEqual(['open']);
    });

    it('F2: unwraps that are answered, however many and of the same keys, keep no outage of wraps from opening it', async () => {
      const { meet, held } = begin();
      for (let i = 0; i < 4; i += 1) {
        await meet('wrapKey', 'outage', i % 2);
        for (let j = 0; j < 20; j += 1) await meet('unwrapKey', 'ok', j % 2);
      }
      expect(await held()).toEqual(wrapsHeld);
    });

    it('F2: the outage of a canary wrap opens it alone', async () => {
      const { canary, held } = begin();
      await canary('wrapKey', 'outage');
      expect(await held()).toEqual(wrapsHeld);
    });

    it('F2: what wraps opened no canary unwrap closes, only a canary wrap that is answered', async () => {
      const { canary, changes, failing, held } = begin();
      await failing('wrapKey');
      await canary('unwrapKey', 'ok');
      await canary('wrapKey', 'outage');
      await canary('wrapKey', 'ambiguous');
      expect(await held()).toEqual(wrapsHeld);
      await canary('wrapKey', 'revoked');
      expect(await held()).toEqual(nothingHeld);
      expect(changes).toEqual(['open', 'closed']);
    });

    it('F2: what unwraps opened a canary unwrap closes, for wraps too, which met nothing', async () => {
      const { canary, changes, failing, held } = begin();
      await failing('unwrapKey');
      await canary('unwrapKey', 'ok');
      expect(await held()).toEqual(nothingHeld);
      expect(changes).toEqual(['open', 'closed']);
    });

    it('F2: an outage of both opens and closes once: unwraps are let through first, wraps when one was answered', async () => {
      const { canary, changes, failing, held } = begin();
      await failing('wrapKey', 'unwrapKey');
      expect(await held()).toEqual(allHeld);
      await canary('unwrapKey', 'ok');
      expect(await held()).toEqual(wrapsHeld);
      await canary('wrapKey', 'ok');
      expect(await held()).toEqual(nothingHeld);
      expect(changes).toEqual(['open', 'closed']);
    });
  });
}
