import { createAuthority } from '../local/certificates.ts';
import type { Answer } from '../local/vault/answers.ts';
import type { VaultRequest } from '../local/vault/handler.ts';
import { listen } from '../local/vault/listener.ts';
import { doJobs } from './child.ts';

/**
 * A vault that is not the limit: a front of a local vault, under its name and on a port of its own. What comes for the first time the
 * vault behind it answers. Where that was a wrap or an unwrap, the same answer is ready for all who ask the very same again, with the same
 * token: without a signature to check and without RSA, which a vault has hardware for and this machine has not.
 */
export interface PreparedVault {
  readonly uri: string;
  /** PEM of the authority that its clients have to trust. */
  readonly ca: string;
}

/** The vault that is to be fronted. */
export interface PreparedVaultJob {
  readonly uri: string;
}

doJobs<PreparedVaultJob>(async ({ uri: behind }): Promise<PreparedVault> => {
  const { hostname } = new URL(behind);
  const authority = createAuthority('Prepared vault');
  const prepared = new Map<string, Answer>();
  const listener = await listen(0, authority.issue(hostname), async (request) => {
    const key = `${request.target} ${request.authorization ?? ''} ${request.body?.toString('latin1') ?? ''}`;
    const answer = prepared.get(key) ?? (await ask(request));
    if (answer.status === 200 && isKeyOperation(request)) prepared.set(key, answer);
    return { act: 'answer', answer };
  });
  const uri = `https://${hostname}:${listener.port}`;

  async function ask({ method, target, authorization, body }: VaultRequest): Promise<Answer> {
    const response = await fetch(behind + target, {
      method,
      headers: { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) },
      ...(method !== 'GET' && { body: new Uint8Array(body ?? []) }),
    });
    const text = (await response.text()).replaceAll(behind, uri);
    const headers = new Map(response.headers);
    for (const name of ['connection', 'keep-alive', 'transfer-encoding']) headers.delete(name);
    headers.set('content-length', String(Buffer.byteLength(text)));
    return { status: response.status, headers: [...headers].flat(), body: text };
  }
  return { uri, ca: authority.cert };
});

function isKeyOperation({ method, target }: VaultRequest): boolean {
  return method === 'POST' && /\/(?:un)?wrapkey\?/.test(target);
}
