import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { doJobs } from './child.ts';
import { createSdkCaller, transportClient } from './sdk.ts';

/**
 * What the broker's CPU is measured against: a Node handler that reads JSON, makes the same call with the same client over the same HTTP,
 * and answers JSON. It knows no caller, no registry, no budget, no circuit and no record.
 */
const call = createSdkCaller(transportClient());

interface Body {
  readonly keyId: string;
  readonly value: string;
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.once('end', () => {
    const { keyId, value } = JSON.parse(Buffer.concat(chunks).toString()) as Body;
    call({ operation: request.url === '/wrap' ? 'wrap' : 'unwrap', keyId, value }).then(
      (result) => end(200, { value: result, keyId }),
      (error: unknown) => end(502, { error: String(error) }),
    );
  });
  const end = (status: number, answer: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  };
});

/** Any job is answered with where the handler listens. */
doJobs(async () => {
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
