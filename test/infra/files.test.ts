import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { roles } from '../../src/domain/caller.ts';
import { infra, parseTemplate, plain, readTemplates } from './bicep.ts';

const root = resolve(infra, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const templates = readTemplates();

describe('azure.yaml', () => {
  const azd = parse(read('azure.yaml')) as {
    infra: Record<string, string>;
    hooks: Record<string, { run: string }>;
    services: Record<string, { project: string; host: string; language: string; remoteBuild: boolean }>;
  };

  test('names the template and its parameters file', () => {
    expect(azd.infra).toEqual({ provider: 'bicep', path: 'infra', module: 'main' });
    expect(existsSync(join(infra, 'main.bicep')) && existsSync(join(infra, 'main.parameters.json'))).toBe(true);
    // Where both kinds of parameters file exist, azd takes this one silently and asks for nothing.
    expect(readdirSync(infra).filter((name) => name.endsWith('.bicepparam'))).toEqual([]);
  });

  test('publishes the packed folder to both apps, built here and not there', () => {
    for (const service of Object.values(azd.services)) {
      expect(service).toEqual({ project: 'dist/package/app', language: 'js', host: 'function', remoteBuild: false });
    }
    expect(azd.hooks['prepackage']?.run).toContain('npm run package');
  });

  test('each service is the tag of one app', () => {
    const services = /service: i == 0 \? '(\w+)' : '(\w+)'/.exec(templates.find(({ path }) => path === 'main.bicep')?.text ?? '');
    expect(services?.slice(1)).toEqual(Object.keys(azd.services));
    expect(templates.find(({ path }) => path === 'modules/region.bicep')?.text).toContain("'azd-service-name': names.service");
  });
});

describe('entra', () => {
  // The Graph extension is the one thing in this folder that the parser does not know.
  const bicep = parseTemplate('entra/main.bicep', read('infra/entra/main.bicep').replace(/^extension .*$/m, ''));
  const script = JSON.parse(/<<'JSON'\n([\s\S]*?)\nJSON\n/.exec(read('infra/entra/entra.sh'))?.[1] ?? '') as {
    id: string;
    value: string;
  }[];

  test('the template parses', () => {
    expect(bicep.errors).toEqual([]);
  });

  test('template and script make the same roles: those that the broker knows', () => {
    expect(script).toEqual(plain(bicep.variables['roles']));
    expect(script.map(({ value }) => value).sort()).toEqual([...roles].sort());
    expect(new Set(script.map(({ id }) => id)).size).toBe(roles.length);
  });

  test('a caller without a role gets no token', () => {
    expect(bicep.text).toContain('appRoleAssignmentRequired: true');
    expect(read('infra/entra/entra.sh')).toContain('appRoleAssignmentRequired=true');
  });
});

describe('scripts', () => {
  const scripts = ['entra', 'scripts'].flatMap((folder) =>
    readdirSync(join(infra, folder))
      .filter((name) => name.endsWith('.sh'))
      .map((name) => join('infra', folder, name)),
  );

  test.each(scripts)('%s is executable, stops at the first error, and bash understands it', (path) => {
    expect(statSync(join(root, path)).mode & 0o111).toBe(0o111);
    expect(read(path)).toMatch(/^#!\/usr\/bin\/env bash\n(#.*\n)*set -euo pipefail\n/);
    execFileSync('bash', ['-n', join(root, path)]);
  });

  test('K1, K2: a key is refused a name that is too long, backed up before its use, copied and compared', () => {
    const text = read('infra/scripts/create-key.sh');
    const steps = ['-gt 94', 'key create', 'key backup', 'key restore', 'the two keys differ'].map((step) => text.indexOf(step));
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps).not.toContain(-1);
  });

  test('the outputs that a script asks for exist', () => {
    const outputs = templates.find(({ path }) => path === 'main.bicep')?.outputs ?? [];
    expect(outputs).toEqual(expect.arrayContaining(['BROKER_PRIMARY_APP', 'BROKER_SECONDARY_APP', 'BROKER_ENDPOINT']));
    expect(read('infra/scripts/publish.sh')).toContain('BROKER_${which}_APP');
  });

  test('teardown names the roles as the template does', () => {
    const names = [...(templates.find(({ path }) => path === 'modules/roles.bicep')?.text ?? '').matchAll(/roleName: '([^(]+) \(/g)].map(
      ([, name]) => name,
    );
    expect(names).toHaveLength(3);
    for (const name of names) expect(read('infra/scripts/teardown.sh')).toContain(`'${name}'`);
  });
});

describe('the guide', () => {
  const guide = read('infra/README.md');

  test('every parameter and every output of the template is in it', () => {
    const { parameters = [], outputs = [] } = templates.find(({ path }) => path === 'main.bicep') ?? {};
    const named = [...parameters.map(({ name }) => name), ...outputs];
    expect(named.filter((name) => !guide.includes(`\`${name}\``))).toEqual([]);
  });

  test('every alert is in it', () => {
    const ids = ['alerts', 'alerts-vault', 'alerts-activity'].flatMap((file) =>
      [...(templates.find(({ path }) => path === `modules/${file}.bicep`)?.text ?? '').matchAll(/^\s+id: '([\w-]+)'/gm)].map(
        ([, id]) => id ?? '',
      ),
    );
    expect(ids.length).toBe(20);
    expect(ids.filter((id) => !guide.includes(`\`${id}\``))).toEqual([]);
  });

  test('files that it names exist', () => {
    const files = [...guide.matchAll(/\]\((?!https?:|#)([^)]+)\)/g)].map(([, path]) => path ?? '');
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((path) => !existsSync(join(infra, path)))).toEqual([]);
  });
});
