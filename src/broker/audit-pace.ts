import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import type { LetGo } from './link-calls.ts';
import type { Parts } from './parts.ts';

/** How often the use of a vault is looked at, and how long a call may wait in the queue of real traffic. */
const lookAgainMs = millis(1000);
/** A vault without room for so long is left alone for as long: what waits for it is taken up at a later turn. */
const patienceMs = 30_000;
/** So much of a vault's budget is asked for however little traffic leaves: ten minutes for a hundred servers of one link. */
const trickle = 0.01;

/** How an audit may go on at a vault, by the last look at its use. Times by the monotonic clock, in ms. */
interface Room {
  readonly at: number;
  /** So far apart calls are begun, a point of theirs. */
  readonly msAPoint: number;
  /** Until then the vault is left alone. */
  fullUntil: number;
  /** When the next call may begin. */
  nextAt: number;
}

type Request = Parameters<LetGo>[0];

/** A call that waits for its turn at a vault. */
interface Waiting {
  readonly request: Request;
  /** Place of its server in the run. */
  readonly place: number;
  readonly answer: (mayGo: Promise<boolean>) => void;
}

/** How the calls of a run are let go, and the names of the vaults that had no room for one. */
export interface BehindTraffic {
  readonly letGo: LetGo;
  readonly full: ReadonlySet<string>;
}

/**
 * P1: an audit uses what traffic leaves. It has six hours: so it goes at a pace that leaves the most of the budget unused, for the storm that
 * comes just then. Where traffic, and the audit itself, use so much that more would go beyond the audits' share, it goes slower, down to a
 * trickle, always as the last class of the queue (B4), which lets it through as far as there is room. The calls to one vault begin one after
 * another, evenly: in a burst, traffic would wait behind them at the vault and in this instance. Vaults are paced side by side. Servers that
 * were begun go before others, so that at any pace one after the other is seen to its end.
 * @param end monotonic milliseconds at which the run ends.
 */
export function behindTraffic({ admission, clock, rules }: Pick<Parts, 'admission' | 'clock' | 'rules'>, end: number): BehindTraffic {
  const lines = new Map<string, Waiting[]>();
  const places = new Map<string, number>();
  const rooms = new Map<string, Room>();
  const full = new Set<string>();

  async function roomAt(vault: string): Promise<Room> {
    const known = rooms.get(vault);
    if (known !== undefined && clock.elapsed() - known.at < lookAgainMs) return known;
    const { used, limit, windowMs } = await admission.usage(vault);
    const { fullUntil = 0, nextAt = 0 } = known ?? {};
    const points = Math.max(limit * trickle, Math.min(limit * rules.auditPace, limit * rules.auditShare - used));
    const room = { at: clock.elapsed(), msAPoint: windowMs / points, fullUntil, nextAt };
    rooms.set(vault, room);
    return room;
  }

  /** How long the call must wait before it may ask again; undefined: it may begin. */
  async function admitted(request: Request, room: Room): Promise<Millis | undefined> {
    const early = room.nextAt - clock.elapsed();
    return early > 0 ? millis(early) : admission.admit({ ...request, class: 'audit', within: lookAgainMs });
  }

  async function ask(request: Request): Promise<boolean> {
    const until = Math.min(end, clock.elapsed() + patienceMs);
    for (;;) {
      const room = await roomAt(request.vault);
      if (clock.elapsed() >= until) room.fullUntil = clock.elapsed() + patienceMs;
      if (clock.elapsed() < room.fullUntil) {
        full.add(request.vault);
        return false;
      }
      const wait = await admitted(request, room);
      if (wait === undefined) {
        room.nextAt = clock.elapsed() + request.points * room.msAPoint;
        return true;
      }
      await clock.pause(millis(Math.max(1, Math.min(wait, until - clock.elapsed()))));
    }
  }

  function placeOf(server: string): number {
    const place = places.get(server) ?? places.size;
    places.set(server, place);
    return place;
  }

  /** Answers those who wait at the vault, by the place of their servers, until nobody does. */
  async function answerAll(vault: string, line: Waiting[]): Promise<void> {
    for (let first = takeFirst(line); first !== undefined; first = takeFirst(line)) {
      const asked = ask(first.request);
      first.answer(asked);
      await Promise.allSettled([asked]);
    }
    lines.delete(vault);
  }

  return {
    full,
    letGo: (request) =>
      new Promise((answer) => {
        const waiting = { request, place: placeOf(request.server), answer };
        const line = lines.get(request.vault);
        if (line !== undefined) return void line.push(waiting);
        const begun: Waiting[] = [waiting];
        lines.set(request.vault, begun);
        void answerAll(request.vault, begun);
      }),
  };
}

function takeFirst(line: Waiting[]): Waiting | undefined {
  const first = line.reduce<Waiting | undefined>((best, one) => (best !== undefined && best.place <= one.place ? best : one), undefined);
  if (first !== undefined) line.splice(line.indexOf(first), 1);
  return first;
}
