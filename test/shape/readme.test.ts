import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { settingsTable } from '../../src/settings.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
};

describe('the README says what is', () => {
  test('its table of settings is the one that the broker reads (npm run readme writes it)', () => {
    const [, table] = /<!-- settings -->\n([\s\S]*?)\n?<!-- \/settings -->/.exec(readme) ?? [];
    expect(table?.trim()).toBe(settingsTable());
  });

  test('every script that it names exists', () => {
    const named = [...readme.matchAll(/npm run ([a-z:]+)/g)].map(([, name]) => name ?? '');
    expect(named.filter((name) => !(name in manifest.scripts))).toEqual([]);
  });

  test('every dependency has its reason, and every reason its dependency', () => {
    const reasons = [...readme.matchAll(/^\| `([@a-z/-]+)` \|/gm)].map(([, name]) => name ?? '');
    expect(reasons.filter((name) => name in manifest.dependencies).sort()).toEqual(Object.keys(manifest.dependencies).sort());
  });

  test('every file that it and the map link to exists', () => {
    for (const [, path] of readme.matchAll(/\]\(([a-z][^)#:]*)\)/g)) expect(() => readFileSync(join(root, path ?? ''))).not.toThrow();
  });
});
