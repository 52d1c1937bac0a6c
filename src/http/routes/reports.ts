import * as z from 'zod/mini';
import { done } from '../../domain/refusal.ts';
import { openApiDocument } from '../openapi.ts';
import { route, type Route } from '../route.ts';
import { eventPage, health, operationPage, readiness } from '../schemas/answers.ts';
import { eventsQuery, noBody, noParams, noQuery, operationsQuery } from '../schemas/requests.ts';
import { viewEvent, viewOperation } from '../views.ts';
import { logged, pageOf } from './answer.ts';
import { readers } from './who.ts';

/** Events, records of key operations, and health. */
export const reportRoutes: readonly Route[] = [
  route({
    id: 'listEvents',
    method: 'GET',
    path: 'v1/events',
    who: readers,
    summary: 'List what happened, oldest first',
    params: noParams,
    query: eventsQuery,
    body: noBody,
    answers: { 200: eventPage },
    refusals: ['StateUnavailable'],
    walk: async ({ query }, { roads, context, rules }) => {
      const request = { ...pageOf(query), since: query.since ?? null, subject: query.subject ?? null };
      return logged(await roads.listEvents(request, context), (event) => viewEvent(event, rules.deployment));
    },
  }),
  route({
    id: 'listOperations',
    method: 'GET',
    path: 'v1/operations',
    who: readers,
    summary: 'List the records of key operations, oldest first',
    params: noParams,
    query: operationsQuery,
    body: noBody,
    answers: { 200: operationPage },
    refusals: ['StateUnavailable'],
    walk: async ({ query }, { roads, context }) => {
      const request = { ...pageOf(query), since: query.since ?? null, server: query.server ?? null };
      return logged(await roads.listOperations(request, context), viewOperation);
    },
  }),
  route({
    id: 'healthz',
    method: 'GET',
    path: 'healthz',
    who: 'anyone',
    summary: 'Whether the broker runs',
    params: noParams,
    query: noQuery,
    body: noBody,
    answers: { 200: health },
    refusals: [],
    walk: () => Promise.resolve(done({ status: 200, body: { status: 'ok' } })),
  }),
  route({
    id: 'readyz',
    method: 'GET',
    path: 'readyz',
    who: 'anyone',
    summary: 'Whether key operations can be served, and what is missing',
    params: noParams,
    query: noQuery,
    body: noBody,
    answers: { 200: readiness },
    refusals: ['StateUnavailable'],
    walk: async (_input, { roads, rules }) => {
      const { missing, warnings: found } = await roads.readiness();
      const warnings = [...rules.warnings, ...found];
      if (missing.length === 0) return done({ status: 200, body: { status: 'ready', missing, warnings } });
      return {
        ok: false,
        refusal: { code: 'StateUnavailable', detail: `not ready: ${missing.join('; ')}`, retryable: true, missing, warnings },
      };
    },
  }),
];

/** `GET /openapi.json`. The document is made once, when it is first asked for. */
export function openApiRoute(all: () => readonly Route[]): Route {
  let document: unknown;
  return route({
    id: 'openapi',
    method: 'GET',
    path: 'openapi.json',
    who: 'anyone',
    summary: 'This document',
    params: noParams,
    query: noQuery,
    body: noBody,
    answers: { 200: z.record(z.string(), z.unknown()) },
    refusals: [],
    walk: () => Promise.resolve(done({ status: 200, body: (document ??= openApiDocument(all())) })),
  });
}
