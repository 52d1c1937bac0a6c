import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readmeTables } from './readme-tables.ts';

/** Writes the tables that follow from the code into the README, between their marks. */
const path = join(resolve(import.meta.dirname, '../..'), 'README.md');
let text = readFileSync(path, 'utf8');
for (const [mark, table] of Object.entries(readmeTables)) {
  text = text.replace(
    new RegExp(`(<!-- ${mark} -->\\n)[\\s\\S]*(<!-- /${mark} -->)`),
    (_all, begin: string, end: string) => `${begin}${table}\n${end}`,
  );
}
writeFileSync(path, text);
