import { alerts, app, frontDoor } from './app-policy.ts';
import { at } from './bicep.ts';
import type { Template } from './bicep.ts';
import { expectCount, mustBe, resources, text, where } from './found.ts';
import type { Rule } from './found.ts';

const closedUnlessPublic = "{isPrivate ? 'Disabled' : 'Enabled'}";
const denyUnlessPublic = "{isPrivate ? 'Deny' : 'Allow'}";

const vaultLike = /^Microsoft\.KeyVault\/(vaults|managedHSMs)$/;

function vaults(templates: readonly Template[]): string[] {
  const found = resources(templates, vaultLike);
  return [
    ...expectCount(found, 2, 'kinds of vault'),
    ...mustBe(found, {
      tenantId: '{tenant().tenantId}',
      enableSoftDelete: true,
      softDeleteRetentionInDays: 90,
      enablePurgeProtection: true,
      publicNetworkAccess: closedUnlessPublic,
      'networkAcls.bypass': 'AzureServices',
      'networkAcls.defaultAction': denyUnlessPublic,
    }),
    ...mustBe(
      found.filter(({ type }) => type.endsWith('/vaults')),
      { enableRbacAuthorization: true, enabledForDeployment: false, enabledForDiskEncryption: false, enabledForTemplateDeployment: false },
    ),
    ...found.filter(({ body }) => at(body, 'properties', 'accessPolicies') !== undefined).map((one) => `${where(one)}: access policies`),
    ...found.filter(({ condition }) => condition !== null).map((one) => `${where(one)}: conditional`),
  ];
}

