declare const instantBrand: unique symbol;
declare const millisBrand: unique symbol;

/** A point of wall-clock time: whole milliseconds since 1970-01-01T00:00:00Z. Only a clock, a parser or a stored row makes one. */
export type Instant = number & { readonly [instantBrand]: true };

/** A span of time in milliseconds. */
export type Millis = number & { readonly [millisBrand]: true };

/** Marks a number of milliseconds since the epoch as an instant. */
export function instant(msSinceEpoch: number): Instant {
  return msSinceEpoch as Instant;
}

/** Marks a number as a span in milliseconds. */
export function millis(ms: number): Millis {
  return ms as Millis;
}

export function seconds(s: number): Millis {
  return millis(s * 1000);
}

export function minutes(m: number): Millis {
  return millis(m * 60_000);
}

export function hours(h: number): Millis {
  return millis(h * 3_600_000);
}

export function days(d: number): Millis {
  return millis(d * 86_400_000);
}

/** To the hundredth of a millisecond: what is finer is noise to whoever reads it. */
export function rounded(ms: Millis): Millis {
  return millis(Math.round(ms * 100) / 100);
}

/** The instant `span` after `at` (before it, if the span is negative). */
export function plus(at: Instant, span: Millis): Instant {
  return instant(at + span);
}

/** How long it is from `from` to `to`; negative if `to` is the earlier one. */
export function span(from: Instant, to: Instant): Millis {
  return millis(to - from);
}

/** The later of instants that may be absent; null if all are. */
export function latest(...instants: readonly (Instant | null | undefined)[]): Instant | null {
  let newest: Instant | null = null;
  for (const at of instants) {
    if (at !== null && at !== undefined && (newest === null || at > newest)) newest = at;
  }
  return newest;
}

export function earliest(a: Instant, b: Instant): Instant {
  return a < b ? a : b;
}

/** RFC 3339 in UTC with milliseconds, e.g. `2026-11-22T06:00:00.000Z`. */
export function toRfc3339(at: Instant): string {
  return new Date(at).toISOString();
}

const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** Reads an RFC 3339 date-time; undefined if the text is none, or names a day that no calendar has. */
export function parseRfc3339(text: string): Instant | undefined {
  const [, year, month, day] = rfc3339.exec(text) ?? [];
  // Date.parse takes 30 February for 2 March.
  if (day === undefined || new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() !== Number(day)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : instant(ms);
}
