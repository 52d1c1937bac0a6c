import { describe, expect, test } from 'vitest';
import { parseTemplate, readTemplates } from './bicep.ts';
import { rules } from './policy.ts';

const templates = readTemplates();
const violations = (of = templates): string[] => Object.values(rules).flatMap((rule) => rule(of));

describe('the templates obey', () => {
  test.each(Object.entries(rules))('%s', (_name, rule) => {
    expect(rule(templates)).toEqual([]);
  });
});

/** A template, a text in it, and what a careless hand could put there. */
const mistakes: readonly (readonly [path: string, from: string, to: string])[] = [
  ['modules/vault.bicep', 'enablePurgeProtection: true', 'enablePurgeProtection: false'],
  ['modules/vault.bicep', 'softDeleteRetentionInDays: 90', 'softDeleteRetentionInDays: 7'],
  ['modules/vault.bicep', 'enableRbacAuthorization: true', 'enableRbacAuthorization: false'],
  ['modules/vault.bicep', 'tenantId: tenant().tenantId', "tenantId: '00000000'"],
  ['modules/vault.bicep', 'vaults@2026-02-01', 'vaults@2024-11-01'],
  ['modules/vault.bicep', "isPrivate ? 'Deny' : 'Allow'", "'Allow'"],
  ['modules/vault.bicep', "'wrapKey', 'unwrapKey'", "'wrapKey', 'unwrapKey', 'sign'"],
  ['modules/managed-hsm.bicep', 'enablePurgeProtection: true', 'enablePurgeProtection: empty(name)'],
  ['modules/vault-access.bicep', "level: 'CanNotDelete'", "level: 'ReadOnly'"],
  ['modules/vault-access.bicep', "'AuditEvent', enabled: true", "'AuditEvent', enabled: false"],
  ['modules/vault-access.bicep', "principalType: 'Group'", ''],
  [
    'modules/identity.bicep',
    "resource lock 'Microsoft.Authorization/locks@2020-05-01' =",
    "resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (empty(name))",
  ],
  ['modules/roles.bicep', "'Microsoft.KeyVault/vaults/keys/unwrap/action'", "'Microsoft.KeyVault/vaults/keys/*'"],
  ['modules/roles.bicep', "'Microsoft.KeyVault/vaults/read'", "'Microsoft.KeyVault/vaults/write'"],
  ['modules/state.bicep', 'allowSharedKeyAccess: false', 'allowSharedKeyAccess: true'],
  ['modules/state.bicep', '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3', 'b24988ac-6180-42a0-ab88-20f7382dd24c'],
  ['modules/state.bicep', 'scope: account\n  properties: {\n    roleDefinitionId', 'properties: {\n    roleDefinitionId'],
  ['modules/host-account.bicep', "minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS1_0'"],
  ['modules/app.bicep', 'httpsOnly: true', 'httpsOnly: false'],
  ['modules/app.bicep', "minTlsVersion: '1.2'", "minTlsVersion: '1.0'"],
  ['modules/app.bicep', 'allow: false', 'allow: true'],
  ['modules/app.bicep', 'AzureWebJobsStorage__accountName: host.account', "AzureWebJobsStorage: ''"],
  ['modules/app.bicep', 'KEYBROKER_AUDIENCE: broker.audience', 'FUNCTIONS_WORKER_RUNTIME: broker.audience'],
  ['modules/app.bicep', "ipSecurityRestrictionsDefaultAction: 'Deny'", "ipSecurityRestrictionsDefaultAction: 'Allow'"],
  ['modules/front-door-routes.bicep', "probePath: '/readyz'", "probePath: '/healthz'"],
  ['modules/front-door-routes.bicep', "forwardingProtocol: 'HttpsOnly'", "forwardingProtocol: 'MatchRequest'"],
  ['modules/alerts.bicep', 'enabled: true', 'enabled: false'],
  ['modules/alerts-vault.bicep', '{ actionGroupId: actionGroupId }', ''],
  ['modules/alerts-activity.bicep', 'description: accident.action', "description: ''"],
  ['modules/monitoring.bicep', 'name: guid(insights.id', 'name: insights.listKeys(insights.id'],
  ['main.bicep', "param network string = 'private'", "param network string = 'public'"],
];

describe('a mistake is caught', () => {
  test.each(mistakes)('%s: %s becomes %s', (path, from, to) => {
    const changed = templates.map((template) =>
      template.path === path
        ? parseTemplate(
            path,
            template.text.replace(from, () => to),
          )
        : template,
    );
    expect(changed.find((template) => template.path === path)?.text).not.toBe(templates.find((template) => template.path === path)?.text);
    expect(violations(changed)).not.toEqual([]);
  });
});
