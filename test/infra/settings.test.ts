import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readSettings } from '../../src/settings.ts';
import { entries } from '../../src/settings/table.ts';
import { readTemplates } from './bicep.ts';
import { settingNames } from './app-policy.ts';

const root = resolve(import.meta.dirname, '../..');
const templates = readTemplates();
const app = templates.find(({ path }) => path === 'modules/app.bicep')!.text;
const names = settingNames(templates);
const table = Object.values(entries);

describe('app settings', () => {
  test('the template sets only what the broker reads', () => {
    const known = new Set<string>(table.map(({ name }) => name));
    expect(names.filter((name) => name.startsWith('KEYBROKER_') && !known.has(name))).toEqual([]);
  });

  test('the template sets all that the broker needs', () => {
    const needed = table.filter(({ required }) => required).map(({ name }) => name);
    expect(needed.filter((name) => !names.includes(name))).toEqual([]);
  });

  test('the state is reached by identity: no connection string', () => {
    expect(names).toContain('KEYBROKER_STORE_ENDPOINT');
    expect(names).not.toContain('KEYBROKER_STORE_CONNECTION_STRING');
  });

  /** What Azure would put in for the expressions of the template. */
  const tenant = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
  const known: Readonly<Record<string, string>> = {
    'tenant().tenantId': tenant,
    'environment().authentication.loginEndpoint': 'https://login.microsoftonline.com/',
    'environment().suffixes.keyvaultDns': '.vault.azure.net',
    deployment: 'prod',
    'broker.audience': `${tenant},api://${tenant}`,
    'broker.stateEndpoint': 'https://stprods123456.table.core.windows.net/',
    'broker.webhooks': '',
    'broker.controlPlaneEndpoint': 'https://management.azure.com/',
    'identity.clientId': tenant,
  };
  const evaluate = (expression: string): string => {
    const literal = /^'(.*)'$/.exec(expression)?.[1];
    const part = (name: string): string => known[name] ?? `no value is known for ${name}`;
    return literal === undefined ? part(expression) : literal.replaceAll(/\$\{([^}]+)\}/g, (_whole, name: string) => part(name));
  };
  const written = Object.fromEntries(
    [...app.matchAll(/^\s*(KEYBROKER_\w+): (.+)$/gm)].map(([, name = '', expression = '']) => [name, evaluate(expression)]),
  );

  test('the broker accepts what the template sets', () => {
    expect(Object.keys(written).sort()).toEqual(names.filter((name) => name.startsWith('KEYBROKER_')).sort());
    expect(readSettings(written)).toMatchObject({ ok: true });
  });

  test('an option that is not chosen leaves an empty text, which counts as absent', () => {
    expect(readSettings({ ...written, KEYBROKER_CONTROL_PLANE_ENDPOINT: '' })).toMatchObject({
      ok: true,
      settings: { controlPlane: { endpoint: null } },
    });
  });

  test('the exporter of Application Insights sends its maker nothing of its own', () => {
    expect(names).toContain('APPLICATION_INSIGHTS_NO_STATSBEAT');
  });

  test('further settings can be given, and override', () => {
    expect(app).toMatch(/^ {2}\}, broker\.settings\)$/m);
  });
});

describe('the runtime', () => {
  const host = JSON.parse(readFileSync(join(root, 'host.json'), 'utf8')) as {
    functionTimeout: string;
    logging: { logLevel: Record<string, string>; applicationInsights: { samplingSettings: { excludedTypes: string } } };
    extensions: { http: { routePrefix: string } };
    extensionBundle?: unknown;
  };

  test('host.json: lines of the broker are neither filtered nor sampled away, since alerts read them', () => {
    expect(host.logging.logLevel).toMatchObject({ 'Host.Function.Console': 'Information', 'Host.Results': 'Information' });
    expect(host.logging.applicationInsights.samplingSettings.excludedTypes.split(';')).toContain('Trace');
  });

  test('host.json: no route prefix, no bundle to download, and a function ends before the platform would end it', () => {
    expect(host.extensions.http.routePrefix).toBe('');
    expect(host).not.toHaveProperty('extensionBundle');
    expect(host.functionTimeout).toMatch(/^00:([0-2]\d):\d\d$/);
  });

  test('the app runs on a Node.js that the bundle is made for', () => {
    const versions = templates.find(({ path }) => path === 'main.bicep')?.parameters.find(({ name }) => name === 'nodeVersion');
    expect(versions).toMatchObject({ default: '24', decorators: { allowed: ['22', '24'] } });
    expect(readFileSync(join(root, 'test/local/build.ts'), 'utf8')).toContain("target: 'node22'");
  });
});
