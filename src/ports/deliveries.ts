import type { DeadLetter, DeliveryState } from '../domain/delivery.ts';

/** How far the delivery to each webhook has come, by the webhook's name. Rejects with `StoreAway` and nothing else. */
export interface Deliveries {
  read(webhook: string): Promise<DeliveryState | undefined>;
  /**
   * The compare-and-set loop: `decide` is pure, sees what is stored and answers what shall be, or null to leave it.
   * @returns what `decide` answered, once it is stored; undefined where it left the state as it was.
   */
  change(webhook: string, decide: (stored: DeliveryState | undefined) => DeliveryState | null): Promise<DeliveryState | undefined>;
  /** Keeps events that were given up, all of them; the same event twice is there once. */
  bury(webhook: string, letters: readonly DeadLetter[]): Promise<void>;
  /**
   * The last events that were given up, at most `limit`, in the order in which they were, and then of the events. One that cannot be read is left
   * out, and told to the log once. Reads all there are: for rows of a state that does not list them.
   */
  deadLetters(webhook: string, limit: number): Promise<readonly DeadLetter[]>;
}
