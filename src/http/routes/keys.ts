import { parseKeyId } from '../../domain/key.ts';
import type { RefusalCode } from '../../domain/refusal.ts';
import type { LinkView } from '../../broker/roads.ts';
import type { FieldError } from '../problem.ts';
import { route, type Route, type WireRules } from '../route.ts';
import { linkPage, links } from '../schemas/answers.ts';
import {
  dropKeyQuery,
  keyPath,
  linkKeyBody,
  mostStandbyKeyIds,
  noBody,
  noQuery,
  pageQuery,
  protectorBody,
  serverPath,
} from '../schemas/requests.ts';
import { allowedOrigin } from '../../domain/vault-host.ts';
import { viewLink } from '../views.ts';
import { found, gone, pageOf, registered } from './answer.ts';
import { operators, readers } from './who.ts';

const proofs: readonly RefusalCode[] = [
  'NotFound',
  'Conflict',
  'ServerInaccessible',
  'VaultBudgetExceeded',
  'ProtectorRejected',
  'Throttled',
  'VaultUnavailable',
  'IdentityUnavailable',
  'StateUnavailable',
];

/** Keys in a host that is not allowed (K1): wrong in form, whatever is registered. What is no key id the schema tells. */
function foreignKeys(body: unknown, rules: WireRules): readonly FieldError[] {
  const { keyId, standbyKeyIds } = Object(body) as { readonly keyId?: unknown; readonly standbyKeyIds?: unknown };
  const foreign = (field: string, given: unknown): readonly FieldError[] => {
    const vaultUri = typeof given === 'string' ? parseKeyId(given)?.vaultUri : undefined;
    const allowed = vaultUri === undefined || allowedOrigin(vaultUri, rules.vaultHostSuffixes) !== undefined;
    return allowed ? [] : [{ field, detail: 'must lie in a vault whose host this broker allows' }];
  };
  // More than the schema takes are not looked at: the list as a whole is wrong then.
  const standbys: readonly unknown[] = Array.isArray(standbyKeyIds) ? standbyKeyIds.slice(0, mostStandbyKeyIds) : [];
  return [...foreign('keyId', keyId), ...standbys.flatMap((given, at) => foreign(`standbyKeyIds[${at}]`, given))];
}

const viewLinks = (value: { readonly links: readonly LinkView[]; readonly findings: readonly unknown[] }) => ({
  links: value.links.map(viewLink),
  findings: value.findings,
});

/** The keys that are linked to a server. */
export const keyRoutes: readonly Route[] = [
  route({
    id: 'putProtector',
    method: 'PUT',
    path: 'v1/servers/{server}/protector',
    who: operators,
    summary: 'Prove a key and its standbys, then make it the protector',
    params: serverPath,
    query: noQuery,
    body: protectorBody,
    answers: { 200: links, 201: links },
    refusals: proofs,
    alsoWrong: foreignKeys,
    walk: async ({ params, body }, { roads, context }) =>
      registered(await roads.putProtector({ ...body, server: params.server }, context), viewLinks),
  }),
  route({
    id: 'listKeys',
    method: 'GET',
    path: 'v1/servers/{server}/keys',
    who: readers,
    summary: 'List the keys of a server with what is known of access to them',
    params: serverPath,
    query: pageQuery,
    body: noBody,
    answers: { 200: linkPage },
    refusals: ['NotFound', 'StateUnavailable'],
    walk: async ({ params, query }, { roads, context }) => {
      const { limit, after } = pageOf(query);
      return found(await roads.listKeys(params.server, context), ({ items }) => {
        // A server's links are few and come all at once; the cursor is the key id that the last page ended with.
        const begin = after === null ? 0 : items.findIndex((link) => link.keyId === after) + 1;
        const page = items.slice(begin, begin + limit).map(viewLink);
        return { items: page, next: begin + limit < items.length ? (page.at(-1)?.keyId ?? null) : null };
      });
    },
  }),
  route({
    id: 'linkKey',
    method: 'POST',
    path: 'v1/servers/{server}/keys',
    who: operators,
    summary: 'Link an additional key, e.g. one that a restored backup needs',
    params: serverPath,
    query: noQuery,
    body: linkKeyBody,
    answers: { 200: links, 201: links },
    refusals: proofs,
    alsoWrong: foreignKeys,
    walk: async ({ params, body }, { roads, context }) => {
      const { from, to, ...keys } = body;
      return registered(await roads.linkKey({ ...keys, server: params.server, from, to }, context), viewLinks);
    },
  }),
  route({
    id: 'dropKey',
    method: 'DELETE',
    path: 'v1/servers/{server}/keys/{thumbprint}',
    who: operators,
    summary: 'Drop an additional key that no backup needs',
    params: keyPath,
    query: dropKeyQuery,
    body: noBody,
    answers: { 204: null },
    refusals: ['NotFound', 'Conflict', 'StateUnavailable'],
    walk: async ({ params, query }, { roads, context }) =>
      gone(await roads.dropKey({ ...params, confirmed: query.confirm !== undefined }, context)),
  }),
];
