import { unzipSync } from 'fflate';
import nodeConsole from 'node:console';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { hostToken } from '../local/callers.ts';
import { startEnvironment } from '../local/environment.ts';
import { makePackage, packedFiles } from '../local/package.ts';
import type { Packed } from '../local/package.ts';

const root = resolve(import.meta.dirname, '../..');

let directory: string;
let packed: Packed;
beforeAll(async () => {
  // The tool of the bill of materials makes a console of its own, which that of the test runner cannot.
  vi.stubGlobal('console', nodeConsole);
  directory = await mkdtemp(join(tmpdir(), 'package-'));
  packed = await makePackage({ directory: join(directory, 'first') });
}, 60_000);
afterAll(async () => {
  vi.unstubAllGlobals();
  await rm(directory, { recursive: true, force: true });
});

async function unpacked(zip: string): Promise<Record<string, Uint8Array>> {
  return unzipSync(await readFile(zip));
}

describe('the package', () => {
  test('holds what the allow-list says and nothing else', async () => {
    expect(Object.keys(await unpacked(packed.zip)).sort()).toEqual([...packedFiles].sort());
  });

  test('holds a source map only if asked', async () => {
    const mapped = await makePackage({ directory: join(directory, 'mapped'), sourceMap: true });
    const files = await unpacked(mapped.zip);
    expect(Object.keys(files).sort()).toEqual([...packedFiles, 'dist/main.cjs.map'].sort());
    const pointsToMap = (content: Uint8Array = new Uint8Array()): boolean =>
      /\n\/\/# sourceMappingURL=main\.cjs\.map\s*$/.test(Buffer.from(content).toString());
    expect(pointsToMap(files['dist/main.cjs'])).toBe(true);
    expect(pointsToMap((await unpacked(packed.zip))['dist/main.cjs'])).toBe(false);
  });

  test('is the same to the byte when it is made again, in another folder', async () => {
    const again = await makePackage({ directory: join(directory, 'a longer name', 'second') });
    expect(again.sha256).toBe(packed.sha256);
    expect(await readFile(again.sbom, 'utf8')).toBe(await readFile(packed.sbom, 'utf8'));
  });

  test('what telemetry needs lies beside the bundle that every start loads', async () => {
    const files = await unpacked(packed.zip);
    const text = (name: string): string => Buffer.from(files[name] ?? []).toString();
    expect(text('dist/telemetry.cjs')).toContain('/v1/metrics');
    expect(text('dist/main.cjs')).not.toContain('/v1/metrics');
    expect(text('dist/main.cjs')).toContain('import("./telemetry.cjs")');
  });

  test('emulates no private fields by WeakMaps: what those hold outlives its request until a full collection', async () => {
    const files = await unpacked(packed.zip);
    // What the helpers of TypeScript and of the bundler throw.
    for (const name of ['dist/main.cjs', 'dist/telemetry.cjs'])
      expect(Buffer.from(files[name] ?? []).toString(), name).not.toMatch(/Cannot read (?:from )?private (?:member|field)/);
  });

  test('has at most 3 MB unpacked', () => {
    expect(packed.bytes).toBeLessThan(3e6);
  });

  test('knows nothing of the local environment and of this machine', async () => {
    const files = await unpacked(packed.zip);
    const text = Object.values(files)
      .map((content) => Buffer.from(content).toString())
      .join('\n');
    const words = ['vault.localhost', 'LOCAL_NAME_SERVER', 'LOCAL_CLOCK_OFFSET_MS', 'test/local', root];
    expect(words.filter((word) => text.includes(word))).toEqual([]);
  });

  test('asks for nothing to be installed', async () => {
    const manifest = JSON.parse(Buffer.from((await unpacked(packed.zip))['package.json'] ?? []).toString()) as Record<string, unknown>;
    expect(Object.keys(manifest)).toEqual(['name', 'version', 'description', 'license', 'main']);
    expect(manifest['main']).toBe('dist/main.cjs');
  });

  test('unpacked, it starts in the local Functions host and wraps a key', async () => {
    const app = join(directory, 'unpacked');
    for (const [name, content] of Object.entries(await unpacked(packed.zip))) {
      await mkdir(dirname(join(app, name)), { recursive: true });
      await writeFile(join(app, name), content);
    }
    const environment = await startEnvironment({ directory: app });
    try {
      const [server] = environment.servers;
      const [broker] = environment.brokers.list();
      if (!server || !broker) throw new Error('no server or no broker was started');
      const call = async (operation: string, body: object): Promise<Record<string, unknown>> => {
        const response = await fetch(`${broker.url}/v1/servers/${server.name}/databases/orders/${operation}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${hostToken(environment.issuer, server.principalId)}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        expect(response.status).toBe(200);
        return (await response.json()) as Record<string, unknown>;
      };
      const dek = Buffer.alloc(32, 7).toString('base64url');
      const { wrappedDek, thumbprint } = await call('wrap', { dek });
      expect(await call('unwrap', { wrappedDek, thumbprint })).toMatchObject({ dek });
    } finally {
      await environment.stop();
    }
  }, 120_000);
});

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean; readonly hasInstallScript?: boolean }>>;
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T;
}

describe('the supply chain', () => {
  test('the bill of materials names every direct dependency, and nothing but what the lock file fixes', async () => {
    const bom = await readJson<{ bomFormat: string; components: { name: string; group?: string; version: string }[] }>(packed.sbom);
    const lock = await readJson<LockFile>(join(root, 'package-lock.json'));
    const manifest = await readJson<{ dependencies: Record<string, string> }>(join(root, 'package.json'));
    const fixed = new Set(
      Object.entries(lock.packages)
        .filter(([, { dev }]) => dev !== true)
        .map(([path, { version }]) => `${path.split('node_modules/').at(-1) ?? ''}@${version ?? ''}`),
    );
    const listed = bom.components.map(({ group, name, version }) => ({ name: group === undefined ? name : `${group}/${name}`, version }));
    expect(bom.bomFormat).toBe('CycloneDX');
    expect(Object.keys(manifest.dependencies).filter((name) => !listed.some((one) => one.name === name))).toEqual([]);
    expect(listed.map(({ name, version }) => `${name}@${version}`).filter((one) => !fixed.has(one))).toEqual([]);
  });

  test('every package that wants to run a script at its installation is on the list, allowed or not', async () => {
    const lock = await readJson<LockFile>(join(root, 'package-lock.json'));
    const { allowScripts } = await readJson<{ allowScripts: Record<string, boolean> }>(join(root, 'package.json'));
    const wanting = Object.entries(lock.packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript === true)
      .map(([path]) => path.split('node_modules/').at(-1) ?? '');
    expect(wanting.filter((name) => !(name in allowScripts)).filter((name) => name !== 'fsevents')).toEqual([]);
  });

  test('the lock file names no host: packages come from whatever registry is configured', async () => {
    expect(await readFile(join(root, 'package-lock.json'), 'utf8')).not.toContain('"resolved"');
  });
});
