import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { settingsTable } from '../../src/settings.ts';

/** Writes the table of settings into the README, between its marks. */
const path = join(resolve(import.meta.dirname, '../..'), 'README.md');
const text = readFileSync(path, 'utf8');
writeFileSync(
  path,
  text.replace(
    /(<!-- settings -->\n)[\s\S]*(<!-- \/settings -->)/,
    (_all, begin: string, end: string) => `${begin}${settingsTable()}\n${end}`,
  ),
);
