/** What the service counts by: the size of a key in bits, and whether an HSM holds it. */
export interface Weighed {
  readonly bits: number;
  readonly hsm: boolean;
}

const windowMs = 10_000;

/**
 * Capacity of a window in units of one operation with a software-protected RSA-2048 key (facts, key-vault-behaviour 7.4).
 * Operations of several key types fill one window by weight: 16 with RSA-2048 HSM and 248 with RSA-4096 HSM keys are just enough.
 */
const operationCapacity = 4000;
const createCapacity = 20;

/** A vault's request limits. Each draw says whether the request may go on; one that is refused does not count. */
export interface Limits {
  /** Any operation but a create; with no key (a list, a name that is not there) it weighs the least. */
  drawOperation(key: Weighed | undefined): boolean;
  drawCreate(hsm: boolean): boolean;
}

/** The service's limits over a sliding 10 s. `clock` gives milliseconds and does not run backwards. */
export function createLimits(clock: () => number): Limits {
  const operations = createWindow(operationCapacity, clock);
  const creates = createWindow(createCapacity, clock);
  return {
    drawOperation: (key) => operations(key === undefined ? 1 : weight(key)),
    drawCreate: (hsm) => creates(hsm ? 2 : 1),
  };
}

function weight({ bits, hsm }: Weighed): number {
  const software = bits <= 2048 ? 1 : bits <= 3072 ? 4 : 8;
  return hsm ? 2 * software : software;
}

/** A ring of the draws of the last 10 s. No draw weighs less than 1, so there are never more than `capacity` of them. */
function createWindow(capacity: number, clock: () => number): (weight: number) => boolean {
  const at = new Float64Array(capacity);
  const weights = new Uint8Array(capacity);
  let oldest = 0;
  let count = 0;
  let used = 0;
  return (drawn) => {
    const now = clock();
    while (count > 0 && at[oldest]! <= now - windowMs) {
      used -= weights[oldest]!;
      oldest = (oldest + 1) % capacity;
      count -= 1;
    }
    if (used + drawn > capacity) return false;
    const next = (oldest + count) % capacity;
    at[next] = now;
    weights[next] = drawn;
    count += 1;
    used += drawn;
    return true;
  };
}
