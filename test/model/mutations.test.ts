import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type * as AccessOfLinks from '../../src/broker/access.ts';
import type * as AttemptAtLink from '../../src/broker/attempt.ts';
import type * as Compose from '../../src/broker/compose.ts';
import type * as ProveKeys from '../../src/broker/prove-key.ts';
import type * as WitnessOfLinks from '../../src/broker/witness.ts';
import type { WitnessTarget } from '../../src/broker/witness.ts';
import { sameLink } from '../../src/domain/access.ts';
import type { AccessPicture, LinkAccess } from '../../src/domain/access.ts';
import { millis } from '../../src/domain/time.ts';
import type * as Denial from '../../src/policy/denial.ts';
import type * as Gate from '../../src/policy/gate.ts';
import type * as ServerState from '../../src/policy/server-state.ts';
import type * as Verdict from '../../src/policy/verdict.ts';
import { LawBroken, play } from './play.ts';
import { sequences } from './steps/steps.ts';

/*
 * Shows that the model can fail: each rule of the gate, the latch, the access and the server's state is broken in turn, and the model must
 * see it, by the law that the rule serves.
 */

const broken = vi.hoisted(() => ({ rule: '' }));

/** The picture as it would be if these things were not remembered. */
function forgetful(picture: AccessPicture, forget: (link: LinkAccess) => Partial<LinkAccess>): AccessPicture {
  return { ...picture, links: picture.links.map((link) => ({ ...link, ...forget(link) })) };
}

const noDenials = { latch: null, denials: {} };

