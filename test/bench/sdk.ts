import type { HttpClient } from '@azure/core-rest-pipeline';
import { createHttpHeaders } from '@azure/core-rest-pipeline';
import { ManagedIdentityCredential } from '@azure/identity';
import { CryptographyClient } from '@azure/keyvault-keys';
import { systemClock } from '../../src/adapters/clock.ts';
import { createTransport } from '../../src/adapters/key-vault/transport.ts';
import { seconds } from '../../src/domain/time.ts';

/** One key operation as the SDK takes it; `value` in base64url: a DEK to wrap, or a wrapped one. */
export interface SdkCall {
  readonly operation: 'wrap' | 'unwrap';
  readonly keyId: string;
  readonly value: string;
}

/** The broker's own transport as the SDK's HTTP client. */
export function transportClient(): HttpClient {
  const transport = createTransport({ clock: systemClock });
  return {
    async sendRequest(request) {
      const { method, url, headers } = request;
      // The SDK takes the body out of its first request, and puts null in its place, to meet the challenge without it.
      const body = typeof request.body === 'string' ? request.body : undefined;
      const result = await transport.send({ method, url, headers: headers.toJSON(), body }, seconds(2));
      if (result.status === null) throw new Error(result.errno ?? 'no response');
      return {
        request,
        status: result.status,
        headers: createHttpHeaders(result.headers as Record<string, string>),
        bodyAsText: result.body,
      };
    },
  };
}

/**
 * Remote key operations with the stock client, one client a key: without key material, with which the SDK would wrap by itself and fetch
 * the key first, and without retries, so that one operation is one call (facts, key-vault-behaviour 8).
 *
 * @param httpClient default: the SDK's own
 */
export function createSdkCaller(httpClient?: HttpClient): (call: SdkCall) => Promise<string> {
  const credential = new ManagedIdentityCredential();
  const clients = new Map<string, CryptographyClient>();
  const clientOf = (id: string): CryptographyClient => {
    const known = clients.get(id);
    if (known) return known;
    const { origin, pathname } = new URL(id);
    const [, , name = '', version = ''] = pathname.split('/');
    const options = { retryOptions: { maxRetries: 0 }, ...(httpClient && { httpClient }) };
    const client = new CryptographyClient({ id, name, properties: { id, name, version, vaultUrl: origin } }, credential, options);
    clients.set(id, client);
    return client;
  };
  return async ({ operation, keyId, value }) => {
    const client = clientOf(keyId);
    const bytes = Buffer.from(value, 'base64url');
    const { result } = await (operation === 'wrap' ? client.wrapKey('RSA-OAEP-256', bytes) : client.unwrapKey('RSA-OAEP-256', bytes));
    return Buffer.from(result).toString('base64url');
  };
}
