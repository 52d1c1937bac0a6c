import * as z from 'zod/mini';
import type { Roads } from '../broker/roads.ts';
import type { RequestContext, Role } from '../domain/caller.ts';
import { done, type RefusalCode } from '../domain/refusal.ts';
import { fieldErrors } from './field-errors.ts';
import { invalid, type FieldError, type WireRefusal } from './problem.ts';
import type { HostSuffix } from '../domain/vault-host.ts';

/** What a route sends back when all went well. `body` is JSON to be; `text` goes out as it is, of the type that `headers` say. Neither: no body. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type WireOutcome<T = Answer> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: WireRefusal };

/** What the routes need to know of the deployment. */
export interface WireRules {
  readonly vaultHostSuffixes: readonly HostSuffix[];
  /** `source` of the events: a URI that names the deployment. */
  readonly deployment: string;
  /** What is wrong with the deployment and keeps nothing from being served. */
  readonly warnings: readonly string[];
}

/** One call of one route. */
export interface Call {
  readonly roads: Roads;
  readonly context: RequestContext;
  readonly rules: WireRules;
  /** Tells the log of a defect, which the answer may only name as such. */
  readonly failed: (error: unknown, requestId: string) => WireOutcome<never>;
}

/** A request before its form is known. */
export interface RawInput {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown;
}

type Schema = z.core.$ZodType;
type ObjectSchema = z.ZodMiniObject;

/** What the wire and the OpenAPI document know of a route. */
export interface RouteFacts {
  /** Name of the function and of the operation. The host routes in the order of names, so no two templates may overlap. */
  readonly id: string;
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Template without a slash in front, as the Functions host takes it. */
  readonly path: string;
  /** App roles of which the caller needs one. `anyone`: no token is looked at. */
  readonly who: readonly Role[] | 'anyone';
  readonly summary: string;
  /** Largest body in bytes. */
  readonly bodyLimit: number;
  /** Which of the two deadlines holds (C5). */
  readonly deadline: 'request' | 'batch';
  readonly params: ObjectSchema;
  readonly query: ObjectSchema;
  readonly body: Schema;
  /** By status; null: no body. */
  readonly answers: Readonly<Record<number, Schema | null>>;
  /** Codes that the road may refuse with, beside those of every route. */
  readonly refusals: readonly RefusalCode[];
}

export interface Route extends RouteFacts {
  /** Reads the input by the route's schemas and walks the road. Rejects only where the road does. */
  readonly serve: (input: RawInput, call: Call) => Promise<WireOutcome>;
}

type TypedRoute<P extends ObjectSchema, Q extends ObjectSchema, B extends Schema> = Omit<
  RouteFacts,
  'bodyLimit' | 'deadline' | 'params' | 'query' | 'body'
> &
  Partial<Pick<RouteFacts, 'bodyLimit' | 'deadline'>> & {
    readonly params: P;
    readonly query: Q;
    readonly body: B;
    /** What is wrong with a body by the rules of the deployment, which no schema knows. It sees the body before its form is known. */
    readonly alsoWrong?: (body: unknown, rules: WireRules) => readonly FieldError[];
    readonly walk: (input: { params: z.output<P>; query: z.output<Q>; body: z.output<B> }, call: Call) => Promise<WireOutcome>;
  };

const usualBodyLimit = 64 * 1024;

/** Ties a route's schemas to the function that is given what they read. */
export function route<P extends ObjectSchema, Q extends ObjectSchema, B extends Schema>(typed: TypedRoute<P, Q, B>): Route {
  const { walk, alsoWrong = () => [], ...facts } = typed;
  return {
    bodyLimit: usualBodyLimit,
    deadline: 'request',
    ...facts,
    serve: async (input, call) => {
      const params = read(typed.params, input.params, 'path');
      const query = readQuery(typed.query, input.query);
      const body = read(typed.body, input.body, 'body');
      // Everything is read before anything is refused, so that one answer names every wrong field.
      const [first, ...more] = [...errorsOf(params), ...errorsOf(query), ...errorsOf(body), ...alsoWrong(input.body, call.rules)];
      if (first !== undefined) return invalid(first, ...more);
      if (!params.ok) return params;
      if (!query.ok) return query;
      if (!body.ok) return body;
      return walk({ params: params.value, query: query.value, body: body.value }, call);
    },
  };
}

/** Reads a value by its schema; the refusal names every wrong field. `whole` and `place`: as `fieldErrors` has them. */
export function read<S extends Schema>(schema: S, input: unknown, whole: string, place?: string): WireOutcome<z.output<S>> {
  const parsed = z.safeParse(schema, input);
  return parsed.success ? done(parsed.data) : invalid(...fieldErrors(parsed.error.issues, input, whole, place));
}

function errorsOf(outcome: WireOutcome<unknown>): readonly FieldError[] {
  return outcome.ok ? [] : (outcome.refusal.errors ?? []);
}

function readQuery<S extends ObjectSchema>(schema: S, query: URLSearchParams): WireOutcome<z.output<S>> {
  const input: Record<string, string> = {};
  const twice: FieldError[] = [];
  for (const [name, value] of query) {
    if (!Object.hasOwn(schema.shape, name)) {
      const [error] = fieldErrors([{ code: 'unrecognized_keys', keys: [name], path: [], message: '' }], input, 'query');
      return invalid(error);
    }
    if (Object.hasOwn(input, name)) twice.push({ field: name, detail: 'must be given once' });
    input[name] = value;
  }
  const [first, ...more] = twice;
  return first ? invalid(first, ...more) : read(schema, input, 'query');
}
