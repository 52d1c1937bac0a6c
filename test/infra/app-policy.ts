import { at, plain } from './bicep.ts';
import type { Template } from './bicep.ts';
import { expectCount, mustBe, resources, text, where } from './found.ts';
import type { Rule } from './found.ts';

/** Settings that Flex Consumption forbids, or that make its host look for a connection string (facts, infra 1.2). */
const forbiddenOnFlex = [
  'AzureWebJobsStorage',
  'DEPLOYMENT_STORAGE_CONNECTION_STRING',
  'FUNCTIONS_EXTENSION_VERSION',
  'FUNCTIONS_WORKER_PROCESS_COUNT',
  'FUNCTIONS_WORKER_RUNTIME',
  'FUNCTIONS_WORKER_RUNTIME_VERSION',
  'SCM_DO_BUILD_DURING_DEPLOYMENT',
  'ENABLE_ORYX_BUILD',
  'WEBSITE_CONTENTAZUREFILECONNECTIONSTRING',
  'WEBSITE_CONTENTSHARE',
  'WEBSITE_CONTENTOVERVNET',
  'WEBSITE_NODE_DEFAULT_VERSION',
  'WEBSITE_RUN_FROM_PACKAGE',
  'WEBSITE_TIME_ZONE',
  'WEBSITE_VNET_ROUTE_ALL',
];

export const app: Rule = (templates) => {
  const found = resources(templates, /^Microsoft\.Web\/sites$/);
  const policies = resources(templates, /^Microsoft\.Web\/sites\/basicPublishingCredentialsPolicies$/);
  const names = settingNames(templates);
  return [
    ...expectCount(found, 1, 'templates of the app'),
    ...mustBe(found, {
      httpsOnly: true,
      'siteConfig.minTlsVersion': '1.2',
      'siteConfig.scmMinTlsVersion': '1.2',
      'siteConfig.ftpsState': 'Disabled',
      'siteConfig.ipSecurityRestrictionsDefaultAction': 'Deny',
      'siteConfig.appSettings': undefined,
      'siteConfig.linuxFxVersion': undefined,
      publicNetworkAccess: "{reach.isPublic ? 'Enabled' : 'Disabled'}",
      'functionAppConfig.deployment.storage.authentication.type': 'UserAssignedIdentity',
      'functionAppConfig.runtime.name': 'node',
    }),
    ...found.filter(({ body }) => at(body, 'identity', 'type') !== 'UserAssigned').map((one) => `${where(one)}: identity`),
    ...(policies.length === 1 && policies[0]?.loop === "[ 'ftp', 'scm' ]"
      ? mustBe(policies, { allow: false })
      : ['passwords for publishing']),
    ...names.filter((name) => forbiddenOnFlex.includes(name)).map((name) => `app setting ${name} is forbidden on Flex Consumption`),
    ...['AzureWebJobsStorage__accountName', 'AzureWebJobsStorage__credential', 'AzureWebJobsStorage__clientId']
      .filter((name) => !names.includes(name))
      .map((name) => `app setting ${name} is missing`),
  ];
};

/** Names of the app settings that the template always sets. */
export function settingNames(templates: readonly Template[]): string[] {
  const [found] = resources(templates, /^Microsoft\.Web\/sites\/config$/);
  const written = /^union\(\{\n([\s\S]*)\n\s*\}, broker\.settings\)$/.exec(text(found?.body['properties']))?.[1] ?? '';
  return [...written.matchAll(/^\s*(\w+):/gm)].map(([, name]) => name ?? '');
}

export const frontDoor: Rule = (templates) => [
  ...mustBe(resources(templates, /^Microsoft\.Cdn\/profiles\/afdEndpoints\/routes$/), {
    supportedProtocols: ['Https'],
    forwardingProtocol: 'HttpsOnly',
    cacheConfiguration: undefined,
  }),
  ...mustBe(resources(templates, /^Microsoft\.Cdn\/profiles\/originGroups$/), {
    'healthProbeSettings.probePath': '/readyz',
    'healthProbeSettings.probeProtocol': 'Https',
  }),
  ...mustBe(resources(templates, /^Microsoft\.Cdn\/profiles\/originGroups\/origins$/), { enforceCertificateNameCheck: true }),
];

export const alerts: Rule = (templates) => {
  const found = resources(templates, /^Microsoft\.Insights\/(scheduledQueryRules|metricAlerts|activityLogAlerts)$/);
  return [
    ...mustBe(found, { enabled: true }),
    ...found
      .filter(({ body }) => !JSON.stringify(plain(at(body, 'properties', 'actions'))).includes('{actionGroupId}'))
      .map((one) => `${where(one)}: tells nobody`),
    ...found.filter(({ condition }) => condition !== null).map((one) => `${where(one)}: conditional`),
    ...found.filter(({ body }) => text(at(body, 'properties', 'description')) === '').map((one) => `${where(one)}: says not what to do`),
  ];
};
