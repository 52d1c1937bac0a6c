import { createAccess } from './access.ts';
import { createAttempts } from './attempt.ts';
import { createAudits } from './audits.ts';
import { createAuditRuns } from './audit-permissions.ts';
import { createAuditServer } from './audit-server.ts';
import { createDelivery } from './deliver-events.ts';
import type { Delivery } from './deliver-events.ts';
import { createUndelivered } from './delivery-status.ts';
import { createDrill } from './drill.ts';
import { createStatus } from './status.ts';
import { createAtGroup } from './failover.ts';
import { createBatch } from './batch.ts';
import { createHours } from './last-hour.ts';
import { createLinkKeys } from './link-keys.ts';
import { createOperate } from './operate.ts';
import { createOutages } from './outages.ts';
import type { Outages } from './outages.ts';
import type { Parts } from './parts.ts';
import { createProveGroup } from './prove-group.ts';
import { createRegister } from './register.ts';
import { createRegisterDatabase } from './register-database.ts';
import { startReporting } from './report.ts';
import { createReports } from './reports.ts';
import { createReservations } from './reservations.ts';
import { createRevalidate } from './revalidate.ts';
import type { Roads } from './roads.ts';
import { createStoreReserved } from './store-reserved.ts';
import { answeringStoreAway } from './store-away.ts';
import { createUpkeep } from './upkeep.ts';
import { createWatch } from './watch.ts';
import { createWitness } from './witness.ts';

/** What is composed. `circuitChanged` is for whoever hears the circuits, `deliver` for whoever published events. */
export interface Composed {
  readonly roads: Roads;
  readonly circuitChanged: Outages['circuitChanged'];
  /** Tells the others of this instance from now on, until what it answers is called. */
  readonly startReporting: () => () => void;
  readonly deliver: Delivery['deliver'];
}

/** All roads over one set of parts. */
export function createRoads(parts: Parts): Composed {
  const access = createAccess(parts);
  const witness = createWitness(parts, access);
  const outages = createOutages(parts, access, witness);
  const all = { parts, access, outages, witness };
  const reservations = createReservations(parts);
  const storeReserved = createStoreReserved(parts.registry, reservations);
  const proveGroup = createProveGroup(all);
  const watch = createWatch(all);
  const undelivered = createUndelivered(parts);
  const hours = createHours(parts);
  const upkeep = createUpkeep({ parts, reservations, undelivered });
  const auditRuns = createAuditRuns(parts, createAuditServer(all));
  const delivery = createDelivery(parts);
  const roads: Roads = {
    ...createRegister(parts, storeReserved, access),
    ...createRegisterDatabase(parts, storeReserved),
    ...createLinkKeys({ parts, access, proveGroup, storeReserved }),
    ...createOperate(parts, createAtGroup(all, createAttempts(all))),
    ...createBatch(parts),
    ...createRevalidate(parts, access, proveGroup),
    ...createReports(parts),
    ...createAudits(parts, auditRuns),
    ...createDrill(all),
    ...createStatus(parts, access, { hours, undelivered }),
    watch: async () => {
      await watch();
      await delivery.sweep();
      // The delivery goes on beside the watch: a slow receiver must hold up nothing.
      void delivery.deliver();
      // Beside the watch, which must be back in time: what a run left, or a killed instance.
      void auditRuns.goOn();
      await upkeep();
      // Last: what keeps the picture of the hour from being drawn keeps nothing else from its turn.
      await hours.note();
    },
  };
  return {
    roads: answeringStoreAway(roads),
    circuitChanged: outages.circuitChanged,
    startReporting: () => startReporting(parts, outages),
    deliver: delivery.deliver,
  };
}
