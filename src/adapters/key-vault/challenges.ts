import type { Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { beforeDeadline } from '../deadline.ts';
import { parseChallenge, type Challenge } from './challenge.ts';
import { isKeyVaults, type Question } from './classify.ts';
import type { Transport } from './transport.ts';
import { brokenOff, type WireResult } from './wire.ts';

export interface ChallengesOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Longest time that the discovery of a challenge may take, in milliseconds; callers share it and have deadlines of their own. */
  readonly discoveryMs: Millis;
}

/** The challenge, or what came instead of one. */
export type Discovery = { readonly challenge: Challenge } | { readonly challenge: undefined; readonly result: WireResult };

/** The challenges of the vaults: each vault is asked once, by a request with neither token nor body, and its answer is remembered. */
export class Challenges {
  readonly #options: ChallengesOptions;
  readonly #known = new Map<string, Challenge>();
  readonly #underWay = new Map<string, Promise<WireResult>>();

  constructor(options: ChallengesOptions) {
    this.#options = options;
  }

  known(vaultUri: string): Challenge | undefined {
    return this.#known.get(vaultUri);
  }

  /** A vault that moved to another tenant says so in the challenge of a later 401 (T02). */
  learn(vaultUri: string, header: string | undefined): void {
    const challenge = parseChallenge(header);
    if (challenge && challenge.header !== this.#known.get(vaultUri)?.header) this.#known.set(vaultUri, challenge);
  }

  /** One that the SDK refuses is not believed for good: the next call asks anew. */
  forget(vaultUri: string, challenge: Challenge): void {
    if (this.#known.get(vaultUri) === challenge) this.#known.delete(vaultUri);
  }

  /** Asks at the address of the operation itself, as a firewall or a fault of one operation answers there what it will answer to the call. */
  async discover(vaultUri: string, question: Question, within: Millis): Promise<Discovery> {
    const { clock } = this.#options;
    const sentAt = clock.now();
    const result = await beforeDeadline(this.#ask(vaultUri, question), within);
    const challenge = this.#known.get(vaultUri);
    if (challenge) return { challenge };
    const late = { sentAt, receivedAt: clock.now(), status: null, headers: {}, body: null, errno: brokenOff.deadline };
    return { challenge: undefined, result: result ?? late };
  }

  #ask(vaultUri: string, question: Question): Promise<WireResult> {
    const underWay = this.#underWay.get(vaultUri) ?? this.#send(vaultUri, question);
    this.#underWay.set(vaultUri, underWay);
    return underWay;
  }

  async #send(vaultUri: string, question: Question): Promise<WireResult> {
    const { transport, discoveryMs } = this.#options;
    const { operation, keyId } = question;
    const path = operation === 'get' ? '' : `/${operation.toLowerCase()}`;
    const request = {
      method: operation === 'get' ? 'GET' : 'POST',
      url: `${keyId}${path}?api-version=${apiVersion}`,
      headers: { accept: 'application/json' },
      body: undefined,
    };
    const result = await transport.send(request, discoveryMs);
    this.#underWay.delete(vaultUri);
    // A Managed HSM's challenge carries none of Key Vault's headers (facts 3.1.1); its resource is verified by the SDK like any other.
    if (result.status === 401 && (question.kind === 'managedHsm' || isKeyVaults(result))) {
      this.learn(vaultUri, result.headers['www-authenticate']);
    }
    return result;
  }
}

/** Any that the service takes: the answer is a refusal. */
const apiVersion = '7.6';
