import { parseConstraint } from './constraints.ts';
import type { Constraint } from './constraints.ts';

type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string; readonly optional: boolean; readonly constraints: readonly Constraint[] }
  | { readonly kind: 'rest'; readonly name: string };

/** A route template, e.g. `v1/vaults/{vault?}`. */
export type Template = readonly Segment[];

export type RouteParameters = Readonly<Record<string, string>>;

/**
 * Reads a route template of the Functions host: literals, `{name}`, `{name?}`, `{name:constraint}` and a last `{*name}`.
 *
 * @throws on what is malformed, and on ASP.NET's rarer forms (defaults, several parameters in a segment), which are not imitated.
 */
export function parseTemplate(template: string): Template {
  const texts = template.replace(/^\/|\/$/g, '').split('/');
  if (texts.length === 1 && texts[0] === '') return [];
  const segments = texts.map(parseSegment);
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1;
    if (segment.kind === 'rest' && !last) throw new Error(`a catch-all must be last: ${template}`);
    if (segment.kind === 'parameter' && segment.optional && !last) throw new Error(`an optional parameter must be last: ${template}`);
  });
  return segments;
}

function parseSegment(text: string): Segment {
  if (!/[{}]/.test(text)) {
    if (text === '') throw new Error('a route template has no empty segment');
    return { kind: 'literal', text: text.toLowerCase() };
  }
  const rest = /^\{\*(\w+)\}$/.exec(text)?.[1];
  if (rest !== undefined) return { kind: 'rest', name: rest };
  const parts = /^\{(\w+)((?::[^:{}]+(?:\{[^{}]*\}[^:{}]*)?)*?)(\?)?\}$/.exec(text);
  if (!parts?.[1]) throw new Error(`unknown form of route segment: ${text}`);
  const constraints = (parts[2] ?? '').split(':').filter(Boolean).map(parseConstraint);
  return { kind: 'parameter', name: parts[1], optional: parts[3] === '?', constraints };
}

/**
 * Path as the host's routes see it: percent-decoded but for the slash, which stays a letter of its segment, and without dot segments.
 * Null for a path that Kestrel refuses (no leading slash, a zero byte). A trailing slash counts for nothing.
 */
export function pathSegments(path: string): readonly string[] | null {
  if (!path.startsWith('/')) return null;
  const raw = path.slice(1).split('/');
  if (raw.at(-1) === '') raw.pop();
  const decoded = path.includes('%') ? raw.map(decodeSegment) : raw;
  if (decoded.some((segment) => segment.includes('\0'))) return null;
  return decoded.includes('.') || decoded.includes('..') ? withoutDots(decoded) : decoded;
}

function decodeSegment(segment: string): string {
  try {
    return segment
      .split(/(%2f)/i)
      .map((part) => (/^%2f$/i.test(part) ? part : decodeURIComponent(part)))
      .join('');
  } catch {
    return segment;
  }
}

function withoutDots(segments: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  return kept;
}

/** The parameters of `segments` under `template`; null if they do not match. Literals match in any case. */
export function matchTemplate(template: Template, segments: readonly string[]): RouteParameters | null {
  const parameters: Record<string, string> = {};
  for (const [index, expected] of template.entries()) {
    if (expected.kind === 'rest') {
      parameters[expected.name] = segments.slice(index).join('/');
      return parameters;
    }
    const text = segments[index];
    if (text === undefined || text === '') {
      if (text === undefined && expected.kind === 'parameter' && expected.optional) return parameters;
      return null;
    }
    if (expected.kind === 'literal') {
      if (text !== expected.text && text.toLowerCase() !== expected.text) return null;
    } else {
      if (!expected.constraints.every((fulfils) => fulfils(text))) return null;
      parameters[expected.name] = text;
    }
  }
  return segments.length > template.length ? null : parameters;
}
