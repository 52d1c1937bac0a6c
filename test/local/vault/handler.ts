import type { Access } from './access.ts';
import type { Answer, Asked } from './answers.ts';
import { identify, type Caller, type CallerWorld } from './caller.ts';
import type { Calls } from './calls.ts';
import { usageRefusal, useKey, type RequestBody } from './crypto-requests.ts';
import * as errors from './errors.ts';
import { isError, type VaultError } from './errors.ts';
import { strikes, type DeletedAnswer, type Fault } from './faults.ts';
import { keyRequests, type KeyRequestWorld } from './key-requests.ts';
import { idOf, type KeyVersion } from './keys.ts';
import { findRoute, isCryptoOperation, type Found, type Operation, type Route } from './operations.ts';
import { reactInstead, type Reaction, type ReactionWorld } from './reactions.ts';
import type { TokenClaims } from './tokens.ts';

/** A request without its transport. */
export interface VaultRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly target: string;
  /** The `Authorization` header. */
  readonly authorization: string | undefined;
  readonly clientRequestId: string | undefined;
  /** Undefined for a body beyond the service's limit. */
  readonly body: Buffer | undefined;
}

/** A vault as requests meet it. `fault` and `deleted` are read at each request. */
export interface HandlerWorld extends KeyRequestWorld, CallerWorld, ReactionWorld {
  readonly access: Access;
  readonly calls: Calls;
  fault: Fault | undefined;
  deleted: DeletedAnswer | undefined;
}

/** Answers one request, after it was put on the list of calls. */
export async function handle(world: HandlerWorld, request: VaultRequest): Promise<Reaction> {
  const asked = { clientRequestId: request.clientRequestId, since: performance.now() };
  const [path = '', query = ''] = request.target.split('?', 2);
  const route = findRoute(request.method, path);
  const caller = await identify(world, request.authorization);

  const operation = calledOperation(route, caller);
  const principal = caller === 'anonymous' || isError(caller) ? null : caller.principal;
  const call = world.calls.add(world.clock(), principal, operation, keyIdOf(world, route));
  const fault = world.fault !== undefined && strikes(world.fault, operation) ? world.fault : undefined;
  const reaction =
    (await reactInstead(world, asked, fault, operation)) ??
    shown(world, fault, await answerOf(world, asked, { route, caller, query, bytes: request.body }));
  if ('answer' in reaction) call.status = reaction.answer.status;
  return reaction;
}

function calledOperation(route: Found, caller: Caller): Operation | 'unknown' {
  if (route === 'healthstatus') return route;
  if (caller === 'anonymous') return 'challenge';
  return typeof route === 'string' ? 'unknown' : route.operation;
}

function keyIdOf({ keys, uri }: HandlerWorld, route: Found): string | null {
  if (typeof route === 'string' || route.name === null) return null;
  const { name, version } = route;
  const key = keys.find(name, version);
  if (key !== undefined) return idOf(uri, key);
  return version === null ? `${uri}/keys/${name}` : idOf(uri, { name, version });
}

/** The faults that let an answer be made and then spoil it. */
function shown(world: HandlerWorld, fault: Fault | undefined, answer: Answer): Reaction {
  if (fault?.fault === 'hangBody') return { act: 'headersOnly', answer };
  return { act: 'answer', answer: fault?.fault === 'wrongKid' ? withForeignKid(answer, world.newId()) : answer };
}

/** Another version in the id of the key that the answer names; the length stays, so the headers still fit. */
function withForeignKid(answer: Answer, uuid: string): Answer {
  return { ...answer, body: answer.body.replace(/("kid":"[^"]*\/)[0-9a-f]{32}"/, `$1${uuid.replaceAll('-', '')}"`) };
}

interface Arrived {
  readonly route: Found;
  readonly caller: Caller;
  readonly query: string;
  readonly bytes: Buffer | undefined;
}

const notFoundTitle = '404 - File or directory not found.';
const notFoundPage = `<!DOCTYPE html><html><head><title>${notFoundTitle}</title></head><body><h2>${notFoundTitle}</h2></body></html>`;

async function answerOf(world: HandlerWorld, asked: Asked, { route, caller, query, bytes }: Arrived): Promise<Answer> {
  const { shaper } = world;
  if (route === 'unknownPath') return shaper.plain(asked, 404, 'text/html', notFoundPage);
  // Answered to anyone, with four bytes (facts, key-vault-behaviour 3.5).
  if (route === 'healthstatus') return shaper.json(asked, 200, true);
  if (caller === 'anonymous') return shaper.error(asked, errors.missingToken);
  if (isError(caller)) return shaper.error(asked, caller);
  if (route === 'wrongMethod') return shaper.error(asked, errors.methodNotAllowed);
  if (bytes === undefined) return shaper.error(asked, errors.bodyTooLarge);
  const outcome = await perform(world, caller, route, { query: new URLSearchParams(query), body: readBody(bytes) });
  if (outcome === null) return shaper.plain(asked, 204, '', '');
  return isError(outcome) ? shaper.error(asked, outcome) : shaper.json(asked, 200, outcome);
}

interface Asking {
  readonly query: URLSearchParams;
  readonly body: RequestBody;
}

const apiVersions = /^(7\.[0-6](-preview\.\d+)?|20\d\d-\d\d-\d\d)$/;
const keyName = /^[A-Za-z0-9-]{1,127}$/;

async function perform(
  world: HandlerWorld,
  caller: TokenClaims,
  route: Route,
  { query, body }: Asking,
): Promise<object | null | VaultError> {
  const { operation, version } = route;
  const name = route.name ?? '';
  const apiVersion = query.get('api-version') ?? '';
  if (!apiVersions.test(apiVersion)) return errors.unknownApiVersion(apiVersion);
  if (route.name !== null && !keyName.test(name)) return errors.invalidProperty;
  const key = world.keys.find(name, version);
  const refusal = gate(world, caller, route, key);
  if (refusal !== undefined) return refusal;
  if (!isCryptoOperation(operation)) return keyRequests[operation](world, { name, version, query, body });
  if (key === undefined) return errors.keyNotFound(name, version);
  return usageRefusal(key, operation, world.clock()) ?? useKey(world.uri, key, operation, body);
}

/** What stands before every operation: the limits, then the caller's rights. Creating draws from a limit of its own. */
function gate(world: HandlerWorld, caller: TokenClaims, { operation, name }: Route, key: KeyVersion | undefined): VaultError | undefined {
  const creates = operation === 'create' || operation === 'rotate';
  const weighed = key && { bits: key.material.bits, hsm: key.hsm };
  if (!creates && world.limits?.drawOperation(weighed) === false) return errors.throttled;
  if (world.access.allows(caller.principal, operation)) return undefined;
  return errors.accessDenied(world.label, operation, caller, { key: name ?? '', activityId: world.newId() });
}

function readBody(bytes: Buffer): RequestBody {
  if (bytes.length === 0) return undefined;
  try {
    const parsed: unknown = JSON.parse(bytes.toString());
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}
