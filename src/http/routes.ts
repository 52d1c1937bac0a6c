import type { Route } from './route.ts';
import { auditRoutes } from './routes/audits.ts';
import { batchRoutes } from './routes/batch.ts';
import { keyRoutes } from './routes/keys.ts';
import { operationRoutes } from './routes/operations.ts';
import { pageRoutes } from './routes/page.ts';
import { registryRoutes } from './routes/registry.ts';
import { openApiRoute, reportRoutes } from './routes/reports.ts';

/** What describes all the others, itself included. */
export const descriptionRoutes: readonly Route[] = [openApiRoute(() => routes)];

/** Every route of the broker (design section 5). Functions, checks and the OpenAPI document all come out of this table. */
export const routes: readonly Route[] = [
  ...registryRoutes,
  ...keyRoutes,
  ...operationRoutes,
  ...batchRoutes,
  ...reportRoutes,
  ...auditRoutes,
  ...pageRoutes,
  ...descriptionRoutes,
];
