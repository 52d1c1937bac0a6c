import type { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { Dek, type WrappedDek } from '../../domain/dek.ts';
import type { Fault } from '../../domain/fault.ts';
import { parseKeyId, type KeyFacts, type KeyOperation, type UnwrapAlgorithm, type WrapAlgorithm } from '../../domain/key.ts';
import { millis, type Instant, type Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { heldBack } from '../../ports/vault.ts';
import type { KeyTarget, Reply, VaultPort } from '../../ports/vault.ts';
import { fault } from '../fault.ts';
import type { Identities, TokenAnswer } from '../identity.ts';
import type { Challenge } from './challenge.ts';
import { Challenges } from './challenges.ts';
import { classify, mayBeStale, nameGone, readSuccess, refusedLocally, type Question } from './classify.ts';
import { createClients, type Clients } from './clients.ts';
import { Exchange } from './exchange.ts';
import { readKeyFacts } from './key-facts.ts';
import type { SecondResolver } from './resolver.ts';
import { brokenOff } from './transport.ts';
import type { Transport, WireResult } from './transport.ts';

export interface KeyVaultsOptions {
  readonly transport: Transport;
  readonly identities: Identities;
  readonly resolver: SecondResolver;
  readonly clock: Clock;
  /** How many SDK clients are kept, one a key; default 4096. */
  readonly maxClients?: number;
  /** Longest time that the first meeting with a vault may take, in milliseconds; default 2 s. */
  readonly discoveryMs?: Millis;
}

/** Key Vault and Managed HSM through the stock SDK, over a transport that the adapter owns. */
export function createKeyVaults(options: KeyVaultsOptions): VaultPort {
  return new KeyVaults(options);
}

/** How one operation uses an SDK client. */
interface Operation<C, T> {
  readonly name: KeyOperation;
  readonly client: (challenge: Challenge) => C | Promise<C>;
  /** Makes the SDK's one call and reads its value; undefined where the answer is unfit. */
  readonly send: (client: C, exchange: Exchange, challenge: Challenge) => Promise<T | undefined>;
}

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

/** What is needed before anything secret may leave: a client that has verified the challenge, and a token for the resource that it names. */
interface Ready<C> {
  readonly client: C;
  readonly challenge: Challenge;
  readonly token: string;
}

type Sent<T> = { readonly result: WireResult | undefined; readonly value: T | undefined };

class KeyVaults implements VaultPort {
  readonly #options: KeyVaultsOptions;
  readonly #clock: Clock;
  readonly #clients: Clients;
  readonly #challenges: Challenges;

  constructor(options: KeyVaultsOptions) {
    const { transport, clock, maxClients = 4096, discoveryMs = millis(2000) } = options;
    this.#options = options;
    this.#clock = clock;
    this.#clients = createClients(maxClients);
    this.#challenges = new Challenges({ transport, clock, discoveryMs });
  }

  wrap(target: KeyTarget, dek: Dek, algorithm: WrapAlgorithm, within: Millis): Promise<Reply<WrappedDek>> {
    const operation: Operation<CryptographyClient, WrappedDek> = {
      name: 'wrapKey',
      client: (challenge) => this.#clients.cryptography(target.keyId, challenge),
      send: async (client, { signal }) => (await client.wrapKey(algorithm, dek.reveal(), { abortSignal: signal })).result,
    };
    return this.#call(target, operation, within);
  }

  unwrap(target: KeyTarget, wrapped: WrappedDek, algorithm: UnwrapAlgorithm, within: Millis): Promise<Reply<Dek>> {
    const operation: Operation<CryptographyClient, Dek> = {
      name: 'unwrapKey',
      client: (challenge) => this.#clients.cryptography(target.keyId, challenge),
      // The SDK keeps no reference to the bytes that it returns: they are the Dek's own.
      send: async (client, { signal }) => new Dek((await client.unwrapKey(algorithm, wrapped, { abortSignal: signal })).result),
    };
    return this.#call(target, operation, within);
  }

  get(target: KeyTarget, within: Millis): Promise<Reply<KeyFacts>> {
    const { keyId, vault } = target;
    const operation: Operation<KeyClient, KeyFacts> = {
      name: 'get',
      client: (challenge) => this.#clients.keys(vault.uri, challenge),
      async send(client, exchange, { tenant }) {
        const { name = '', version = '' } = parseKeyId(keyId) ?? {};
        await client.getKey(name, { version, abortSignal: exchange.signal });
        const region = exchange.result?.headers['x-ms-keyvault-region'];
        return (
          exchange.success && readKeyFacts(exchange.success, { keyId, tenant, vaultRegion: typeof region === 'string' ? region : null })
        );
      },
    };
    return this.#call(target, operation, within);
  }

  async #call<C, T>(target: KeyTarget, operation: Operation<C, T>, within: Millis): Promise<Reply<T>> {
    const started = this.#clock.elapsed();
    const question = { operation: operation.name, keyId: target.keyId, kind: target.vault.kind };
    const trip: Trip = { target, question, startedAt: this.#clock.now(), started, deadline: started + within, tokenMs: 0 };
    if (!target.keyId.startsWith(`${target.vault.uri}/keys/`)) {
      return this.#refused(trip, refusedLocally('KeyNotInVault', 'the key id does not belong to the vault'));
    }
    const ready = await this.#prepare(trip, operation);
    if ('ok' in ready) return ready;
    const first = await this.#send(trip, operation, ready);
    if (first.result === undefined || !mayBeStale(first.result, question)) return this.#reply(trip, first);
    const renewed = await this.#renew(trip, operation, { ready, header: first.result.headers['www-authenticate'] });
    return this.#reply(trip, renewed ? await this.#send(trip, operation, renewed) : first);
  }

  /** Challenge, client, token, in this order: no token is asked for, let alone sent, for a resource that the SDK has not verified (K3). */
  async #prepare<C, T>(trip: Trip, operation: Operation<C, T>): Promise<Ready<C> | Reply<T>> {
    const { target, question } = trip;
    let challenge = this.#challenges.known(target.vault.uri);
    if (challenge === undefined) {
      const discovery = await this.#challenges.discover(target.vault.uri, question, this.#left(trip));
      if (discovery.challenge === undefined) return this.#reply<T>(trip, { result: discovery.result, value: undefined });
      challenge = discovery.challenge;
    }
    const client = await this.#client(trip, operation, challenge);
    if (client === undefined) {
      return this.#refused(
        trip,
        refusedLocally('ChallengeRefused', "the vault's challenge names a resource that its host does not belong to"),
      );
    }
    const answer = this.#options.identities.token(target.identity, challenge.scope, this.#left(trip));
    const token = answer instanceof Promise ? await this.#timed(trip, answer) : answer;
    if (!token.ok) return this.#refused(trip, token.fault);
    if (this.#left(trip) <= 0)
      return this.#refused(trip, fault('identityOutage', 'the token came too late for the call', { code: 'DEADLINE' }));
    return { client, challenge, token: token.token };
  }

  /** Undefined where the SDK refuses the challenge. */
  async #client<C, T>(trip: Trip, operation: Operation<C, T>, challenge: Challenge): Promise<C | undefined> {
    try {
      return await operation.client(challenge);
    } catch {
      this.#challenges.forget(trip.target.vault.uri, challenge);
      return undefined;
    }
  }

  async #send<C, T>(trip: Trip, operation: Operation<C, T>, { client, challenge, token }: Ready<C>): Promise<Sent<T>> {
    const { question, deadline } = trip;
    const exchange = new Exchange({
      transport: this.#options.transport,
      clock: this.#clock,
      keyId: question.keyId,
      token,
      deadline,
      mayLeave: trip.target.mayLeave,
      accept: (result) => readSuccess(result, question),
    });
    try {
      const value = await operation.send(client, exchange, challenge);
      return { result: exchange.result, value };
    } catch {
      // What the SDK throws may quote the body (facts 2.3), and says less than the exchange does.
      return { result: exchange.result, value: undefined };
    }
  }

  /** After a 401: the challenge that came with it, and one newly acquired token. Undefined: neither helps, the 401 stands. */
  async #renew<C, T>(
    trip: Trip,
    operation: Operation<C, T>,
    refused: { ready: Ready<C>; header: string | undefined },
  ): Promise<Ready<C> | undefined> {
    const { target } = trip;
    const { challenge: met, token } = refused.ready;
    this.#challenges.learn(target.vault.uri, refused.header);
    const challenge = this.#challenges.known(target.vault.uri) ?? met;
    const client = await this.#client(trip, operation, challenge);
    if (client === undefined || this.#left(trip) <= 0) return undefined;
    const renewal = this.#options.identities.renew(target.identity, { scope: challenge.scope, token }, this.#left(trip));
    const renewed = await this.#timed(trip, renewal);
    return renewed.ok && this.#left(trip) > 0 ? { client, challenge, token: renewed.token } : undefined;
  }

  async #reply<T>(trip: Trip, { result, value }: Sent<T>): Promise<Reply<T>> {
    if (result === undefined) return this.#refused(trip, refusedLocally('SdkRefused', 'the SDK refused the call before it was sent'));
    if (result.errno === brokenOff.heldBack)
      return this.#refused(trip, fault('ambiguous', 'the call was held back before it was sent', { code: heldBack }));
    const { sentAt, receivedAt } = result;
    if (value !== undefined) return { ok: true, value, sentAt, receivedAt, ms: this.#spent(trip) };
    const reason = await this.#reason(trip, result);
    return { ok: false, fault: reason, sentAt, receivedAt, ms: this.#spent(trip) };
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
