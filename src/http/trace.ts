import type { Trace } from '../domain/caller.ts';
import type { Clock } from '../ports/clock.ts';

/** A request's own id: what the caller gave, if it can go into headers and logs as it is; a new one otherwise. */
export function requestIdOf(given: string | null, clock: Clock): string {
  return given !== null && /^[\x21-\x7e]{1,128}$/.test(given) ? given : clock.uuid();
}

const nothing = /^0+$/;
/** W3C Trace Context, section 3.2: version 00 has four fields, a later one may have more behind them; version ff is none. */
const traceparent = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The caller's `traceparent` where it is valid, and its word on sampling; the start of a new trace otherwise, of which callers are told that it is
 * unsampled, since nothing may be exported at all.
 */
export function traceOf(given: string | null, clock: Clock): Trace {
  const [, version, trace, parent, flags, more] = (given !== null && given.length <= 128 && traceparent.exec(given)) || [];
  if (
    trace === undefined ||
    parent === undefined ||
    nothing.test(trace) ||
    nothing.test(parent) ||
    (version === '00' && more !== undefined)
  ) {
    const fresh = Buffer.from(clock.randomBytes(24)).toString('hex');
    return { traceparent: `00-${fresh.slice(0, 32)}-${fresh.slice(32)}-00`, sampled: true };
  }
  return { traceparent: `00-${trace}-${parent}-${flags ?? '00'}`, sampled: (Number.parseInt(flags ?? '00', 16) & 1) === 1 };
}
