import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

interface Import {
  readonly from: string;
  /** Repository path, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
}

const importForm = /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
const lazyForm = /\bimport\('([^']+)'\)/g;

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const place = (to: string): string => (to.startsWith('.') ? relative(root, resolve(root, dirname(file), to)) : to);
  const fixed = [...text.matchAll(importForm)].map(([, type, to]) => ({ from: file, to: place(to ?? ''), typeOnly: type !== undefined }));
  const lazy = [...text.matchAll(lazyForm)].map(([, to]) => ({ from: file, to: place(to ?? ''), typeOnly: false }));
  return [...fixed, ...lazy];
}

const product = [...filesUnder('src'), ...filesUnder('functions')];
const imports = product.flatMap(importsOf);

/** The layer of a file: its folder in src, or its own name for the files that stand alone. */
function layerOf(path: string): string {
  const [top, folder = ''] = path.split('/');
  return top === 'src' ? folder : (top ?? '');
}

/** What each layer may import; `types` of what else. */
const layers: Readonly<Record<string, { readonly may: readonly string[]; readonly types?: readonly string[] }>> = {
  domain: { may: ['domain'] },
  policy: { may: ['domain', 'policy'], types: ['ports'] },
  ports: { may: ['domain', 'ports'] },
  broker: { may: ['domain', 'policy', 'ports', 'broker'] },
  adapters: { may: ['domain', 'ports', 'adapters'], types: ['policy'] },
  http: { may: ['domain', 'http'], types: ['broker', 'ports'] },
  settings: { may: ['domain', 'settings'] },
  'settings.ts': { may: ['domain', 'policy', 'settings'] },
  'app.ts': { may: ['domain', 'policy', 'ports', 'broker', 'adapters', 'http', 'settings.ts'] },
  functions: { may: ['app.ts', 'http', 'functions'] },
};

const inside = imports.filter(({ to }) => to.startsWith('src/') || to.startsWith('functions/') || to.startsWith('test/'));
const outside = imports.filter((one) => !inside.includes(one));

describe('imports go one way', () => {
  test.each(Object.keys(layers))('%s imports only what lies below it', (layer) => {
    const wrong = inside.filter(({ from, to, typeOnly }) => {
      const rule = layers[layer]!;
      if (layerOf(from) !== layer) return false;
      return !rule.may.includes(layerOf(to)) && !(typeOnly && rule.types?.includes(layerOf(to)));
    });
    expect(wrong).toEqual([]);
  });

  test('every file belongs to a layer', () => {
    expect(product.filter((file) => !(layerOf(file) in layers))).toEqual([]);
  });

  test('nothing imports test', () => {
    expect(imports.filter(({ to }) => to.startsWith('test/'))).toEqual([]);
  });

  test('there is no cycle, types included', () => {
    const edges = new Map(product.map((file) => [file, inside.filter(({ from }) => from === file).map(({ to }) => to)]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
        return;
      }
      if (done.has(file)) return;
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of product) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

describe('the world is met in one place', () => {
  test('only adapters import the SDKs, OpenTelemetry and opossum; @azure/functions also the wire and the triggers', () => {
    const sdk = outside.filter(({ to }) => /^(@azure\/|@opentelemetry\/|opossum)/.test(to));
    const wrong = sdk.filter(
      ({ from, to }) => layerOf(from) !== 'adapters' && !(to === '@azure/functions' && ['http', 'functions'].includes(layerOf(from))),
    );
    expect(wrong).toEqual([]);
  });

  test('domain and policy import no package and no platform', () => {
    expect(outside.filter(({ from }) => ['domain', 'policy', 'ports'].includes(layerOf(from)))).toEqual([]);
  });

  const onlyIn = (pattern: RegExp, allowed: readonly string[]): string[] =>
    product.filter(
      (file) =>
        pattern.test(readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')) && !allowed.includes(file),
    );

  test('the environment is read in one file', () => {
    expect(onlyIn(/process\.env/, ['src/settings.ts'])).toEqual([]);
  });

  test('the wall clock is read in one file, and by the page in its browser', () => {
    expect(onlyIn(/Date\.now\(|new Date\(\)|performance\.now\(/, ['src/adapters/clock.ts', 'src/http/page/script.ts'])).toEqual([]);
  });

  test('policy throws nothing and waits for nothing', () => {
    const policy = product.filter((file) => layerOf(file) === 'policy');
    expect(
      policy.filter((file) =>
        /\bthrow\b|\bawait\b/.test(readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')),
      ),
    ).toEqual([]);
  });
});

describe('files stay small', () => {
  test('no file of the product is longer than 250 lines', () => {
    expect(product.filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 251)).toEqual([]);
  });

  test('a file in functions/ holds registrations only: at most 30 lines, no branch', () => {
    const triggers = product.filter((file) => layerOf(file) === 'functions');
    expect(triggers.filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 31)).toEqual([]);
    expect(triggers.filter((file) => /\bif\s*\(/.test(readFileSync(join(root, file), 'utf8')))).toEqual([]);
  });
});

test('the top level holds what it should and nothing else', () => {
  const tracked = new Set(readdirSync(root).filter((name) => !name.startsWith('.')));
  const allowed = [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'host.json',
    'functions',
    'src',
    'test',
    'infra',
    'README.md',
    'LICENSE',
    'eslint.config.mjs',
    'vitest.config.ts',
    'azure.yaml',
  ];
  const untracked = ['node_modules', 'dist', 'coverage', 'local.settings.json'];
  expect([...tracked].filter((name) => !allowed.includes(name) && !untracked.includes(name))).toEqual([]);
});
