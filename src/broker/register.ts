import { done, refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import type { RegisteredServer, Server } from '../domain/server.ts';
import type { Instant } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import type { Access } from './access.ts';
import { mayActFor } from './authority.ts';
import type { VaultView } from './fleet-views.ts';
import { forgetLinks } from './forget-links.ts';
import { inTurns } from './in-turns.ts';
import type { Parts } from './parts.ts';
import type { RegisterServer, Roads } from './roads.ts';
import { beingChanged, mostTries } from './store-reserved.ts';
import type { StoreReserved } from './store-reserved.ts';
import { liveReports, storedHealth, viewServer, viewVault } from './views.ts';

type Registering = Pick<Roads, 'putVault' | 'getVault' | 'listVaults' | 'putServer' | 'getServer' | 'deleteServer'>;

/** What a list shows of so many vaults is read at once. */
const atOnce = 16;

/** Vaults and servers: registered once, read back, taken out. */
export function createRegister(parts: Parts, storeReserved: StoreReserved, access: Access): Registering {
  const { clock, registry } = parts;

  async function viewVaults(vaults: readonly Vault[]): Promise<readonly VaultView[]> {
    const reports = await liveReports(parts);
    const views = new Map<Vault, VaultView>();
    await inTurns(vaults, atOnce, async (vault) => {
      views.set(vault, await viewVault(parts, vault, reports, await storedHealth(access, vault.name)));
    });
    return vaults.flatMap((vault) => views.get(vault) ?? []);
  }

  async function viewOne(vault: Vault): Promise<VaultView> {
    return viewVault(parts, vault, await liveReports(parts), await storedHealth(access, vault.name));
  }

  async function remove(name: string): Promise<Outcome<null>> {
    for (let tries = 0; tries < mostTries; tries++) {
      const before = await registry.readServer(name);
      if (before === undefined) return refuse('NotFound', `there is no server ${name}`);
      if (!(await storeReserved.remove(before))) continue;
      await forgetLinks({ registry, access }, before, before.links);
      return done(null);
    }
    return beingChanged(name);
  }

  return {
    async putVault(vault) {
      const before = await registry.findVault({ name: vault.name });
      const stored = await registry.addVault(vault);
      const difference = differenceOf(stored, vault);
      if (difference === 'name') return refuse('Conflict', `uri ${vault.uri} is registered as vault ${stored.name}`);
      if (difference !== undefined) return refuse('Conflict', `vault ${vault.name} is registered with another ${difference}`);
      return done({ created: before === undefined, value: await viewOne(stored) });
    },

    async getVault(name) {
      const vault = await registry.findVault({ name });
      return vault === undefined ? refuse('NotFound', `there is no vault ${name}`) : done(await viewOne(vault));
    },

    async listVaults({ after, limit }) {
      const all = [...(await registry.readVaults())].sort((a, b) => (a.name < b.name ? -1 : 1));
      const rest = after === null ? all : all.filter((vault) => vault.name > after);
      const shown = rest.slice(0, limit);
      return done({ items: await viewVaults(shown), next: rest.length > limit ? (shown.at(-1)?.name ?? null) : null });
    },

    async putServer(request) {
      const now = clock.now();
      const incarnation = clock.uuid();
      let created = false;
      let refusal: string | undefined;
      const stored = await registry.changeServer(request.name, (known) => {
        created = known === undefined;
        if (known === undefined) return { next: newServer(request, incarnation, now), events: [] };
        refusal = fixedDifference(known.server, request);
        const changed = { ...known.server, ...changeable(request, known.server) };
        const same =
          changed.principalId === known.server.principalId &&
          changed.identityClientId === known.server.identityClientId &&
          changed.defaultTier === known.server.defaultTier;
        return refusal !== undefined || same ? null : { next: { ...known, server: changed }, events: [] };
      });
      if (refusal !== undefined)
        return refuse('Conflict', `server ${request.name} is registered with another ${refusal}, which cannot change`);
      if (stored === undefined) return refuse('Conflict', `server ${request.name} is being deleted`);
      return done({ created, value: viewServer(stored, clock.now()) });
    },

    async getServer(name, { caller }) {
      const fresh = await registry.readServer(name);
      if (fresh === undefined) return refuse('NotFound', `there is no server ${name}`);
      const refusal = mayActFor(caller, fresh);
      return refusal === undefined ? done(viewServer(fresh, clock.now())) : { ok: false, refusal };
    },

    deleteServer: (name) => storeReserved.inTurn(name, () => remove(name)),
  };
}

function differenceOf(stored: Vault, asked: Vault): keyof Vault | undefined {
  const fields = ['name', 'uri', 'kind', 'region', 'geography', 'subscriptionId'] as const;
  return fields.find((field) => stored[field] !== asked[field]);
}

function newServer(request: RegisterServer, incarnation: string, now: Instant): RegisteredServer {
  const server: Server = {
    name: request.name,
    engine: request.engine,
    region: request.region,
    principalId: request.principalId,
    identityClientId: request.identityClientId ?? null,
    defaultTier: request.defaultTier ?? 'GeneralPurpose',
    origin: request.origin ?? null,
    state: 'pendingValidation',
    since: now,
    clock: null,
  };
  return { server, links: [], databases: new Map(), incarnation, revision: 0 };
}

/** What may change (design, section 5). What the request leaves out stays as it is. */
function changeable(request: RegisterServer, known: Server): Pick<Server, 'principalId' | 'identityClientId' | 'defaultTier'> {
  return {
    principalId: request.principalId,
    identityClientId: request.identityClientId ?? known.identityClientId,
    defaultTier: request.defaultTier ?? known.defaultTier,
  };
}

function fixedDifference(known: Server, request: RegisterServer): string | undefined {
  if (known.engine !== request.engine) return 'engine';
  if (known.region !== request.region) return 'region';
  // `origin` may be left out when the rest is put again: it says where the server came from, once.
  return request.origin !== undefined && known.origin !== request.origin ? 'origin' : undefined;
}
