import type { Registered } from '../../broker/roads.ts';
import { done, type Outcome } from '../../domain/refusal.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { LogPage, Page, PageRequest } from '../../ports/events.ts';
import type { WireOutcome } from '../route.ts';

/** 200 with a body. */
export function found<T>(outcome: Outcome<T>, view: (value: T) => unknown): WireOutcome {
  return outcome.ok ? done({ status: 200, body: view(outcome.value) }) : outcome;
}

/** 201 for what is new, 200 for what was there already. */
export function registered<T>(outcome: Outcome<Registered<T>>, view: (value: T) => unknown): WireOutcome {
  return outcome.ok ? done({ status: outcome.value.created ? 201 : 200, body: view(outcome.value.value) }) : outcome;
}

/** 204 without a body. */
export function gone(outcome: Outcome<null>): WireOutcome {
  return outcome.ok ? done({ status: 204 }) : outcome;
}

/** 200 with `{items, next}`. */
export function listed<T>(outcome: Outcome<Page<T>>, view: (value: T) => unknown): WireOutcome {
  return found(outcome, (page) => ({ items: page.items.map(view), next: page.next }));
}

/** 200 with `{items, next, unreadable}`. */
export function logged<T>(outcome: Outcome<LogPage<T>>, view: (value: T) => unknown): WireOutcome {
  return found(outcome, ({ items, next, unreadable }) => {
    const [from, to] = [unreadable[0], unreadable.at(-1)];
    const missing = from === undefined || to === undefined ? null : { rows: unreadable.length, from: toRfc3339(from), to: toRfc3339(to) };
    return { items: items.map(view), next, unreadable: missing };
  });
}

const usualPage = 100;

/** The part of a list that a query asks for. */
export function pageOf(query: { readonly limit?: number | undefined; readonly after?: string | undefined }): PageRequest {
  return { limit: query.limit ?? usualPage, after: query.after ?? null };
}
