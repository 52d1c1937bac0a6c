import type { RequestContext } from '../domain/caller.ts';
import type { OperationName } from '../domain/operation.ts';
import type { Outcome } from '../domain/refusal.ts';
import { millis, minutes, seconds } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import type { Admission } from '../ports/admission.ts';
import type { CircuitState } from '../ports/circuits.ts';
import type { EndedOperation, Reading, Telemetry } from '../ports/telemetry.ts';
import type { StatusView, VaultStatus } from './fleet-views.ts';
import type { Parts } from './parts.ts';
import type { BatchRequest, Roads, Served } from './roads.ts';

/** Calls that wait for the rate budget of a vault, in this instance. */
export type WaitingCount = (vault: string) => number;

/** The same admission, with those counted that wait. */
export function withWaiting(admission: Admission): { readonly admission: Admission; readonly waiting: WaitingCount } {
  const waiting = new Map<string, number>();
  const change = (vault: string, by: number): void => void waiting.set(vault, (waiting.get(vault) ?? 0) + by);

  return {
    admission: {
      ...admission,
      admit(request) {
        const answer = admission.admit(request);
        if (!(answer instanceof Promise)) return answer;
        change(request.vault, 1);
        return answer.finally(() => change(request.vault, -1));
      },
    },
    waiting: (vault) => waiting.get(vault) ?? 0,
  };
}

export interface MeterParts {
  readonly parts: Pick<Parts, 'circuits' | 'clock' | 'operations' | 'registry'>;
  readonly roads: Roads;
  readonly waiting: WaitingCount;
  readonly telemetry: Telemetry;
}

/**
 * The same roads: each key operation, alone or in a batch, is told to telemetry when it ends, and each pass of the watch takes a sample of the
 * fleet. Where nobody listens they are the very same.
 */
export function metered({ parts, roads, waiting, telemetry }: MeterParts): Roads {
  if (!telemetry.listens) return roads;
  const { clock } = parts;
  const fleet = createFleetSample(roads, parts);
  telemetry.observe(() => [...instanceReadings(parts, waiting), ...fleet.readings()]);

  function told<Request extends { readonly server: string; readonly database: string }, Answer extends Served>(
    operation: OperationName,
    road: (request: Request, context: RequestContext) => Promise<Outcome<Answer>>,
  ): typeof road {
    return async (request, context) => {
      const { server, database } = request;
      const beganAt = clock.now();
      const began = clock.elapsed();
      const outcome = await road(request, context);
      const took = millis(clock.elapsed() - began);
      telemetry.operated({ operation, server, database, beganAt, took, trace: context.trace ?? null, ...endOf(outcome) });
      return outcome;
    };
  }

  /** An item that was tried is told of by its own road; here, those that leave a record and never came to one. */
  async function batch<T>(request: BatchRequest<T>, context: RequestContext): ReturnType<typeof roads.batch<T>> {
    const { operation, server, size } = request;
    const beganAt = clock.now();
    const began = clock.elapsed();
    const tried = new Set<number>();
    const item: typeof request.item = (index, own) => {
      tried.add(index);
      return request.item(index, own);
    };
    const outcome = await roads.batch({ ...request, item }, context);
    const took = millis(clock.elapsed() - began);
    if (!outcome.ok && outcome.refusal.code !== 'ServerInaccessible') return outcome;
    for (let index = 0; index < size; index += 1) {
      const database = tried.has(index) ? undefined : request.database(index);
      const end = outcome.ok ? outcome.value[index] : outcome;
      if (database === undefined || end === undefined || end.ok) continue;
      telemetry.operated({ operation, server, database, beganAt, took, trace: context.trace ?? null, ...endOf(end) });
    }
    return outcome;
  }

  return {
    ...roads,
    wrap: told('wrap', roads.wrap),
    unwrap: told('unwrap', roads.unwrap),
    rewrap: told('rewrap', roads.rewrap),
    batch,
    async watch() {
      await roads.watch();
      await fleet.take();
    },
  };
}

