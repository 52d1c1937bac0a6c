import { createAuthority, type Certified } from '../certificates.ts';
import type { NameServer } from '../names.ts';
import { createBackupSeal } from './backup.ts';
import type { DeletedAnswer, Fault } from './faults.ts';
import { listen, type Listener, type ListenerState } from './listener.ts';
import { createVault, suffixes, type LocalVault, type VaultControls, type VaultSpec, type VaultWorld } from './vault.ts';

/** A vault behind HTTPS. Its faults and its deletion show themselves at every layer: name, connection, certificate, answer. */
export interface FleetVault extends VaultControls {
  readonly spec: VaultSpec;
  /** Origin, e.g. `https://kv-west.vault.localhost:44301`. */
  readonly uri: string;
  readonly host: string;
  readonly port: number;
  readonly fault: Fault | undefined;
  readonly deleted: DeletedAnswer | undefined;
  /** When it was deleted, in milliseconds since the epoch; undefined while it exists. */
  readonly deletedAt: number | undefined;
  /** Resolves when the fault is in force. Replaces the one before. */
  setFault(fault: Fault): Promise<void>;
  clearFault(): Promise<void>;
  /** The vault itself is deleted (softly); `nxdomain` by default. */
  delete(answers?: DeletedAnswer): Promise<void>;
  /** Undoes `delete`, with all keys and rights as they were. Without effect on a vault that exists. */
  recover(): Promise<void>;
  /** Faults, access and recorded calls as at the start; keys, and whether the vault is deleted, stay. */
  reset(): Promise<void>;
}

export interface FleetOptions extends Omit<VaultWorld, 'seal'> {
  /** Tells clients where the vaults are. */
  readonly names: Pick<NameServer, 'set' | 'remove'>;
}

/** What `addVault` is given; the tenant, name, region and geography must be said. */
export type NewVault = Pick<VaultSpec, 'name' | 'region' | 'geography' | 'tenant'> &
  Partial<Pick<VaultSpec, 'kind' | 'softDelete' | 'purgeProtection' | 'denial'>> & {
    /** Default: a free one. */
    readonly port?: number | undefined;
  };

/** Vaults that share a certificate authority, a name server, and the world in which their backups can be restored. */
export interface Fleet {
  /** PEM of the authority that clients have to trust. */
  readonly ca: string;
  /**
   * Starts one more vault: a Key Vault with soft delete, purge protection and role-based access, if nothing else is said.
   * @throws RangeError if the name is taken or is no vault name (3 to 24 letters, digits and hyphens, beginning with a letter).
   */
  addVault(vault: NewVault): Promise<FleetVault>;
  vault(name: string): FleetVault | undefined;
  vaults(): readonly FleetVault[];
  close(): Promise<void>;
}

const vaultName = /^[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]$/;
const loopback = { address: '127.0.0.1' };

export function createFleet(options: FleetOptions): Fleet {
  const authority = createAuthority('Local vaults');
  const foreign = createAuthority('An authority that nobody trusts');
  const seal = createBackupSeal();
  const members = new Map<string, { vault: FleetVault; listener: Listener }>();
  const reserved = new Set<string>();

  async function start({ port = 0, ...given }: NewVault): Promise<FleetVault> {
    const spec: VaultSpec = { kind: 'vault', softDelete: true, purgeProtection: true, denial: 'rbac', ...given };
    const host = `${spec.name}.${suffixes[spec.kind]}`.toLowerCase();
    const certified = { own: authority.issue(host), foreign: foreign.issue(host) };
    // The port is part of the vault's URI, and so of its key ids: the vault can only be made once the listener has it.
    const made = Promise.withResolvers<LocalVault>();
    const listener = await listen(port, certified.own, async (request) => (await made.promise).handle(request));
    const local = createVault(spec, `https://${host}:${listener.port}`, { ...options, seal });
    made.resolve(local);
    options.names.set(host, loopback);
    const vault = present(local, { host, listener, certified, options });
    members.set(spec.name.toLowerCase(), { vault, listener });
    return vault;
  }

  return {
    ca: authority.cert,
    async addVault(given) {
      const name = given.name.toLowerCase();
      if (!vaultName.test(given.name))
        throw new RangeError(`${given.name} is no name for a vault: 3 to 24 letters, digits and single hyphens, beginning with a letter`);
      if (reserved.has(name)) throw new RangeError(`there is a vault ${given.name} already`);
      reserved.add(name);
      try {
        return await start(given);
      } catch (error) {
        reserved.delete(name);
        throw error;
      }
    },
    vault: (name) => members.get(name.toLowerCase())?.vault,
    vaults: () => [...members.values()].map(({ vault }) => vault),
    async close() {
      for (const { vault } of members.values()) options.names.remove(vault.host);
      await Promise.all([...members.values()].map(({ listener }) => listener.close()));
    },
  };
}

interface Surroundings {
  readonly host: string;
  readonly listener: Listener;
  readonly certified: { readonly own: Certified; readonly foreign: Certified };
  readonly options: FleetOptions;
}

/** Joins a vault to its transport. */
function present(local: LocalVault, { host, listener, certified, options }: Surroundings): FleetVault {
  let deletedAt: number | undefined;
  // Changes are made one after the other, in the order in which they were asked for: opening and closing a port takes time.
  let changed: Promise<void> = Promise.resolve();

  function apply(): Promise<void> {
    const state: ListenerState = {
      connections:
        local.deleted === 'nxdomain' ? 'cut' : local.deleted === undefined && local.fault?.fault === 'refuse' ? 'refuse' : 'accept',
      certified: local.deleted === undefined && local.fault?.fault === 'tls' ? certified.foreign : certified.own,
    };
    if (local.deleted === 'nxdomain') options.names.remove(host);
    else options.names.set(host, local.deleted === undefined && local.fault?.fault === 'dns' ? local.fault.answer : loopback);
    const become = () => listener.become(state);
    // One that failed was told to whoever asked for it, and keeps no other from being made.
    changed = changed.then(become, become);
    return changed;
  }

  async function setFault(fault: Fault | undefined): Promise<void> {
    const before = local.fault;
    local.fault = fault;
    if (isBelowHttp(before) || isBelowHttp(fault)) await apply();
  }

  const { spec, uri, controls } = local;
  return {
    ...controls,
    spec,
    uri,
    host,
    port: listener.port,
    get fault() {
      return local.fault;
    },
    get deleted() {
      return local.deleted;
    },
    get deletedAt() {
      return deletedAt;
    },
    setFault,
    clearFault: () => setFault(undefined),
    async delete(answers = 'nxdomain') {
      deletedAt ??= options.clock();
      local.deleted = answers;
      await apply();
    },
    async recover() {
      if (local.deleted === undefined) return;
      deletedAt = undefined;
      local.deleted = undefined;
      await apply();
    },
    async reset() {
      await setFault(undefined);
      controls.resetAccess();
      controls.clearCalls();
    },
  };
}

/** Faults that change more than answers. */
function isBelowHttp(fault: Fault | undefined): boolean {
  return fault?.fault === 'refuse' || fault?.fault === 'dns' || fault?.fault === 'tls';
}
