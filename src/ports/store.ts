/**
 * The store did not answer in time, refused, or answered with a fault of its own.
 * The one expected failure of every store port, thrown rather than returned: nearly every road meets it the same way, with `StateUnavailable`.
 */
export class StoreAway extends Error {
  override readonly name = 'StoreAway';
}
