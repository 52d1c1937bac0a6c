import { Dek } from '../domain/dek.ts';
import { refuse } from '../domain/refusal.ts';
import { millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import type { Tried } from './key-call.ts';

/**
 * C4: identical unwraps in flight share one try at a link: one place in the queue, its points, its call, and what its answer means. Each
 * caller gets a copy of the plaintext to zero; nothing is kept when the try ends.
 */
export interface Coalesce {
  /**
   * @param key names what must be identical: server, identity, link, algorithm and ciphertext.
   * @param deadline monotonic milliseconds: one who joins waits no longer, whatever time the other has (C5). Who starts keeps his own.
   */
  share(key: string, deadline: number, start: () => Promise<Tried<Dek>>): Promise<Tried<Dek>>;
}

interface Flight {
  readonly tried: Promise<Tried<Dek>>;
  /** How many copies are still to be taken. */
  takers: number;
}

export function createCoalesce(clock: Clock): Coalesce {
  const flights = new Map<string, Flight>();

  async function copyOf(flight: Flight): Promise<Tried<Dek>> {
    const tried = await flight.tried;
    flight.takers -= 1;
    // The last one takes the original; a lone caller therefore pays for no copy.
    if (tried.kind !== 'served' || flight.takers === 0) return tried;
    return { ...tried, value: new Dek(Uint8Array.from(tried.value.reveal())) };
  }

  /** One who joins waits no longer than he has time; what comes later is taken all the same, and wiped. */
  async function join(flight: Flight, deadline: number): Promise<Tried<Dek>> {
    flight.takers += 1;
    const copy = copyOf(flight);
    const answered = new AbortController();
    const timeOver = clock.pause(millis(deadline - clock.elapsed()), answered.signal).then(() => tooLate);
    const first = await Promise.race([copy, timeOver]).finally(() => answered.abort());
    if (first === tooLate) void copy.then(wipe, () => undefined);
    return first;
  }

  return {
    share(key, deadline, start) {
      const underWay = flights.get(key);
      if (underWay !== undefined) return join(underWay, deadline);
      const tried = start().finally(() => flights.delete(key));
      const flight = { tried, takers: 1 };
      flights.set(key, flight);
      return copyOf(flight);
    },
  };
}

const tooLate: Tried<never> = {
  kind: 'refused',
  refusal: refuse('DeadlineExceeded', 'the time for the request is over').refusal,
  attempt: null,
};

function wipe(tried: Tried<Dek>): void {
  if (tried.kind === 'served') tried.value.zero();
}
