import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { at, Expression, infra, readTemplates, templateOf } from './bicep.ts';
import type { Template } from './bicep.ts';

const templates = readTemplates();
const entries = ['main.bicep', 'own-vault.bicep'];

function find(path: string): Template {
  const template = templates.find((one) => one.path === path);
  if (!template) throw new Error(`there is no ${path}`);
  return template;
}

const wires = templates.flatMap((from) => from.modules.map((module) => ({ from, module, to: templateOf(templates, from, module) })));
const wireName = ({ from, module }: (typeof wires)[number]): string => `${from.path} ${module.symbol}`;

function given(wire: (typeof wires)[number], ...path: string[]): string[] {
  return Object.keys((at(wire.module.body, 'params', ...path) ?? {}) as object).sort();
}

describe('syntax', () => {
  test.each(templates)('$path parses', ({ errors }) => {
    expect(errors).toEqual([]);
  });

  test('no module comes from a registry: a build needs no network', () => {
    expect(templates.filter(({ text }) => /'(br|ts)[:/]/.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test.each(templates)('$path uses what it declares', ({ parameters, variables, used }) => {
    const declared = [...parameters.map(({ name }) => name), ...Object.keys(variables)];
    expect(declared.filter((name) => !used.has(name))).toEqual([]);
  });
});

describe('wiring', () => {
  test('every template is reached', () => {
    const reached = new Set(entries);
    for (const path of reached) {
      for (const { from, to } of wires) if (from.path === path && to) reached.add(to.path);
    }
    expect([...reached].sort()).toEqual(templates.map(({ path }) => path));
  });

  test.each(wires.map((wire) => [wireName(wire), wire] as const))(
    '%s passes what the module declares, and all that it needs',
    (_name, wire) => {
      const { parameters } = wire.to ?? { parameters: [] };
      const declared = parameters.map(({ name }) => name);
      const needed = parameters.filter(({ hasDefault }) => !hasDefault).map(({ name }) => name);
      expect(wire.to).toBeDefined();
      expect(given(wire).filter((name) => !declared.includes(name))).toEqual([]);
      expect(needed.filter((name) => !given(wire).includes(name))).toEqual([]);
    },
  );

  test.each(templates.filter(({ outputsUsed }) => outputsUsed.length > 0))('$path uses only outputs that exist', (from) => {
    const missing = from.outputsUsed.filter(([symbol, output]) => {
      const module = from.modules.find((one) => one.symbol === symbol);
      return !(module && templateOf(templates, from, module)?.outputs.includes(output));
    });
    expect(missing).toEqual([]);
  });

  /** Parameters that are objects say their keys at the head of their description. */
  const objects = wires.flatMap((wire) =>
    (wire.to?.parameters ?? []).flatMap((parameter) => {
      const { description } = parameter.decorators;
      const keys = /^\{([\w, ]+)\}/
        .exec(typeof description === 'string' ? description : '')?.[1]
        ?.split(', ')
        .sort();
      return keys ? [{ name: `${wireName(wire)} ${parameter.name}`, wire, parameter: parameter.name, keys }] : [];
    }),
  );

  test.each(objects)('$name: passed, described and used are the same', ({ wire, parameter, keys }) => {
    const text = wire.to?.text ?? '';
    const used = [...text.matchAll(new RegExp(`\\b${parameter}\\.(\\w+)`, 'g'))].map(([, key]) => key ?? '');
    const passed = at(wire.module.body, 'params', parameter);
    expect(used.filter((key) => !keys.includes(key))).toEqual([]);
    // What is handed on as a whole is checked where it is used, and where it was made.
    if (!new RegExp(`: ${parameter}$`, 'm').test(text)) expect(keys.filter((key) => !used.includes(key))).toEqual([]);
    if (!(passed instanceof Expression)) expect(given(wire, parameter)).toEqual(keys);
  });

  test('what a module loops over is known before the deployment begins', () => {
    const late = templates.flatMap(({ path, modules, resources, variables }) =>
      [...modules, ...resources].flatMap(({ symbol, loop }) => {
        const source = loop === null ? '' : loop in variables ? JSON.stringify(variables[loop]) : loop;
        return source.includes('.outputs.') ? [`${path} ${symbol}`] : [];
      }),
    );
    expect(late).toEqual([]);
  });
});

describe('parameters', () => {
  const main = find('main.bicep');
  const file = JSON.parse(readFileSync(join(infra, 'main.parameters.json'), 'utf8')) as { parameters: Record<string, { value: string }> };

  test('the parameters file knows only parameters of the template, and every one without a default', () => {
    const declared = main.parameters.map(({ name }) => name);
    const needed = main.parameters.filter(({ hasDefault }) => !hasDefault).map(({ name }) => name);
    expect(Object.keys(file.parameters).filter((name) => !declared.includes(name))).toEqual([]);
    expect(needed.filter((name) => !(name in file.parameters))).toEqual([]);
  });

  test('a default in the parameters file is the default of the template', () => {
    for (const [name, { value }] of Object.entries(file.parameters)) {
      const [, standard] = /^\$\{\w+=(.*)\}$/.exec(value) ?? [];
      if (standard !== undefined) expect(main.parameters.find((one) => one.name === name)?.default, name).toBe(standard);
    }
  });

  test('every parameter of the template is described or bounded', () => {
    const bare = main.parameters.filter(
      ({ decorators, type }) => Object.keys(decorators).length === 0 && type !== 'bool' && type !== 'object',
    );
    expect(bare.map(({ name }) => name)).toEqual([]);
  });

  const refused: readonly (readonly [about: string, sentence: RegExp])[] = [
    ['the same region twice', /secondaryLocation must be another region/],
    ['two geographies', /secondaryLocation must lie in the geography/],
    ['the state in a region of a vault', /stateLocation must be neither/],
    ['a region that is none', /primaryLocation must be an Azure region/],
    ['names beyond 94 characters (K2)', /firstKeyName is too long: .*94/],
    ['alerts for nobody', /alertEmails or alertWebhooks must name somebody/],
    ['a name that storage would refuse', /environmentName must be/],
    ['a pool that nobody can activate', /hsmAdministratorIds must name/],
  ];

  test.each(refused)('%s is refused with a sentence, by a value that is used', (_about, sentence) => {
    const [name] =
      Object.entries(main.variables).find(([, value]) => sentence.test(JSON.stringify(value)) && /fail\(/.test(JSON.stringify(value))) ??
      [];
    expect(name).toBeDefined();
    expect(main.used.has(name ?? '')).toBe(true);
  });

  test('a vault without purge protection, or without roles, is refused where one brings his own (K3)', () => {
    expect(find('modules/vault-access.bicep').text).toMatch(/isProtected \? '[^']+' : fail\(unprotected\)/);
    expect(find('own-vault.bicep').text).toMatch(/usesRoles \? brokerRoleId : fail\('/);
  });

  test('bounds stand at the parameters themselves', () => {
    const bounds = (name: string) => main.parameters.find((one) => one.name === name)?.decorators;
    expect(bounds('environmentName')).toMatchObject({ minLength: 2, maxLength: 12 });
    expect(bounds('maximumInstanceCount')).toMatchObject({ minValue: 40, maxValue: 1000 });
    expect(bounds('firstKeySize')).toMatchObject({ allowed: [2048, 3072] });
    expect(bounds('authClientId')).toMatchObject({ minLength: 36, maxLength: 36 });
    expect(bounds('logRetentionDays')).toMatchObject({ minValue: 90, maxValue: 730 });
  });

  test('the longest names fit: vaults and accounts have at most 24 characters', () => {
    const longest = 'x'.repeat(12);
    const fill = (expression: string): number =>
      expression.slice(1, -1).replaceAll('${name}', longest).replaceAll('${token}', 'y'.repeat(6)).replace('${letters[i]}', 'a').length;
    const names = [...main.text.matchAll(/'(?:kv-|st)\$\{name\}[^']*'/g)].map(([text]) => text);
    expect(names.length).toBeGreaterThanOrEqual(4);
    for (const name of names) expect(fill(name), name).toBeLessThanOrEqual(24);
  });
});
