import type { ManagedIdentityCredential } from '@azure/identity';
import type { Fault } from '../domain/fault.ts';
import { instant, millis, plus, span, type Instant, type Millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import { beforeDeadline } from './deadline.ts';
import { fault } from './fault.ts';
import { readJson } from './json.ts';
import { endpointClient, takeAnswer, type EndpointAnswer } from './identity/token-endpoint.ts';
import { classifyTokenFailure } from './identity/token-fault.ts';

export type TokenAnswer = { readonly ok: true; readonly token: string } | { readonly ok: false; readonly fault: Fault };

export interface IdentitiesOptions {
  readonly clock: Clock;
  /** Client id of the broker's own identity where that is a user-assigned one; default null: the system-assigned identity. */
  readonly ownClientId?: string | null;
  /** How long after a failed renewal, or a renewal out of turn, the next may be tried; default 30 s. The endpoint throttles. */
  readonly renewalPauseMs?: Millis;
}

/**
 * Tokens of the broker's managed identities, one a client id and resource. The last good token is used until it expires, so that an outage of the
 * token source stops nothing before; from its half-life on it is renewed in the background.
 */
export interface Identities {
  /**
   * At once, without a promise, in the healthy case. `within` ends the wait, not the request, which others may share.
   * @param identity client id; null: the broker's own.
   * @param scope e.g. `https://vault.azure.net/.default`.
   */
  token(identity: string | null, scope: string, within: Millis): TokenAnswer | Promise<TokenAnswer>;
  /** A token acquired after `refused` was: for a service that does not take that one. It may be the same again, since the platform caches too. */
  renew(identity: string | null, refused: { readonly scope: string; readonly token: string }, within: Millis): Promise<TokenAnswer>;
}

/** Managed-identity tokens through `@azure/identity`, loaded when the first is asked for. */
export function createIdentities({ clock, ownClientId = null, renewalPauseMs = millis(30_000) }: IdentitiesOptions): Identities {
  /** By client id, null for the system-assigned identity, and scope. */
  const sources = new Map<string | null, Map<string, TokenSource>>();

  function sourceOf(identity: string | null, scope: string): TokenSource {
    const clientId = identity ?? ownClientId;
    const own = sources.get(clientId) ?? new Map<string, TokenSource>();
    const known = own.get(scope);
    if (known) return known;
    const source = new TokenSource(clock, { clientId, scope, renewalPauseMs });
    sources.set(clientId, own.set(scope, source));
    return source;
  }

  return {
    token: (identity, scope, within) => sourceOf(identity, scope).token(within),
    renew: (identity, { scope, token }, within) => sourceOf(identity, scope).renew(token, within),
  };
}

interface HeldToken {
  readonly token: string;
  readonly renewAt: Instant;
  /** A little before the service would refuse it. */
  readonly usableUntil: Instant;
}

/** A token is not used in the last moments of its life: it has a way to go, and clocks differ. */
const expiryMargin = millis(-5_000);

/** Longer than a healthy endpoint needs, and shorter than a request of a caller may take (C5), so that one hung connection fails no one twice. */
const seemsHungMs = 4_000;

const tooLate: TokenAnswer = { ok: false, fault: fault('identityOutage', 'no token was there in time', { code: 'DEADLINE' }) };

class TokenSource {
  readonly #clock: Clock;
  readonly #clientId: string | null;
  readonly #scope: string;
  readonly #renewalPauseMs: Millis;
  #credential: Promise<ManagedIdentityCredential> | undefined;
  #held: HeldToken | undefined;
  #underWay: Promise<TokenAnswer> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, options: { readonly clientId: string | null; readonly scope: string; readonly renewalPauseMs: Millis }) {
    this.#clock = clock;
    this.#clientId = options.clientId;
    this.#scope = options.scope;
    this.#renewalPauseMs = options.renewalPauseMs;
  }

  token(within: Millis): TokenAnswer | Promise<TokenAnswer> {
    const now = this.#clock.now();
    const held = this.#held;
    if (!held || now >= held.usableUntil) return this.#waitFor(this.#acquire(), within);
    // Not awaited: the answer is a value, never a rejection, so that an outage of the token source cannot end the process (facts 8.7).
    if (now >= held.renewAt && this.#mayRenew()) void this.#acquire();
    return { ok: true, token: held.token };
  }

  renew(refused: string, within: Millis): Promise<TokenAnswer> {
    const held = this.#held;
    const paused = this.#underWay === undefined && !this.#mayRenew();
    if (held && (held.token !== refused || paused)) return Promise.resolve({ ok: true, token: held.token });
    this.#pause();
    return this.#waitFor(this.#acquire(), within);
  }

  #mayRenew(): boolean {
    return this.#clock.elapsed() >= this.#notBefore;
  }

  #pause(): void {
    this.#notBefore = this.#clock.elapsed() + this.#renewalPauseMs;
  }

  async #waitFor(answer: Promise<TokenAnswer>, within: Millis): Promise<TokenAnswer> {
    return (await beforeDeadline(answer, within)) ?? tooLate;
  }

  /** Whoever comes meanwhile shares the request that is under way. One that seems to hang is left alone, since it may only be slow, and another is made. */
  #acquire(): Promise<TokenAnswer> {
    const now = this.#clock.elapsed();
    if (this.#underWay && now - this.#askedAt < seemsHungMs) return this.#underWay;
    const asked = this.#ask().finally(() => {
      if (this.#underWay === asked) this.#underWay = undefined;
    });
    this.#askedAt = now;
    this.#underWay = asked;
    return asked;
  }

  async #ask(): Promise<TokenAnswer> {
    const resource = this.#scope.replace(/\/\.default$/, '');
    takeAnswer(this.#clientId, resource);
    try {
      this.#credential ??= loadCredential(this.#clientId);
      const { token, expiresOnTimestamp } = await (await this.#credential).getToken(this.#scope);
      // A source that is not asked for a resource by name (a federated token on Kubernetes) has no such answer, and the SDK's own time is right.
      this.#hold(token, readExpiry(takeAnswer(this.#clientId, resource)) ?? instant(expiresOnTimestamp));
      return { ok: true, token };
    } catch {
      // What is thrown is the SDK's guess; the answer of the endpoint is what happened (facts 5.2).
      return this.#failed(takeAnswer(this.#clientId, resource));
    }
  }

  #hold(token: string, expiresOn: Instant): void {
    const now = this.#clock.now();
    const halfLife = millis(span(now, expiresOn) / 2);
    this.#held = { token, renewAt: plus(now, halfLife), usableUntil: plus(expiresOn, expiryMargin) };
  }

  #failed(answer: EndpointAnswer | undefined): TokenAnswer {
    this.#pause();
    return { ok: false, fault: classifyTokenFailure(answer) };
  }
}

async function loadCredential(clientId: string | null): Promise<ManagedIdentityCredential> {
  const { ManagedIdentityCredential: Credential } = await import('@azure/identity');
  const options = { httpClient: endpointClient, retryOptions: { maxRetries: 0 } };
  return clientId === null ? new Credential(options) : new Credential({ ...options, clientId });
}

/** `expires_on` of a success: seconds since the epoch, as text or number (facts 5.2). */
function readExpiry(answer: EndpointAnswer | undefined): Instant | undefined {
  const seconds = Number(readJson(answer?.body)?.['expires_on']);
  return Number.isFinite(seconds) && seconds > 0 ? instant(seconds * 1000) : undefined;
}
