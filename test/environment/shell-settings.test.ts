import { expect, test } from 'vitest';
import { shellSettings } from '../local/shell-settings.ts';

test('settings of the broker reach the broker that `npm start` starts, and nothing else of the shell', () => {
  const shell = {
    PATH: '/bin',
    AZURE_CLIENT_SECRET: 'secret',
    IDENTITY_ENDPOINT: 'http://169.254.169.254/',
    MY_KEYBROKER_WEBHOOKS: '[]',
    KEYBROKER_WEBHOOKS: '[{}]',
    KEYBROKER_STORE_TIMEOUT_MS: '500',
    KEYBROKER_DEPLOYMENT: undefined,
  };
  expect(shellSettings(shell)).toEqual({ taken: { KEYBROKER_WEBHOOKS: '[{}]', KEYBROKER_STORE_TIMEOUT_MS: '500' }, leftOut: [] });
});

test('a shell that is set up for a deployment takes the local broker nowhere', () => {
  const shell = {
    KEYBROKER_STORE_ENDPOINT: 'https://state.table.core.windows.net',
    KEYBROKER_TENANT_ID: 'a tenant',
    KEYBROKER_LEASE_MS: '500',
  };
  expect(shellSettings(shell)).toEqual({
    taken: { KEYBROKER_LEASE_MS: '500' },
    leftOut: ['KEYBROKER_STORE_ENDPOINT', 'KEYBROKER_TENANT_ID'],
  });
});
