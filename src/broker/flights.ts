import type { LinkRef } from '../domain/access.ts';
import type { WrappedDek } from '../domain/dek.ts';
import type { UnwrapAlgorithm } from '../domain/key.ts';

/** What makes an unwrap: two are identical where all of it is (C4). */
export interface Unwrapping {
  readonly target: Pick<LinkRef, 'server' | 'keyId' | 'identity'>;
  readonly algorithm: UnwrapAlgorithm;
  /** INVARIANT: not written to while it is under way, since by it the flight is found again. */
  readonly wrappedDek: WrappedDek;
}

/** What is under way, by what it unwraps. */
export interface Flights<F extends { readonly of: Unwrapping }> {
  /** How many ciphertexts are under way that end differently. */
  readonly size: number;
  /** What is under way for the very same unwrap. */
  find(wanted: Unwrapping): F | undefined;
  add(flight: F): void;
  /** @param of the very object of what was added. */
  delete(of: Unwrapping): void;
}

/**
 * Looked up by a few bytes of the ciphertext, which is as good as random: to make one name of all that must be identical costs more than the
 * rest of the way through here. Whoever sends ciphertexts that end alike on purpose makes it a search through all of them, of 0.15 ms where
 * 8,000 are under way, and has a call of the vault to wait for with each.
 */
export function createFlights<F extends { readonly of: Unwrapping }>(): Flights<F> {
  const alike = new Map<number, F[]>();
  return {
    get size() {
      return alike.size;
    },
    find: (wanted) => alike.get(printOf(wanted))?.find((flight) => identical(flight.of, wanted)),
    add(flight) {
      const print = printOf(flight.of);
      const others = alike.get(print);
      if (others === undefined) alike.set(print, [flight]);
      else others.push(flight);
    },
    delete(of) {
      const print = printOf(of);
      const left = alike.get(print)?.filter((flight) => flight.of !== of) ?? [];
      if (left.length === 0) alike.delete(print);
      else alike.set(print, left);
    },
  };
}

/** The last three bytes: one in 16 million. */
function printOf({ wrappedDek }: Unwrapping): number {
  const { length } = wrappedDek;
  return ((wrappedDek[length - 1] ?? 0) << 16) | ((wrappedDek[length - 2] ?? 0) << 8) | (wrappedDek[length - 3] ?? 0);
}

function identical(one: Unwrapping, other: Unwrapping): boolean {
  const { server, keyId, identity } = one.target;
  return (
    server === other.target.server &&
    keyId === other.target.keyId &&
    identity === other.target.identity &&
    one.algorithm === other.algorithm &&
    Buffer.compare(one.wrappedDek, other.wrappedDek) === 0
  );
}
