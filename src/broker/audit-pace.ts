import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import type { LetGo } from './link-calls.ts';
import type { Parts } from './parts.ts';

/** How often the use of a vault is looked at, and how long a call may wait in the queue of real traffic. */
const lookAgainMs = millis(1000);
/** A vault without room for so long is left alone for as long: what waits for it is taken up at a later turn. */
const patienceMs = 30_000;

/** What an audit may still spend at a vault, by the last look at its use. Times by the monotonic clock, in ms. */
interface Room {
  readonly at: number;
  points: number;
  /** So far apart calls are begun, a point of theirs. */
  readonly msAPoint: number;
  /** Until then the vault is left alone. */
  fullUntil: number;
  /** When the next call may begin. */
  nextAt: number;
}

/**
 * P1: an audit uses what traffic leaves. It goes to a vault only while the use of the last window, its own included, is below its share of the
 * budget; and then as the last class of the queue (B4). It has six hours: so it goes at a pace that leaves the most of the budget unused, for
 * the storm that comes just then. The calls to one vault begin one after another, evenly: in a burst, traffic would wait behind them at the
 * vault and in this instance. Vaults are paced side by side.
 * @param end monotonic milliseconds at which the run ends.
 */
export function behindTraffic({ admission, clock, rules }: Pick<Parts, 'admission' | 'clock' | 'rules'>, end: number): LetGo {
  const last = new Map<string, Promise<boolean>>();
  const rooms = new Map<string, Room>();

  async function roomAt(vault: string): Promise<Room> {
    const known = rooms.get(vault);
    if (known !== undefined && clock.elapsed() - known.at < lookAgainMs) return known;
    const { used, limit, windowMs } = await admission.usage(vault);
    const { fullUntil = 0, nextAt = 0 } = known ?? {};
    const msAPoint = windowMs / (limit * rules.auditPace);
    const room = { at: clock.elapsed(), points: limit * rules.auditShare - used, msAPoint, fullUntil, nextAt };
    rooms.set(vault, room);
    return room;
  }

  /** How long the call must wait before it may ask again; undefined: it may begin. */
  async function admitted(request: Parameters<LetGo>[0], room: Room): Promise<Millis | undefined> {
    const early = room.nextAt - clock.elapsed();
    if (early > 0) return millis(early);
    if (room.points < request.points) return lookAgainMs;
    return admission.admit({ ...request, class: 'audit', within: lookAgainMs });
  }

  async function ask(request: Parameters<LetGo>[0]): Promise<boolean> {
    const until = Math.min(end, clock.elapsed() + patienceMs);
    for (;;) {
      const room = await roomAt(request.vault);
      if (clock.elapsed() >= until) room.fullUntil = clock.elapsed() + patienceMs;
      if (clock.elapsed() < room.fullUntil) return false;
      const wait = await admitted(request, room);
      if (wait === undefined) {
        room.points -= request.points;
        room.nextAt = clock.elapsed() + request.points * room.msAPoint;
        return true;
      }
      await clock.pause(millis(Math.max(1, Math.min(wait, until - clock.elapsed()))));
    }
  }

  return (request) => {
    const before = last.get(request.vault) ?? Promise.resolve(true);
    const turn = before.then(() => ask(request));
    last.set(request.vault, turn);
    return turn;
  };
}
