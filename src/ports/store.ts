/**
 * The store did not answer in time, refused, or answered with a fault of its own.
 * The one expected failure of every store port, thrown rather than returned: nearly every road meets it the same way, with `StateUnavailable`.
 */
export class StoreAway extends Error {
  override readonly name = 'StoreAway';
}

/**
 * What is stored is there, and this program cannot read it: a newer one wrote it, or none did. Asking again cannot help, and other rows
 * are none the worse for it. The message says which row, and may be told to callers.
 */
export class Unreadable extends StoreAway {}

/** The store said that it will never take this write as it is: trying again cannot help, and other writes are none the worse for it. */
export class StoreRefused extends StoreAway {}

/** Whether it is the store that is away, so that trying again may help; what it refuses, and what cannot be read, concerns one row and stays. */
export function mayPass(error: unknown): error is StoreAway {
  return error instanceof StoreAway && !(error instanceof Unreadable) && !(error instanceof StoreRefused);
}
