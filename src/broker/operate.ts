import type { RequestContext } from '../domain/caller.ts';
import { Dek } from '../domain/dek.ts';
import type { WrappedDek } from '../domain/dek.ts';
import type { Thumbprint, UnwrapAlgorithm, WrapAlgorithm } from '../domain/key.ts';
import type { OperationName } from '../domain/operation.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Attempt, Outcome, Refusal } from '../domain/refusal.ts';
import { groupByThumbprint, protectorGroup } from '../domain/server.ts';
import type { Link, RegisteredServer, Tier } from '../domain/server.ts';
import { StoreAway } from '../ports/store.ts';
import { createAuthority, keyNotLinked } from './authority.ts';
import { createCoalesce } from './coalesce.ts';
import type { AtGroup, Operated } from './failover.ts';
import type { Rewrap } from './key-call.ts';
import type { Parts } from './parts.ts';
import { createRecords, recordedNowhere } from './records.ts';
import type { Roads, Served } from './roads.ts';
import { stateUnavailable } from './store-away.ts';

type Operations = Pick<Roads, 'wrap' | 'unwrap' | 'rewrap'>;

/** Whose key operation it is, once that is established. */
interface Operator {
  readonly registered: RegisteredServer;
  readonly tier: Tier;
  readonly deadline: number;
  /** What the halves of a rewrap share; absent: it is no rewrap. */
  readonly rewrap?: Rewrap;
}

/** What is left of an operation: for the record, and for the answer. */
interface Course<T> {
  readonly outcome:
    | { readonly ok: true; readonly value: T; readonly link: Link }
    | { readonly ok: false; readonly refusal: Refusal; readonly link: Link | null };
  readonly attempts: readonly Attempt[];
}

/** The road of wrap, unwrap and rewrap: authority, group, links, record. */
export function createOperate(parts: Parts, atGroup: AtGroup): Operations {
  const { vaults } = parts;
  const coalesce = createCoalesce(parts.clock);
  const keepRecord = createRecords(parts);
  const { seeOperable } = createAuthority(parts);

  /** Runs one operation from authority to record; every way out leaves a record (P3). */
  async function operate<T extends object>(
    operation: OperationName,
    target: { readonly server: string; readonly database: string; readonly thumbprint?: Thumbprint },
    context: RequestContext,
    work: (operator: Operator) => Promise<Course<T>>,
  ): Promise<Outcome<T & Served>> {
    const record = keepRecord(operation, target, context);
    let course: Course<T>;
    try {
      const sight = seeOperable(target, context);
      const seen = sight instanceof Promise ? await sight : sight;
      course = seen.ok ? await work({ ...seen.value, deadline: context.deadline }) : refusedCourse(seen.refusal);
    } catch (error) {
      if (!(error instanceof StoreAway)) {
        record({ link: null, outcome: 'Internal', attempts: [] });
        throw error;
      }
      course = refusedCourse(stateUnavailable(error).refusal);
    }
    const { outcome, attempts } = course;
    const place = record({ link: outcome.link, outcome: outcome.ok ? 'ok' : outcome.refusal.code, attempts });
    if (place === null) {
      if (outcome.ok) wipe(outcome.value);
      return recordedNowhere();
    }
    if (!outcome.ok) return { ok: false, refusal: { ...outcome.refusal, ...(attempts.length > 0 && { attempts }) } };
    const { keyId, thumbprint, vault, standbyOf } = outcome.link;
    return done({ ...outcome.value, keyId, thumbprint, vault, failover: standbyOf !== null, record: place });
  }

  function wrapAtProtector(operator: Operator, dek: Dek, algorithm: WrapAlgorithm): Promise<Operated<WrappedDek>> | undefined {
    const group = protectorGroup(operator.registered);
    return (
      group && atGroup(group, { ...operator, operation: 'wrapKey', send: (target, within) => vaults.wrap(target, dek, algorithm, within) })
    );
  }

  function unwrapAtGroup(
    operator: Operator,
    wanted: { readonly thumbprint: Thumbprint; readonly wrappedDek: WrappedDek; readonly algorithm: UnwrapAlgorithm },
  ): Promise<Operated<Dek>> | undefined {
    const group = groupByThumbprint(operator.registered, wanted.thumbprint);
    if (group === undefined) return undefined;
    return atGroup(group, {
      ...operator,
      operation: 'unwrapKey',
      send: (target, within) => vaults.unwrap(target, wanted.wrappedDek, wanted.algorithm, within),
      share: (target, start) =>
        coalesce.share({ target, algorithm: wanted.algorithm, wrappedDek: wanted.wrappedDek }, operator.deadline, start),
    });
  }

  return {
    wrap: ({ dek, algorithm, ...target }, context) =>
      operate('wrap', target, context, async (operator) => {
        const operated = await wrapAtProtector(operator, dek, algorithm);
        return operated === undefined ? noProtector(target.server) : courseFrom(operated, (wrappedDek) => ({ wrappedDek, algorithm }));
      }),

    unwrap: (request, context) =>
      operate('unwrap', request, context, async (operator) => {
        const operated = await unwrapAtGroup(operator, request);
        return operated === undefined ? noSuchKey(request) : courseFrom(operated, (dek) => ({ dek, algorithm: request.algorithm }));
      }),

    rewrap: (request, context) =>
      operate('rewrap', request, context, async (operator) => {
        const to = protectorGroup(operator.registered);
        if (to === undefined) return noProtector(request.server);
        const half: Operator = { ...operator, rewrap: { to, room: null } };
        const unwrapped = await unwrapAtGroup(half, request);
        if (unwrapped === undefined) return noSuchKey(request);
        if (!unwrapped.ok) return refusedAfter(unwrapped);
        try {
          const algorithm = wrapAlgorithmFor(request.algorithm);
          const wrapped = await wrapAtProtector(half, unwrapped.value, algorithm);
          if (wrapped === undefined) return noProtector(request.server);
          return courseFrom({ ...wrapped, attempts: [...unwrapped.attempts, ...wrapped.attempts] }, (wrappedDek) => ({
            wrappedDek,
            algorithm,
          }));
        } finally {
          unwrapped.value.zero();
        }
      }),
  };
}

/** What is wrapped anew is wrapped with the algorithm that it came with, but for RSA1_5, which only unwraps. */
function wrapAlgorithmFor(algorithm: UnwrapAlgorithm): WrapAlgorithm {
  return algorithm === 'RSA1_5' ? 'RSA-OAEP-256' : algorithm;
}

function courseFrom<T, A>(operated: Operated<T>, answer: (value: T) => A): Course<A> {
  if (!operated.ok) return refusedAfter(operated);
  return { outcome: { ok: true, value: answer(operated.value), link: operated.link }, attempts: operated.attempts };
}

function refusedAfter({ refusal, link, attempts }: Extract<Operated<unknown>, { ok: false }>): Course<never> {
  return { outcome: { ok: false, refusal, link: attempts.length > 0 ? link : null }, attempts };
}

/** An answer that nobody will get leaves no plaintext behind. */
function wipe(answer: object): void {
  if ('dek' in answer && answer.dek instanceof Dek) answer.dek.zero();
}

function refusedCourse(refusal: Refusal): Course<never> {
  return { outcome: { ok: false, refusal, link: null }, attempts: [] };
}

function noProtector(server: string): Course<never> {
  return refusedCourse(refuse('Conflict', `server ${server} has no protector`).refusal);
}

function noSuchKey({ server, thumbprint }: { readonly server: string; readonly thumbprint: Thumbprint }): Course<never> {
  return refusedCourse(keyNotLinked(server, thumbprint));
}
