import type { Caller } from '../domain/caller.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import type { RegisteredServer } from '../domain/server.ts';
import { mayActFor } from './authority.ts';
import type { Parts } from './parts.ts';
import type { Roads } from './roads.ts';
import { beingChanged, mostTries } from './store-reserved.ts';
import type { StoreReserved } from './store-reserved.ts';

type Databases = Pick<Roads, 'putDatabase' | 'getDatabase' | 'deleteDatabase'>;

/** Databases of a server, inside the association budget of the vaults that carry them (B1). */
export function createRegisterDatabase({ registry }: Pick<Parts, 'registry'>, storeReserved: StoreReserved): Databases {
  async function read(name: string, caller: Caller): Promise<Outcome<RegisteredServer>> {
    const registered = await registry.readServer(name);
    if (registered === undefined) return refuse('NotFound', `there is no server ${name}`);
    const refusal = mayActFor(caller, registered);
    return refusal === undefined ? done(registered) : { ok: false, refusal };
  }

  async function put(
    { server, database, tier: asked }: Parameters<Databases['putDatabase']>[0],
    caller: Caller,
  ): ReturnType<Databases['putDatabase']> {
    for (let tries = 0; tries < mostTries; tries++) {
      const seen = await read(server, caller);
      if (!seen.ok) return seen;
      const before = seen.value;
      const tier = asked ?? before.server.defaultTier;
      const known = before.databases.get(database);
      if (known === tier) return done({ created: false, value: { name: database, tier } });
      const databases = new Map(before.databases).set(database, tier);
      const stored = await storeReserved.change(before, { ...before, databases }, []);
      if (stored === undefined) continue;
      return stored.ok ? done({ created: known === undefined, value: { name: database, tier } }) : stored;
    }
    return beingChanged(server);
  }

  async function remove({ server, database }: Parameters<Databases['deleteDatabase']>[0], caller: Caller): Promise<Outcome<null>> {
    for (let tries = 0; tries < mostTries; tries++) {
      const seen = await read(server, caller);
      if (!seen.ok) return seen;
      if (!seen.value.databases.has(database)) return refuse('NotFound', `server ${server} has no database ${database}`);
      const databases = new Map(seen.value.databases);
      databases.delete(database);
      // Fewer databases always fit; the claim keeps what is still registered covered until the removal is stored.
      const stored = await storeReserved.change(seen.value, { ...seen.value, databases }, []);
      if (stored === undefined) continue;
      return stored.ok ? done(null) : stored;
    }
    return beingChanged(server);
  }

  return {
    putDatabase: (request, { caller }) => storeReserved.inTurn(request.server, () => put(request, caller)),
    deleteDatabase: (request, { caller }) => storeReserved.inTurn(request.server, () => remove(request, caller)),

    async getDatabase({ server, database }, { caller }) {
      const seen = await read(server, caller);
      if (!seen.ok) return seen;
      const tier = seen.value.databases.get(database);
      return tier === undefined ? refuse('NotFound', `server ${server} has no database ${database}`) : done({ name: database, tier });
    },
  };
}
