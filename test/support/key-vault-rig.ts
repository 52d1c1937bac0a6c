import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { systemClock } from '../../src/adapters/clock.ts';
import { createIdentities } from '../../src/adapters/identity.ts';
import { createKeyVaults } from '../../src/adapters/key-vault/key-vaults.ts';
import { createTransport, type Transport } from '../../src/adapters/key-vault/transport.ts';
import { Dek } from '../../src/domain/dek.ts';
import { seconds } from '../../src/domain/time.ts';
import type { KeyTarget, Reply, VaultPort } from '../../src/ports/vault.ts';
import type { Fault } from '../../src/domain/fault.ts';
import { startScriptedIdentity, type ScriptedIdentity } from './scripted-identity.ts';
import { resolveScriptedNames, startScriptedVault, type ScriptedVault } from './scripted-vault.ts';

/** The adapter between a scripted vault and a scripted identity endpoint; new for each test but for the endpoint. */
export interface KeyVaultRig {
  readonly names: ReturnType<typeof resolveScriptedNames>;
  readonly identity: ScriptedIdentity;
  readonly vault: ScriptedVault;
  readonly transport: Transport;
  readonly vaults: VaultPort;
  readonly target: KeyTarget;
  /** What the second resolver says. */
  confirmation: 'gone' | 'unconfirmed';
}

/** Long enough for every answer that comes. */
export const patience = seconds(8);

/** Sets the rig up round each test of the file. */
export function useKeyVaultRig(kind: 'vault' | 'managedHsm' = 'vault'): () => KeyVaultRig {
  let names: ReturnType<typeof resolveScriptedNames>;
  let identity: ScriptedIdentity;
  let rig: KeyVaultRig;

  beforeAll(async () => {
    names = resolveScriptedNames();
    identity = await startScriptedIdentity();
  });
  afterAll(async () => {
    names.restore();
    await identity.close();
  });
  beforeEach(async () => {
    names.fail(null);
    identity.answer(undefined);
    identity.seen.length = 0;
    rig = assemble(names, identity, await startScriptedVault(kind));
  });
  afterEach(async () => {
    rig.transport.close();
    await rig.vault.close();
  });
  return () => rig;
}

function assemble(names: ReturnType<typeof resolveScriptedNames>, identity: ScriptedIdentity, vault: ScriptedVault): KeyVaultRig {
  const transport = createTransport({ clock: systemClock, ca: vault.ca });
  const resolver = { confirm: () => Promise.resolve(rig.confirmation) };
  const vaults = createKeyVaults({ transport, identities: createIdentities({ clock: systemClock }), resolver, clock: systemClock });
  const target: KeyTarget = { vault: vault.vault, keyId: vault.keyId, identity: null };
  const rig: KeyVaultRig = { names, identity, vault, transport, vaults, target, confirmation: 'unconfirmed' };
  return rig;
}

/** 32 bytes that are easy to find again. */
export function markedDek(): Dek {
  return new Dek(Uint8Array.from({ length: 32 }, (_, index) => 0xa0 + (index % 16)));
}

export function faultOf(reply: Reply<unknown>): Fault {
  if (reply.ok) throw new Error('the call succeeded');
  return reply.fault;
}
