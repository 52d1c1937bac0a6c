import { done } from '../../domain/refusal.ts';
import { page, pageHeaders } from '../page/page.ts';
import { route, type Route } from '../route.ts';
import { noBody, noParams, noQuery } from '../schemas/requests.ts';

/** The status page. It holds nothing of the fleet: its script asks `GET /v1/status` with the token of whoever looks at it. */
export const pageRoutes: readonly Route[] = [
  route({
    id: 'statusPage',
    method: 'GET',
    path: 'status',
    who: 'anyone',
    summary: 'A page that shows the status document',
    params: noParams,
    query: noQuery,
    body: noBody,
    answers: { 200: null },
    refusals: [],
    walk: () => Promise.resolve(done({ status: 200, text: page, headers: pageHeaders })),
  }),
];
