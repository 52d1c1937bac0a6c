/** A batch is an object with a list of objects: nothing that is sent here is nested deeper than that, or by little. */
const deepest = 8;

/** Values and fields: a full batch has five thousand. */
const mostParts = 16_384;

/** Nothing below it means anything between texts, nor does it itself. */
const blank = 0x20;
const quote = 0x22;
const escape = 0x5c;
const comma = 0x2c;
const openList = 0x5b;
const closeList = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;

/**
 * Why a JSON text is not worth its parsing, seen before it is parsed: 4 MiB of brackets alone would hold up everybody for a quarter of a
 * second. Completes "{field}: ..."; undefined where nothing is. Whether it is JSON at all is not looked at.
 */
export function tooBulky(json: Uint8Array): string | undefined {
  let depth = 0;
  let parts = 0;
  for (let i = 0; i < json.length; i += 1) {
    const byte = json[i] ?? 0;
    if (byte <= blank) continue;
    if (byte === quote) i = endOfText(json, i + 1);
    else if (byte === comma) parts += 1;
    else if (byte === openList || byte === openObject) {
      parts += 1;
      depth += 1;
      if (depth > deepest) return `is nested deeper than ${deepest} levels`;
    } else if (byte === closeList || byte === closeObject) depth -= 1;
    if (parts > mostParts) return `has more than ${mostParts} parts`;
  }
  return undefined;
}

/** Where the quote is that ends a text; the end of all where none does. @param from where its first character is. */
function endOfText(json: Uint8Array, from: number): number {
  const first = json.indexOf(quote, from);
  if (first < 0 || json[first - 1] !== escape || first === from) return first < 0 ? json.length : first;
  let end = from;
  while (end < json.length && json[end] !== quote) end += json[end] === escape ? 2 : 1;
  return end;
}
