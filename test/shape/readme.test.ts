import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readmeTables } from '../support/readme-tables.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
};

describe('the README says what is', () => {
  test.each(Object.entries(readmeTables))('its table of %s is the one of the code (npm run readme writes it)', (mark, expected) => {
    const [, table] = new RegExp(`<!-- ${mark} -->\\n([\\s\\S]*?)\\n?<!-- /${mark} -->`).exec(readme) ?? [];
    expect(table?.trim()).toBe(expected);
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
