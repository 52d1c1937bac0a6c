import type * as z from 'zod/mini';
import type { FieldError } from './problem.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** At most this many wrong fields are told: an answer must not outgrow a hostile request. */
const mostTold = 20;

/**
 * A field's name may be told only if it looks like one. Longer ones are not: what a confused client writes where a name belongs may be
 * a key or a token.
 */
const tellable = /^[A-Za-z_$][A-Za-z0-9_$.-]{0,31}$/;

function step(key: PropertyKey): string {
  if (typeof key === 'number') return `[${key}]`;
  return typeof key === 'string' && tellable.test(key) ? `.${key}` : '.(a name that is not told)';
}

function pathName(path: Path, whole: string, place: string): string {
  const name = (place + path.map(step).join('')).replace(/^\./, '');
  return name === '' ? whole : name;
}

function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined), input);
}

const typeNames: Readonly<Record<string, string>> = { string: 'text', int: 'a whole number', object: 'an object', array: 'a list' };

/** What zod/mini says where a schema has no words of its own. */
const unset = 'Invalid input';

function rule(issue: Issue, input: unknown): string {
  const isMissing = valueAt(input, issue.path) === undefined;
  if (isMissing && (issue.code === 'invalid_type' || issue.code === 'invalid_value')) return 'is missing';
  if (issue.code === 'invalid_type') return `must be ${typeNames[issue.expected] ?? `a ${issue.expected}`}`;
  if (issue.code === 'invalid_value') return `must be ${issue.values.map(String).join(' or ')}`;
  if (issue.message !== unset) return issue.message;
  return issue.code === 'too_big' ? `must have at most ${issue.maximum}` : 'is not valid';
}

function* errorsIn(issues: readonly Issue[], input: unknown, whole: string, place: string): Generator<FieldError> {
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') yield { field: pathName(issue.path, whole, place), detail: rule(issue, input) };
    else for (const key of issue.keys) yield { field: pathName([...issue.path, key], whole, place), detail: 'is not known here' };
  }
}

/**
 * Says which fields of `input` are wrong, and why; never what was in them.
 * @param whole what the input as a whole is called, e.g. `body`.
 * @param place where it stands in what was sent, e.g. `items[3]`: goes before the name of each field. Empty: it is all that was sent.
 */
export function fieldErrors(issues: readonly Issue[], input: unknown, whole: string, place = ''): [FieldError, ...FieldError[]] {
  // A value that breaks two rules with the same words is told once.
  const told = new Map<string, FieldError>();
  for (const error of errorsIn(issues, input, whole, place)) {
    told.set(`${error.field}: ${error.detail}`, error);
    if (told.size === mostTold) break;
  }
  const [first = { field: whole, detail: 'is not valid' }, ...more] = told.values();
  return [first, ...more];
}
