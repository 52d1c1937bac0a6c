import type { Answer, AnswerShaper, Asked } from './answers.ts';
import * as errors from './errors.ts';
import { faultAnswer } from './fault-answers.ts';
import type { DeletedAnswer, Fault } from './faults.ts';
import type { Operation } from './operations.ts';

/** What the transport is to do: send all of an answer, send its headers only, stay silent, or reset the connection. */
export type Reaction = { readonly act: 'answer' | 'headersOnly'; readonly answer: Answer } | { readonly act: 'silence' | 'reset' };

/** What reactions depend on. */
export interface ReactionWorld {
  readonly label: errors.VaultLabel;
  readonly shaper: AnswerShaper;
  readonly deleted: DeletedAnswer | undefined;
  /** Resolves after so many milliseconds of real time. */
  readonly pause: (ms: number) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
}

const portalPage = '<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>';

/** What a deleted vault or a fault makes of the request; undefined if it is answered after all, for `slow` once its time is up. */
export async function reactInstead(
  world: ReactionWorld,
  asked: Asked,
  fault: Fault | undefined,
  operation: Operation | 'unknown',
): Promise<Reaction | undefined> {
  const { shaper, deleted } = world;
  if (deleted !== undefined) return deleted === '503' ? answerWith(shaper.error(asked, errors.vaultDown)) : { act: 'reset' };
  if (fault === undefined) return undefined;
  if (fault.fault === 'hang') return { act: 'silence' };
  if (fault.fault === 'reset') return { act: 'reset' };
  if (fault.fault === 'throttle') return answerWith(shaper.error(asked, errors.throttled));
  if (fault.fault === 'html200') return answerWith(shaper.foreign(portalPage));
  if (fault.fault === 'status' && world.random() < (fault.rate ?? 1)) {
    return answerWith(shaper.error(asked, faultAnswer(world.label, operation, fault)));
  }
  if (fault.fault === 'slow') await world.pause(fault.ms);
  // The others act on the name, on the connection, or on the answer once it is made.
  return undefined;
}

function answerWith(answer: Answer): Reaction {
  return { act: 'answer', answer };
}
