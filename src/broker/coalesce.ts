import { Dek } from '../domain/dek.ts';
import { refuse } from '../domain/refusal.ts';
import { millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import { createFlights, type Unwrapping } from './flights.ts';
import type { Start, Tried } from './key-call.ts';

/**
 * C4: identical unwraps in flight share one try at a link: one place in the queue, its points, its call, and what its answer means. Each
 * caller gets a copy of the plaintext to zero; nothing is kept when the try ends.
 *
 * A failure of the call is shared too. That whoever started had no time left, or found no room, is not: then the one with the most time
 * among those who joined starts, and the others join him. One who has hardly more time than him would not fare better alone, and would take
 * a second place in the queue.
 */
export interface Coalesce {
  /**
   * @param wanted all of which must be identical.
   * @param deadline monotonic milliseconds: one who joins waits no longer, whatever time the other has (C5). Who starts keeps his own.
   */
  share(wanted: Unwrapping, deadline: number, start: Start<Dek>): Promise<Tried<Dek>>;
}

/** So much more time than the one who was refused makes it worth asking again, in milliseconds: replicas that ask together have less. */
const worthAskingAgain = 250;

/** What a caller would do by himself, and until when. */
interface Wish {
  readonly of: Unwrapping;
  readonly deadline: number;
  readonly start: Start<Dek>;
}

interface Flight {
  readonly of: Unwrapping;
  readonly deadline: number;
  readonly tried: Promise<Tried<Dek>>;
  /** How many copies are still to be taken. */
  takers: number;
  /** Of those who joined, the one with the most time. */
  heir: Wish | undefined;
}

export function createCoalesce(clock: Clock): Coalesce {
  const flights = createFlights<Flight>();

  function begin({ of, deadline, start }: Wish, waited: boolean): Flight {
    const flight: Flight = { of, deadline, tried: landed(of, start(waited)), takers: 0, heir: undefined };
    flights.add(flight);
    return flight;
  }

  async function landed(of: Unwrapping, trying: Promise<Tried<Dek>>): Promise<Tried<Dek>> {
    try {
      return await trying;
    } finally {
      flights.delete(of);
    }
  }

  async function copyOf(flight: Flight): Promise<Tried<Dek>> {
    flight.takers += 1;
    const tried = await flight.tried;
    flight.takers -= 1;
    // The last one takes the original; a lone caller therefore pays for no copy.
    if (tried.kind !== 'served' || flight.takers === 0) return tried;
    return { ...tried, value: new Dek(Uint8Array.from(tried.value.reveal())) };
  }

  /** One who joins waits no longer than he has time; what comes later is taken all the same, and wiped. */
  async function copyInTime(flight: Flight, deadline: number): Promise<Tried<Dek>> {
    const copy = copyOf(flight);
    const answered = new AbortController();
    const timeOver = clock.pause(millis(deadline - clock.elapsed()), answered.signal).then(() => tooLate);
    const first = await Promise.race([copy, timeOver]).finally(() => answered.abort());
    if (first === tooLate) void copy.then(wipe, () => undefined);
    return first;
  }

  /** Each round is of someone with more time than the one before, so that there are few, and of one place in the queue each. */
  async function join(flight: Flight, wish: Wish): Promise<Tried<Dek>> {
    for (let joined = flight; ;) {
      if (joined.heir === undefined || joined.heir.deadline < wish.deadline) joined.heir = wish;
      const tried = await copyInTime(joined, wish.deadline);
      if (!concernsStarterAlone(tried) || wish.deadline < joined.deadline + worthAskingAgain || tried === tooLate) return tried;
      joined = flights.find(wish.of) ?? begin(joined.heir, true);
    }
  }

  return {
    share(wanted, deadline, start) {
      const wish = { of: wanted, deadline, start };
      const underWay = flights.find(wanted);
      return underWay === undefined ? copyOf(begin(wish, false)) : join(underWay, wish);
    },
  };
}

/** No call was made, since whoever started could wait no longer, or would have had to. */
function concernsStarterAlone(tried: Tried<Dek>): boolean {
  if (tried.kind !== 'refused' || tried.attempt !== null) return false;
  return tried.refusal.code === 'Throttled' || tried.refusal.code === 'DeadlineExceeded';
}

const tooLate: Tried<never> = {
  kind: 'refused',
  refusal: refuse('DeadlineExceeded', 'the time for the request is over').refusal,
  attempt: null,
};

function wipe(tried: Tried<Dek>): void {
  if (tried.kind === 'served') tried.value.zero();
}
