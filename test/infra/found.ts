import { at, Expression, plain } from './bicep.ts';
import type { Declaration, Template, Value } from './bicep.ts';

/** Says what is wrong with the templates; nothing if they obey. */
export type Rule = (templates: readonly Template[]) => readonly string[];

/** A resource, and where it is declared. */
export interface Found extends Declaration {
  readonly template: Template;
  /** Type without version. */
  readonly type: string;
  readonly version: string;
}

/** Resources that are made, of these types. */
export function resources(templates: readonly Template[], type: RegExp): Found[] {
  return templates.flatMap((template) =>
    template.resources
      .filter((one) => !one.isExisting)
      .map((one) => {
        const [name = '', version = ''] = one.target.split('@');
        return { ...one, template, type: name, version };
      })
      .filter((one) => type.test(one.type)),
  );
}

export const where = ({ template, symbol }: Found): string => `${template.path} ${symbol}`;

/** Compares parts of `properties` with what they must be, expressions written as `{text}`. */
export function mustBe(found: readonly Found[], expected: Readonly<Record<string, unknown>>): string[] {
  return found.flatMap((one) =>
    Object.entries(expected).flatMap(([path, wanted]) => {
      const given = plain(at(one.body, 'properties', ...path.split('.')));
      return JSON.stringify(given) === JSON.stringify(wanted) ? [] : [`${where(one)}: ${path} is ${JSON.stringify(given)}`];
    }),
  );
}

export function expectCount(found: readonly Found[], count: number, what: string): string[] {
  return found.length === count ? [] : [`${what}: ${String(found.length)} instead of ${String(count)}`];
}

/** The text of a string or an expression; empty for anything else. */
export function text(given: Value | undefined): string {
  if (given instanceof Expression) return given.text;
  return typeof given === 'string' ? given : '';
}
