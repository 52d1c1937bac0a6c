import type * as z from 'zod/mini';
import type { VaultView } from '../broker/fleet-views.ts';
import type { LinkView, ServerView, UnwrapAnswer, WrapAnswer } from '../broker/roads.ts';
import { toCloudEvent, type BrokerEvent } from '../domain/event.ts';
import type { NumberedRecord } from '../domain/operation.ts';
import { toRfc3339, type Instant } from '../domain/time.ts';
import { encode } from './base64url.ts';
import type * as answers from './schemas/answers.ts';

/*
 * From the broker's values to the JSON of design 5.1. Fields are named one by one: what is added to a domain type (a canary, a key byte)
 * does not get out by itself.
 */

function time(at: Instant | null): string | null {
  return at === null ? null : toRfc3339(at);
}

export function viewServer(server: ServerView): z.output<typeof answers.server> {
  return {
    name: server.name,
    engine: server.engine,
    region: server.region,
    principalId: server.principalId,
    identityClientId: server.identityClientId,
    defaultTier: server.defaultTier,
    origin: server.origin,
    state: server.state,
    since: toRfc3339(server.since),
    clock: server.clock && {
      firstDenialAt: toRfc3339(server.clock.firstDenialAt),
      inaccessibleAt: toRfc3339(server.clock.inaccessibleAt),
      healsUntil: toRfc3339(server.clock.healsUntil),
    },
    databases: server.databases,
  };
}

export function viewLink(link: LinkView): z.output<typeof answers.link> {
  return {
    keyId: link.keyId,
    role: link.role,
    vault: link.vault,
    region: link.region,
    keyType: link.keyType,
    keySize: link.keySize,
    thumbprint: link.thumbprint,
    standbyOf: link.standbyOf,
    latch: link.latch && {
      status: link.latch.status,
      class: link.latch.class,
      since: toRfc3339(link.latch.firstDenialAt),
      witnesses: link.latch.witnesses,
    },
    failoverFrom: time(link.failoverFrom),
    provenAt: time(link.provenAt),
    protectorFrom: time(link.protectorFrom),
    protectorTo: time(link.protectorTo),
  };
}

export function viewVault(vault: VaultView): z.output<typeof answers.vault> {
  return {
    name: vault.name,
    uri: vault.uri,
    kind: vault.kind,
    region: vault.region,
    geography: vault.geography,
    subscriptionId: vault.subscriptionId,
    circuit: { ...vault.circuit, since: time(vault.circuit.since) },
    association: vault.association,
    rate: vault.rate,
    latencyMs: vault.latencyMs,
  };
}

export function viewWrapped(answer: WrapAnswer): z.output<typeof answers.wrapped> {
  return {
    wrappedDek: encode(answer.wrappedDek),
    keyId: answer.keyId,
    thumbprint: answer.thumbprint,
    algorithm: answer.algorithm,
    vault: answer.vault,
    failover: answer.failover,
  };
}

/** Zeroes the DEK once its text is made (C4). */
export function viewUnwrapped(answer: UnwrapAnswer): z.output<typeof answers.unwrapped> {
  try {
    return {
      dek: encode(answer.dek.reveal()),
      keyId: answer.keyId,
      thumbprint: answer.thumbprint,
      algorithm: answer.algorithm,
      vault: answer.vault,
      failover: answer.failover,
    };
  } finally {
    answer.dek.zero();
  }
}

/** A CloudEvent 1.0, JSON format. `source` names the deployment. */
export function viewEvent(event: BrokerEvent, source: string): z.output<typeof answers.event> {
  return toCloudEvent(event, source);
}

export function viewOperation(record: NumberedRecord): z.output<typeof answers.operation> {
  return {
    instance: record.instance,
    number: record.number,
    at: toRfc3339(record.at),
    requestId: record.requestId,
    server: record.server,
    database: record.database,
    ...(record.items !== undefined && { items: record.items }),
    caller: record.caller,
    operation: record.operation,
    keyId: record.keyId,
    thumbprint: record.thumbprint,
    vault: record.vault,
    role: record.role,
    outcome: record.outcome,
    attempts: [...record.attempts],
    latencyMs: record.latencyMs,
  };
}
