/** What a vault takes in every 10 s, as operations of one tier with one key type: the stricter rule of B2, less the 5 % for probes. */
export interface Limit {
  /** Operations in 10 s by the service's own limit. */
  readonly service: number;
  /** Points of one operation. */
  readonly points: number;
}

const windowMs = 10_000;
const ratePoints = 1000;
const serviceShare = 0.8;
const trafficShare = 0.95;

/**
 * The least time, in ms, in which calls can be sent to one vault, the first at 0: each window takes what the limits allow, and the last
 * call goes as soon as its window begins.
 *
 * @param loads how many calls of each kind; with the same key type all share the service's limit
 */
export function leastTimeMs(loads: readonly { readonly calls: number; readonly limit: Limit }[]): number {
  const service = sum(loads.map(({ calls, limit }) => calls / (limit.service * serviceShare * trafficShare)));
  const points = sum(loads.map(({ calls, limit }) => (calls * limit.points) / (ratePoints * trafficShare)));
  return Math.max(0, Math.ceil(Math.max(service, points)) - 1) * windowMs;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
