import net from 'node:net';
import { parseArgs } from 'node:util';
import { callerToken, hostToken } from './callers.ts';
import { startEnvironment } from './environment.ts';
import type { Environment, EnvironmentPorts } from './environment.ts';
import { onParentGone } from './parent.ts';
import { shellSettings } from './shell-settings.ts';

/** `npm start [-- --instances N]`: the local environment on its usual ports, until Ctrl-C, with the settings of the shell. */
const ports: EnvironmentPorts = { control: 7070, broker: 7071, blob: 10_000, queue: 10_001, table: 10_002 };
const mostInstances = 16;
/** Of the token for the status page, which is left open on a wall for a day's work. */
const pageTokenS = 12 * 3600;

try {
  const instances = readInstances();
  await assertFree([ports.control, ports.blob, ports.queue, ports.table, ...Array.from({ length: instances }, (_, n) => ports.broker + n)]);
  const { taken: settings, leftOut } = shellSettings(process.env);
  // Names alone: some values are secrets.
  if (Object.keys(settings).length > 0) console.log(`Settings of this shell: ${Object.keys(settings).join(', ')}`);
  if (leftOut.length > 0)
    console.log(`Settings of this shell that are left out, since the local environment has its own: ${leftOut.join(', ')}`);
  const environment = await startEnvironment({ ports, instances, settings, onLine: (line) => console.log(line) });
  stopOnSignal(environment);
  console.log(greeting(environment));
} catch (error) {
  console.error(`The local environment does not start: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function readInstances(): number {
  const { values } = parseArgs({ options: { instances: { type: 'string', default: '1' } } });
  const instances = Number(values.instances);
  if (!Number.isInteger(instances) || instances < 1 || instances > mostInstances) {
    throw new Error(`--instances must be a whole number from 1 to ${String(mostInstances)}`);
  }
  return instances;
}

/** Names every port that another program uses, before anything is started. */
async function assertFree(wanted: readonly number[]): Promise<void> {
  const taken = (await Promise.all(wanted.map(async (port) => ((await isFree(port)) ? [] : [port])))).flat();
  if (taken.length > 0) throw new Error(`other programs use port ${taken.join(', ')} of 127.0.0.1`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

function stopOnSignal(environment: Environment): void {
  let stopping: Promise<void> | undefined;
  const stop = (): void => {
    stopping ??= environment.stop().then(() => process.exit(0));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  onParentGone(stop);
}

function greeting({ control, brokers, fleet, issuer, storage, ca, servers }: Environment): string {
  const [server] = servers;
  const [broker] = brokers.list();
  if (!server || !broker) throw new Error('no broker or no server was started');
  const database = `${broker.url}/v1/servers/${server.name}/databases/orders`;
  const headers = `-H 'authorization: Bearer ${hostToken(issuer, server.principalId)}' -H 'content-type: application/json'`;
  const field = (name: string): string => `'"$(echo "$WRAPPED" | sed -n 's/.*"${name}":"\\([^"]*\\)".*/\\1/p')"'`;
  return `
The local environment is ready. Ctrl-C stops it.

  broker         ${brokers
    .list()
    .map(({ url }) => url)
    .join(' ')}
  control API    ${control}
  vaults         ${fleet
    .vaults()
    .map(({ uri }) => uri)
    .join(' ')}
  tables         http://127.0.0.1:${String(storage.ports.table)}/devstoreaccount1
  issuer         ${issuer.issuer}
  authority      ${ca}
  status page    ${broker.url}/status#token=${callerToken(issuer, { roles: ['KeyBroker.Auditor'], expiresIn: pageTokenS })}

Wrap a key (the token is good for an hour):

WRAPPED=$(curl -sS ${database}/wrap ${headers} -d '{"dek":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}'); echo "$WRAPPED"

and unwrap it again:

curl -sS ${database}/unwrap ${headers} -d '{"wrappedDek":"${field('wrappedDek')}","thumbprint":"${field('thumbprint')}"}'; echo
`;
}
