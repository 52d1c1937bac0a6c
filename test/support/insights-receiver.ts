import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { Certified } from '../local/certificates.ts';

/** What Application Insights is sent, as far as it is looked at. */
interface Envelope {
  readonly iKey: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly data: {
    readonly baseType: string;
    readonly baseData: {
      readonly name?: string;
      readonly success?: boolean;
      readonly properties?: Readonly<Record<string, string>>;
      readonly metrics?: readonly { readonly name: string; readonly value: number; readonly count?: number }[];
    };
  };
}

export const instrumentationKey = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';

/**
 * Application Insights' ingestion on loopback, which answers everything with `status`.
 * @param certified of `localhost`, to speak TLS, without which no token is sent.
 */
export async function startInsightsReceiver(status = 200, certified?: Certified) {
  const received: { readonly path: string; readonly authorization: string | undefined; readonly body: string }[] = [];
  const answer: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const body = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
      received.push({ path: request.url ?? '', authorization: request.headers.authorization, body });
      const count = (JSON.parse(body) as unknown[]).length;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ itemsReceived: count, itemsAccepted: status === 200 ? count : 0, errors: [] }));
    });
  };
  const server = certified === undefined ? createServer(answer) : createTlsServer(certified, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = certified === undefined ? 'http://127.0.0.1' : 'https://localhost';
  const endpoint = `${origin}:${(server.address() as AddressInfo).port}/`;
  const envelopes = (): Envelope[] => received.flatMap(({ body }) => JSON.parse(body) as Envelope[]);
  return {
    connectionString: `InstrumentationKey=${instrumentationKey};IngestionEndpoint=${endpoint};LiveEndpoint=https://live.invalid/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    received: () => received,
    text: () => received.map(({ body }) => body).join('\n'),
    envelopes,
    /** The points of a metric, with their attributes. */
    metric: (name: string) =>
      envelopes().flatMap(({ data }) =>
        (data.baseData.metrics ?? [])
          .filter((metric) => metric.name === name)
          .map(({ value, count }) => ({ value, count, attributes: data.baseData.properties ?? {} })),
      ),
    /** Spans that are no requests. */
    spans: () => envelopes().filter(({ data }) => data.baseType === 'RemoteDependencyData'),
  };
}
