import type { Served, UnwrapRequest } from '../../broker/roads.ts';
import { Dek } from '../../domain/dek.ts';
import type { Thumbprint, UnwrapAlgorithm } from '../../domain/key.ts';
import { done, type Outcome, type RefusalCode } from '../../domain/refusal.ts';
import { decode } from '../base64url.ts';
import { route, type Route, type WireOutcome } from '../route.ts';
import { unwrapped, wrapped } from '../schemas/answers.ts';
import { databasePath, noQuery, unwrapBody, wrapBody } from '../schemas/requests.ts';
import { viewUnwrapped, viewWrapped } from '../views.ts';
import { hosts } from './who.ts';

export const operationRefusals: readonly RefusalCode[] = [
  'KeyAccessDenied',
  'ServerInaccessible',
  'NotFound',
  'Conflict',
  'Throttled',
  'VaultUnavailable',
  'IdentityUnavailable',
  'StateUnavailable',
];

/** 200, with the place of the operation's record in a header (P3): an auditor can ask for the very record of an answer. */
function served<T extends Served>(outcome: Outcome<T>, view: (value: T) => unknown): WireOutcome {
  if (!outcome.ok) return outcome;
  return done({ status: 200, body: view(outcome.value), headers: { 'x-keybroker-record': outcome.value.record } });
}

type UnwrapInput = {
  readonly params: { readonly server: string; readonly database: string };
  readonly body: { readonly wrappedDek: string; readonly thumbprint: Thumbprint; readonly algorithm: UnwrapAlgorithm };
};

function unwrapRequest({ params, body }: UnwrapInput): UnwrapRequest {
  return { ...params, wrappedDek: decode(body.wrappedDek), thumbprint: body.thumbprint, algorithm: body.algorithm };
}

/** Key operations, one by one. */
export const operationRoutes: readonly Route[] = [
  route({
    id: 'wrap',
    method: 'POST',
    path: 'v1/servers/{server}/databases/{database}/wrap',
    who: hosts,
    summary: 'Wrap a DEK with the protector',
    params: databasePath,
    query: noQuery,
    body: wrapBody,
    answers: { 200: wrapped },
    refusals: operationRefusals,
    walk: async ({ params, body }, { roads, context }) => {
      const dek = Dek.decode(body.dek);
      try {
        return served(await roads.wrap({ ...params, dek, algorithm: body.algorithm }, context), viewWrapped);
      } finally {
        dek.zero();
      }
    },
  }),
  route({
    id: 'unwrap',
    method: 'POST',
    path: 'v1/servers/{server}/databases/{database}/unwrap',
    who: hosts,
    summary: 'Unwrap a DEK with the key that wrapped it',
    params: databasePath,
    query: noQuery,
    body: unwrapBody,
    answers: { 200: unwrapped },
    refusals: [...operationRefusals, 'CiphertextRejected'],
    walk: async (input, { roads, context }) => served(await roads.unwrap(unwrapRequest(input), context), viewUnwrapped),
  }),
  route({
    id: 'rewrap',
    method: 'POST',
    path: 'v1/servers/{server}/databases/{database}/rewrap',
    who: hosts,
    summary: 'Unwrap a DEK with the key that wrapped it and wrap it with the protector; the plaintext stays in the broker',
    params: databasePath,
    query: noQuery,
    body: unwrapBody,
    answers: { 200: wrapped },
    refusals: [...operationRefusals, 'CiphertextRejected'],
    walk: async (input, { roads, context }) => served(await roads.rewrap(unwrapRequest(input), context), viewWrapped),
  }),
];
