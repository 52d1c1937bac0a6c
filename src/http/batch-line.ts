/** How many batches an instance takes. */
export interface BatchLineRules {
  /** In hand at once, from the reading of the body on: one of 4 MiB can be 100 MiB when it is parsed. */
  readonly atOnce: number;
  /** In hand at once for one caller: one whose batches wait for a vault holds up no other. */
  readonly atOnceOfOne: number;
  /** In hand and waiting. */
  readonly inLine: number;
  readonly inLineOfOne: number;
}

/** Ends a turn; another one of the same turn does nothing. */
export type EndTurn = () => void;

/** Where batches wait for their turn, before their bodies are read. */
export interface BatchLine {
  /** Resolves at the caller's turn: in the order of coming among those who may go. Undefined: the line is full. */
  enter(caller: string): Promise<EndTurn> | undefined;
}

/** So many fit in 1.5 GiB at their worst, and are enough that vaults, not this line, are what batches wait for. */
export const batchLineRules: BatchLineRules = { atOnce: 12, atOnceOfOne: 2, inLine: 80, inLineOfOne: 10 };

interface Waiting {
  readonly caller: string;
  readonly begin: (end: EndTurn) => void;
}

export function createBatchLine({ atOnce, atOnceOfOne, inLine, inLineOfOne }: BatchLineRules): BatchLine {
  const inHand = new Map<string, number>();
  let allInHand = 0;
  let waiting: Waiting[] = [];

  function handOf(caller: string): number {
    return inHand.get(caller) ?? 0;
  }

  function mayBegin(caller: string): boolean {
    return allInHand < atOnce && handOf(caller) < atOnceOfOne;
  }

  function begin(caller: string): EndTurn {
    allInHand += 1;
    inHand.set(caller, handOf(caller) + 1);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      allInHand -= 1;
      if (handOf(caller) === 1) inHand.delete(caller);
      else inHand.set(caller, handOf(caller) - 1);
      beginNext();
    };
  }

  function beginNext(): void {
    const next = waiting.find(({ caller }) => mayBegin(caller));
    if (next === undefined) return;
    waiting = waiting.filter((one) => one !== next);
    next.begin(begin(next.caller));
  }

  return {
    enter(caller) {
      if (mayBegin(caller)) return Promise.resolve(begin(caller));
      const own = handOf(caller) + waiting.filter((one) => one.caller === caller).length;
      if (allInHand + waiting.length >= inLine || own >= inLineOfOne) return undefined;
      return new Promise((resolve) => waiting.push({ caller, begin: resolve }));
    },
  };
}
