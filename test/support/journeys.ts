import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { EnvironmentOptions } from '../local/environment.ts';
import { useEnvironment } from './environment.ts';
import type { Answer, Journey } from './environment.ts';

/*
 * The black-box client of the journeys: it knows the control API and the broker's HTTP contract, nothing else. Every journey has vaults,
 * keys and a server of its own, so that those of one file can share an environment, and even run side by side.
 */

/** What a test hands over so that its journey is told when it fails. */
export type OnFailure = (tell: () => void) => void;

/** One call that a vault saw. */
export interface VaultCall {
  readonly at: string;
  readonly principal: string | null;
  readonly operation: string;
  readonly keyId: string | null;
  readonly status: number | null;
}

export interface AttemptBody {
  readonly vault: string;
  readonly role: string;
  readonly class: string;
  readonly status: number | null;
  readonly vaultCode: string | null;
  readonly ms: number;
}

export interface FindingBody {
  readonly code: string;
  readonly severity: string;
  readonly server: string;
  readonly keyId: string | null;
  readonly vault: string | null;
  readonly detail: string;
  readonly action: string;
}

/** Whatever a broker answers: the members of its problems and of the results that journeys look at. */
export interface Body {
  readonly code?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly requestId?: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly attempts?: readonly AttemptBody[];
  readonly findings?: readonly FindingBody[];
  readonly errors?: readonly { readonly field: string; readonly detail: string }[];
  readonly dek?: string;
  readonly wrappedDek?: string;
  readonly keyId?: string;
  readonly thumbprint?: string;
  readonly vault?: string;
  readonly failover?: boolean;
}

export interface LinkBody {
  readonly keyId: string;
  readonly role: string;
  readonly vault: string;
  readonly thumbprint: string;
  readonly standbyOf: string | null;
  readonly latch: { readonly status: string; readonly class: string; readonly since: string; readonly witnesses: number } | null;
  readonly failoverFrom: string | null;
  readonly provenAt: string | null;
  readonly protectorFrom: string | null;
  readonly protectorTo: string | null;
}

export interface ServerBody {
  readonly name: string;
  readonly state: string;
  readonly since: string;
  readonly clock: { readonly firstDenialAt: string; readonly inaccessibleAt: string; readonly healsUntil: string } | null;
  readonly databases: { readonly GeneralPurpose: number; readonly BusinessCritical: number };
  readonly [member: string]: unknown;
}

export interface VaultBody {
  readonly name: string;
  readonly circuit: { readonly state: string; readonly since: string | null; readonly instances: Readonly<Record<string, number>> };
  readonly association: { readonly used: number; readonly limit: number };
  readonly [member: string]: unknown;
}

