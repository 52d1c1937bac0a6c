import { done, type RefusalCode } from '../../domain/refusal.ts';
import type { FindingChange } from '../../domain/audit.ts';
import { route, type Route } from '../route.ts';
import { audit, auditPage, drill, status } from '../schemas/fleet.ts';
import { auditPath, auditQuery, noBody, noParams, noQuery, pageQuery, serverPath } from '../schemas/requests.ts';
import { viewAudit, viewAuditWithFindings, viewDrill, viewStatus } from '../views-fleet.ts';
import { found, listed, pageOf } from './answer.ts';
import { operators, readers } from './who.ts';

/** What is wrong now, unless the caller asks for something else. */
const wrongNow: readonly FindingChange[] = ['new', 'continued'];
const drills: readonly RefusalCode[] = ['NotFound', 'Conflict', 'ServerInaccessible', 'StateUnavailable'];

/** Permission audits, drills, and the picture of the whole fleet. */
export const auditRoutes: readonly Route[] = [
  route({
    id: 'listAudits',
    method: 'GET',
    path: 'v1/audits',
    who: readers,
    summary: 'List the permission audits, newest first',
    params: noParams,
    query: pageQuery,
    body: noBody,
    answers: { 200: auditPage },
    refusals: ['StateUnavailable'],
    walk: async ({ query }, { roads, context }) => listed(await roads.listAudits(pageOf(query), context), viewAudit),
  }),
  route({
    id: 'getAudit',
    method: 'GET',
    path: 'v1/audits/{slot}',
    who: readers,
    summary: 'Read a permission audit with its findings: those of now, or with `change` only new, continued or resolved ones',
    params: auditPath,
    query: auditQuery,
    body: noBody,
    answers: { 200: audit },
    refusals: ['NotFound', 'StateUnavailable'],
    walk: async ({ params, query }, { roads, context }) => {
      const changes = query.change === undefined ? wrongNow : [query.change];
      return found(await roads.getAudit({ ...pageOf(query), ...params, changes }, context), viewAuditWithFindings);
    },
  }),
  route({
    id: 'startAudit',
    method: 'POST',
    path: 'v1/audits',
    who: operators,
    summary: 'Begin a permission audit now; it runs on after the answer',
    params: noParams,
    query: noQuery,
    body: noBody,
    answers: { 202: audit },
    refusals: ['Conflict', 'StateUnavailable'],
    walk: async (_input, { roads, context }) => {
      const begun = await roads.startAudit(context);
      if (!begun.ok) return begun;
      return done({ status: 202, body: viewAuditWithFindings(begun.value), headers: { location: `/v1/audits/${begun.value.slot}` } });
    },
  }),
  route({
    id: 'drill',
    method: 'POST',
    path: 'v1/servers/{server}/drill',
    who: operators,
    summary: 'Prove that each standby would work now, without switching anything',
    params: serverPath,
    query: noQuery,
    body: noBody,
    answers: { 200: drill },
    refusals: drills,
    walk: async ({ params }, { roads, context }) => found(await roads.drill(params.server, context), viewDrill),
  }),
  route({
    id: 'status',
    method: 'GET',
    path: 'v1/status',
    who: readers,
    summary: 'The whole fleet in one document, the worst first; `limit` and `after` page the servers that are not online',
    params: noParams,
    query: pageQuery,
    body: noBody,
    answers: { 200: status },
    refusals: ['StateUnavailable'],
    walk: async ({ query }, { roads, context }) => found(await roads.status(pageOf(query), context), viewStatus),
  }),
];
