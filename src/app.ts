import { systemClock as clock } from './adapters/clock.ts';
import { createCircuits } from './adapters/circuits.ts';
import { createControlPlane } from './adapters/control-plane.ts';
import { createIdentities } from './adapters/identity.ts';
import type { Identities } from './adapters/identity.ts';
import { insightsTarget } from './adapters/insights-target.ts';
import { createKeyVaults } from './adapters/key-vault/key-vaults.ts';
import { createSecondResolver } from './adapters/key-vault/resolver.ts';
import { createTransport } from './adapters/key-vault/transport.ts';
import { createOwnIdentity } from './adapters/own-identity.ts';
import { createPermissions } from './adapters/permissions.ts';
import { standardLog } from './adapters/log.ts';
import { storeCredential } from './adapters/store-credential.ts';
import { createAccessLog } from './adapters/tables/access-log.ts';
import { createAssociationLedger } from './adapters/tables/association-ledger.ts';
import { createAuditStore } from './adapters/tables/audit-store.ts';
import { createBudgetLedger } from './adapters/tables/budget-ledger.ts';
import { createDeliveries } from './adapters/tables/deliveries.ts';
import { createEventLog } from './adapters/tables/event-log.ts';
import { createHistory } from './adapters/tables/history.ts';
import { createInstances } from './adapters/tables/instances.ts';
import { createOperationLog } from './adapters/tables/operation-log.ts';
import { createRegistry } from './adapters/tables/registry.ts';
import { openStore } from './adapters/tables/store.ts';
import type { Store, Tell } from './adapters/tables/table.ts';
import { createTelemetry } from './adapters/telemetry.ts';
import { createWebhooks } from './adapters/webhooks.ts';
import { boundEngineMemory } from './adapters/engine-memory.ts';
import { createAdmission } from './broker/admission.ts';
import { createRoads } from './broker/compose.ts';
import { withLatencies } from './broker/latencies.ts';
import { metered, withWaiting } from './broker/metered.ts';
import type { BrokerRules, Parts } from './broker/parts.ts';
import type { Roads } from './broker/roads.ts';
import { millis, seconds } from './domain/time.ts';
import { createCallers } from './http/caller.ts';
import { reportDefect } from './http/defect.ts';
import type { Defect } from './http/defect.ts';
import type { WireHandler } from './http/exchange.ts';
import { serveMisconfigured } from './http/misconfigured.ts';
import { createReadJson } from './http/read-json.ts';
import type { Route } from './http/route.ts';
import { routes } from './http/routes.ts';
import { createServe } from './http/serve.ts';
import { serveUnknownPath } from './http/unknown-path.ts';
import { associationPoints } from './policy/association.ts';
import { StoreAway } from './ports/store.ts';
import { processSettings } from './settings.ts';
import type { Settings } from './settings.ts';

/** What the triggers are given. */
export interface Broker {
  serve(route: Route): WireHandler;
  /** What is no route. */
  readonly serveUnknownPath: WireHandler;
  /** The `accessWatch` timer. */
  watch(): Promise<void>;
  /** The `permissionAudit` timer. */
  auditPermissions(): Promise<void>;
  /** The process is about to end: what waits is stored. */
  close(): Promise<void>;
}

function rulesFrom({
  audits,
  tenantId,
  budgets,
  circuits,
  clockSkewMs,
  failover,
  keys,
  serverClock,
  vaults,
  witnesses,
}: Settings): BrokerRules {
  return {
    tenant: tenantId,
    attemptMs: vaults.attemptTimeoutMs,
    maxStandbys: keys.maxStandbys,
    association: { points: budgets.points, limit: budgets.associationPoints },
    denial: { witnessAfterMs: witnesses.afterMs, forgetAfterMs: witnesses.denialForgetMs },
    gate: {
      proofMaxAgeMs: failover.proofMaxAgeMs,
      standbyProofMaxAgeMs: failover.standbyProofMaxAgeMs,
      denialQuietMs: failover.denialQuietMs,
      clockSkewMs,
    },
    state: { inaccessibleAfterMs: serverClock.inaccessibleAfterMs, healsWithinMs: serverClock.healsWithinMs },
    pictureMaxAgeMs: failover.accessReadMaxAgeMs,
    proofRenewMs: failover.proofRenewMs,
    standbyProofRenewMs: millis(failover.standbyProofMaxAgeMs / 2),
    witnessLimit: witnesses.limit,
    probeMs: circuits.probeMs,
    instanceGoneMs: seconds(45),
    auditShare: audits.share,
    auditPace: audits.pace,
    auditRunMs: audits.runMs,
  };
}

function storeOf({ store: { connectionString, endpoint, timeoutMs } }: Settings, identities: Identities): Store {
  const reached =
    connectionString === null ? { endpoint: endpoint ?? '', credential: storeCredential(identities, clock) } : { connectionString };
  return openStore(reached, { timeoutMs });
}

/** Tables are made in the background: a store that is away at the start must not keep the broker from starting. */
async function createTables(store: Store): Promise<void> {
  for (;;) {
    try {
      await store.createTables();
      return;
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      await clock.pause(seconds(1));
    }
  }
}

/** What the store's adapters say to the log. */
const tell: Tell = (level, message, about) => void standardLog.line(level, message, about);

/**
 * Builds the broker from its settings; nothing is called before the first request, but for the store.
 * @param warnings problems of settings that were left out.
 */
