import { refuse } from '../domain/refusal.ts';
import type { Clock } from '../ports/clock.ts';
import { begin, write, type WireHandler } from './exchange.ts';
import type { RouteFacts } from './route.ts';

/**
 * The function that answers under `v1` where no route does: else the host says 404 with an empty body, whatever was wrong.
 *
 * The host asks its functions in the order of their names and takes the first whose template and method fit (facts, functions-platform 1.5
 * and 6): so this one is called what comes last. It takes no path beside `v1`, since the platform's `/admin/warmup` comes after functions.
 */
export const unknownPath = {
  id: 'zUnknownPath',
  path: 'v1/{*path}',
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
} as const;

/** Makes its handler. It tells anyone what the OpenAPI document tells: no token is looked at, and no body read. */
export function serveUnknownPath(routes: readonly RouteFacts[], clock: Clock): WireHandler {
  return (request) => {
    const methods = methodsAt(routes, `v1/${request.params['path'] ?? ''}`);
    const detail =
      methods.length === 0
        ? 'there is nothing at this path: GET /openapi.json lists what there is'
        : `this path has no such method: it has ${methods.join(', ')}`;
    return Promise.resolve(write(refuse('NotFound', detail), begin(request, clock)));
  };
}

/** The methods of the routes whose template fits the path, as the host fits them: literals in any case, a trailing slash counts for nothing. */
function methodsAt(routes: readonly RouteFacts[], path: string): readonly string[] {
  const segments = path.replace(/\/$/, '').toLowerCase().split('/');
  const fits = (template: string): boolean => {
    const parts = template.toLowerCase().split('/');
    return (
      parts.length === segments.length && parts.every((part, at) => (part.startsWith('{') ? segments[at] !== '' : part === segments[at]))
    );
  };
  return routes.filter((route) => fits(route.path)).map(({ method }) => method);
}