vi.mock('../../src/policy/gate.ts', async (original) => {
  const gate = await original<typeof Gate>();
  const mutants: Readonly<Record<string, typeof gate.mayFailOver>> = {
    denials: (question, rules) =>
      gate.mayFailOver({ ...question, primaryPicture: forgetful(question.primaryPicture, () => noDenials) }, rules),
    reach: ({ primary, primaryPicture, ...rest }, rules) => {
      const own = forgetful(primaryPicture, ({ ref }) => (sameLink(ref, primary) ? {} : noDenials));
      return gate.mayFailOver({ ...rest, primary, primaryPicture: own }, rules);
    },
    quiet: (question, rules) => gate.mayFailOver(question, { ...rules, denialQuietMs: millis(0) }),
    proofAge: (question, rules) => gate.mayFailOver(question, { ...rules, proofMaxAgeMs: millis(Infinity) }),
    doubt: (question, rules) =>
      gate.mayFailOver({ ...question, primaryPicture: forgetful(question.primaryPicture, () => ({ doubtedAt: null })) }, rules),
    refusedWrap: (question, rules) => gate.mayFailOver({ ...question, operation: 'unwrapKey' }, rules),
    state: (question, rules) => gate.mayFailOver({ ...question, state: 'online', protectorLatch: null }, rules),
    standbyLatch: (question, rules) =>
      gate.mayFailOver({ ...question, standbyPicture: forgetful(question.standbyPicture, () => noDenials) }, rules),
    neverOpens: () => ({ open: false, law: 'F3', detail: 'never' }),
  };
  const mayFailOver: typeof Gate.mayFailOver = (...asked) => (mutants[broken.rule] ?? gate.mayFailOver)(...asked);
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

vi.mock('../../src/policy/verdict.ts', async (original) => {
  const verdict = await original<typeof Verdict>();
  const consequenceOf: typeof Verdict.consequenceOf = (fault, operation) =>
    verdict.consequenceOf(broken.rule === 'throttle' && fault.class === 'throttled' ? { ...fault, class: 'outage' } : fault, operation);
  return { ...verdict, consequenceOf };
});

vi.mock('../../src/broker/access.ts', async (original) => {
  const { createAccess: create } = await original<typeof AccessOfLinks>();
  const createAccess: typeof create = (...parts) => {
    const access = create(...parts);
    const denied: typeof access.denied = async (ref, seen) => {
      // The caller hears of the denial whether it was stored or not.
      if (broken.rule === 'unstored') return access.denied(ref, seen).catch(() => null);
      if (broken.rule === 'neighbours') await access.denied({ ...ref, server: ref.server === 'alpha' ? 'beta' : 'alpha' }, seen);
      return access.denied(ref, seen);
    };
    return { ...access, denied };
  };
  return { createAccess };
});

/** As if it were no standby of anybody: nothing holds a canary back from it. */
function ofNobody(target: WitnessTarget): WitnessTarget {
  return { ...target, link: { ...target.link, standbyOf: null } };
}

vi.mock('../../src/broker/witness.ts', async (original) => {
  const witness = await original<typeof WitnessOfLinks>();
  const seen = (target: WitnessTarget): WitnessTarget => (broken.rule === 'canaries' ? ofNobody(target) : target);
  const createWitness: typeof witness.createWitness = (...parts) => {
    const { look } = witness.createWitness(...parts);
    return { look: (target, why, shared = []) => look(seen(target), why, shared.map(seen)) };
  };
  const primaryLatched: typeof witness.primaryLatched = (access, target) => witness.primaryLatched(access, seen(target));
  const primaryLatchedNow: typeof witness.primaryLatchedNow = (access, target) => witness.primaryLatchedNow(access, seen(target));
  return { ...witness, createWitness, primaryLatched, primaryLatchedNow };
});

vi.mock('../../src/broker/prove-key.ts', async (original) => {
  const proveKey = await original<typeof ProveKeys>();
  const createProveKey: typeof proveKey.createProveKey = (parts) => {
    const { prove, proveParity } = proveKey.createProveKey(parts);
    // Who proves the group does not see what the primary denied.
    return { proveParity, prove: async (...one) => ({ ...(await prove(...one)), ...(broken.rule === 'parity' ? { replies: [] } : {}) }) };
  };
  return { ...proveKey, createProveKey };
});

vi.mock('../../src/broker/attempt.ts', async (original) => {
  const attempt = await original<typeof AttemptAtLink>();
  const createAttempts: typeof attempt.createAttempts = (all) => {
    const attempts = attempt.createAttempts(all);
    return {
      at: (link, call, guard) =>
        broken.rule === 'lastWord'
          ? attempts.at(link, { ...call, send: (target, within) => call.send({ ...target, mayLeave: undefined }, within) }, guard)
          : attempts.at(link, call, guard),
    };
  };
  return { ...attempt, createAttempts };
});

vi.mock('../../src/broker/compose.ts', async (original) => {
  const { createRoads: create } = await original<typeof Compose>();
  const createRoads: typeof create = (parts) =>
    create({
      ...parts,
      ...(broken.rule === 'controlPlane' && { controlPlane: { vaultStatus: () => Promise.resolve('exists' as const) } }),
      ...(broken.rule === 'oldPictures' && { rules: { ...parts.rules, pictureMaxAgeMs: millis(60_000) } }),
    });
  return { createRoads };
});

test.each([
  ['denials', 'F4'],
  ['reach', 'F4'],
  ['quiet', 'F4'],
  ['proofAge', 'F3'],
  ['doubt', 'F1'],
  ['refusedWrap', 'F4'],
  ['state', 'F3'],
  ['standbyLatch', 'T33'],
  ['neverOpens', 'F3'],
  ['noLatch', 'F4'],
  ['lateAnswer', 'F5'],
  ['confirmsAtOnce', 'F6'],
  ['neverConfirms', 'F6'],
  ['healsUnproven', 'A2'],
  ['throttle', 'F7'],
  ['unstored', 'F4'],
  ['neighbours', 'F4'],
  ['oldPictures', 'F4'],
  ['lastWord', 'F4'],
  ['controlPlane', 'F9'],
  // No call of traffic gets round a primary that denies in these two, only canaries do: `canaries-held-back` alone sees that.
  ['canaries', 'F3'],
  ['parity', 'F3'],
])('a broker without the rule %s is caught, by %s', { timeout: 300_000 }, async (rule, law) => {
  broken.rule = rule;
  const found = await fc.check(
    fc.asyncProperty(sequences(6), async (one) => {
      // One that breaks another law first shows nothing of this one.
      await play(one).catch((error: unknown) => {
        if (!(error instanceof LawBroken) || error.message.startsWith(`${law} at`)) throw error;
      });
    }),
    { numRuns: 10_000, seed: 5, endOnFailure: true },
  );
  expect(found.errorInstance).toBeInstanceOf(LawBroken);
});
