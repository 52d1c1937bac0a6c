import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { at, Expression, readTemplates } from './bicep.ts';
import type { Template, Value } from './bicep.ts';

/** The type of the SDK that a resource's `properties` must satisfy. */
const types: Readonly<Record<string, { readonly from: string; readonly name: string }>> = {
  'Microsoft.KeyVault/vaults': { from: '@azure/arm-keyvault', name: 'VaultProperties' },
  'Microsoft.KeyVault/managedHSMs': { from: '@azure/arm-keyvault', name: 'ManagedHsmProperties' },
  'Microsoft.KeyVault/vaults/keys': { from: '@azure/arm-keyvault', name: 'KeyProperties' },
  'Microsoft.Storage/storageAccounts': { from: '@azure/arm-storage', name: 'StorageAccountPropertiesCreateParameters' },
  'Microsoft.Web/sites': { from: '@azure/arm-appservice', name: 'SiteProperties' },
  'Microsoft.Insights/actionGroups': { from: '@azure/arm-monitor', name: 'ActionGroup' },
  'Microsoft.Insights/scheduledQueryRules': { from: '@azure/arm-monitor', name: 'ScheduledQueryRuleProperties' },
  'Microsoft.Insights/metricAlerts': { from: '@azure/arm-monitor', name: 'MetricAlertProperties' },
  'Microsoft.Insights/activityLogAlerts': { from: '@azure/arm-monitor', name: 'AlertRuleProperties' },
  'Microsoft.Insights/diagnosticSettings': { from: '@azure/arm-monitor', name: 'DiagnosticSettings' },
};

/** What the SDK's types call otherwise than the service does. */
const renamed: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'Microsoft.Storage/storageAccounts': { supportsHttpsTrafficOnly: 'enableHttpsTrafficOnly', networkAcls: 'networkRuleSet' },
  'Microsoft.Insights/metricAlerts': { 'odata.type': 'odataType' },
};

/** TypeScript that holds the literals of the templates against the SDK's types; what only a deployment can know is `any`. */
function source(templates: readonly Template[]): string {
  const checks = templates.flatMap((template) =>
    template.resources
      .filter(({ isExisting }) => !isExisting)
      .flatMap(({ target, symbol, body }) => {
        const [resource = ''] = target.split('@');
        const type = types[resource];
        if (!type) return [];
        const properties = literal(at(body, 'properties'), renamed[resource] ?? {});
        return [`// ${template.path} ${symbol}\nvoid (${properties} satisfies import('${type.from}').${type.name});`];
      }),
  );
  // `known` stands for what a template says by an expression, whose type only a deployment knows.
  return `declare const known: any;\n${checks.join('\n')}\nexport {};\n`;
}

function literal(value: Value | undefined, names: Readonly<Record<string, string>>): string {
  if (value === undefined || value instanceof Expression) return 'known';
  if (Array.isArray(value)) return `[${value.map((inner) => literal(inner, names)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const properties = Object.entries(value).map(([key, inner]) => `${JSON.stringify(names[key] ?? key)}: ${literal(inner, names)}`);
  return `{ ${properties.join(', ')} }`;
}

const file = join(import.meta.dirname, 'templates-as-types.ts');

function errors(text: string): string[] {
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2024,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
  };
  const host = ts.createCompilerHost(options);
  const readFile = host.readFile.bind(host);
  const fileExists = host.fileExists.bind(host);
  host.readFile = (path) => (path === file ? text : readFile(path));
  host.fileExists = (path) => path === file || fileExists(path);
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

const templates = readTemplates();

test('every resource of a type that the SDKs know satisfies it', () => {
  const text = source(templates);
  for (const { name } of Object.values(types)) expect(text).toContain(`.${name})`);
  expect(errors(text)).toEqual([]);
});

test('a misspelt property and a wrong value are found', () => {
  const text = source(templates);
  const wrong = text
    .replace('"softDeleteRetentionInDays"', '"softDeleteRetentionDays"')
    .replace('"premium"', '"premum"')
    .replace('"allowSharedKeyAccess"', '"allowSharedKeyAcess"');
  const found = errors(wrong);
  expect(found.filter((error) => /softDeleteRetentionDays|premum|allowSharedKeyAcess/.test(error))).toHaveLength(3);
  expect(found).toHaveLength(3);
});
