import { expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { virtualClock } from './virtual-clock.ts';

test('pauses end in the order of their moments, each at its own', async () => {
  const clock = virtualClock(0);
  const seen: [string, number][] = [];
  const mark = (name: string, span: number): void => void clock.pause(millis(span)).then(() => seen.push([name, clock.elapsed()]));
  mark('late', 30);
  mark('early', 10);
  mark('same', 30);
  void clock.pause(millis(10)).then(() => mark('nested', 5));
  await clock.advance(29);
  expect(seen).toEqual([
    ['early', 10],
    ['nested', 15],
  ]);
  await clock.advance(1);
  expect(seen.slice(2)).toEqual([
    ['late', 30],
    ['same', 30],
  ]);
  expect(clock.pending).toBe(0);
});

test('a pause ends early when its signal aborts', async () => {
  const clock = virtualClock();
  const bell = new AbortController();
  const pause = clock.pause(millis(1000), bell.signal);
  bell.abort();
  await pause;
  expect([clock.elapsed(), clock.pending]).toEqual([0, 0]);
});

test('a skewed clock shares the timeline and has a wall clock of its own', async () => {
  const clock = virtualClock(1000);
  const skewed = clock.skewed(-300);
  await clock.advance(50);
  clock.step(7);
  expect([clock.now(), skewed.now(), skewed.elapsed()]).toEqual([1057, 757, 50]);
});
