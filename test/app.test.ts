import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const app = pathToFileURL(join(root, 'src/app.ts')).href;

/** The least that must be set; nobody answers at the addresses of the store and of the source of tokens. */
const environment = {
  KEYBROKER_TENANT_ID: '11111111-2222-4333-8444-555555555555',
  KEYBROKER_AUDIENCE: 'api://keybroker',
  KEYBROKER_STORE_CONNECTION_STRING:
    'DefaultEndpointsProtocol=http;AccountName=someone;AccountKey=c2VjcmV0;TableEndpoint=http://127.0.0.1:1/someone;',
  IDENTITY_ENDPOINT: 'http://127.0.0.1:1/msi/token',
  IDENTITY_HEADER: 'header',
};

/** Work in the background of a broker that fails while nobody waits for it. */
const failing = `
await import(${JSON.stringify(app)});
void Promise.reject(new TypeError('the marked plaintext'));
setImmediate(() => { process.stdout.write('served on\\n', () => process.exit(0)); });
`;

/** What `GET /readyz` answers to begin with. */
const asking = `
const { broker } = await import(${JSON.stringify(app)});
const { reportRoutes } = await import(${JSON.stringify(pathToFileURL(join(root, 'src/http/routes/reports.ts')).href)});
const readyz = broker.serve(reportRoutes.find(({ id }) => id === 'readyz'));
const { body } = await readyz({ headers: new Headers(), params: {}, query: new URLSearchParams(), body: null });
process.stdout.write(body + '\\n', () => process.exit(0));
`;

test('a wrong setting of telemetry is said to the log and by readyz, and keeps the broker from nothing', async () => {
  const run = promisify(execFile);
  const env = { ...environment, APPLICATIONINSIGHTS_CONNECTION_STRING: 'MARKED' };
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', asking], { cwd: root, env });
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const problem = expect.stringMatching(/^APPLICATIONINSIGHTS_CONNECTION_STRING must be /) as string;
  expect(lines).toContainEqual(expect.objectContaining({ level: 'warn', message: 'a setting is wrong and was left out', problem }));
  const noToken = "the broker's own identity has no token for vaults: the source of tokens does not answer (ECONNREFUSED)";
  expect(lines.at(-1)).toMatchObject({ missing: ['the store does not answer', noToken], warnings: [problem] });
  expect(stdout).not.toContain('MARKED');
});

test('a broker whose identity does not exist is not ready, and says so', async () => {
  const asked: (string | null)[] = [];
  const body = {
    statusCode: 400,
    message: 'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId',
  };
  const endpoint = createServer((request, response) => {
    asked.push(new URL(request.url ?? '', 'http://127.0.0.1').searchParams.get('resource'));
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  const env = { ...environment, IDENTITY_ENDPOINT: `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/msi/token` };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', asking], { cwd: root, env });
  endpoint.close();
  const { status, missing } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown>;
  expect([status, missing]).toEqual([
    503,
    expect.arrayContaining([expect.stringMatching(/own identity has no token for vaults: the identity does not exist/)]),
  ]);
  expect(asked).toEqual(['https://vault.azure.net']);
});

test('a promise that fails while nobody waits for it ends no process; the log has its kind and place, and not its message', async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', failing], { cwd: root, env: environment });
  expect(stdout).toContain('served on');
  const [line] = stdout.split('\n').filter((text) => text.includes('a request failed by a defect'));
  expect(JSON.parse(line ?? '{}')).toMatchObject({ level: 'error', requestId: 'none', route: 'background', error: 'TypeError' });
  expect(stdout).not.toContain('marked plaintext');
});
