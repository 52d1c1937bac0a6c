import { hours, minutes, seconds, type Instant } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { timeKey } from './rows.ts';
import { removeRows, type RowKey, type Table } from './table.ts';

/** What a marker names: one server, or the list of vaults. */
export type Subject = { readonly kind: 'server'; readonly name: string } | { readonly kind: 'vaults' };

/** Says that something is about to change. `landed` once the change is stored. */
export interface Marker {
  readonly id: string;
  readonly subject: Subject;
  readonly landed: boolean;
}

/** A marker of our own, which may be renewed while its change is still being tried. */
export interface Announced {
  readonly key: RowKey;
  readonly at: Instant;
  readonly subject: Subject;
}

/**
 * Tells all instances what to read again: a marker is written before each change, so that no crash hides one, and is marked as landed
 * after it. A marker that has not landed is looked at again until no change can follow it.
 */
export interface ChangeFeed {
  /** Writes a marker; or answers `earlier` where that is fresh enough. */
  announce(subject: Subject, earlier?: Announced): Promise<Announced>;
  /** Says, in the background, that the change of a marker is stored. Failing is harmless: others then read more often than they need. */
  landed(announced: Announced): void;
  /** Markers written since `at`, and those before it that may still be followed by their change. */
  since(at: Instant): Promise<readonly Marker[]>;
  /** Removes the markers that nobody looks at any more. */
  sweep(): Promise<void>;
}

const partition = 'changes';
/** A change follows its marker within this time, two write limits and the renewal included. */
const changeFollowsWithin = seconds(30);
/** How far the clocks of two instances may differ (law B2 allows as much). */
const clocksDiffer = seconds(2);
/** A marker is renewed before a try that begins later than this. */
const renewAfter = seconds(10);
/** An instance that has not read markers for so long must read everything anew. */
export const markersLast = hours(1);
/** Markers are kept somewhat longer than anyone relies on. */
const sweptAfter = minutes(75);
const sweptAtOnce = 1000;

export function createChangeFeed(table: Table, clock: Clock): ChangeFeed {
  return {
    async announce(subject, earlier) {
      const at = clock.now();
      if (earlier !== undefined && at - earlier.at < renewAfter) return earlier;
      const announced = { key: { partition, row: `${timeKey(at)}:${clock.uuid()}` }, at, subject };
      await table.write([{ kind: 'put', row: { ...announced.key, columns: columnsOf(subject, false) } }]);
      return announced;
    },

    landed({ key, subject }) {
      table.write([{ kind: 'put', row: { ...key, columns: columnsOf(subject, true) } }]).catch(() => undefined);
    },

    async since(at) {
      const { rows } = await table.list({ partition, from: timeKey(at - changeFollowsWithin - clocksDiffer) });
      return rows.map(({ row, columns }) => ({
        id: row,
        subject: typeof columns['server'] === 'string' ? { kind: 'server', name: columns['server'] } : { kind: 'vaults' },
        landed: columns['landed'] === 1,
      }));
    },

    async sweep() {
      const { rows } = await table.list({ partition, below: timeKey(clock.now() - sweptAfter) }, sweptAtOnce);
      await removeRows(table, rows);
    },
  };
}

function columnsOf(subject: Subject, landed: boolean): Record<string, string | number> {
  return { ...(subject.kind === 'server' ? { server: subject.name } : {}), landed: landed ? 1 : 0 };
}
