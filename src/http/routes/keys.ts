import { parseKeyId, type KeyId } from '../../domain/key.ts';
import type { RefusalCode } from '../../domain/refusal.ts';
import type { LinkView } from '../../broker/roads.ts';
import { invalid, type FieldError } from '../problem.ts';
import { route, type Route, type WireOutcome, type WireRules } from '../route.ts';
import { linkPage, links } from '../schemas/answers.ts';
import { dropKeyQuery, keyPath, linkKeyBody, noBody, noQuery, pageQuery, protectorBody, serverPath } from '../schemas/requests.ts';
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

interface NamedKeys {
  readonly keyId: KeyId;
  readonly standbyKeyIds: readonly KeyId[];
}

/** Undefined where every key lies in a host that is allowed (K1): another one is wrong in form, whatever is registered. */
function foreignKeys(body: NamedKeys, rules: WireRules): WireOutcome<never> | undefined {
  const isForeign = (keyId: KeyId) => allowedOrigin(parseKeyId(keyId)?.vaultUri ?? '', rules.vaultHostSuffixes) === undefined;
  const detail = 'must lie in a vault whose host this broker allows';
  const [first, ...more]: FieldError[] = [
    ...(isForeign(body.keyId) ? [{ field: 'keyId', detail }] : []),
    ...body.standbyKeyIds.flatMap((keyId, at) => (isForeign(keyId) ? [{ field: `standbyKeyIds[${at}]`, detail }] : [])),
  ];
  return first && invalid(first, ...more);
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
    walk: async ({ params, body }, { roads, context, rules }) =>
      foreignKeys(body, rules) ?? registered(await roads.putProtector({ ...body, server: params.server }, context), viewLinks),
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
    walk: async ({ params, body }, { roads, context, rules }) => {
      const { from, to, ...keys } = body;
      return foreignKeys(keys, rules) ?? registered(await roads.linkKey({ ...keys, server: params.server, from, to }, context), viewLinks);
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
