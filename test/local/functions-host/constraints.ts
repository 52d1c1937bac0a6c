/** Says whether a route parameter's text fulfils a constraint. */
export type Constraint = (text: string) => boolean;

const simple: Readonly<Record<string, Constraint>> = {
  alpha: (text) => /^[a-z]*$/i.test(text),
  bool: (text) => /^(true|false)$/i.test(text),
  guid: (text) => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text),
  int: (text) => isWholeNumber(text, 2n ** 31n),
  long: (text) => isWholeNumber(text, 2n ** 63n),
  required: (text) => text !== '',
};

const withNumbers: Readonly<Record<string, (...numbers: number[]) => Constraint>> = {
  length:
    (low = 0, high = low) =>
    (text) =>
      text.length >= low && text.length <= high,
  minlength:
    (low = 0) =>
    (text) =>
      text.length >= low,
  maxlength:
    (high = 0) =>
    (text) =>
      text.length <= high,
  min:
    (low = 0) =>
    (text) =>
      isNumberBetween(text, low, Infinity),
  max:
    (high = 0) =>
    (text) =>
      isNumberBetween(text, -Infinity, high),
  range:
    (low = 0, high = 0) =>
    (text) =>
      isNumberBetween(text, low, high),
};

/**
 * Reads one inline constraint of ASP.NET's route templates, e.g. `guid`, `length(1,64)`, `regex(^a+$)`.
 *
 * @throws on a constraint that ASP.NET does not know; there, too, it is the function's registration that fails.
 */
export function parseConstraint(text: string): Constraint {
  const parts = /^(\w+)(?:\((.*)\))?$/.exec(text);
  const name = parts?.[1]?.toLowerCase() ?? '';
  const argument = parts?.[2];
  if (name === 'regex' && argument !== undefined) {
    const pattern = new RegExp(argument, 'i');
    return (value) => pattern.test(value);
  }
  const plain = argument === undefined ? simple[name] : undefined;
  if (plain) return plain;
  const numbers = argument?.split(',').map(Number);
  const numeric = withNumbers[name];
  if (numeric && numbers && numbers.length <= 2 && numbers.every(Number.isSafeInteger)) return numeric(...numbers);
  throw new Error(`unknown route constraint: ${text}`);
}

function isWholeNumber(text: string, bound: bigint): boolean {
  if (!/^[+-]?\d{1,20}$/.test(text)) return false;
  const value = BigInt(text.replace(/^\+/, ''));
  return value >= -bound && value < bound;
}

function isNumberBetween(text: string, low: number, high: number): boolean {
  return isWholeNumber(text, 2n ** 63n) && Number(text) >= low && Number(text) <= high;
}
