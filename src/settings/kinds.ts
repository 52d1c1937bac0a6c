import { millis, type Millis } from '../domain/time.ts';

/** What a setting's text is read as, or what is wrong with it: completes the sentence "{name} ...". Never repeats the text: some are secret. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** One setting, and its line in the README. */
export interface Entry<T> {
  /** The broker's own, or OpenTelemetry's or Azure's where they have one for the purpose. */
  readonly name: `KEYBROKER_${string}` | `OTEL_${string}` | `APPLICATIONINSIGHTS_${string}`;
  readonly unit: string;
  /** As it would be written; null: none. */
  readonly standard: string | null;
  /** A setting without a standard must be set. */
  readonly required: boolean;
  /** Whether the broker serves without it. Such a one is left out where it cannot be read, and that is told; any other keeps the broker from serving. */
  readonly dispensable: boolean;
  readonly bounds: string;
  readonly meaning: string;
  readonly read: (text: string) => Read<T>;
}

/** What an entry says of itself: its name, its default and its meaning. */
type About = readonly [name: Entry<unknown>['name'], standard: string | number | null, meaning: string];

function entry<T>([name, standard, meaning]: About, form: Pick<Entry<T>, 'unit' | 'bounds' | 'read'>): Entry<T> {
  return { name, standard: standard === null ? null : String(standard), required: standard === null, dispensable: false, meaning, ...form };
}

/** The same setting, which may be left out. */
export function optional<T>(of: Entry<T>): Entry<T | null> {
  return { ...of, required: false };
}

/** The same setting, which may be left out, and is where it cannot be read. */
export function dispensable<T>(of: Entry<T>): Entry<T | null> {
  return { ...optional(of), dispensable: true };
}

const good = <T>(value: T): Read<T> => ({ ok: true, value });

function matching<T>(unit: string, bounds: string, parse: (text: string) => T | undefined): Pick<Entry<T>, 'unit' | 'bounds' | 'read'> {
  return {
    unit,
    bounds,
    read: (text) => {
      const value = parse(text);
      return value === undefined ? { ok: false, problem: `must be ${bounds}` } : good(value);
    },
  };
}

/** Text that is taken as it is. */
export function text(about: About, bounds = '1 to 4096 letters', fits: (given: string) => boolean = () => true): Entry<string> {
  return entry(
    about,
    matching('text', bounds, (given) => (given.length <= 4096 && fits(given) ? given : undefined)),
  );
}

/** A GUID, in lower case. */
export function guid(about: About): Entry<string> {
  const form = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;
  return entry(
    about,
    matching('GUID', 'a GUID', (given) => {
      const lower = given.toLowerCase();
      return form.test(lower) ? lower : undefined;
    }),
  );
}

/** A host that is this machine. */
export const loopback = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/;

/** An https address; plain http only where it never leaves the machine. Kept letter by letter: an issuer is compared so. */
export function url(about: About): Entry<string> {
  return entry(
    about,
    matching('URL', 'an https URL, or http on a loopback address, without user info, query and fragment', (given) => {
      if (!URL.canParse(given)) return undefined;
      const { protocol, hostname, username, password, search, hash } = new URL(given);
      const safe = protocol === 'https:' || (protocol === 'http:' && loopback.test(hostname));
      return safe && `${username}${password}${search}${hash}` === '' ? given : undefined;
    }),
  );
}

/** An absolute URI of any scheme (RFC 3986). */
export function uri(about: About): Entry<string> {
  return entry(
    about,
    matching('URI', 'an absolute URI of at most 256 letters', (given) =>
      /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]{1,250}$/.test(given) ? given : undefined,
    ),
  );
}

function numeric(given: string, form: RegExp, least: number, most: number): number | undefined {
  const value = Number(given);
  return form.test(given) && value >= least && value <= most ? value : undefined;
}

/** A span of whole milliseconds. */
export function span(about: About, least: number, most: number): Entry<Millis> {
  const bounds = `a whole number from ${least} to ${most}`;
  return entry(
    about,
    matching('ms', bounds, (given) => {
      const value = numeric(given, /^\d{1,15}$/, least, most);
      return value === undefined ? undefined : millis(value);
    }),
  );
}

/** A whole number of `unit`. */
export function count(about: About, unit: string, least: number, most: number): Entry<number> {
  return entry(
    about,
    matching(unit, `a whole number from ${least} to ${most}`, (given) => numeric(given, /^\d{1,15}$/, least, most)),
  );
}

/** A value with a form of its own. */
export function special<T>(about: About, form: Pick<Entry<T>, 'unit' | 'bounds' | 'read'>): Entry<T> {
  return entry(about, form);
}

/** A part of one. */
export function share(about: About, least: number, most: number): Entry<number> {
  return entry(
    about,
    matching('share', `a number from ${least} to ${most}`, (given) => numeric(given, /^(?:0|1|\d?\.\d{1,6}|1\.0{1,6})$/, least, most)),
  );
}

/** A list, separated by commas; each part is read by `parse`. */
export function list<T>(about: About, bounds: string, parse: (part: string) => T | undefined): Entry<readonly T[]> {
  return entry(
    about,
    matching('list', bounds, (given) => {
      const values: T[] = [];
      for (const part of given.split(',')) {
        const value = parse(part.trim());
        if (value === undefined) return undefined;
        values.push(value);
      }
      return values;
    }),
  );
}
