/** Wall clock of the environment: that of the machine, moved by what `POST /clock` has added. */
export interface EnvironmentClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** How far it is ahead of the machine's clock, in milliseconds. */
  offsetMs(): number;
  advance(ms: number): void;
  /** Calls `listener` with the new offset after each advance. */
  onAdvance(listener: (offsetMs: number) => void): void;
}

export function createClock(): EnvironmentClock {
  let offset = 0;
  const listeners: ((offsetMs: number) => void)[] = [];
  return {
    now: () => Date.now() + offset,
    offsetMs: () => offset,
    advance(ms) {
      offset += ms;
      for (const listener of listeners) listener(offset);
    },
    onAdvance: (listener) => void listeners.push(listener),
  };
}

const duration = /^(-)?P(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/;

/** Milliseconds of an ISO 8601 duration of days, hours, minutes and seconds (`PT10M`, `P1DT6H`, `-PT5S`); undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  const parts = duration.exec(text);
  if (!parts || !/\d/.test(text)) return undefined;
  const [, minus, days = '0', hours = '0', minutes = '0', seconds = '0'] = parts;
  const ms = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60_000 + Math.round(Number(seconds) * 1000);
  return minus === undefined ? ms : -ms;
}
