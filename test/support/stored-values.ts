import type { LinkAccess, LinkRef } from '../../src/domain/access.ts';
import type { BrokerEvent } from '../../src/domain/event.ts';
import { parseKeyId, parseThumbprint, type KeyId, type Thumbprint } from '../../src/domain/key.ts';
import type { OperationRecord } from '../../src/domain/operation.ts';
import type { Link, RegisteredServer, Server, Tier } from '../../src/domain/server.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { Vault } from '../../src/domain/vault.ts';

/** 2026-11-22T06:00:00Z */
export const morning = Date.UTC(2026, 10, 22, 6);

export function keyId(vault = 'kv-west', version = 'a'.repeat(32)): KeyId {
  return parseKeyId(`https://${vault}.vault.azure.net/keys/tde/${version}`)!.keyId;
}

export function thumbprint(letter = 'A'): Thumbprint {
  return parseThumbprint(letter.repeat(43))!;
}

export function aVault(name = 'kv-west', uri = `https://${name}.vault.azure.net`): Vault {
  return { name, uri, kind: 'vault', region: 'westeurope', geography: 'Europe', subscriptionId: '00000000-0000-0000-0000-000000000001' };
}

export function aServer(name = 'sql-demo', changes: Partial<Server> = {}): Server {
  return {
    name,
    engine: 'sql',
    region: 'westeurope',
    principalId: '00000000-0000-0000-0000-00000000000a',
    identityClientId: null,
    defaultTier: 'GeneralPurpose',
    origin: null,
    state: 'online',
    since: instant(morning),
    clock: null,
    ...changes,
  };
}

export function aLink(changes: Partial<Link> = {}): Link {
  return {
    keyId: keyId(),
    role: 'protector',
    vault: 'kv-west',
    keyType: 'RSA',
    keySize: 2048,
    thumbprint: thumbprint(),
    standbyOf: null,
    rank: 0,
    canary: { wrapped: 'w'.repeat(342), sha256: 's'.repeat(43), algorithm: 'RSA-OAEP-256' },
    protectorFrom: instant(morning),
    protectorTo: null,
    linkedAt: instant(morning),
    ...changes,
  };
}

export function aRegistered(
  name = 'sql-demo',
  databases: readonly (readonly [string, Tier])[] = [],
  links: readonly Link[] = [],
): RegisteredServer {
  return { server: aServer(name), links, databases: new Map(databases), incarnation: 'incarnation-1', revision: 0 };
}

export function anEvent(id: string, changes: Partial<BrokerEvent> = {}): BrokerEvent {
  return { id, type: 'keybroker.server.state', subject: 'sql-demo', time: instant(morning), data: { state: 'online' }, ...changes };
}

export function aRef(changes: Partial<LinkRef> = {}): LinkRef {
  return { server: 'sql-demo', keyId: keyId(), vault: 'kv-west', identity: null, ...changes };
}

export function anAccess(ref: LinkRef = aRef(), changes: Partial<LinkAccess> = {}): LinkAccess {
  return { ref, latch: null, denials: {}, provenAt: instant(morning), doubtedAt: null, refused: {}, revision: 1, ...changes };
}

export function aRecord(changes: Partial<OperationRecord> = {}): OperationRecord {
  return {
    at: instant(morning),
    requestId: 'request-1',
    server: 'sql-demo',
    database: 'orders',
    caller: '00000000-0000-0000-0000-00000000000a',
    operation: 'unwrap',
    keyId: keyId(),
    thumbprint: thumbprint(),
    vault: 'kv-west',
    role: 'primary',
    outcome: 'ok',
    attempts: [{ vault: 'kv-west', role: 'primary', class: 'ok', status: 200, vaultCode: null, ms: millis(3) }],
    latencyMs: millis(4),
    ...changes,
  };
}
