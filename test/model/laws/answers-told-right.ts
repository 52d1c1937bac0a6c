import { isDenial } from '../../../src/domain/fault.ts';
import type { FaultClass } from '../../../src/domain/fault.ts';
import type { Attempt, RefusalCode } from '../../../src/domain/refusal.ts';
import { dekOf } from '../world/fleet.ts';
import { keyNamed, thumbprintOf, wrapped } from '../world/vaults.ts';
import type { Asked } from '../world/world.ts';
import type { Bench, Law } from './law.ts';

/** What the caller hears of the last attempt (design section 4). `StateUnavailable` stands where what follows could not be stored. */
const heardOf: Readonly<Record<FaultClass, readonly RefusalCode[]>> = {
  outage: ['VaultUnavailable', 'StateUnavailable', 'KeyAccessDenied', 'DeadlineExceeded', 'Throttled'],
  ambiguous: ['VaultUnavailable', 'StateUnavailable'],
  revoked: ['KeyAccessDenied', 'StateUnavailable'],
  keyGone: ['KeyAccessDenied', 'StateUnavailable'],
  vaultGone: ['KeyAccessDenied', 'StateUnavailable'],
  throttled: ['Throttled'],
  identityOutage: ['IdentityUnavailable'],
  invalidRequest: [],
};

/** Codes of an operation that was turned away before any vault was tried. */
const untried: readonly RefusalCode[] = ['ServerInaccessible', 'StateUnavailable', 'DeadlineExceeded', 'Throttled'];
/** The same where the server or its key may just have been taken out, or has not been put in. */
const unlinked: readonly RefusalCode[] = [...untried, 'NotFound', 'Conflict'];

/** Longest answer: the request's deadline, and the pictures that are under way (C5). */
const answeredWithinMs = 10_100;

/** Section 4, C5, K6, T33: what callers hear is what happened, in time; standbys are tried in order, and a denial at one ends the search. */
export function answersToldRight({ world, history, counts, breaks }: Bench): Law {
  /** What is wrong with an answer; undefined if nothing is. */
  function wrongIn(asked: Asked): string | undefined {
    const { answer } = asked;
    if (answer === undefined) return undefined;
    if (answer.ok) return wrongSuccess(asked, answer.value);
    const { code, attempts = [], detail } = answer.refusal;
    const last = attempts.at(-1);
    const allowed = last === undefined ? (isLinked(asked) ? untried : unlinked) : codesOf(last, asked.operation, attempts.length > 1);
    return allowed.includes(code)
      ? undefined
      : `${code} after ${attempts.map(({ role, class: met }) => `${role} ${met}`).join(', ')} (${detail})`;
  }

  /** The key was linked all the while. */
  function isLinked({ server, key, begunAt }: Asked): boolean {
    const links = world.newest(server)?.links ?? [];
    return (
      links.some(({ thumbprint, role }) => thumbprint === thumbprintOf(key) && role !== 'standby') &&
      history.changedAt(server) < begunAt - 5000
    );
  }

  function wrongOrder({ server, key, operation }: Asked, attempts: readonly Attempt[]): string | undefined {
    const standbys = attempts.filter(({ role }) => role === 'standby').map(({ vault }) => vault);
    // C2: that a key has expired is no denial of access.
    const denied = attempts.findIndex(
      ({ role, class: met, vaultCode }) =>
        role === 'standby' && met !== 'ok' && met !== 'circuitOpen' && isDenial(met) && vaultCode !== 'KeyExpired',
    );
    if (denied !== -1 && denied < attempts.length - 1) return `goes on after the denial of ${attempts[denied]?.vault}`;
    const orders = history.recent(server).map(({ links }) => {
      const primary = links.find(
        (link) => link.role !== 'standby' && (operation === 'wrap' ? link.role === 'protector' : link.thumbprint === thumbprintOf(key)),
      );
      return links
        .filter((link) => link.standbyOf === primary?.keyId)
        .sort((a, b) => a.rank - b.rank)
        .map(({ vault }) => vault);
    });
    // F4: to wrap, those that have refused it come last, in the same order among themselves.
    const runs =
      operation === 'wrap'
        ? standbys.map((_vault, cut) => [standbys.slice(0, cut), standbys.slice(cut)] as const)
        : [[standbys, []] as const];
    const inOrder = orders.some((order) => runs.some((run) => run.every((part) => isSubsequence(part, order))));
    return standbys.length === 0 || inOrder ? undefined : `tries its standbys out of order: ${standbys.join(', ')}`;
  }

  function heard(asked: Asked): void {
    const { answer, operation, server } = asked;
    if (answer === undefined) return;
    counts.answers += 1;
    const wrong = wrongIn(asked) ?? (answer.ok ? undefined : wrongOrder(asked, answer.refusal.attempts ?? []));
    if (wrong !== undefined) breaks('section 4', `${operation} for ${server}: ${wrong}`);
    const took = world.now() - asked.begunAt;
    // A denial is stored before the caller hears of it (F4), however slow the store is.
    const storeSlow = asked.instance.line.roundTripMs > 300 || world.now() - world.lineChangedAt < took;
    if (took > answeredWithinMs && !storeSlow) breaks('C5', `an answer after ${took} ms`);
  }

  return { heard };
}

function codesOf(last: Attempt, operation: Asked['operation'], failedOver: boolean): readonly RefusalCode[] {
  if (last.class === 'ok') return [];
  if (last.class === 'circuitOpen') return heardOf.outage;
  if (!failedOver || last.role !== 'standby') return heardOf[last.class];
  // What says nothing of the key leads to the next standby, which may be held back before it is called; so does an expired key (C2).
  const ledOn = last.class === 'throttled' || last.class === 'ambiguous' || (last.class === 'revoked' && operation === 'wrap');
  // The primary is down and the standby says no: the key as such is not denied.
  return [...heardOf[last.class], 'VaultUnavailable', ...(ledOn ? heardOf.outage : [])];
}

function isSubsequence(some: readonly string[], all: readonly string[]): boolean {
  let place = 0;
  for (const one of all) if (one === some[place]) place += 1;
  return place === some.length;
}

type Success = Extract<NonNullable<Asked['answer']>, { readonly ok: true }>['value'];

function wrongSuccess({ server, operation, key }: Asked, value: Success): string | undefined {
  const plain = dekOf(server);
  if ('dek' in value) {
    if (operation !== 'unwrap' || value.thumbprint !== thumbprintOf(key)) return `the answer of ${value.vault} is by another key`;
    return Buffer.compare(plain, value.dek.reveal()) === 0 ? undefined : `the answer of ${value.vault} holds other bytes`;
  }
  const expected = wrapped(keyNamed(value.keyId), plain);
  return operation === 'wrap' && Buffer.compare(expected, value.wrappedDek) === 0
    ? undefined
    : `the answer of ${value.vault} holds other bytes`;
}
