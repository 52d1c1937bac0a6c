import * as z from 'zod/mini';
import type { RefusalCode } from '../domain/refusal.ts';
import { problemBody, problemKinds } from './problem.ts';
import type { RouteFacts } from './route.ts';
import { problem } from './schemas/answers.ts';
import { limit, named } from './schemas/words.ts';

type Json = Readonly<Record<string, unknown>>;
type Schema = z.core.$ZodType;

const componentUri = (id: string) => `#/components/schemas/${id}`;

/** JSON Schema 2020-12 is the dialect of OpenAPI 3.1; what only a schema file of its own needs is left out. */
function plain(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id' && key !== 'id'));
}

/** Every named schema, referring to one another. Forms are those before parsing: what goes over the wire. */
function components(): Json {
  const { schemas } = z.toJSONSchema(named, { metadata: named, io: 'input', uri: componentUri });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, plain(schema)]));
}

/** A schema by its name, or in full where it has none. */
function reference(schema: Schema): Json {
  const note = named.get(schema);
  return note ? { $ref: componentUri(note.id) } : plain(z.toJSONSchema(schema, { io: 'input' }));
}

/** A query parameter is text to us; to the maker of a client the size of a page is a number. */
function parameterSchema(schema: Schema): Json {
  return schema === limit ? { type: 'integer', minimum: 1, maximum: 1000 } : reference(schema);
}

/** Whether a parameter may not be left out. */
function required(schema: Schema): boolean {
  return !z.safeParse(schema, undefined).success;
}

function inner(schema: Schema): Schema {
  return schema instanceof z.ZodMiniOptional ? schema._zod.def.innerType : schema;
}

function parameters(route: RouteFacts): readonly Json[] {
  const of = (place: 'path' | 'query', shape: Readonly<Record<string, Schema>>) =>
    Object.entries(shape).map(([name, schema]) => ({
      name,
      in: place,
      required: required(schema),
      schema: parameterSchema(inner(schema)),
    }));
  return [...of('path', route.params.shape), ...of('query', route.query.shape), ...tracing];
}

const tracing: readonly Json[] = [{ $ref: '#/components/parameters/RequestId' }, { $ref: '#/components/parameters/Traceparent' }];

/** Codes with which the wire itself may refuse, before any road is walked. */
function wireRefusals(route: RouteFacts): readonly RefusalCode[] {
  const always: readonly RefusalCode[] = ['InvalidRequest', 'Internal', 'DeadlineExceeded'];
  const withToken: readonly RefusalCode[] = route.who === 'anyone' ? [] : ['Unauthenticated', 'CallerNotAllowed', 'IdentityUnavailable'];
  return [...always, ...withToken, ...(route.method === 'GET' ? [] : (['PayloadTooLarge'] as const))];
}

/** Every code with which a route may answer. */
export function refusalsOf(route: RouteFacts): ReadonlySet<RefusalCode> {
  return new Set([...wireRefusals(route), ...route.refusals]);
}

function problems(route: RouteFacts): Json {
  const byStatus = new Map<number, RefusalCode[]>();
  for (const code of refusalsOf(route)) {
    const { status } = problemKinds[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, codes]) => [status, problemResponse(codes)]));
}

function problemResponse(codes: readonly RefusalCode[]): Json {
  const examples = codes.map((code): [string, Json] => [
    code,
    { value: problemBody({ code, detail: 'a sentence for people' }, 'c0ffee00-0000-4000-8000-000000000000') },
  ]);
  return {
    description: codes.map((code) => `${code}: ${problemKinds[code].title}`).join('. '),
    headers: { ...commonHeaders, ...(codes.includes('Throttled') ? { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } : {}) },
    content: { 'application/problem+json': { schema: reference(problem), examples: Object.fromEntries(examples) } },
  };
}

const commonHeaders = {
  'x-ms-client-request-id': { $ref: '#/components/headers/RequestId' },
  traceparent: { $ref: '#/components/headers/Traceparent' },
};

function answers(route: RouteFacts): Json {
  const titles: Readonly<Record<string, string>> = { 200: 'Done', 201: 'Created', 204: 'Done, without a body' };
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, schema]) => [
      status,
      {
        description: titles[status] ?? 'Done',
        headers: commonHeaders,
        ...(schema && { content: { 'application/json': { schema: reference(schema) } } }),
      },
    ]),
  );
}

function operation(route: RouteFacts): Json {
  const hasBody = named.has(route.body);
  return {
    operationId: route.id,
    summary: route.summary,
    description: route.who === 'anyone' ? 'No token is needed.' : `App roles: ${route.who.join(' or ')}.`,
    security: route.who === 'anyone' ? [] : [{ entra: [] }],
    parameters: parameters(route),
    ...(hasBody && { requestBody: { required: true, content: { 'application/json': { schema: reference(route.body) } } } }),
    responses: { ...answers(route), ...problems(route) },
  };
}

const requestId = { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' };
const traceparent = { type: 'string', examples: ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'] };

/** The OpenAPI 3.1 document of these routes, from the schemas that read them. */
export function openApiDocument(routes: readonly RouteFacts[]): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = (paths[`/${route.path}`] ??= {});
    path[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Key-operations broker',
      version: '1',
      summary: 'Wraps and unwraps Data Encryption Keys of database servers in Azure Key Vault',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: components(),
      parameters: {
        RequestId: { name: 'x-ms-client-request-id', in: 'header', description: 'Becomes the id of the request.', schema: requestId },
        Traceparent: { name: 'traceparent', in: 'header', description: 'W3C Trace Context.', schema: traceparent },
      },
      headers: {
        RequestId: { description: 'The id of the request.', schema: requestId },
        Traceparent: { description: 'The trace that the request belongs to.', schema: traceparent },
        RetryAfter: { description: 'Whole seconds.', schema: { type: 'integer', minimum: 0 } },
      },
      securitySchemes: {
        entra: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'Entra ID access token with an app role of the broker.',
        },
      },
    },
  };
}
