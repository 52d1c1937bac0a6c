import type { BrokerEvent } from '../domain/event.ts';
import type { Instant } from '../domain/time.ts';

/** A page of a list: `next` is the cursor to pass on, null at the end. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** A page of a log in which rows may lie that this program cannot read. They are left out, and told to its own log once. */
export interface LogPage<T> extends Page<T> {
  /** The times of what is missing in this page, whatever was asked for; oldest first. */
  readonly unreadable: readonly Instant[];
}

/** Which part of a list: `after` is the `next` of the page before. */
export interface PageRequest {
  readonly after: string | null;
  readonly limit: number;
}

/** The broker's events, oldest first. Events arrive by the changes that they tell of (registry, access log) or, without one, by `publish`. Rejects with `StoreAway`. */
export interface EventLog {
  /** Stores events; one whose id is already there is not stored twice. */
  publish(events: readonly BrokerEvent[]): Promise<void>;
  page(request: PageRequest & { readonly since: number | null; readonly subject: string | null }): Promise<LogPage<BrokerEvent>>;
  /** Whether the text has the form of a `next` of this list. A page behind any other text is empty. */
  isCursor(text: string): boolean;
  /**
   * Publishes what a killed instance stored with a change and did not get to publish. Run by the watch.
   * @returns since when something waits that cannot be published here as it is, and may be later, within the time that anybody waits for it;
   * null: nothing does.
   */
  sweep(): Promise<Instant | null>;
}
