import { cyclonedxEsbuildPlugin } from '@cyclonedx/cyclonedx-esbuild';
import { zipSync } from 'fflate';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build, telemetryBundle } from './build.ts';

const root = resolve(import.meta.dirname, '../..');

/** What the package may hold; a source map only if asked for. */
export const packedFiles = ['dist/main.cjs', `dist/${telemetryBundle}`, 'host.json', 'package.json'] as const;

/** Fields of package.json that the host or a person needs. Nothing is installed from it: the bundle holds every dependency. */
const manifestFields = ['name', 'version', 'description', 'license', 'main'] as const;

export interface Packed {
  /** The folder whose content is the package: what `azd` publishes. */
  readonly folder: string;
  readonly zip: string;
  /** Hexadecimal. */
  readonly sha256: string;
  /** CycloneDX 1.6, JSON: every package of which something is in the bundle. */
  readonly sbom: string;
  /** Of all files, unpacked. */
  readonly bytes: number;
}

export interface PackageOptions {
  /** Where the package, its folder, its bill of materials and the licences of what it holds are put; emptied before. */
  readonly directory: string;
  readonly sourceMap?: boolean;
}

/**
 * Makes the package that is deployed. The same bytes from the same commit: names in a fixed order, times and modes fixed, and a bundle in
 * which no path of this machine and no time occurs.
 */
export async function makePackage({ directory, sourceMap = false }: PackageOptions): Promise<Packed> {
  await rm(directory, { recursive: true, force: true });
  const sbom = join(directory, 'bom.json');
  const bundle = join(directory, 'build/main.cjs');
  // The plugin takes a relative path only.
  const lists = cyclonedxEsbuildPlugin({
    outputFile: relative(dirname(bundle), sbom),
    outputReproducible: true,
    validate: true,
    logLevel: 'silent',
  });
  const telemetry = join(dirname(bundle), telemetryBundle);
  await build(undefined, bundle, [lists]);

  const files = new Map<string, Buffer>([
    ['dist/main.cjs', await bundleText(bundle, sourceMap)],
    [`dist/${telemetryBundle}`, await bundleText(telemetry, false)],
    ['host.json', await readFile(join(root, 'host.json'))],
    ['package.json', await manifest()],
  ]);
  if (sourceMap) files.set('dist/main.cjs.map', await readFile(`${bundle}.map`));

  const folder = join(directory, 'app');
  for (const [name, content] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  // `azd` runs `npm install` in the folder that it publishes, and that leaves a lock file.
  await writeFile(join(folder, '.funcignore'), '.funcignore\nnode_modules\npackage-lock.json\n');
  // The bundler makes the file only where a package has such comments.
  const licences = [bundle, telemetry].map((path) => `${path}.LEGAL.txt`).filter((path) => existsSync(path));
  await writeFile(join(directory, 'LICENSES.txt'), (await Promise.all(licences.map((path) => readFile(path, 'utf8')))).join('\n'));
  await rm(dirname(bundle), { recursive: true });

  const zip = join(directory, 'key-operations-broker.zip');
  const packed = zipOf(files);
  await writeFile(zip, packed);
  const sha256 = createHash('sha256').update(packed).digest('hex');
  return { folder, zip, sha256, sbom, bytes: [...files.values()].reduce((sum, { length }) => sum + length, 0) };
}

/** Without the map, the line that points to it would only puzzle. */
async function bundleText(path: string, sourceMap: boolean): Promise<Buffer> {
  const text = await readFile(path, 'utf8');
  return Buffer.from(sourceMap ? text : text.replace(/\/\/# sourceMappingURL=\w+\.cjs\.map\n?$/, ''));
}

async function manifest(): Promise<Buffer> {
  const full = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
  return Buffer.from(`${JSON.stringify(Object.fromEntries(manifestFields.map((field) => [field, full[field]])), null, 2)}\n`);
}

function zipOf(files: ReadonlyMap<string, Buffer>): Uint8Array {
  // The oldest time that a zip can hold, in the machine's own zone since the format knows none; files readable by all.
  const options = { mtime: new Date(1980, 0, 1), os: 3, attrs: 0o100644 << 16, level: 9 } as const;
  const entries = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  return zipSync(Object.fromEntries(entries.map(([name, content]) => [name, [content, options]])));
}

/** What the worker does at its start: the bundle is required, and the app's code runs. Milliseconds, the median of `rounds` processes. */
export function measureLoad(folder: string, rounds = 9): number {
  const script = `
    const Module = require('node:module');
    const { require: standard } = Module.prototype;
    const model = { registerFunction() {}, registerHook() {}, setProgrammingModel() {}, log() {}, version: '3.9.1', Disposable: class {} };
    Module.prototype.require = function (id) { return id === '@azure/functions-core' ? model : standard.call(this, id); };
    const start = performance.now();
    require(${JSON.stringify(join(folder, 'dist/main.cjs'))});
    process.stdout.write('\\nload ' + (performance.now() - start) + '\\n', () => process.exit());`;
  const times = Array.from({ length: rounds }, () => {
    const output = execFileSync(process.execPath, ['--eval', script], { env: {}, encoding: 'utf8' });
    return Number(/^load ([\d.]+)$/m.exec(output)?.[1]);
  });
  return times.sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { 'source-map': { type: 'boolean', default: false } } });
  const packed = await makePackage({ directory: join(root, 'dist/package'), sourceMap: values['source-map'] });
  const { length } = await readFile(packed.zip);
  console.log(`
  package     ${relative(root, packed.zip)}
  sha256      ${packed.sha256}
  size        ${(length / 1e6).toFixed(2)} MB, unpacked ${(packed.bytes / 1e6).toFixed(2)} MB (at most 3)
  app load    ${measureLoad(packed.folder).toFixed(0)} ms, median of 9 (at most 80)
  contents    ${relative(root, packed.sbom)} (CycloneDX), ${relative(root, packed.folder)}/
`);
}
