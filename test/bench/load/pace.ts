/** What one call came to; `retryAfterMs` where the other side said when to come back. */
export interface Answered {
  readonly status: number;
  readonly retryAfterMs?: number | undefined;
  /** Of a failure: what the other side says of it. */
  readonly problem?: string | undefined;
}

/** Makes call number `index`. Never rejects: status 0 stands for a connection that failed. */
export type Fire = (index: number) => Promise<Answered>;

/** How calls follow one another. */
export type Pace =
  /** `concurrency` callers, each with its next call when the one before was answered. */
  | { readonly pace: 'closed'; readonly count: number; readonly concurrency: number }
  /** At a fixed rate, whatever the answers. */
  | { readonly pace: 'open'; readonly count: number; readonly ratePerS: number }
  /** All at once; who is told to come back does so, once or more, until `withinMs`. */
  | { readonly pace: 'storm'; readonly count: number; readonly withinMs: number };

/** What came of all calls, by their number. Times in ms. */
export interface Outcome {
  readonly elapsedMs: number;
  /** From the beginning of the run to the (first) sending. */
  readonly sentAt: Float64Array;
  /** From the (first) sending to the last answer. */
  readonly latencyMs: Float64Array;
  /** Of the last answer. */
  readonly status: Uint16Array;
  readonly tries: Uint16Array;
  /** What was said of the first call that failed; undefined if none did. */
  readonly firstProblem: string | undefined;
  /** The same of the first that failed without being told to come back. */
  readonly firstDefeat: string | undefined;
}

export async function run(pace: Pace, fire: Fire): Promise<Outcome> {
  const { count } = pace;
  const outcome = {
    sentAt: new Float64Array(count),
    latencyMs: new Float64Array(count),
    status: new Uint16Array(count),
    tries: new Uint16Array(count),
    firstProblem: undefined as string | undefined,
    firstDefeat: undefined as string | undefined,
  };
  const began = performance.now();
  const once = async (index: number): Promise<Answered> => {
    const sent = performance.now();
    if (outcome.tries[index] === 0) outcome.sentAt[index] = sent - began;
    const answered = await fire(index);
    outcome.latencyMs[index] = performance.now() - began - (outcome.sentAt[index] ?? 0);
    outcome.status[index] = answered.status;
    outcome.firstProblem ??= answered.problem;
    if (answered.retryAfterMs === undefined) outcome.firstDefeat ??= answered.problem;
    outcome.tries[index] = (outcome.tries[index] ?? 0) + 1;
    return answered;
  };
  if (pace.pace === 'closed') await closed(pace, once);
  else if (pace.pace === 'open') await open(pace, once);
  else await Promise.all(Array.from({ length: count }, (_, index) => untilServed(index, once, began + pace.withinMs)));
  return { elapsedMs: performance.now() - began, ...outcome };
}

async function closed({ count, concurrency }: Extract<Pace, { pace: 'closed' }>, once: Fire): Promise<void> {
  let next = 0;
  const caller = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await once(index);
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}

async function open({ count, ratePerS }: Extract<Pace, { pace: 'open' }>, once: Fire): Promise<void> {
  const began = performance.now();
  const answers: Promise<Answered>[] = [];
  for (let index = 0; index < count; index += 1) {
    const dueIn = began + (index * 1000) / ratePerS - performance.now();
    if (dueIn > 0) await pause(dueIn);
    answers.push(once(index));
  }
  await Promise.all(answers);
}

async function untilServed(index: number, once: Fire, until: number): Promise<void> {
  for (;;) {
    const { retryAfterMs } = await once(index);
    if (retryAfterMs === undefined || performance.now() + retryAfterMs > until) return;
    await pause(retryAfterMs);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
