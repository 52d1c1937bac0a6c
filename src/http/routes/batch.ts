import * as z from 'zod/mini';
import type { Roads } from '../../broker/roads.ts';
import type { RequestContext } from '../../domain/caller.ts';
import { Dek } from '../../domain/dek.ts';
import type { OperationName } from '../../domain/operation.ts';
import { done } from '../../domain/refusal.ts';
import { decode } from '../base64url.ts';
import { problemBody } from '../problem.ts';
import { read, route, type Route, type WireOutcome } from '../route.ts';
import { batchAnswer } from '../schemas/answers.ts';
import { batchBody, noQuery, serverPath, unwrapItem, wrapItem } from '../schemas/requests.ts';
import { viewUnwrapped, viewWrapped } from '../views.ts';
import { operationRefusals } from './operations.ts';
import { hosts } from './who.ts';

/** One item that is about to be done. */
interface Turn {
  readonly roads: Roads;
  readonly context: RequestContext;
  readonly server: string;
  /** Where it stands in the request, e.g. `items[3]`: fields are named from there. */
  readonly place: string;
}

const itemForms = { wrap: wrapItem, unwrap: unwrapItem, rewrap: unwrapItem };

type OneItem = (input: unknown, turn: Turn) => Promise<WireOutcome<unknown>>;

async function wrapOne(input: unknown, { roads, context, server, place }: Turn): Promise<WireOutcome<unknown>> {
  const item = read(itemForms.wrap, input, place, place);
  if (!item.ok) return item;
  const dek = Dek.decode(item.value.dek);
  try {
    const outcome = await roads.wrap({ server, database: item.value.database, dek, algorithm: item.value.algorithm }, context);
    return outcome.ok ? done(viewWrapped(outcome.value)) : outcome;
  } finally {
    dek.zero();
  }
}

function unwrapOne(operation: 'unwrap' | 'rewrap'): OneItem {
  return async (input, { roads, context, server, place }) => {
    const item = read(itemForms[operation], input, place, place);
    if (!item.ok) return item;
    const request = { ...item.value, server, wrappedDek: decode(item.value.wrappedDek) };
    if (operation === 'rewrap') {
      const rewrapped = await roads.rewrap(request, context);
      return rewrapped.ok ? done(viewWrapped(rewrapped.value)) : rewrapped;
    }
    const unwrapped = await roads.unwrap(request, context);
    return unwrapped.ok ? done(viewUnwrapped(unwrapped.value)) : unwrapped;
  };
}

const oneItem: Readonly<Record<OperationName, OneItem>> = { wrap: wrapOne, unwrap: unwrapOne('unwrap'), rewrap: unwrapOne('rewrap') };

/** The same key operation for many databases of a server, each on the road of a single call. */
export const batchRoutes: readonly Route[] = [
  route({
    id: 'batch',
    method: 'POST',
    path: 'v1/servers/{server}/batch',
    who: hosts,
    summary: 'Wrap, unwrap or rewrap up to 1000 DEKs; one result or problem an item, in order',
    bodyLimit: 4 * 1024 * 1024,
    deadline: 'batch',
    params: serverPath,
    query: noQuery,
    body: batchBody,
    answers: { 200: batchAnswer },
    refusals: operationRefusals,
    walk: async ({ params: { server }, body: { operation, items } }, { roads, context, failed }) => {
      const item = async (index: number, itemContext: RequestContext): Promise<WireOutcome<unknown>> => {
        try {
          return await oneItem[operation](items[index], { roads, context: itemContext, server, place: `items[${index}]` });
        } catch (error) {
          return failed(error, itemContext.requestId);
        }
      };
      const database = (index: number): string | undefined => {
        const read = z.safeParse(itemForms[operation], items[index]);
        return read.success ? read.data.database : undefined;
      };
      const outcome = await roads.batch({ operation, server, size: items.length, database, item }, context);
      if (!outcome.ok) return outcome;
      const results = outcome.value.map((one, index) =>
        one.ok ? { result: one.value } : { problem: problemBody(one.refusal, `${context.requestId}/${index}`) },
      );
      return done({ status: 200, body: { items: results } });
    },
  }),
];
