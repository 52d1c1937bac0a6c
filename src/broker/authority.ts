import type { Caller, RequestContext } from '../domain/caller.ts';
import type { Thumbprint } from '../domain/key.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome, Refusal } from '../domain/refusal.ts';
import { groupByThumbprint } from '../domain/server.ts';
import type { RegisteredServer, Tier } from '../domain/server.ts';
import { allowed, standingAt } from '../policy/server-state.ts';
import type { Act } from '../policy/server-state.ts';
import type { Parts } from './parts.ts';

type Check = (registered: RegisteredServer) => Refusal | undefined;

/** What a key operation names. `thumbprint`: the key that wrapped what is to be unwrapped. */
interface Operand {
  readonly server: string;
  readonly database: string;
  readonly thumbprint?: Thumbprint;
}

/** At once, without a promise, where the copy serves, as it does in the healthy case. Rejects with `StoreAway`. */
type Seen<T> = Outcome<T> | Promise<Outcome<T>>;

interface Operable {
  readonly registered: RegisteredServer;
  readonly tier: Tier;
}

/** Finds the servers that key operations name. */
export interface Authority {
  /**
   * Finds the server and asks `check`. The copy may serve, but a refusal is decided on a fresh read only (design, section 6): a database
   * that was registered a second ago through another instance is not turned away.
   */
  seeServer(name: string, check: Check): Seen<RegisteredServer>;
  /** The server and the database's tier, if the caller may have key operations there, and the named key is linked. */
  seeOperable(operand: Operand, context: RequestContext): Seen<Operable>;
}

export function createAuthority({ registry, clock }: Pick<Parts, 'registry' | 'clock'>): Authority {
  const fresh = createFreshReads(registry);

  function seeServer(name: string, check: Check): Seen<RegisteredServer> {
    const copy = registry.peekServer(name);
    return copy !== undefined && check(copy) === undefined ? done(copy) : seeStored(name, check);
  }

  async function seeStored(name: string, check: Check): Promise<Outcome<RegisteredServer>> {
    const stored = await fresh(name);
    if (stored === undefined) return refuse('NotFound', `there is no server ${name}`);
    const refusal = check(stored);
    return refusal === undefined ? done(stored) : { ok: false, refusal };
  }

  return {
    seeServer,
    seeOperable({ server, database, thumbprint }, { caller }) {
      const seen = seeServer(server, (registered) => {
        const refusal = ownServer(caller, registered) ?? stateAllows(registered, 'operate', clock.now());
        if (refusal !== undefined) return refusal;
        if (!registered.databases.has(database)) return refuse('NotFound', `server ${server} has no database ${database}`).refusal;
        return thumbprint === undefined || groupByThumbprint(registered, thumbprint) !== undefined
          ? undefined
          : keyNotLinked(server, thumbprint);
      });
      const operable = (one: Outcome<RegisteredServer>): Outcome<Operable> =>
        one.ok ? done({ registered: one.value, tier: one.value.databases.get(database) ?? one.value.server.defaultTier }) : one;
      return seen instanceof Promise ? seen.then(operable) : operable(seen);
    },
  };
}

/**
 * Reads of one server one after another, each for all who asked before it began: nobody is refused on a read from before his question, and a
 * host that asks in a loop for what it will not get keeps one read under way, not hundreds. Those who wait behind a `StoreAway` share it.
 */
function createFreshReads(registry: Parts['registry']): Parts['registry']['readServer'] {
  type Read = ReturnType<Parts['registry']['readServer']>;
  const underWay = new Map<string, Read>();
  const next = new Map<string, Read>();

  async function begin(name: string): Read {
    next.delete(name);
    const read = registry.readServer(name);
    underWay.set(name, read);
    try {
      return await read;
    } finally {
      if (underWay.get(name) === read) underWay.delete(name);
    }
  }

  return (name) => {
    const before = underWay.get(name);
    if (before === undefined) return begin(name);
    const known = next.get(name);
    if (known !== undefined) return known;
    const waiting = before.then(
      () => begin(name),
      (error: unknown) => {
        next.delete(name);
        throw error;
      },
    );
    next.set(name, waiting);
    return waiting;
  };
}

/** A host acts only for the server whose `principalId` is its own (design, section 5). Operators and auditors act for all. */
export function mayActFor(caller: Caller, registered: RegisteredServer): Refusal | undefined {
  if (caller.roles.has('KeyBroker.Operator') || caller.roles.has('KeyBroker.Auditor')) return undefined;
  return ownServer(caller, registered);
}

/** Key operations are for the host of the server alone, whatever other roles the caller has. */
export function ownServer(caller: Caller, { server }: RegisteredServer): Refusal | undefined {
  if (caller.roles.has('KeyBroker.Host') && caller.objectId === server.principalId) return undefined;
  return refuse('CallerNotAllowed', `the caller is not the principal of server ${server.name}`).refusal;
}

/** A6: whether the server's state allows the act. */
export function stateAllows(registered: RegisteredServer, act: Act, now: Parameters<typeof standingAt>[1]): Refusal | undefined {
  const { server } = registered;
  const { state } = standingAt(server, now);
  if (allowed[state].includes(act)) return undefined;
  return refuse('ServerInaccessible', `server ${server.name} is ${state}: ${wayOut[state]}`).refusal;
}

const wayOut: Readonly<Record<RegisteredServer['server']['state'], string>> = {
  pendingValidation: 'set a protector, or revalidate it where it was restored or replicated',
  online: 'nothing is to be done',
  atRisk: 'give the broker back its access to the protector (or recover what was deleted), or set a protector with other material',
  inaccessible:
    'give the broker back its access to the protector, or recover what was deleted; it heals by itself within 8 hours of the first denial, or by revalidate',
  needsRevalidation: 'give the broker back its access to the protector, or recover what was deleted, and call revalidate',
};

export function keyNotLinked(server: string, thumbprint: Thumbprint): Refusal {
  return refuse('NotFound', `server ${server} has no key with thumbprint ${thumbprint}`).refusal;
}