function endOf(outcome: Outcome<Served>): Pick<EndedOperation, 'outcome' | 'class' | 'vault' | 'failover'> {
  if (outcome.ok) return { outcome: 'ok', class: 'ok', vault: outcome.value.vault, failover: outcome.value.failover };
  const last = outcome.refusal.attempts?.at(-1);
  return { outcome: outcome.refusal.code, class: last?.class ?? null, vault: last?.vault ?? null, failover: false };
}

const circuitStates: readonly CircuitState[] = ['closed', 'open', 'halfOpen'];

/** What this instance knows without asking anyone. */
function instanceReadings({ circuits, operations, registry }: MeterParts['parts'], waiting: WaitingCount): readonly Reading[] {
  const { waiting: unstored, spilled } = operations.backlog();
  return [
    { name: 'keybroker.records.waiting', value: unstored, attributes: {} },
    { name: 'keybroker.records.spilled', value: spilled, attributes: {} },
    ...registry.peekVaults().flatMap(({ name: vault }): Reading[] => {
      const attributes = { 'keybroker.vault': vault };
      const { state } = circuits.state(vault);
      return [
        { name: 'keybroker.queue.length', value: waiting(vault), attributes },
        ...circuitStates.map((one): Reading => ({
          name: 'keybroker.circuit.state',
          value: one === state ? 1 : 0,
          attributes: { ...attributes, 'keybroker.circuit.state': one },
        })),
      ];
    }),
  ];
}

/** The watch of this instance looks every 15 s: what is older is of a watch that another instance has taken over. */
const sampleLasts = minutes(1);

/** The fleet as the last pass of the watch saw it. */
function createFleetSample(
  roads: Pick<Roads, 'status'>,
  { clock }: Pick<Parts, 'clock'>,
): { take(): Promise<void>; readings(): readonly Reading[] } {
  let sample: { readonly at: Millis; readonly readings: readonly Reading[] } | undefined;

  return {
    async take() {
      const deadline = clock.elapsed() + seconds(10);
      const context = { caller: { objectId: '', roles: new Set<never>() }, requestId: clock.uuid(), deadline };
      const seen = await roads.status({ after: null, limit: 1 }, context);
      // The store is away: what was seen before is not true any more, and nothing is better than that.
      sample = seen.ok ? { at: clock.elapsed(), readings: fleetReadings(seen.value) } : undefined;
    },
    readings: () => (sample !== undefined && clock.elapsed() - sample.at < sampleLasts ? sample.readings : []),
  };
}

function fleetReadings({ at, audit, servers, undelivered, vaults }: StatusView): readonly Reading[] {
  const { oldestAt, count } = undelivered;
  return [
    { name: 'keybroker.outbox.age', value: oldestAt === null ? 0 : Math.max(0, at - oldestAt) / 1000, attributes: {} },
    { name: 'keybroker.outbox.events', value: count, attributes: {} },
    ...Object.entries(servers.byState).map(([state, value]): Reading => ({
      name: 'keybroker.servers',
      value,
      attributes: { 'keybroker.server.state': state },
    })),
    ...(audit === null ? [] : findings('error', audit.counts.errors).concat(findings('warning', audit.counts.warnings))),
    ...vaults.flatMap(vaultReadings),
  ];
}

function findings(severity: string, value: number): Reading[] {
  return [{ name: 'keybroker.audit.findings', value, attributes: { 'keybroker.finding.severity': severity } }];
}

function vaultReadings({ name: vault, association, latches, rate }: VaultStatus): readonly Reading[] {
  const budgets = Object.entries({ association, rate }).flatMap(([budget, { used, limit }]): Reading[] => {
    const attributes = { 'keybroker.vault': vault, 'keybroker.budget': budget };
    return [
      { name: 'keybroker.budget.used', value: used, attributes },
      { name: 'keybroker.budget.limit', value: limit, attributes },
    ];
  });
  return [
    ...budgets,
    ...Object.entries(latches).map(([status, value]): Reading => ({
      name: 'keybroker.latches',
      value,
      attributes: { 'keybroker.vault': vault, 'keybroker.latch.status': status },
    })),
  ];
}
