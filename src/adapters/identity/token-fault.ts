import type { Fault } from '../../domain/fault.ts';
import { fault } from '../fault.ts';
import { readJson } from '../json.ts';
import type { EndpointAnswer } from './token-endpoint.ts';

/** Errors of Entra that pass by themselves: directory away, timeouts, throttling, loops (facts, key-vault-behaviour 5.1). */
const passing: ReadonlySet<string> = new Set([
  'AADSTS90033',
  'AADSTS90006',
  'AADSTS90024',
  'AADSTS90012',
  'AADSTS90055',
  'AADSTS50196',
  'temporarily_unavailable',
]);

/** Errors of configuration: the resource is not known, or the request is malformed. */
const misconfigured: ReadonlySet<string> = new Set([
  'AADSTS500011',
  'AADSTS90002',
  'invalid_resource',
  'bad_request_102',
  'unsupported_grant_type',
  'invalid_scope',
]);

/** 200: without a usable token. 404 and 410: the endpoint is being updated (facts 5.3). */
const outOfOrder: ReadonlySet<number> = new Set([200, 404, 408, 410, 429]);

/** The token step failed: never an outage of the vault (facts 1.1 rule 1). `undefined`: the SDK failed before it asked the endpoint. */
export function classifyTokenFailure(answer: EndpointAnswer | undefined): Fault {
  if (answer === undefined) return fault('identityOutage', 'no source of tokens is there', { code: 'CredentialUnavailable' });
  if (answer.status === null) return fault('identityOutage', 'the source of tokens does not answer', { code: answer.errno });
  const { status } = answer;
  const codes = codesIn(answer.body);
  const code = codes[0] ?? `IDENTITY_${status}`;
  if (outOfOrder.has(status) || status >= 500) return fault('identityOutage', 'the source of tokens is out of order', { code });
  if (codes.some((one) => passing.has(one))) return fault('identityOutage', 'the directory is out of order for a while', { code });
  if (codes.some((one) => misconfigured.has(one))) return fault('invalidRequest', 'the request for a token is not valid', { code });
  // 401 without a reason of Entra's own is the endpoint's word on the header that the platform gave the broker, not on the identity.
  if (status === 400 || status === 403 || (status === 401 && codes.length > 0)) {
    return fault('revoked', 'the identity does not exist, is not assigned to the broker or may not have tokens', {
      code,
      reach: 'identity',
    });
  }
  return fault('invalidRequest', 'the request for a token is not valid', { code });
}

/** The AADSTS code, if any, then the OAuth `error` word. Only their forms are repeated, nothing else of the body. */
function codesIn(body: string): readonly string[] {
  const parsed = readJson(body);
  const word = parsed?.['error'];
  const aadsts = /\bAADSTS\d{5,8}\b/.exec(body)?.[0];
  return [aadsts, typeof word === 'string' && /^[a-z0-9_]{1,40}$/.test(word) ? word : undefined].filter((one) => one !== undefined);
}
