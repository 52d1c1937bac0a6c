import { describe, expect, test } from 'vitest';
import { refusalsOf } from '../../src/http/openapi.ts';
import { problemKinds } from '../../src/http/problem.ts';
import { routes } from '../../src/http/routes.ts';
import { goodRoads } from '../support/wire-cases.ts';
import { testWire } from '../support/wire.ts';

interface Operation {
  readonly operationId: string;
  readonly security: readonly object[];
  readonly parameters: readonly { readonly name?: string; readonly in?: string; readonly required?: boolean; readonly $ref?: string }[];
  readonly requestBody?: { readonly required: boolean };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly content?: Readonly<
          Record<string, { readonly examples?: Readonly<Record<string, { readonly value: { status: number; code: string } }>> }>
        >;
      }
    >
  >;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const document = (await testWire(goodRoads).call('openapi')).json as unknown as Document;
const operationOf = (route: { path: string; method: string }) => document.paths[`/${route.path}`]![route.method.toLowerCase()]!;

/** Every value of a key, however deep. */
function deep(value: unknown, key: string): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => [...(name === key ? [inner] : []), ...deep(inner, key)]);
}

describe('the OpenAPI document', () => {
  test('is 3.1 and has exactly the routes', () => {
    expect(document.openapi).toBe('3.1.0');
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(operations.sort()).toEqual(routes.map((route) => `${route.method} /${route.path}`).sort());
    expect(new Set(routes.map((route) => operationOf(route).operationId)).size).toBe(routes.length);
  });

  test('every reference leads somewhere, and every component is used', () => {
    const references = new Set(deep(document, '$ref') as string[]);
    for (const reference of references) {
      const target = reference
        .replace('#/', '')
        .split('/')
        .reduce<unknown>((at, step) => Reflect.get(at as object, step), document);
      expect(target, reference).toBeTypeOf('object');
    }
    const unused = Object.keys(document.components.schemas).filter((name) => !references.has(`#/components/schemas/${name}`));
    expect(unused).toEqual([]);
  });

  test('no schema carries an identifier of its own, and every one says what it is', () => {
    expect([...deep(document, '$id'), ...deep(document, '$schema')]).toEqual([]);
    for (const [name, schema] of Object.entries(document.components.schemas)) expect(schema, name).toHaveProperty('description');
  });

  test.each(routes.map((route) => [route.id, route] as const))(
    '%s: path parameters are those of the template, and required',
    (_id, route) => {
      const inPath = operationOf(route).parameters.filter((parameter) => parameter.in === 'path');
      expect(inPath.map((parameter) => parameter.name)).toEqual([...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
      expect(inPath.every((parameter) => parameter.required)).toBe(true);
    },
  );

  test.each(routes.map((route) => [route.id, route] as const))(
    '%s: every code with its status, every answer, and the token',
    (_id, route) => {
      const { responses, security, requestBody } = operationOf(route);
      const told = Object.entries(responses).flatMap(([status, response]) =>
        Object.values(response.content?.['application/problem+json']?.examples ?? {}).map(({ value }) => {
          expect(String(value.status)).toBe(status);
          return value.code;
        }),
      );
      expect(told.sort()).toEqual([...refusalsOf(route)].sort());
      for (const status of Object.keys(route.answers)) expect(responses).toHaveProperty(status);
      const statuses = [...Object.keys(route.answers), ...[...refusalsOf(route)].map((code) => String(problemKinds[code].status))];
      expect(Object.keys(responses).sort()).toEqual([...new Set(statuses)].sort());
      expect(security).toEqual(route.who === 'anyone' ? [] : [{ entra: [] }]);
      if (route.method === 'GET' || route.method === 'DELETE') expect(requestBody).toBeUndefined();
    },
  );

  test('requests refuse unknown fields there too', () => {
    for (const name of ['PutVault', 'PutServer', 'PutProtector', 'LinkKey', 'PutDatabase', 'WrapRequest', 'UnwrapRequest']) {
      expect(document.components.schemas[name], name).toHaveProperty('additionalProperties', false);
    }
  });
});
