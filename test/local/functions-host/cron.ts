/** When a timer is due, in UTC. */
export interface Schedule {
  /** The first occurrence after `at` (milliseconds since the epoch, exclusive); undefined if there is none within nine years. */
  next(at: number): number | undefined;
}

interface Field {
  readonly low: number;
  readonly high: number;
  readonly names?: readonly string[];
}

const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const weekdays = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const fields: readonly Field[] = [
  { low: 0, high: 59 },
  { low: 0, high: 59 },
  { low: 0, high: 23 },
  { low: 1, high: 31 },
  { low: 1, high: 12, names: months },
  { low: 0, high: 6, names: weekdays },
];

const dayMs = 86_400_000;
/** The longest gap between two 29th of February is eight years. */
const horizonDays = 9 * 366;

/**
 * Reads an NCRONTAB expression: six fields `second minute hour day month weekday` (five without the seconds). Unlike in Unix cron, both
 * day fields must match; Sunday is 0 only.
 *
 * @throws on anything else
 */
export function parseSchedule(expression: string): Schedule {
  const texts = expression.trim().split(/\s+/);
  if (texts.length === 5) texts.unshift('0');
  if (texts.length !== fields.length) throw new Error(`not an NCRONTAB expression of 6 fields: ${expression}`);
  const sets = fields.map((field, index) => parseField(texts[index] ?? '', field));
  const [seconds, minutes, hours, days, monthSet, weekdaySet] = sets as [number[], number[], number[], number[], number[], number[]];
  return {
    next(at) {
      const from = Math.floor(at / 1000) * 1000 + 1000;
      const today = Math.floor(from / dayMs) * dayMs;
      for (let day = today; day <= today + horizonDays * dayMs; day += dayMs) {
        const date = new Date(day);
        if (!monthSet.includes(date.getUTCMonth() + 1) || !days.includes(date.getUTCDate()) || !weekdaySet.includes(date.getUTCDay()))
          continue;
        const due = firstOfDay(day, from, { hours, minutes, seconds });
        if (due !== undefined) return due;
      }
      return undefined;
    },
  };
}

function firstOfDay(day: number, from: number, of: { hours: number[]; minutes: number[]; seconds: number[] }): number | undefined {
  for (const hour of of.hours) {
    if (day + (hour + 1) * 3_600_000 <= from) continue;
    for (const minute of of.minutes) {
      for (const second of of.seconds) {
        const due = day + hour * 3_600_000 + minute * 60_000 + second * 1000;
        if (due >= from) return due;
      }
    }
  }
  return undefined;
}

/** The values of one field in ascending order: `*`, `a`, `a-b`, each with `/step`, joined by commas. */
function parseField(text: string, field: Field): number[] {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const parts = /^(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/(\d+))?$/i.exec(part);
    if (!parts) throw new Error(`not a field of an NCRONTAB expression: ${text}`);
    const [, every, first, last, step] = parts;
    const low = every === undefined ? parseValue(first ?? '', field) : field.low;
    const single = every === undefined && last === undefined && step === undefined;
    const high = single ? low : last === undefined ? field.high : parseValue(last, field);
    const by = Number(step ?? 1);
    if (low > high || by < 1) throw new Error(`not a range of an NCRONTAB expression: ${part}`);
    for (let value = low; value <= high; value += by) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function parseValue(text: string, { low, high, names }: Field): number {
  const named = names?.indexOf(text.slice(0, 3).toUpperCase()) ?? -1;
  const value = named >= 0 ? named + low : /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= low && value <= high)) throw new Error(`not a value from ${String(low)} to ${String(high)}: ${text}`);
  return value;
}

/**
 * The schedule text of a timer with `%NAME%` replaced by the app setting of that name.
 *
 * @throws if there is no such setting
 */
export function resolveSchedule(text: string, settings: Readonly<Record<string, string | undefined>>): string {
  return text.replace(/%([^%]+)%/g, (_, name: string) => {
    const value = settings[name];
    if (value === undefined) throw new Error(`the setting ${name} of the schedule is missing`);
    return value;
  });
}
