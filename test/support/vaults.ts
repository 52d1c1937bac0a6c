import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { Resolver, type LookupAddress } from 'node:dns';
import { Agent } from 'node:https';
import type { LookupFunction } from 'node:net';
import { createFleet, type Fleet, type FleetOptions, type FleetVault, type NewVault } from '../local/vault/fleet.ts';
import type { TokenClaims, TokenFlaw } from '../local/vault/tokens.ts';
import { startNameServer, type NameServer } from '../local/names.ts';

export const tenant = '11111111-1111-1111-1111-111111111111';
export const principal = '22222222-2222-2222-2222-222222222222';
export const authority = 'http://127.0.0.1:9';

/** Local vaults with a name server, a clock that a test moves, and a token issuer that signs nothing. */
export interface Vaults {
  readonly fleet: Fleet;
  readonly names: NameServer;
  readonly clock: { now: number };
  /** A key vault in West Europe, unless `vault` says otherwise. */
  addVault(vault: Partial<NewVault> & { readonly name: string }): Promise<FleetVault>;
  /** A token that the vaults accept as issued, with these claims or this flaw. */
  issue(claims?: Partial<TokenClaims> | TokenFlaw): string;
  /** An HTTPS agent that trusts the vaults and asks their name server only. */
  agent(ca?: string): Agent;
  /** The stock SDK, as `principal` if nothing else is said, with its own retries off. */
  keyClient(vault: FleetVault, token?: string): KeyClient;
  cryptographyClient(keyId: string, token?: string): CryptographyClient;
  close(): Promise<void>;
}

/** `options` replaces what the vaults are given of their surroundings. */
export async function startVaults(options: Partial<FleetOptions> = {}): Promise<Vaults> {
  const names = await startNameServer();
  const clock = { now: Date.parse('2026-11-22T06:00:00Z') };
  const issued = new Map<string, TokenClaims | TokenFlaw>();
  const fleet = createFleet({
    names,
    authority,
    clock: () => clock.now,
    verifyToken: (token) => Promise.resolve(issued.get(token) ?? 'invalid'),
    ...options,
  });
  const agents: Agent[] = [];
  let clientAgent: Agent | undefined;

  const vaults: Vaults = {
    fleet,
    names,
    clock,
    addVault: (vault) => fleet.addVault({ region: 'westeurope', geography: 'Europe', tenant, ...vault }),
    issue(claims = {}) {
      const token = `header.${String(issued.size)}.signature`;
      const whole = { principal, appId: 'app', audience: 'https://vault.localhost', tenant, expiresAt: clock.now + 3_600_000 };
      issued.set(token, typeof claims === 'string' ? claims : { ...whole, ...claims });
      return token;
    },
    agent(ca = fleet.ca) {
      const agent = new Agent({ ca, keepAlive: true, lookup: lookUpAt(names.address) });
      agents.push(agent);
      return agent;
    },
    keyClient: (vault, token) => new KeyClient(vault.uri, credential(vault.uri, token), clientOptions()),
    cryptographyClient: (keyId, token) => new CryptographyClient(keyId, credential(keyId, token), clientOptions()),
    async close() {
      for (const agent of agents) agent.destroy();
      await fleet.close();
      await names.close();
    },
  };

  function clientOptions() {
    clientAgent ??= vaults.agent();
    return { agent: clientAgent, retryOptions: { maxRetries: 0 } };
  }

  /** Gives a token for whatever resource the challenge named. */
  function credential(uri: string, given: string | undefined) {
    return {
      getToken(scopes: string | string[]) {
        const [scope = uri] = [scopes].flat();
        const token = given ?? vaults.issue({ audience: scope.replace('/.default', '') });
        return Promise.resolve({ token, expiresOnTimestamp: Date.now() + 3_600_000 });
      },
    };
  }
  return vaults;
}

/** Looks names up as `dns.lookup` does, but at one server. */
function lookUpAt(server: string): LookupFunction {
  const resolver = new Resolver();
  resolver.setServers([server]);
  return (host, { all }, callback) => {
    resolver.resolve4(host, (error, found) => {
      const addresses: LookupAddress[] = (error === null ? found : []).map((address) => ({ address, family: 4 }));
      if (all === true) callback(error, addresses);
      else callback(error, addresses[0]?.address ?? '', 4);
    });
  };
}
