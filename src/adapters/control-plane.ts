import { latest, millis } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import type { Clock } from '../ports/clock.ts';
import type { ControlPlane } from '../ports/control-plane.ts';
import { beforeDeadline } from './deadline.ts';
import type { Identities } from './identity.ts';
import { readJson } from './json.ts';

export interface ControlPlaneOptions {
  readonly clock: Clock;
  readonly identities: Identities;
  /** Origin of Azure Resource Manager, e.g. `https://management.azure.com`; null: it may not be read, and every answer is `unknown`. */
  readonly endpoint: string | null;
  /** Scope of its tokens; default `https://management.azure.com/.default`. */
  readonly scope?: string;
  /** How long an answer is remembered; default 30 s (F9). */
  readonly rememberMs?: Millis;
  /** For how long nobody asks again where none came, so that a control plane in trouble is left in peace; default 2 s. */
  readonly unknownMs?: Millis;
  /** Longest time that one question may take; callers share it and have deadlines of their own; default 5 s. */
  readonly timeoutMs?: Millis;
}

type Status = 'exists' | 'deleted' | 'unknown';

/** A question, shared by all who ask while it is under way or its answer stands. */
interface Question {
  readonly status: Promise<Status>;
  /** It was put for outages that began no later than this, by whatever clock. */
  readonly covers: Instant;
  /** Monotonic time until which its answer stands. */
  until: number;
  /** No answer came: that holds for any outage, so that a control plane in trouble is left in peace. */
  unanswered: boolean;
  /** Who waited had no answer in time: until one comes nobody else waits, so that a silent control plane slows one failover down, not all. */
  silent: boolean;
}

/** Azure's list of deleted vaults, read with the broker's own identity (`Microsoft.KeyVault/vaults/read`). */
export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { clock, endpoint, rememberMs = millis(30_000), unknownMs = millis(2000) } = options;
  const questions = new Map<string, Question>();

  /** One question a vault at a time: this one is put when the one before is answered. */
  function put(before: Question | undefined, since: Instant | null, ask: () => Promise<Status>): Question {
    const settled = async (): Promise<Status> => {
      await before?.status;
      const putAt = clock.elapsed();
      const status = await ask();
      question.unanswered = status === 'unknown';
      question.silent &&= question.unanswered;
      question.until = question.unanswered ? clock.elapsed() + unknownMs : putAt + rememberMs;
      return status;
    };
    // Whoever stamped the outage may have a clock that is ahead of this one.
    const covers = latest(clock.now(), since) ?? clock.now();
    // That it was silent long ago says nothing of today.
    const silent = before !== undefined && before.silent && clock.elapsed() < before.until + rememberMs;
    const question: Question = { status: settled(), covers, until: Infinity, unanswered: false, silent };
    return question;
  }

  function stands({ until, covers, unanswered }: Question, since: Instant | null): boolean {
    return clock.elapsed() < until && (unanswered || since === null || covers >= since);
  }

  return {
    async vaultStatus(vault, within, since) {
      if (endpoint === null) return 'unknown';
      const known = questions.get(vault.uri);
      const question = known !== undefined && stands(known, since) ? known : put(known, since, () => ask(vault, endpoint, options));
      questions.set(vault.uri, question);
      const status = await beforeDeadline(question.status, question.silent ? millis(0) : within);
      question.silent ||= status === undefined;
      return status ?? 'unknown';
    },
  };
}

/** Never rejects. */
async function ask(vault: Vault, endpoint: string, options: ControlPlaneOptions): Promise<Status> {
  const { identities, scope = 'https://management.azure.com/.default', timeoutMs = millis(5000) } = options;
  try {
    const url = deletedVaultUrl(vault, endpoint);
    if (url.protocol !== 'https:' && url.hostname !== '127.0.0.1') return 'unknown'; // No token leaves this machine in the clear.
    const token = await identities.token(null, scope, timeoutMs);
    if (!token.ok) return 'unknown';
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token.token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    return readStatus(response.status, await response.text());
  } catch {
    return 'unknown';
  }
}

/** The vault's name in Azure is the first label of its host; the broker's name for it may be another. */
function deletedVaultUrl({ uri, kind, subscriptionId, region }: Vault, endpoint: string): URL {
  const [name = ''] = new URL(uri).hostname.split('.');
  const list = kind === 'managedHsm' ? 'deletedManagedHSMs' : 'deletedVaults';
  const path = ['subscriptions', subscriptionId, 'providers', 'Microsoft.KeyVault', 'locations', region, list, name];
  return new URL(`/${path.map(encodeURIComponent).join('/')}?api-version=2026-02-01`, endpoint);
}

/** 404 says that the vault is not among the deleted ones, unless what was not found is the subscription or the provider. */
function readStatus(status: number, body: string): Status {
  if (status === 200) return readJson(body) === undefined ? 'unknown' : 'deleted';
  if (status !== 404) return 'unknown';
  const code = readJson(readJson(body)?.['error'])?.['code'];
  return typeof code === 'string' && /subscription|provider|location/i.test(code) ? 'unknown' : 'exists';
}
