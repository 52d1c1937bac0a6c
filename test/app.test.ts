import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const app = pathToFileURL(join(root, 'src/app.ts')).href;

/** The least that must be set; nobody answers at the store's address. */
const environment = {
  KEYBROKER_TENANT_ID: '11111111-2222-4333-8444-555555555555',
  KEYBROKER_AUDIENCE: 'api://keybroker',
  KEYBROKER_STORE_CONNECTION_STRING:
    'DefaultEndpointsProtocol=http;AccountName=someone;AccountKey=c2VjcmV0;TableEndpoint=http://127.0.0.1:1/someone;',
};

/** Work in the background of a broker that fails while nobody waits for it. */
const failing = `
await import(${JSON.stringify(app)});
void Promise.reject(new TypeError('the marked plaintext'));
setImmediate(() => { process.stdout.write('served on\\n', () => process.exit(0)); });
`;

test('a promise that fails while nobody waits for it ends no process; the log has its kind and place, and not its message', async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', failing], { cwd: root, env: environment });
  expect(stdout).toContain('served on');
  const [line] = stdout.split('\n').filter((text) => text.includes('a request failed by a defect'));
  expect(JSON.parse(line ?? '{}')).toMatchObject({ level: 'error', requestId: 'none', route: 'background', error: 'TypeError' });
  expect(stdout).not.toContain('marked plaintext');
});
