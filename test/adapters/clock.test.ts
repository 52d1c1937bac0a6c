import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/adapters/clock.ts';
import { hours, seconds } from '../../src/domain/time.ts';

describe('the clock', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('pauses for the span, and no longer than until the signal', async () => {
    const ended: string[] = [];
    const stop = new AbortController();
    void systemClock.pause(seconds(10)).then(() => ended.push('short'));
    void systemClock.pause(hours(24 * 365), stop.signal).then(() => ended.push('long'));
    await vi.advanceTimersByTimeAsync(9_999);
    expect(ended).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toEqual(['short']);
    stop.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(ended).toEqual(['short', 'long']);
    await systemClock.pause(seconds(10), stop.signal);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('moves its monotonic time with time alone, not with the wall clock', () => {
    const [now, elapsed] = [systemClock.now(), systemClock.elapsed()];
    vi.setSystemTime(now + 3_600_000);
    expect(systemClock.elapsed() - elapsed).toBe(0);
    expect(systemClock.now() - now).toBe(3_600_000);
  });

  it('gives random bytes of the length asked for, and distinct ids', () => {
    expect(systemClock.randomBytes(32)).toHaveLength(32);
    expect(systemClock.randomBytes(32)).not.toEqual(systemClock.randomBytes(32));
    expect(systemClock.uuid()).not.toBe(systemClock.uuid());
  });
});
