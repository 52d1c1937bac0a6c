/** A binary heap: what comes first by `before` is taken first. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  /** All items, in no order. */
  values(): Iterable<T> {
    return this.#items.values();
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = items[above];
      if (parent === undefined || !this.#before(item, parent)) break;
      items[at] = parent;
      at = above;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const top = this.#items[0];
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) this.#sink(last);
    return top;
  }

  /** Removes all that `gone` says. */
  sweep(gone: (item: T) => boolean): T[] {
    const removed = this.#items.filter(gone);
    if (removed.length === 0) return removed;
    const kept = this.#items.filter((item) => !gone(item));
    this.#items.length = 0;
    for (const item of kept) this.push(item);
    return removed;
  }

  /** Puts `item` at the top, whose place is free, and lets it sink to where it belongs. */
  #sink(item: T): void {
    const items = this.#items;
    let at = 0;
    for (;;) {
      const left = items[2 * at + 1];
      const right = items[2 * at + 2];
      if (left === undefined) break;
      const down = right !== undefined && this.#before(right, left) ? 2 * at + 2 : 2 * at + 1;
      const child = items[down];
      if (child === undefined || !this.#before(child, item)) break;
      items[at] = child;
      at = down;
    }
    items[at] = item;
  }
}