/** The retirement of older control-plane versions: facts, infra 0.4. */
const versions: Rule = (templates) => [
  ...resources(templates, /^Microsoft\.KeyVault\//)
    .filter(({ version }) => version < '2026-02-01')
    .map((one) => `${where(one)}: ${one.version} is retired on 27 February 2027`),
  ...resources(templates, /./)
    .filter(({ version, type }) => !/^\d{4}-\d{2}-\d{2}$/.test(version) && type !== 'Microsoft.Insights/diagnosticSettings')
    .map((one) => `${where(one)}: ${one.version} is no stable version`),
];

/** What must outlive a mistake, by the template that locks it and the symbol that it locks. */
const locked = [
  'modules/identity.bicep identity',
  'modules/managed-hsm.bicep pool',
  'modules/state.bicep account',
  'modules/vault-access.bicep vault',
];

const locks: Rule = (templates) => {
  const found = resources(templates, /^Microsoft\.Authorization\/locks$/);
  const scopes = found.map((one) => `${one.template.path} ${text(one.body['scope'])}`).sort();
  return [
    ...(JSON.stringify(scopes) === JSON.stringify(locked) ? [] : [`locks on ${scopes.join(', ')}`]),
    ...mustBe(found, { level: 'CanNotDelete' }),
    ...found.filter(({ condition, loop }) => condition !== null || loop !== null).map((one) => `${where(one)}: conditional`),
  ];
};

const audits: Rule = (templates) => {
  const settings = resources(templates, /^Microsoft\.Insights\/diagnosticSettings$/).filter(({ condition }) => condition === null);
  const ofVaults = settings.filter(
    ({ template, body }) => /^(vault|pool)$/.test(text(body['scope'])) && /vault-access|managed-hsm/.test(template.path),
  );
  return [
    ...expectCount(ofVaults, 2, 'audit logs of vaults'),
    ...mustBe(ofVaults, {
      workspaceId: '{workspaceId}',
      logAnalyticsDestinationType: 'Dedicated',
      logs: [{ category: 'AuditEvent', enabled: true }],
    }),
  ];
};

const accounts: Rule = (templates) => {
  const found = resources(templates, /^Microsoft\.Storage\/storageAccounts$/);
  return [
    ...expectCount(found, 2, 'kinds of storage account'),
    ...mustBe(found, {
      allowSharedKeyAccess: false,
      defaultToOAuthAuthentication: true,
      allowBlobPublicAccess: false,
      allowCrossTenantReplication: false,
      minimumTlsVersion: 'TLS1_2',
      supportsHttpsTrafficOnly: true,
      publicNetworkAccess: closedUnlessPublic,
      networkAcls: { defaultAction: denyUnlessPublic, bypass: 'None' },
    }),
  ];
};

const privateByDefault: Rule = (templates) => {
  const main = templates.find(({ path }) => path === 'main.bicep');
  const network = main?.parameters.find(({ name }) => name === 'network');
  const rightly = network?.default === 'private' && text(main?.variables['isPrivate']) === "network == 'private'";
  return rightly ? [] : ['main.bicep: public access must be asked for'];
};

const keys: Rule = (templates) => [
  ...mustBe(resources(templates, /^Microsoft\.KeyVault\/vaults\/keys$/), { kty: 'RSA-HSM', keyOps: ['wrapKey', 'unwrapKey'] }),
  ...templates.filter(({ text: source }) => /'rotate'/i.test(source)).map(({ path }) => `${path}: a rotation would fork the two vaults`),
];

/** Role name: what it may do, on the control plane and with keys. */
const customRoles: Readonly<Record<string, { actions: readonly string[]; dataActions: readonly string[] }>> = {
  broker: { actions: [], dataActions: ['keys/read', 'keys/wrap/action', 'keys/unwrap/action'] },
  controlPlaneReader: {
    actions: [
      'KeyVault/vaults/read',
      'KeyVault/locations/deletedVaults/read',
      'KeyVault/locations/deletedManagedHsms/read',
      'Authorization/roleAssignments/read',
      'Authorization/roleDefinitions/read',
    ],
    dataActions: [],
  },
  onboarding: {
    actions: [],
    dataActions: ['keys/read', 'keys/create/action', 'keys/import/action', 'keys/backup/action', 'keys/restore/action'],
  },
};

const roles: Rule = (templates) => {
  const found = resources(templates, /^Microsoft\.Authorization\/roleDefinitions$/);
  const unknown = found.filter(({ symbol }) => !(symbol in customRoles)).map((one) => `${where(one)}: not in the table of roles`);
  const wrong = Object.entries(customRoles).flatMap(([symbol, { actions, dataActions }]) =>
    mustBe(
      found.filter((one) => one.symbol === symbol),
      {
        type: 'CustomRole',
        permissions: [
          {
            actions: actions.map((action) => `Microsoft.${action}`),
            notActions: [],
            dataActions: dataActions.map((action) => `Microsoft.KeyVault/vaults/${action}`),
            notDataActions: [],
          },
        ],
      },
    ),
  );
  return [...expectCount(found, 3, 'custom roles'), ...unknown, ...wrong];
};

/** Built-in roles that may occur, and where. Every other GUID in a template is a right that nobody reviewed. */
const builtIn: Readonly<Record<string, string>> = {
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b': 'modules/host-account.bicep',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3': 'modules/state.bicep',
  '3913510d-42f4-4e42-8a64-420c390055eb': 'modules/monitoring.bicep',
};

const assignments: Rule = (templates) => {
  const found = resources(templates, /^Microsoft\.Authorization\/roleAssignments$/);
  const scopes = found.map((one) => `${one.template.path} ${one.symbol} ${text(one.body['scope'])}`).sort();
  const expected = [
    'modules/control-plane-access.bicep assignment ',
    'modules/host-account.bicep owner account',
    'modules/monitoring.bicep publisher insights',
    'modules/state.bicep contributor account',
    'modules/vault-access.bicep brokers vault',
    'modules/vault-access.bicep onboarding vault',
  ];
  const guids = templates.flatMap(({ path, text: source }) =>
    [...source.matchAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi)]
      .filter(([guid]) => builtIn[guid] !== path)
      .map(([guid]) => `${path}: ${guid} is no role that belongs there`),
  );
  return [
    ...(JSON.stringify(scopes) === JSON.stringify(expected) ? [] : [`role assignments: ${scopes.join('; ')}`]),
    ...found
      .filter(({ body }) => !/^(ServicePrincipal|Group)$/.test(text(at(body, 'properties', 'principalType'))))
      .map((one) => `${where(one)}: no principalType`),
    ...guids,
  ];
};

const secrets: Rule = (templates) =>
  templates
    .filter(({ text: source }) => /listKeys\(|list\w*Sas\(|AccountKey|SharedAccessSignature|getSecret\(|@secure\(/i.test(source))
    .map(({ path }) => `${path}: handles a secret`);

/** What the templates must obey, by what it is about. */
export const rules: Readonly<Record<string, Rule>> = {
  'vaults keep keys for 90 days whatever happens, for one tenant, by roles alone (K3)': vaults,
  'API versions are stable and none is about to be retired': versions,
  'what databases depend on is locked': locks,
  'each vault logs who used it': audits,
  'storage takes identities only, over TLS': accounts,
  'nothing is public unless asked': privateByDefault,
  'keys wrap and unwrap and never rotate in one vault alone (K1)': keys,
  'custom roles hold exactly what the table says': roles,
  'roles are assigned where the table says and nowhere else': assignments,
  'no template handles a secret': secrets,
  'the app: identity, TLS, no passwords, nothing that Flex Consumption forbids': app,
  'the entry speaks TLS to both sides, probes readiness and keeps nothing': frontDoor,
  'every alert is on, tells somebody and says what to do': alerts,
};
