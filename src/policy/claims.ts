/*
 * How supply is shared between instances (B4): as between the servers of one, by max-min fairness over the servers of all.
 *
 * Instances tell one another not only how much they claim, but also how much it is up to each of three marks: if no server claimed more
 * than 50, 160, 400 points. One server in a loop makes its instance's claim large, but has no more than 50 points up to the first mark; a
 * thousand servers that ask for one call each have all of theirs there. Supply is poured over all instances mark by mark, so those who ask
 * for little are met first, wherever they wait. Between two marks it is shared by what each instance has there.
 *
 * Before all that come those who were told when to come, and have come, up to the first mark: what was announced holds, whichever
 * instance they came to, and however many newcomers wait at the others.
 *
 * A server that asks several instances counts at each as one of its own: it may get more than its part by that, but takes nothing of what
 * those need who ask for less.
 */
import { less, most, times } from '../domain/budget.ts';
import type { Amount, Claim } from '../domain/budget.ts';

/** So many points of one server lie up to each mark. The first covers ten Business Critical databases that ask for a key at once. */
export const marks = [50, 160, 400] as const;

/** Beyond them: all of a claim. */
const beyond = marks.length;

/** Below them: the part of a claim that goes before all others. */
const dueFirst = -1;

/** The first mark that covers all that one server claims. */
export function markOf(points: number): number {
  const mark = marks.findIndex((most) => points <= most);
  return mark < 0 ? beyond : mark;
}

/** The first mark up to which a claim has so much. */
export function markFor(load: Amount, claim: Claim): number {
  const mark = marks.findIndex((_, k) => pointsTo(claim, k) >= load.points);
  return mark < 0 ? beyond : mark;
}

/** The part of a claim up to a mark; its service units in proportion. */
export function partTo(claim: Claim, mark: number): Amount {
  const points = pointsTo(claim, mark);
  return points === claim.points ? claim : times(claim, points / claim.points);
}

function pointsTo({ points, upTo, due = 0 }: Claim, mark: number): number {
  return mark === dueFirst ? due : (upTo?.[mark] ?? points);
}

/** A claim of so much, with its points up to each mark; those that say nothing new are left out. */
export function claimOf({ points, service }: Amount, pointsUpTo: readonly number[], due = 0): Claim {
  const all = pointsUpTo.indexOf(points);
  const upTo = all < 0 ? pointsUpTo : pointsUpTo.slice(0, all);
  return { points, service, ...(upTo.length > 0 && { upTo }), ...(due > 0 && { due }) };
}

export function addClaims(a: Claim, b: Claim): Claim {
  const sum = { points: a.points + b.points, service: a.service + b.service };
  return claimOf(
    sum,
    marks.map((_, mark) => pointsTo(a, mark) + pointsTo(b, mark)),
    pointsTo(a, dueFirst) + pointsTo(b, dueFirst),
  );
}

/** What is left of a claim without `part`, of which none is due yet; a part without marks is met from the first on. */
export function lessClaim(claim: Claim, part: Claim): Claim {
  return claimOf(
    less(claim, part),
    marks.map((_, mark) => Math.max(0, pointsTo(claim, mark) - pointsTo(part, mark))),
    claim.due,
  );
}

/** What is left of a claim when so much was served: those first who go first. */
export function lessServed(claim: Claim, served: Amount): Claim {
  const { due, ...left } = lessClaim(claim, served);
  return claimOf(left, left.upTo ?? [], Math.max(0, (due ?? 0) - served.points));
}

/** A claim with something more that nobody waits for yet: it goes last. */
export function extended(claim: Claim, want: Amount): Claim {
  return claimOf(
    most(claim, want),
    marks.map((_, mark) => pointsTo(claim, mark)),
    claim.due,
  );
}

/** One claim's part of a supply. */
export interface Share {
  readonly share: number;
  /** The claim up to the mark where the supply ends: so much may be given at once without harm to those who ask for less. */
  readonly level: number;
  /** What is to be left for the others: claims that are met as a whole, and of the rest what goes first. */
  readonly spared: number;
}

/** Shares a supply of points, or of service units, between one claim and those of others. */
export function shareOf(supply: number, mine: Claim, others: readonly Claim[], by: keyof Amount): Share {
  const othersTo = (mark: number): number => others.reduce((sum, claim) => sum + partTo(claim, mark)[by], 0);
  let below = { mine: 0, all: 0 };
  for (let mark: number = dueFirst; mark <= beyond; mark += 1) {
    const part = partTo(mine, mark)[by];
    const all = part + othersTo(mark);
    if (all > supply) {
      if (mark === dueFirst && part === 0) return { share: 0, level: 0, spared: supply };
      const poured = (supply - below.all) / (all - below.all);
      const sparedOf = (claim: Claim): number => partTo(claim, partTo(claim, mark - 1)[by] < claim[by] ? dueFirst : beyond)[by];
      const spared = mark === dueFirst ? 0 : others.reduce((sum, claim) => sum + sparedOf(claim), 0);
      return { share: below.mine + (part - below.mine) * poured, level: part, spared };
    }
    below = { mine: part, all };
  }
  return { share: mine[by], level: mine[by], spared: below.all - mine[by] };
}
