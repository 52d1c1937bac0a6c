import { app } from '@azure/functions';
import { broker } from '../src/app.ts';
import type { Route } from '../src/http/route.ts';

/** One function a route. The host's own keys are shared secrets and name nobody: the broker checks tokens itself. */
export function register(routes: readonly Route[]): void {
  for (const route of routes) {
    app.http(route.id, { methods: [route.method], route: route.path, authLevel: 'anonymous', handler: broker.serve(route) });
  }
}
