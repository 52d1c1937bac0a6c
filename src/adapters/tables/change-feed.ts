import { hours, minutes, seconds, type Instant, type Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { timeKey } from './rows.ts';
import { createReadReadable } from './readable-rows.ts';
import { removeRows, type Columns, type LeftOut, type RowKey, type StoredRow, type Table, type Tell } from './table.ts';

/** What a marker names: one server, or the list of vaults. */
export type Subject = { readonly kind: 'server'; readonly name: string } | { readonly kind: 'vaults' };

/** Says that something is about to change; `anything` where the marker cannot be read. `landed` once the change is stored. */
export interface Marker {
  readonly id: string;
  readonly subject: Subject | { readonly kind: 'anything' };
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
  /** Markers written since `at`, and those before it that may still be followed by their change. What cannot be read hides no other. */
  since(at: Instant): Promise<readonly Marker[]>;
  /** Removes the markers that nobody looks at any more, also those that cannot be read. */
  sweep(): Promise<void>;
}

const partition = 'changes';
/**
 * A change follows its marker within this time: `renewAfter`, and after it four calls to the store (index, standing, announcement of events,
 * the change), each of which ends within its limit, 5 s at most.
 */
const changeFollowsWithin = seconds(30);
/** A marker is renewed before a try that begins later than this. */
const renewAfter = seconds(10);
/** An instance that has not read markers for so long must read everything anew. */
export const markersLast = hours(1);
/** Markers are kept somewhat longer than anyone relies on. */
const sweptAfter = minutes(75);
const sweptAtOnce = 1000;

export interface ChangeFeedParts {
  readonly clock: Clock;
  /** How far the wall clocks of two instances may differ. */
  readonly clockSkewMs: Millis;
  /** Hears once of each marker that cannot be read. */
  readonly tell: Tell;
}

export function createChangeFeed(table: Table, { clock, clockSkewMs, tell }: ChangeFeedParts): ChangeFeed {
  const readReadable = createReadReadable(table, 'what was changed by another instance cannot be read: all is read again', tell);

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
      const from = (moment: number): string => timeKey(moment - changeFollowsWithin - clockSkewMs);
      const { values, leftOut } = await readReadable({ partition, from: from(at) }, markerOf);
      const concluded = from(clock.now());
      return [...values, ...[...leftOut.values()].map((left) => unreadMarker(left, left.row < concluded))];
    },

    async sweep() {
      const unreadable: RowKey[] = [];
      const leaveOut = ({ row }: LeftOut): void => void unreadable.push({ partition, row });
      const { rows } = await table.list({ partition, below: timeKey(clock.now() - sweptAfter), leaveOut }, sweptAtOnce);
      await removeRows(table, [...rows, ...unreadable]);
    },
  };
}

function markerOf({ row, columns }: StoredRow): Marker {
  return {
    id: row,
    subject: typeof columns['server'] === 'string' ? { kind: 'server', name: columns['server'] } : { kind: 'vaults' },
    landed: columns['landed'] === 1,
  };
}

/**
 * A marker of a newer broker does not say whether its change has landed, and to read everything at each poll until it must have would cost too
 * much. So it counts as a landed one: when it is met, anew when it is written again, and once more when no change can follow it any more.
 */
function unreadMarker({ row, etag }: LeftOut, concluded: boolean): Marker {
  return { id: `${row} ${etag}${concluded ? ' concluded' : ''}`, subject: { kind: 'anything' }, landed: true };
}

function columnsOf(subject: Subject, landed: boolean): Columns {
  return { ...(subject.kind === 'server' ? { server: subject.name } : {}), landed: landed ? 1 : 0 };
}
