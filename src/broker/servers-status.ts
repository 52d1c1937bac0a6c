import type { ServerState } from '../domain/server.ts';
import { standingAt } from '../policy/server-state.ts';
import { comparePlaces, placeOf, placeToCursor } from '../policy/worst-first.ts';
import type { Place } from '../policy/worst-first.ts';
import type { ServerStanding } from '../ports/registry.ts';
import { Unreadable } from '../ports/store.ts';
import type { StatusView } from './fleet-views.ts';
import { inTurns } from './in-turns.ts';
import type { Parts } from './parts.ts';

const namesARead = 1000;
/** So many servers that are not online are looked up at once. */
const lookUpsAtOnce = 16;

/** Which of the servers that are not online are shown: at most `limit`, worse ones and `after` itself left out. */
export interface ServersAsked {
  readonly after: Place | null;
  readonly limit: number;
}

/** The servers by state, and a page of those that are not online. Reads a thousand names at once, and of the servers themselves those that it shows. */
export function createServersStatus({
  clock,
  registry,
}: Pick<Parts, 'clock' | 'registry'>): (asked: ServersAsked) => Promise<StatusView['servers']> {
  /**
   * Whether a server that is said not to be online is: a kill leaves such words behind, and each that is shown is looked up. Of one that cannot
   * be read they are all that there is.
   */
  async function lookUp(listed: ServerStanding): Promise<ServerStanding | undefined> {
    try {
      const registered = await registry.readServer(listed.name);
      if (registered === undefined) return undefined;
      const { state, since, clock: running } = standingAt(registered.server, clock.now());
      return { name: listed.name, state, since, clock: running };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return listed;
    }
  }

  /**
   * Each name once, in the state that its standing says, and online if it has none. Names are read first: a server has its name before it has
   * a standing, so that a new one is missing rather than taken to be online.
   */
  return async ({ after, limit }) => {
    const names = new Set(await allOf((last) => registry.serverNames(last, namesARead), String));
    const standings = await allOf(
      (last) => registry.serversNotOnline(last, namesARead),
      ({ name }) => name,
    );
    const listed = standings.filter(({ name }) => names.has(name));
    const out = new Map(listed.map((one) => [one.name, { ...one, ...standingAt(one, clock.now()) }]));

    const readAt = after?.readAt ?? clock.now();
    const places = listed.map((one) => placeOf(one, readAt)).sort(comparePlaces);
    const rest = places.filter((place) => after === null || comparePlaces(after, place) < 0);
    const page = rest.slice(0, limit);
    const lookedUp = new Map<string, ServerStanding | undefined>();
    await inTurns(page, lookUpsAtOnce, async ({ name }) => {
      const one = out.get(name);
      lookedUp.set(name, one && (await lookUp(one)));
    });
    const shown: ServerStanding[] = [];
    for (const { name } of page) {
      const found = lookedUp.get(name);
      if (found === undefined) names.delete(name);
      if (found === undefined || found.state === 'online') out.delete(name);
      else {
        out.set(name, found);
        shown.push(found);
      }
    }
    const last = rest.length > page.length ? page.at(-1) : undefined;
    const next = last === undefined ? null : placeToCursor(last);
    return { total: names.size, byState: countStates(names.size, out.values()), notOnline: { items: shown, next } };
  };
}

function countStates(total: number, out: Iterable<ServerStanding>): Readonly<Record<ServerState, number>> {
  const byState = { online: total, atRisk: 0, inaccessible: 0, needsRevalidation: 0, pendingValidation: 0 };
  for (const { state } of out) {
    byState[state] += 1;
    byState.online -= 1;
  }
  return byState;
}

/** All pages of a list by name. `namesARead` entries make a full page. */
async function allOf<T>(read: (after: string | null) => Promise<readonly T[]>, nameOf: (item: T) => string): Promise<readonly T[]> {
  const all: T[] = [];
  for (let after: string | null = null; ;) {
    const some = await read(after);
    all.push(...some);
    const last = some.at(-1);
    if (last === undefined || some.length < namesARead) return all;
    after = nameOf(last);
  }
}
