import { expect, test } from 'vitest';
import type { AttemptParts } from '../../src/broker/key-call.ts';
import { targetOf } from '../../src/broker/witness.ts';
import { createWrapAgain } from '../../src/broker/wrap-again.ts';
import type { LinkAccess } from '../../src/domain/access.ts';
import type { Fault } from '../../src/domain/fault.ts';
import type { Link } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import { aFault, aLatch, anUntried, aRegisteredWith, noon } from '../support/builders.ts';
import { aLink, aVault } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const revoked = aFault({ class: 'revoked', status: 403, code: 'ForbiddenByRbac', reach: 'identity' });
const refused: LinkAccess['refused'] = { wrapKey: { since: noon, finding: 'WrapDenied' } };

/** What a canary at a link of which `known` is known meets and what follows, where the vault answers `fault`; undefined: it wraps. */
async function laid(known: Partial<LinkAccess>, { fault, link = aLink() }: { readonly fault?: Fault; readonly link?: Link } = {}) {
  const clock = virtualClock(noon);
  const told: string[] = [];
  const head = { sentAt: clock.now(), receivedAt: clock.now(), ms: millis(1) };
  const note = (what: string) => () => {
    told.push(what);
    return Promise.resolve();
  };
  const target = targetOf({ ...aRegisteredWith(), links: [link] }, link);
  const wrapAgain = createWrapAgain({
    parts: {
      clock,
      registry: { peekVault: () => aVault() },
      admission: { admit: ({ class: of }: { class: string }) => void told.push(`admit ${of}`), ended: () => undefined },
      circuits: { through: (_vault: string, _key: string, call: () => unknown) => call() },
      vaults: {
        wrap() {
          told.push('wrap');
          return Promise.resolve(fault === undefined ? { ...head, ok: true, value: new Uint8Array(8) } : { ...head, ok: false, fault });
        },
      },
      rules: { attemptMs: millis(2000), probeMs: millis(2000) },
    },
    access: { known: () => anUntried(target.ref, known), allowed: note('allowed'), otherDenied: note('denied'), refused: note('refused') },
    outages: { met: note('outage'), answered: () => undefined, denied: () => undefined },
  } as unknown as AttemptParts);
  await wrapAgain([target]);
  return told;
}

test('F4: where the latch was released and a wrap is still refused, one canary is wrapped, so that the refusal ends without traffic', async () => {
  expect(await laid({ refused })).toEqual(['admit probe', 'wrap', 'allowed']);
});

test('F4, F2: what that canary meets counts like anything else', async () => {
  expect(await laid({ refused }, { fault: revoked })).toEqual(['admit probe', 'wrap', 'denied', 'refused']);
  expect(await laid({ refused }, { fault: aFault() })).toEqual(['admit probe', 'wrap', 'outage']);
});

test.each<[string, Partial<LinkAccess>, Link | undefined]>([
  ['no wrap is refused there', {}, undefined],
  ['the latch was not released, or there is a newer one', { refused, latch: aLatch() }, undefined],
  ['no wraps go to a former protector', { refused }, aLink({ role: 'additional' })],
])('nothing is wrapped where %s', async (_why, known, link = aLink()) => {
  expect(await laid(known, { link })).toEqual([]);
});
