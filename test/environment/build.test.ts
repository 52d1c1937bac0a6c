import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { build } from '../local/build.ts';

const directory = mkdtempSync(join(tmpdir(), 'build-'));
afterAll(() => rmSync(directory, { recursive: true }));

it('makes one CommonJS file that asks the worker for its core, with a linked source map', async () => {
  const outfile = join(directory, 'main.cjs');
  await build(join(import.meta.dirname, 'fixtures/streaming.ts'), outfile);
  const code = await readFile(outfile, 'utf8');
  expect(code).toContain('require("@azure/functions-core")');
  expect(code).toMatch(/\/\/# sourceMappingURL=main\.cjs\.map\s*$/);
  expect(JSON.parse(await readFile(`${outfile}.map`, 'utf8'))).not.toHaveProperty('sourcesContent');
});

it('fails on import.meta, which a CommonJS bundle has not', async () => {
  const entry = join(directory, 'meta.ts');
  writeFileSync(entry, 'console.log(import.meta.url);');
  await expect(build(entry, join(directory, 'meta.cjs'))).rejects.toThrow('import.meta');
});