export interface EventBody {
  readonly id: string;
  readonly source: string;
  readonly specversion: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface PageBody<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** A vault that the environment runs and the broker knows. */
export interface OwnVault {
  readonly name: string;
  readonly uri: string;
}

/** A key and its copy in a second vault, and the server whose protector it is. */
export interface Fleet {
  readonly west: OwnVault;
  readonly north: OwnVault;
  readonly key: string;
  readonly keyId: string;
  readonly standbyKeyId: string;
  readonly thumbprint: string;
  readonly server: string;
  /** Its first database. */
  readonly database: string;
  readonly principalId: string;
}

export interface FleetOptions {
  readonly engine?: string;
  readonly identityClientId?: string;
  /** Uses the vaults of another fleet of the same journey. */
  readonly vaults?: Pick<Fleet, 'west' | 'north'>;
}

/** Which broker instance is asked; default the first one that runs. */
export interface Via {
  readonly instance?: number;
}

/** One journey: every call of it is noted, to be told if it fails. */
export interface Traveller {
  control: <T = unknown>(call: string, body?: object) => Promise<T>;
  /** A call with a token of these roles, e.g. `as('Operator', 'GET /v1/vaults')`. */
  as: <T = Body>(role: 'Operator' | 'Auditor', call: string, body?: unknown, via?: Via) => Promise<Answer<T>>;
  /** A call with the token of a server's host. */
  asHost: <T = Body>(server: string, call: string, body?: unknown, via?: Via) => Promise<Answer<T>>;
  /** A call with any token, or none. */
  call: <T = Body>(call: string, options?: { readonly token?: string; readonly body?: unknown } & Via) => Promise<Answer<T>>;
  /** One more vault, known to the broker. */
  vault: (spec: { readonly region: string; readonly geography?: string; readonly [field: string]: unknown }) => Promise<OwnVault>;
  /** Registers a server with a protector and its standby and a GeneralPurpose database, in two vaults of its own. */
  fleet: (options?: FleetOptions) => Promise<Fleet>;
  wrap: (fleet: Fleet, options?: Via & { readonly dek?: string }) => Promise<Answer<Body>>;
  unwrap: (fleet: Fleet, wrappedDek: string, options?: Via & { readonly thumbprint?: string }) => Promise<Answer<Body>>;
  /** A DEK and its wrapping by the fleet's protector. Fails if it was not the protector's own vault that wrapped it. */
  wrapped: (fleet: Fleet) => Promise<{ readonly dek: string; readonly wrappedDek: string }>;
  /** The key operations that a vault saw since its list was cleared, oldest first; challenges apart. */
  calls: (vault: OwnVault) => Promise<readonly VaultCall[]>;
  clearCalls: (...vaults: readonly OwnVault[]) => Promise<void>;
  fault: (vault: OwnVault, fault: object) => Promise<void>;
  heal: (vault: OwnVault) => Promise<void>;
  server: (fleet: Pick<Fleet, 'server'>) => Promise<ServerBody>;
  links: (fleet: Pick<Fleet, 'server'>) => Promise<readonly LinkBody[]>;
  /** The link of the fleet's protector. */
  protector: (fleet: Fleet) => Promise<LinkBody>;
  /** Events about a server or a vault, oldest first. */
  events: (subject: string) => Promise<readonly EventBody[]>;
  /** Moves the wall clock of everything: an ISO 8601 duration. */
  advance: (duration: string) => Promise<void>;
  /** Starts a pass of the `accessWatch` timer; the host answers before it ends. */
  watch: (via?: Via) => Promise<void>;
  /** Runs `accessWatch`, again and again if need be, until the condition holds; as `untilTrue`. */
  watchUntil: (what: string, look: () => Promise<boolean>, via?: Via) => Promise<void>;
}

export interface Journeys extends Journey {
  /** Begins a journey; `onTestFailed` comes from the test's context. */
  begin: (context: { readonly onTestFailed: OnFailure }) => Traveller;
}

export function randomDek(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * Asks until `look` gives something else than undefined, at most `tries` times with a short pause between.
 * @param what completes "waited for ..." in the error.
 */
export async function until<T>(what: string, look: () => Promise<T | undefined>, tries = 300): Promise<T> {
  for (let left = tries; left > 0; left -= 1) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain for ${what}`);
}

/** As `until`, for a plain condition. */
export async function untilTrue(what: string, look: () => Promise<boolean>, tries?: number): Promise<void> {
  await until(what, async () => ((await look()) ? true : undefined), tries);
}

/** Starts an environment for the journeys of a file. */
export function useJourneys(options: EnvironmentOptions = {}): Journeys {
  const defects: string[] = [];
  const onLine = (line: string): void => {
    if (/by a defect|process has ended|^broker \d+: .*Error/.test(line)) defects.push(line);
    options.onLine?.(line);
  };
  const journey = useEnvironment({ seed: false, ...options, onLine });
  let begun = 0;
  return {
    control: journey.control,
    broker: journey.broker,
    token: journey.token,
    get environment() {
      return journey.environment;
    },
    begin({ onTestFailed }) {
      const steps: string[] = [];
      onTestFailed(() => console.error([byHand(steps, options), ...defects].join('\n')));
      begun += 1;
      return travel(journey, steps, `${String(process.pid)}-${String(begun)}`);
    },
  };
}

/** What a person types to see a failed journey: the calls as they were made, secrets and tokens left out. */
function byHand(steps: readonly string[], { instances = 1, settings = {} }: EnvironmentOptions): string {
  const environment = Object.entries(settings).map(([name, value]) => `${name}=${value} `);
  return [
    'To see it by hand:',
    `  ${environment.join('')}npm start -- --instances ${String(instances)}`,
    '  CONTROL=http://127.0.0.1:7070 BROKER=http://127.0.0.1:7071    # the next instance is on 7072; vault ports are in GET $CONTROL/',
    `  token() { curl -sS $CONTROL/tokens -H 'content-type: application/json' -d "$1" | sed 's/.*:"//;s/".*//'; }`,
    ...steps.map((step) => `  ${step.replaceAll(vaultAddress, '<uri of $1>$2')}`),
  ].join('\n');
}

/** Ports and versions differ from one environment to the next. */
const vaultAddress = /https:\/\/([\w-]+)\.vault\.localhost:\d+(\/keys\/[\w-]+)?(?:\/\w+)?/g;

const secretMembers = new Set(['dek', 'wrappedDek']);

function shown(body: unknown): string {
  const text = JSON.stringify(body, (name: string, value: unknown) => {
    if (secretMembers.has(name)) return `<${name}>`;
    return Array.isArray(value) && value.length > 20 ? [...(value as unknown[]).slice(0, 3), `<${value.length - 3} more>`] : value;
  });
  return ` -H 'content-type: application/json' -d '${text}'`;
}

function curl(origin: string, call: string, { who, body }: { readonly who?: string; readonly body?: unknown }): string {
  const [method = '', path = ''] = call.split(' ');
  const token = who === undefined ? '' : ` -H "Authorization: Bearer $(token '${who}')"`;
  return `curl -sS -X ${method} "${origin}${path}"${token}${body === undefined ? '' : shown(body)}`;
}

/** Tokens are good for an hour of the environment's clock; what moves the clock empties the store. */
function travel(journey: Journey, steps: string[], name: string): Traveller {
  const tokens = new Map<string, Promise<string>>();
  let made = 0;
  const next = (what: string): string => `${what}-${name}-${String((made += 1))}`;

  function noteAnswer(at: number, answer: Answer): void {
    const { code, detail } = (answer.body ?? {}) as Body;
    steps[at] = `${steps[at] ?? ''}    # ${String(answer.status)}${code === undefined ? '' : ` ${code}: ${String(detail)}`}`;
  }

  const control: Traveller['control'] = (call, body) => {
    steps.push(curl('$CONTROL', call, { body }));
    return journey.control(call, body);
  };

  async function callAs<T>(who: object, call: string, body: unknown, via: Via = {}): Promise<Answer<T>> {
    const wish = JSON.stringify(who);
    const known = tokens.get(wish) ?? journey.token(who as { server: string });
    tokens.set(wish, known);
    const token = await known.catch((error: unknown) => {
      tokens.delete(wish);
      throw error;
    });
    const at = steps.push(curl(brokerOf(via), call, { who: wish, body })) - 1;
    const answer = await journey.broker<T>(call, { token, body, ...viaOf(via) });
    noteAnswer(at, answer);
    return answer;
  }

  /** The instance that was asked for, or the first that runs: instances are killed in some journeys. */
  function viaOf({ instance }: Via): { instance: number } {
    return { instance: instance ?? journey.environment.brokers.list()[0]?.instance ?? 0 };
  }

  const as: Traveller['as'] = (role, call, body, via) => callAs({ roles: [`KeyBroker.${role}`] }, call, body, via);
  const asHost: Traveller['asHost'] = (server, call, body, via) => callAs({ server }, call, body, via);

  async function put(path: string, body: object): Promise<void> {
    const answer = await as('Operator', `PUT /v1/${path}`, body);
    if (answer.status >= 300) throw new Error(`PUT /v1/${path}: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
  }

  async function read<T>(path: string): Promise<T> {
    const answer = await as<T>('Auditor', `GET /v1/${path}`);
    if (answer.status !== 200) throw new Error(`GET /v1/${path}: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  const subscriptionId = randomUUID();
  const vault: Traveller['vault'] = async (spec) => {
    const own = await control<OwnVault>('POST /vaults', { name: next('kv').slice(0, 24), ...spec });
    const { region, geography = 'Europe', kind } = spec;
    await put(`vaults/${own.name}`, { uri: own.uri, region, geography, subscriptionId, ...(kind !== undefined && { kind }) });
    return own;
  };

  const traveller: Traveller = {
    control,
    as,
    asHost,
    vault,

    async call(call, { token, body, ...via } = {}) {
      const at = steps.push(curl(brokerOf(via), call, { body, ...(token !== undefined && { who: 'the token of this case' }) })) - 1;
      const answer = await journey.broker(call, { body, ...(token !== undefined && { token }), ...viaOf(via) });
      noteAnswer(at, answer);
      return answer as never;
    },

    async fleet({ engine = 'sql', identityClientId, vaults } = {}) {
      const west = vaults?.west ?? (await vault({ region: 'westeurope' }));
      const north = vaults?.north ?? (await vault({ region: 'northeurope' }));
      const key = next('key');
      const { keyId, thumbprint } = await control<{ keyId: string; thumbprint: string }>(`POST /vaults/${west.name}/keys`, { name: key });
      const copy = await control<{ keyId: string }>(`POST /vaults/${west.name}/keys/${key}/copy`, { to: north.name });
      const server = next('server');
      const principalId = randomUUID();
      await put(`servers/${server}`, {
        engine,
        region: 'westeurope',
        principalId,
        ...(identityClientId !== undefined && { identityClientId }),
      });
      await put(`servers/${server}/protector`, { keyId, standbyKeyIds: [copy.keyId] });
      await put(`servers/${server}/databases/orders`, { tier: 'GeneralPurpose' });
      await traveller.clearCalls(west, north);
      return { west, north, key, keyId, standbyKeyId: copy.keyId, thumbprint, server, database: 'orders', principalId };
    },

    wrap: (fleet, { dek = randomDek(), ...via } = {}) =>
      asHost(fleet.server, `POST /v1/servers/${fleet.server}/databases/${fleet.database}/wrap`, { dek }, via),

    unwrap: (fleet, wrappedDek, { thumbprint = fleet.thumbprint, ...via } = {}) =>
      asHost(fleet.server, `POST /v1/servers/${fleet.server}/databases/${fleet.database}/unwrap`, { wrappedDek, thumbprint }, via),

    async wrapped(fleet) {
      const dek = randomDek();
      const { status, body } = await traveller.wrap(fleet, { dek });
      expect({ status, vault: body.vault, failover: body.failover }).toEqual({ status: 200, vault: fleet.west.name, failover: false });
      return { dek, wrappedDek: body.wrappedDek ?? '' };
    },

    async calls({ name: vaultName }) {
      const { items } = await control<PageBody<VaultCall>>(`GET /vaults/${vaultName}/calls`);
      return items.filter(({ operation }) => operation !== 'challenge');
    },

    async clearCalls(...vaults) {
      for (const { name: vaultName } of vaults) await control(`DELETE /vaults/${vaultName}/calls`);
    },

    fault: ({ name: vaultName }, fault) => control(`PUT /vaults/${vaultName}/fault`, fault),
    heal: ({ name: vaultName }) => control(`DELETE /vaults/${vaultName}/fault`),

    server: ({ server }) => read(`servers/${server}`),
    links: async ({ server }) => (await read<PageBody<LinkBody>>(`servers/${server}/keys`)).items,

    async protector(fleet) {
      const found = (await traveller.links(fleet)).find(({ role }) => role === 'protector');
      if (!found) throw new Error(`server ${fleet.server} has no protector`);
      return found;
    },

    async events(subject) {
      const all: EventBody[] = [];
      for (let after: string | null = ''; after !== null;) {
        const page: PageBody<EventBody> = await read(
          `events?subject=${subject}&limit=1000${after && `&after=${encodeURIComponent(after)}`}`,
        );
        all.push(...page.items);
        after = page.next;
      }
      return all;
    },

    async advance(duration) {
      tokens.clear();
      await control('POST /clock', { advance: duration });
    },

    async watch(via = {}) {
      steps.push(curl(brokerOf(via), 'POST /admin/functions/accessWatch', { body: { input: '' } }));
      const { status } = await journey.broker('POST /admin/functions/accessWatch', { body: { input: '' }, ...viaOf(via) });
      expect(status).toBe(202);
    },

    async watchUntil(what, look, via) {
      let tries = 0;
      await untilTrue(what, async () => {
        if (tries++ % 40 === 0) await traveller.watch(via);
        return look();
      });
    },
  };
  return traveller;
}

function brokerOf({ instance = 0 }: Via): string {
  return instance === 0 ? '$BROKER' : `http://127.0.0.1:${String(7071 + instance)}`;
}
