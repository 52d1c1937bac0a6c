import { createServer } from 'node:http';
import { Agent, request as openRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { doJobs } from './child.ts';

/**
 * The least that any go-between costs: bytes in, bytes out over kept TLS connections, the answer back. The first segment of the path is the
 * host to which the rest goes.
 */
const agent = new Agent({ keepAlive: true });

const server = createServer((request, response) => {
  const [, host = '', path = ''] = /^\/([^/]+)(\/.*)$/.exec(request.url ?? '') ?? [];
  const [hostname, port] = host.split(':');
  const outgoing = openRequest(
    { agent, method: request.method, hostname, port, path, headers: { ...request.headers, host } },
    (incoming) => {
      response.writeHead(incoming.statusCode ?? 502, incoming.headers);
      incoming.pipe(response);
    },
  );
  outgoing.once('error', () => response.destroy());
  request.pipe(outgoing);
});

/** Any job is answered with where the proxy listens. */
doJobs(async () => {
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
