import { Dek, type WrappedDek } from '../../domain/dek.ts';
import type { Fault } from '../../domain/fault.ts';
import type { KeyFacts, KeyOperation, UnwrapAlgorithm, WrapAlgorithm } from '../../domain/key.ts';
import { millis, type Instant, type Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { heldBack } from '../../ports/vault.ts';
import type { KeyTarget, Reply, VaultPort } from '../../ports/vault.ts';
import { fault } from '../fault.ts';
import type { Identities, TokenAnswer } from '../identity.ts';
import type { Challenge } from './challenge.ts';
import { Challenges } from './challenges.ts';
import { classify, mayBeStale, nameGone, readSuccess, refusedLocally, type Question } from './classify.ts';
import { readKeyFacts } from './key-facts.ts';
import { createRequestTemplates, UnfitRequest, type RequestTemplate } from './request-templates.ts';
import type { SecondResolver } from './resolver.ts';
import type { Transport } from './transport.ts';
import { brokenOff, type WireResult } from './wire.ts';

export interface KeyVaultsOptions {
  readonly transport: Transport;
  readonly identities: Identities;
  readonly resolver: SecondResolver;
  readonly clock: Clock;
  /** Longest time that the first meeting with a vault may take, in milliseconds; default 2 s. */
  readonly discoveryMs?: Millis;
}

/** Key Vault and Managed HSM with the requests of the stock SDK, over a transport that the adapter owns. */
export function createKeyVaults(options: KeyVaultsOptions): VaultPort {
  return new KeyVaults(options);
}

/** What one operation sends, and what it makes of a success. */
interface Operation<T> {
  readonly name: KeyOperation;
  /** Made when it is sent, as it may hold a DEK; absent where nothing is sent but the address. */
  readonly body?: () => string;
  /** Undefined where the answer is unfit. */
  readonly read: (success: JsonObject, result: WireResult, challenge: Challenge) => T | undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** One call of the port on its way. */
interface Trip {
  readonly target: KeyTarget;
  readonly question: Question;
  readonly startedAt: Instant;
  /** Both by `Clock.elapsed`. */
  readonly started: number;
  readonly deadline: number;
  /** How much of the time the token source took, in milliseconds. */
  tokenMs: number;
}

/** What is needed before anything secret may leave: a verified challenge, the request that the SDK made by it, a token for the resource it names. */
interface Ready {
  readonly template: RequestTemplate;
  readonly challenge: Challenge;
  readonly token: string;
}

type Prepared<T> = Ready | Reply<T>;

interface Sent<T> {
  readonly result: WireResult;
  readonly value: T | undefined;
}

class KeyVaults implements VaultPort {
  readonly #options: KeyVaultsOptions;
  readonly #clock: Clock;
  readonly #templates = createRequestTemplates();
  readonly #challenges: Challenges;

  constructor(options: KeyVaultsOptions) {
    const { transport, clock, discoveryMs = millis(2000) } = options;
    this.#options = options;
    this.#clock = clock;
    this.#challenges = new Challenges({ transport, clock, discoveryMs });
  }

  wrap(target: KeyTarget, dek: Dek, algorithm: WrapAlgorithm, within: Millis): Promise<Reply<WrappedDek>> {
    const body = (): string => parameters(algorithm, dek.reveal());
    return this.#call(target, { name: 'wrapKey', body, read: ({ value }) => bytesOf(value) }, within);
  }

  unwrap(target: KeyTarget, wrapped: WrappedDek, algorithm: UnwrapAlgorithm, within: Millis): Promise<Reply<Dek>> {
    const body = (): string => parameters(algorithm, wrapped);
    return this.#call(target, { name: 'unwrapKey', body, read: ({ value }) => Dek.decode(String(value)) }, within);
  }

  get(target: KeyTarget, within: Millis): Promise<Reply<KeyFacts>> {
    const { keyId } = target;
    const read: Operation<KeyFacts>['read'] = (success, { headers }, { tenant }) => {
      const region = headers['x-ms-keyvault-region'];
      return readKeyFacts(success, { keyId, tenant, vaultRegion: typeof region === 'string' ? region : null });
    };
    return this.#call(target, { name: 'get', read }, within);
  }

  async #call<T>(target: KeyTarget, operation: Operation<T>, within: Millis): Promise<Reply<T>> {
    const started = this.#clock.elapsed();
    const question = { operation: operation.name, keyId: target.keyId, kind: target.vault.kind };
    const trip: Trip = { target, question, startedAt: this.#clock.now(), started, deadline: started + within, tokenMs: 0 };
    if (!target.keyId.startsWith(`${target.vault.uri}/keys/`)) {
      return this.#refused(trip, refusedLocally('KeyNotInVault', 'the key id does not belong to the vault'));
    }
    const made = this.#prepare<T>(trip);
    const ready = made instanceof Promise ? await made : made;
    if ('ok' in ready) return ready;
    const first = await this.#send(trip, operation, ready);
    if (!mayBeStale(first.result, question)) return this.#answer(trip, first);
    const renewed = await this.#renew(trip, { ready, header: first.result.headers['www-authenticate'] });
    return this.#answer(trip, renewed ? await this.#send(trip, operation, renewed) : first);
  }

  /**
   * Challenge, template, token, in this order: no token is asked for, let alone sent, for a resource that the SDK has not verified (K3). Each
   * at once if it is there, as it is for all calls but the first.
   */
  #prepare<T>(trip: Trip): Prepared<T> | Promise<Prepared<T>> {
    const challenge = this.#challenges.known(trip.target.vault.uri);
    return challenge === undefined ? this.#discover(trip) : this.#withTemplate(trip, challenge);
  }

  async #discover<T>(trip: Trip): Promise<Prepared<T>> {
    const found = await this.#challenges.discover(trip.target.vault.uri, trip.question, this.#left(trip));
    if (found.challenge !== undefined) return this.#withTemplate(trip, found.challenge);
    return this.#answer<T>(trip, { result: found.result, value: undefined });
  }

  #withTemplate(trip: Trip, challenge: Challenge): Prepared<never> | Promise<Prepared<never>> {
    const made = this.#template(trip, challenge);
    if (!(made instanceof Promise)) return this.#withToken(trip, challenge, made);
    return made.then((template) => ('class' in template ? this.#refused(trip, template) : this.#withToken(trip, challenge, template)));
  }

  #withToken(trip: Trip, challenge: Challenge, template: RequestTemplate): Prepared<never> | Promise<Prepared<never>> {
    const ready = (answer: TokenAnswer): Prepared<never> => {
      if (!answer.ok) return this.#refused(trip, answer.fault);
      if (this.#left(trip) > 0) return { template, challenge, token: answer.token };
      return this.#refused(trip, fault('identityOutage', 'the token came too late for the call', { code: 'DEADLINE' }));
    };
    const answer = this.#options.identities.token(trip.target.identity, challenge.scope, this.#left(trip));
    return answer instanceof Promise ? this.#timed(trip, answer).then(ready) : ready(answer);
  }

  /** Or the fault where the SDK refuses the challenge, or does not make the one request. At once, if it is there. */
  #template({ target: { vault }, question }: Trip, challenge: Challenge): RequestTemplate | Promise<RequestTemplate | Fault> {
    const template = this.#templates.of(question.operation, vault.uri, challenge);
    if (!(template instanceof Promise)) return template;
    return template.catch((error: unknown) => {
      if (error instanceof UnfitRequest) return refusedLocally('SdkRefused', 'the SDK does not make the one request of this operation');
      this.#challenges.forget(vault.uri, challenge);
      return refusedLocally('ChallengeRefused', "the vault's challenge names a resource that its host does not belong to");
    });
  }

  async #send<T>(trip: Trip, { body, read }: Operation<T>, { template, challenge, token }: Ready): Promise<Sent<T>> {
    const { method, suffix } = template;
    const headers = { ...template.headers, authorization: `Bearer ${token}` };
    const request = { method, url: trip.question.keyId + suffix, headers, body: body?.(), mayLeave: trip.target.mayLeave };
    const result = await this.#options.transport.send(request, this.#left(trip));
    const success = readSuccess(result, trip.question);
    return { result, value: success && read(success, result, challenge) };
  }

  /** After a 401: the challenge that came with it, and one newly acquired token. Undefined: neither helps, the 401 stands. */
  async #renew(trip: Trip, refused: { ready: Ready; header: string | undefined }): Promise<Ready | undefined> {
    const { target } = trip;
    const { challenge: met, token } = refused.ready;
    this.#challenges.learn(target.vault.uri, refused.header);
    const challenge = this.#challenges.known(target.vault.uri) ?? met;
    const template = await this.#template(trip, challenge);
    if ('class' in template || this.#left(trip) <= 0) return undefined;
    const renewal = this.#options.identities.renew(target.identity, { scope: challenge.scope, token }, this.#left(trip));
    const renewed = await this.#timed(trip, renewal);
    return renewed.ok && this.#left(trip) > 0 ? { template, challenge, token: renewed.token } : undefined;
  }

  #answer<T>(trip: Trip, { result, value }: Sent<T>): Reply<T> | Promise<Reply<T>> {
    if (result.errno === brokenOff.heldBack)
      return this.#refused(trip, fault('ambiguous', 'the call was held back before it was sent', { code: heldBack }));
    if (value === undefined) return this.#failure(trip, result);
    return { ok: true, value, sentAt: result.sentAt, receivedAt: result.receivedAt, ms: this.#spent(trip) };
  }

  async #failure(trip: Trip, result: WireResult): Promise<Reply<never>> {
    const reason = await this.#reason(trip, result);
    return { ok: false, fault: reason, sentAt: result.sentAt, receivedAt: result.receivedAt, ms: this.#spent(trip) };
  }

  async #reason(trip: Trip, result: WireResult): Promise<Fault> {
    if (result.errno === 'ENOTFOUND') {
      const { hostname } = new URL(trip.target.vault.uri);
      if ((await this.#options.resolver.confirm(hostname, this.#left(trip))) === 'gone') return nameGone;
    }
    const reason = classify(result, trip.question);
    // F1: a vault that was left less than half of the time, since the token took the rest, has not shown that it is out.
    const cutShort = result.errno === brokenOff.deadline && trip.tokenMs * 2 > trip.deadline - trip.started;
    return reason.class === 'outage' && cutShort
      ? fault('identityOutage', 'the token came too late for the call', { code: 'DEADLINE' })
      : reason;
  }

  async #timed(trip: Trip, token: Promise<TokenAnswer>): Promise<TokenAnswer> {
    const asked = this.#clock.elapsed();
    const answer = await token;
    trip.tokenMs += this.#clock.elapsed() - asked;
    return answer;
  }

  /** The call ended before anything was sent to the vault. */
  #refused(trip: Trip, reason: Fault): Reply<never> {
    return { ok: false, fault: reason, sentAt: trip.startedAt, receivedAt: this.#clock.now(), ms: this.#spent(trip) };
  }

  #left(trip: Trip): Millis {
    return millis(trip.deadline - this.#clock.elapsed());
  }

  #spent(trip: Trip): Millis {
    return millis(this.#clock.elapsed() - trip.started);
  }
}

/** The body of `wrapkey` and `unwrapkey` (REST reference of Key Vault, KeyOperationsParameters). Neither text has a letter that JSON escapes. */
function parameters(alg: WrapAlgorithm | UnwrapAlgorithm, value: Uint8Array): string {
  return `{"alg":"${alg}","value":"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64url')}"}`;
}

/** Of a success, whose value is base64url. Nobody else has these bytes. */
function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(String(value), 'base64url');
}
