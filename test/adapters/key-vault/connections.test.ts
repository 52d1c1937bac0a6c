import { createServer, type Server } from 'node:https';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/adapters/clock.ts';
import { classify } from '../../../src/adapters/key-vault/classify.ts';
import { createTransport, type Transport } from '../../../src/adapters/key-vault/transport.ts';
import { millis, seconds } from '../../../src/domain/time.ts';
import { authority } from '../../support/scripted-vault.ts';
import { keyId } from '../../support/stored-values.ts';

describe('a vault to which one connection may be open', () => {
  let server: Server;
  let transport: Transport;
  let url: string;
  let responses: ServerResponse[];
  beforeEach(async () => {
    responses = [];
    const { key, cert } = authority.issue('localhost');
    server = createServer({ key, cert }, (_request, response) => void responses.push(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://localhost:${(server.address() as AddressInfo).port}/`;
    transport = createTransport({ clock: systemClock, ca: authority.cert, maxConnections: 1 });
  });
  afterEach(() => {
    transport.close();
    server.closeAllConnections();
    server.close();
  });

  const send = (within = seconds(30)) => transport.send({ method: 'GET', url, headers: {}, body: undefined }, within);

  it('F1: one who waits for it while the vault answers another meets no outage: the wait is this side’s', async () => {
    const busy = send();
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    const waiting = send(millis(300));
    // The answer begins while the other waits, and holds the connection until after its deadline.
    responses[0]!.writeHead(200).flushHeaders();
    const result = await waiting;
    expect(result).toMatchObject({ status: null, errno: 'NO_CONNECTION' });
    expect(classify(result, { keyId: keyId(), operation: 'unwrapKey', kind: 'vault' })).toMatchObject({
      class: 'ambiguous',
      mayHideDenial: false,
    });
    expect(responses).toHaveLength(1);
    responses[0]!.end('{}');
    expect(await busy).toMatchObject({ status: 200, errno: null });
  });

  it('F1: one who waits for it behind a call that the vault does not answer meets an outage', async () => {
    const busy = send(seconds(1));
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    expect(await send(millis(300))).toMatchObject({ status: null, errno: 'DEADLINE' });
    expect(await busy).toMatchObject({ errno: 'DEADLINE' });
  });
});
