import { app } from '@azure/functions';
import { createSdkCaller, transportClient } from './sdk.ts';

/**
 * The bare handler as an Azure Function: what the platform's library and the host cost by themselves. Bundled as the broker is, and run in
 * the same local host.
 */
const call = createSdkCaller(transportClient());

for (const operation of ['wrap', 'unwrap'] as const) {
  app.http(operation, {
    methods: ['POST'],
    route: operation,
    authLevel: 'anonymous',
    handler: async (request) => {
      const { keyId, value } = (await request.json()) as { keyId: string; value: string };
      return { jsonBody: { value: await call({ operation, keyId, value }), keyId } };
    },
  });
}
app.http('readyz', { methods: ['GET'], route: 'readyz', authLevel: 'anonymous', handler: () => ({ status: 200 }) });
app.setup({ enableHttpStream: true });
