import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { Language, Parser } from 'web-tree-sitter';
import type { Node } from 'web-tree-sitter';

/** The folder of the templates. */
export const infra = resolve(import.meta.dirname, '../../infra');

/** A value as it is written: what only a deployment can know stays the text of its expression. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value } | Expression;

export class Expression {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly hasDefault: boolean;
  readonly default: Value;
  /** Arguments of its decorators, by name. */
  readonly decorators: Readonly<Record<string, Value>>;
}

/** A resource or a module. */
export interface Declaration {
  readonly symbol: string;
  /** Type with version, or path of the module. */
  readonly target: string;
  readonly isExisting: boolean;
  /** Text of the condition. */
  readonly condition: string | null;
  /** Text of what is looped over. */
  readonly loop: string | null;
  readonly body: Readonly<Record<string, Value>>;
}

export interface Template {
  /** Relative to the folder of the templates. */
  readonly path: string;
  readonly text: string;
  readonly parameters: readonly Parameter[];
  readonly variables: Readonly<Record<string, Value>>;
  readonly resources: readonly Declaration[];
  readonly modules: readonly Declaration[];
  readonly outputs: readonly string[];
  /** Every name that an expression of the template uses. */
  readonly used: ReadonlySet<string>;
  /** Every `{symbol}.outputs.{name}`. */
  readonly outputsUsed: readonly (readonly [symbol: string, output: string])[];
  /** Places that the parser does not understand. */
  readonly errors: readonly string[];
}

await Parser.init();
const grammar = createRequire(import.meta.url).resolve('tree-sitter-bicep/tree-sitter-bicep.wasm');
const parser = new Parser().setLanguage(await Language.load(grammar));

/** Every template but those of `entra/`, whose Graph extension the parser does not know. */
export function readTemplates(): readonly Template[] {
  return readdirSync(infra, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.bicep') && !path.startsWith('entra'))
    .sort()
    .map((path) => parseTemplate(path, readFileSync(join(infra, path), 'utf8')));
}

export function parseTemplate(path: string, text: string): Template {
  const tree = parser.parse(text);
  if (!tree) throw new Error(`${path} could not be parsed`);
  const root = tree.rootNode;
  const top = root.namedChildren;
  const declared = (type: string): Node[] => top.filter((node) => node.type === type);
  return {
    path,
    text,
    parameters: declared('parameter_declaration').map((node) => parameter(node, decoratorsBefore(node))),
    variables: Object.fromEntries(declared('variable_declaration').map((node) => [symbolOf(node), value(lastChild(node))])),
    resources: declared('resource_declaration').map(declaration),
    modules: declared('module_declaration').map(declaration),
    outputs: declared('output_declaration').map(symbolOf),
    used: new Set(
      descendants(root, 'identifier')
        .filter(isUse)
        .map(({ text: name }) => name),
    ),
    outputsUsed: descendants(root, 'member_expression').flatMap(outputUse),
    errors: all(root)
      .filter((node) => node.isError || node.isMissing)
      .map((node) => `${path}:${String(node.startPosition.row + 1)} ${node.text.slice(0, 60)}`),
  };
}

function all(node: Node): Node[] {
  return [node, ...node.children.flatMap(all)];
}

function descendants(node: Node, type: string): Node[] {
  return node.descendantsOfType(type);
}

function named(node: Node): Node[] {
  return node.namedChildren.filter((child) => child.type !== 'comment');
}

function lastChild(node: Node): Node {
  const last = named(node).at(-1);
  if (!last) throw new Error(`nothing is declared: ${node.text}`);
  return last;
}

function symbolOf(node: Node): string {
  return named(node)[0]?.text ?? '';
}

/** A declared name, a property's name and a decorator are no uses. */
function isUse({ parent, id }: Node): boolean {
  if (!parent) return false;
  if (
    ['object_property', 'parameter_declaration', 'variable_declaration', 'resource_declaration', 'module_declaration'].includes(parent.type)
  ) {
    return named(parent)[0]?.id !== id;
  }
  return parent.type !== 'output_declaration' || named(parent)[0]?.id !== id;
}

function decoratorsBefore(node: Node): Node[] {
  const before = node.previousNamedSibling;
  return before?.type === 'decorators' ? descendants(before, 'decorator') : [];
}

function parameter(node: Node, decorators: Node[]): Parameter {
  const [name, type, given] = named(node);
  return {
    name: name?.text ?? '',
    type: type?.text ?? '',
    hasDefault: given !== undefined,
    default: given ? value(given) : null,
    decorators: Object.fromEntries(
      decorators.map((decorator) => {
        const call = named(decorator)[0];
        const given = call && named(call).find(({ type: kind }) => kind === 'arguments');
        const argument = given && named(given)[0];
        return [call ? symbolOf(call) : '', argument ? value(argument) : null];
      }),
    ),
  };
}

function declaration(node: Node): Declaration {
  const [symbol, target] = named(node);
  let rest = lastChild(node);
  let loop: string | null = null;
  let condition: string | null = null;
  while (rest.type === 'for_statement' || rest.type === 'if_statement') {
    if (rest.type === 'for_statement') loop = named(rest).at(-2)?.text ?? null;
    else condition = named(rest)[0]?.text ?? null;
    rest = lastChild(rest);
  }
  const body = value(rest);
  if (typeof body !== 'object' || body === null || Array.isArray(body) || body instanceof Expression)
    throw new Error(`no body: ${node.text}`);
  const isExisting = /^resource\s+\w+\s+'[^']+'\s+existing\b/.test(node.text);
  return { symbol: symbol?.text ?? '', target: target ? stringText(target) : '', isExisting, condition, loop, body };
}

function value(node: Node): Value {
  switch (node.type) {
    case 'string':
      return named(node).some(({ type }) => type === 'interpolation') ? new Expression(node.text) : stringText(node);
    case 'number':
      return Number(node.text);
    case 'boolean':
      return node.text === 'true';
    case 'null':
      return null;
    case 'array':
      return named(node).map(value);
    case 'object':
      return Object.fromEntries(
        named(node).map((property) => {
          const [key] = named(property);
          return [key ? (key.type === 'string' ? stringText(key) : key.text) : '', value(lastChild(property))];
        }),
      );
    default:
      return new Expression(node.text);
  }
}

function stringText(node: Node): string {
  return node.text.slice(1, -1).replaceAll(/\\(.)/g, '$1');
}

function outputUse(node: Node): (readonly [string, string])[] {
  const parts = /^(\w+)(?:\[[^\]]*\])?!?\.outputs\.(\w+)$/.exec(node.text);
  return parts ? [[parts[1] ?? '', parts[2] ?? '']] : [];
}

/** The template that a module names. */
export function templateOf(templates: readonly Template[], from: Template, module: Declaration): Template | undefined {
  const path = relative(infra, resolve(infra, from.path, '..', module.target));
  return templates.find((template) => template.path === path);
}

/** The value under a path of keys; undefined where there is none. */
export function at(from: Value | undefined, ...path: readonly string[]): Value | undefined {
  let here = from;
  for (const key of path) {
    if (typeof here !== 'object' || here === null || Array.isArray(here) || here instanceof Expression) return undefined;
    here = here[key];
  }
  return here;
}

/** A value as JSON, expressions as `{...text}`. */
export function plain(given: Value | undefined): unknown {
  if (given instanceof Expression) return `{${given.text}}`;
  if (Array.isArray(given)) return given.map(plain);
  if (typeof given === 'object' && given !== null)
    return Object.fromEntries(Object.entries(given).map(([key, inner]) => [key, plain(inner)]));
  return given;
}