function start(settings: Settings, warnings: readonly string[]): Broker {
  boundEngineMemory();
  const { line } = standardLog;
  const rules = rulesFrom(settings);
  const identities = createIdentities({ clock, ownClientId: settings.identity.clientId });
  const store = storeOf(settings, identities);
  void createTables(store);
  const told: Partial<Pick<ReturnType<typeof createRoads>, 'circuitChanged' | 'deliver'>> = {};
  const events = createEventLog(
    store,
    clock,
    (published) => {
      // The alerts of `infra/` read these lines.
      for (const event of published) line('info', 'event', { event });
      void told.deliver?.();
    },
    tell,
  );
  const { outbox } = events;
  const instance = clock.uuid();
  const operations = createOperationLog(store, {
    clock,
    instance,
    ...settings.records,
    log: (record) => line('warn', 'operation record', { record }),
    tell,
  });
  const registry = createRegistry(store, { clock, outbox, pollMs: settings.registry.pollMs, clockSkewMs: settings.clockSkewMs, tell });
  const transport = createTransport({ clock, maxConnections: settings.vaults.connections });
  const resolver = createSecondResolver({ servers: settings.vaults.resolvers, timeoutMs: settings.vaults.attemptTimeoutMs });
  const insights = insightsTarget(settings.telemetry, identities, clock);
  const telemetry = createTelemetry({ ...settings.telemetry, insights, instance, log: line });
  const { budgets } = settings;
  const { admission, waiting } = withWaiting(
    createAdmission({
      ledger: createBudgetLedger(store, clock),
      clock,
      queueLength: budgets.queueLength,
      rules: {
        points: budgets.ratePoints,
        windowMs: budgets.rateWindowMs,
        serviceLimits: budgets.serviceLimits,
        serviceShare: budgets.serviceShare,
        probeShare: budgets.probeShare,
        leaseMs: budgets.leaseMs,
        attemptMs: rules.attemptMs,
        clockSkewMs: settings.clockSkewMs,
        awayShare: budgets.storeAwayShare,
      },
      onTight: (vault) =>
        events.publish([
          { id: clock.uuid(), type: 'keybroker.budget.tight', subject: vault, time: clock.now(), data: { reason: 'throttled' } },
        ]),
    }),
  );

  const parts: Parts = {
    ...withLatencies(createKeyVaults({ transport, identities, resolver, clock })),
    clock,
    registry,
    operations,
    events,
    deliveries: createDeliveries(store, tell),
    webhooks: createWebhooks({ ...settings.webhooks, clock }),
    accessLog: createAccessLog(store, clock, outbox, tell),
    association: createAssociationLedger(store, clock, (counts) => associationPoints(counts, rules.association), tell),
    audits: createAuditStore(store, outbox, tell),
    instances: createInstances(store, tell),
    history: createHistory(store, tell),
    controlPlane: createControlPlane({ clock, identities, endpoint: settings.controlPlane.endpoint }),
    ownIdentity: createOwnIdentity({ clock, identities, hostSuffix: settings.wire.vaultHostSuffixes[0]?.suffix ?? '.vault.azure.net' }),
    permissions: createPermissions({ clock, identities, endpoint: settings.controlPlane.endpoint }),
    circuits: createCircuits({ clock, ...settings.circuits, onChange: ({ vault, state }) => void told.circuitChanged?.(vault, state) }),
    admission,
    rules,
    log: line,
  };
  const { roads: unmetered, circuitChanged, startReporting, deliver } = createRoads(parts);
  Object.assign(told, { circuitChanged, deliver });
  const stopReporting = startReporting();
  const roads = metered({ parts, roads: unmetered, waiting, telemetry });
  return {
    serve: serving(roads, settings, warnings),
    serveUnknownPath: serveUnknownPath(routes, clock),
    watch: roads.watch,
    auditPermissions: roads.auditPermissions,
    async close() {
      stopReporting();
      registry.close();
      await operations.close();
      transport.close();
      await telemetry.close();
    },
  };
}

/** The wire before the roads, and what is said to the log of either. */
function serving(roads: Roads, settings: Settings, warnings: readonly string[]): Broker['serve'] {
  const { line } = standardLog;
  for (const problem of warnings) line('warn', 'a setting is wrong and was left out', { problem });
  const callers = createCallers(settings.callers, clock, createReadJson(seconds(5)));
  const tellDefect = (defect: Defect): void => void line('error', 'a request failed by a defect', defect);
  // Node ends a process for a promise that fails while nobody waits; every request that it serves would go with it.
  process.on('unhandledRejection', (error) => reportDefect(tellDefect, error, { requestId: 'none', route: 'background' }));
  return createServe({ roads, callers, settings: { ...settings.wire, warnings }, clock, log: tellDefect });
}

/** A broker whose settings are wrong says so on every call: an entry that throws would leave the host with no function and empty 404s. */
function refuseToStart(problems: readonly string[]): Broker {
  for (const problem of problems) standardLog.line('error', 'a setting is wrong', { problem });

  return {
    serve: serveMisconfigured(problems, clock),
    serveUnknownPath: serveUnknownPath(routes, clock),
    watch: () => Promise.resolve(),
    auditPermissions: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

const read = processSettings();

export const broker: Broker = read.ok ? start(read.settings, read.warnings) : refuseToStart(read.problems);
