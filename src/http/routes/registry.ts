import type { RefusalCode } from '../../domain/refusal.ts';
import { invalid, type FieldError } from '../problem.ts';
import { route, type Route, type WireRules } from '../route.ts';
import { database, server, vault, vaultPage } from '../schemas/answers.ts';
import {
  databaseBody,
  databasePath,
  noBody,
  noParams,
  noQuery,
  pageQuery,
  serverBody,
  serverPath,
  vaultBody,
  vaultPath,
} from '../schemas/requests.ts';
import { allowedOrigin } from '../../domain/vault-host.ts';
import { viewServer, viewVault } from '../views.ts';
import { found, gone, listed, pageOf, registered } from './answer.ts';
import { operators, operatorsAndHosts, readers, readersAndHosts } from './who.ts';

const reads: readonly RefusalCode[] = ['NotFound', 'StateUnavailable'];
const changes: readonly RefusalCode[] = ['NotFound', 'Conflict', 'StateUnavailable'];

const notAllowed: FieldError = { field: 'uri', detail: 'must be https://{vault}{suffix} with a suffix that this broker allows' };

/** A vault whose host is not allowed (K1). What is no text the schema tells. */
function foreignVault(body: unknown, rules: WireRules): readonly FieldError[] {
  const { uri } = Object(body) as { readonly uri?: unknown };
  return typeof uri === 'string' && allowedOrigin(uri, rules.vaultHostSuffixes) === undefined ? [notAllowed] : [];
}

/** Vaults, servers and databases. */
export const registryRoutes: readonly Route[] = [
  route({
    id: 'putVault',
    method: 'PUT',
    path: 'v1/vaults/{vault}',
    who: operators,
    summary: 'Register a vault',
    params: vaultPath,
    query: noQuery,
    body: vaultBody,
    answers: { 200: vault, 201: vault },
    refusals: ['Conflict', 'StateUnavailable'],
    alsoWrong: foreignVault,
    walk: async ({ params, body }, { roads, context, rules }) => {
      const uri = allowedOrigin(body.uri, rules.vaultHostSuffixes);
      if (uri === undefined) return invalid(notAllowed);
      return registered(await roads.putVault({ ...body, name: params.vault, uri }, context), viewVault);
    },
  }),
  route({
    id: 'getVault',
    method: 'GET',
    path: 'v1/vaults/{vault}',
    who: readers,
    summary: 'Read a vault with its circuit, budgets and latency',
    params: vaultPath,
    query: noQuery,
    body: noBody,
    answers: { 200: vault },
    refusals: reads,
    walk: async ({ params }, { roads, context }) => found(await roads.getVault(params.vault, context), viewVault),
  }),
  route({
    id: 'listVaults',
    method: 'GET',
    path: 'v1/vaults',
    who: readers,
    summary: 'List the vaults',
    params: noParams,
    query: pageQuery,
    body: noBody,
    answers: { 200: vaultPage },
    refusals: ['StateUnavailable'],
    walk: async ({ query }, { roads, context }) => listed(await roads.listVaults(pageOf(query), context), viewVault),
  }),
  route({
    id: 'putServer',
    method: 'PUT',
    path: 'v1/servers/{server}',
    who: operators,
    summary: 'Register a server, or change its principal, identity or default tier',
    params: serverPath,
    query: noQuery,
    body: serverBody,
    answers: { 200: server, 201: server },
    refusals: ['Conflict', 'VaultBudgetExceeded', 'StateUnavailable'],
    walk: async ({ params, body }, { roads, context }) => {
      const { defaultTier, identityClientId, origin, ...rest } = body;
      return registered(
        await roads.putServer({ ...rest, name: params.server, defaultTier, identityClientId, origin }, context),
        viewServer,
      );
    },
  }),
  route({
    id: 'getServer',
    method: 'GET',
    path: 'v1/servers/{server}',
    who: readers,
    summary: 'Read a server with its state and the clock of its access',
    params: serverPath,
    query: noQuery,
    body: noBody,
    answers: { 200: server },
    refusals: reads,
    walk: async ({ params }, { roads, context }) => found(await roads.getServer(params.server, context), viewServer),
  }),
  route({
    id: 'deleteServer',
    method: 'DELETE',
    path: 'v1/servers/{server}',
    who: operators,
    summary: 'Remove a server with its links and databases',
    params: serverPath,
    query: noQuery,
    body: noBody,
    answers: { 204: null },
    refusals: changes,
    walk: async ({ params }, { roads, context }) => gone(await roads.deleteServer(params.server, context)),
  }),
  route({
    id: 'revalidate',
    method: 'POST',
    path: 'v1/servers/{server}/revalidate',
    who: operators,
    summary: 'Prove the keys of a server and bring it back online',
    params: serverPath,
    query: noQuery,
    body: noBody,
    answers: { 200: server },
    refusals: [...changes, 'ProtectorRejected', 'Throttled', 'VaultUnavailable', 'IdentityUnavailable'],
    walk: async ({ params }, { roads, context }) => found(await roads.revalidate(params.server, context), viewServer),
  }),
  route({
    id: 'putDatabase',
    method: 'PUT',
    path: 'v1/servers/{server}/databases/{database}',
    who: operatorsAndHosts,
    summary: 'Register a database, or change its tier',
    params: databasePath,
    query: noQuery,
    body: databaseBody,
    answers: { 200: database, 201: database },
    refusals: [...changes, 'ServerInaccessible', 'VaultBudgetExceeded'],
    walk: async ({ params, body }, { roads, context }) =>
      registered(await roads.putDatabase({ ...params, tier: body.tier }, context), (value) => value),
  }),
  route({
    id: 'getDatabase',
    method: 'GET',
    path: 'v1/servers/{server}/databases/{database}',
    who: readersAndHosts,
    summary: 'Read a database',
    params: databasePath,
    query: noQuery,
    body: noBody,
    answers: { 200: database },
    refusals: reads,
    walk: async ({ params }, { roads, context }) => found(await roads.getDatabase(params, context), (value) => value),
  }),
  route({
    id: 'deleteDatabase',
    method: 'DELETE',
    path: 'v1/servers/{server}/databases/{database}',
    who: operatorsAndHosts,
    summary: 'Remove a database',
    params: databasePath,
    query: noQuery,
    body: noBody,
    answers: { 204: null },
    refusals: changes,
    walk: async ({ params }, { roads, context }) => gone(await roads.deleteDatabase(params, context)),
  }),
];
