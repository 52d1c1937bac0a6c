import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type * as Denial from '../../src/policy/denial.ts';
import type * as Gate from '../../src/policy/gate.ts';
import type * as ServerState from '../../src/policy/server-state.ts';
import type { AccessPicture, LinkRef } from '../../src/domain/access.ts';
import { sameLink } from '../../src/domain/access.ts';
import { millis } from '../../src/domain/time.ts';
import { LawBroken, play, sequences } from './sequence.ts';

/*
 * Shows that the model can fail: each rule of the gate, the latch and the server's state is broken in turn, and the model must see it.
 */

const broken = vi.hoisted(() => ({ rule: '' }));

function withoutDenials(picture: AccessPicture, whose: (ref: LinkRef) => boolean): AccessPicture {
  return { ...picture, links: picture.links.map((link) => (whose(link.ref) ? { ...link, latch: null, denials: {} } : link)) };
}

vi.mock('../../src/policy/gate.ts', async (original) => {
  const gate = await original<typeof Gate>();
  const mayFailOver: typeof Gate.mayFailOver = (question, rules) => {
    const { primary, primaryPicture } = question;
    switch (broken.rule) {
      case 'denials':
        return gate.mayFailOver({ ...question, primaryPicture: withoutDenials(primaryPicture, () => true) }, rules);
      case 'reach':
        return gate.mayFailOver({ ...question, primaryPicture: withoutDenials(primaryPicture, (ref) => !sameLink(ref, primary)) }, rules);
      case 'quiet':
        return gate.mayFailOver(question, { ...rules, denialQuietMs: millis(0) });
      case 'proofAge':
        return gate.mayFailOver(question, { ...rules, proofMaxAgeMs: millis(Infinity) });
      case 'controlPlane':
        return gate.mayFailOver({ ...question, controlPlane: 'exists' }, rules);
      case 'neverOpens':
        return { open: false, law: 'F3', detail: 'never' };
      default:
        return gate.mayFailOver(question, rules);
    }
  };
  return { ...gate, mayFailOver };
});

vi.mock('../../src/policy/denial.ts', async (original) => {
  const denial = await original<typeof Denial>();
  const unwrapSucceeded: typeof Denial.unwrapSucceeded = (stored, ref, success) =>
    denial.unwrapSucceeded(stored, ref, broken.rule === 'lateAnswer' ? { ...success, known: stored?.latch?.generation ?? null } : success);
  const unwrapDenied: typeof Denial.unwrapDenied = (stored, ref, seen, rules) => {
    if (broken.rule === 'noLatch') return null;
    if (broken.rule === 'confirmsAtOnce') return denial.unwrapDenied(stored, ref, seen, { ...rules, witnessAfterMs: millis(0) });
    return denial.unwrapDenied(stored, ref, broken.rule === 'neverConfirms' ? { ...seen, witness: false } : seen, rules);
  };
  return { ...denial, unwrapSucceeded, unwrapDenied };
});

vi.mock('../../src/policy/server-state.ts', async (original) => {
  const states = await original<typeof ServerState>();
  const standingUnder: typeof ServerState.standingUnder = (latch, server, now, rules) => {
    const healsUnproven = broken.rule === 'healsUnproven' && server.state === 'atRisk';
    return states.standingUnder(healsUnproven ? null : latch, server, now, rules);
  };
  return { ...states, standingUnder };
});

test.each([
  ['denials', 'F4'],
  ['reach', 'F4'],
  ['quiet', 'F4'],
  ['proofAge', 'F3'],
  ['neverOpens', 'F3'],
  ['noLatch', 'F4'],
  ['lateAnswer', 'F5'],
  ['confirmsAtOnce', 'F6'],
  ['neverConfirms', 'F6'],
  ['healsUnproven', 'A2'],
])('a broker without the rule %s is caught, by %s', { timeout: 300_000 }, async (rule, law) => {
  broken.rule = rule;
  const found = await fc.check(
    fc.asyncProperty(sequences(6), async (one) => {
      await play(one);
    }),
    { numRuns: 10_000, seed: 5, endOnFailure: true },
  );
  expect(found.errorInstance).toBeInstanceOf(LawBroken);
  expect(String(found.errorInstance)).toContain(`${law} at`);
});
