import type { RegisteredFunction } from './core.ts';
import { matchTemplate, parseTemplate, pathSegments } from './routes.ts';
import type { RouteParameters, Template } from './routes.ts';
import type { Binding } from './seam.ts';

export interface Match {
  readonly target: RegisteredFunction;
  /** Name of the trigger binding. */
  readonly binding: string;
  readonly parameters: RouteParameters;
}

export interface Router {
  /** The first function in the order of names whose method and template match; null if there is none. */
  match(method: string, path: string): Match | null;
  /** Functions that Azure would load with an error, and why; they have no route. */
  readonly errors: readonly string[];
}

interface Route {
  readonly target: RegisteredFunction;
  readonly binding: string;
  readonly text: string;
  readonly methods: ReadonlySet<string>;
  readonly template: Template;
}

/**
 * Routes of the real host (facts 1.5, 6): in the order of function *names*, first match wins, so that a catch-all of an earlier name
 * shadows a literal of a later one. A wrong method is no match.
 *
 * @param prefix `extensions.http.routePrefix` of host.json
 */
export function createRouter(functions: Iterable<RegisteredFunction>, prefix: string): Router {
  const routes: Route[] = [];
  const errors: string[] = [];
  const byName = [...functions].sort((a, b) => compare(a.metadata.name.toLowerCase(), b.metadata.name.toLowerCase()));
  for (const target of byName) {
    const trigger = Object.entries(target.metadata.bindings).find(([, binding]) => binding.type === 'httpTrigger');
    if (!trigger) continue;
    try {
      routes.push(createRoute(target, trigger, { prefix, earlier: routes }));
    } catch (error) {
      errors.push(`${target.metadata.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return {
    errors,
    match(method, path) {
      const segments = pathSegments(path);
      if (!segments) return null;
      for (const { target, binding, methods, template } of routes) {
        if (!methods.has(method)) continue;
        const parameters = matchTemplate(template, segments);
        if (parameters) return { target, binding, parameters };
      }
      return null;
    },
  };
}

function createRoute(
  target: RegisteredFunction,
  [name, trigger]: [string, Binding],
  at: { prefix: string; earlier: readonly Route[] },
): Route {
  checkName(target.metadata.name);
  const own = trigger.route ?? target.metadata.name;
  if (/^\/?(admin|runtime)/i.test(own)) throw new Error(`the route "${own}" begins with a reserved word`);
  if (trigger.authLevel !== 'anonymous')
    throw new Error(`authLevel "${String(trigger.authLevel)}" needs keys, which the local host has not`);
  const text = [at.prefix, own].filter(Boolean).join('/');
  const methods = new Set((trigger.methods ?? []).map((method) => method.toUpperCase()));
  const rival = at.earlier.find(
    (route) => route.text.toLowerCase() === text.toLowerCase() && [...methods].some((method) => route.methods.has(method)),
  );
  if (rival) throw new Error(`the route "${text}" belongs to ${rival.target.metadata.name}`);
  return { target, binding: name, text, methods, template: parseTemplate(text) };
}

function checkName(name: string): void {
  if (!/^[a-z][a-z0-9_-]{0,127}$/i.test(name) || name.toLowerCase() === 'host') throw new Error('this is no name of a function');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
