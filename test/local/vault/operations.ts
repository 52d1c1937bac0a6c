/** What a request asks for, as the vault's call list, access rules and faults name it; `challenge`: a request without a token. */
export const operations = [
  'challenge',
  'healthstatus',
  'get',
  'list',
  'listVersions',
  'create',
  'update',
  'delete',
  'rotate',
  'getRotationPolicy',
  'backup',
  'restore',
  'wrapKey',
  'unwrapKey',
  'encrypt',
  'decrypt',
  'sign',
  'verify',
  'getDeleted',
  'listDeleted',
  'recover',
  'purge',
] as const;
export type Operation = (typeof operations)[number];

/** Everything that a request with a token can ask for. */
export type RoutedOperation = Exclude<Operation, 'challenge' | 'healthstatus'>;

export type CryptoOperation = 'wrapKey' | 'unwrapKey' | 'encrypt' | 'decrypt' | 'sign' | 'verify';
export const cryptoOperations: readonly CryptoOperation[] = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'];

export function isCryptoOperation(operation: Operation): operation is CryptoOperation {
  return cryptoOperations.some((known) => known === operation);
}

/** Where a request leads. `name` and `version` are null where the path has none; a version left empty means the newest. */
export interface Route {
  readonly operation: RoutedOperation;
  readonly name: string | null;
  readonly version: string | null;
}

const cryptoByVerb = new Map<string, CryptoOperation>(cryptoOperations.map((operation) => [operation.toLowerCase(), operation]));
const actions = new Map<string, RoutedOperation>([
  ['GET versions', 'listVersions'],
  ['POST create', 'create'],
  ['POST backup', 'backup'],
  ['POST rotate', 'rotate'],
  ['GET rotationpolicy', 'getRotationPolicy'],
]);
const actionNames = new Set(['versions', 'create', 'backup', 'rotate', 'rotationpolicy']);

/** What a method and a path lead to. */
export type Found = Route | 'healthstatus' | 'unknownPath' | 'wrongMethod';

/** Finds the operation of a request; `path` is without the query. */
export function findRoute(method: string, path: string): Found {
  const [, collection, name, third, fourth, ...more] = path.split('/');
  if (more.length > 0) return 'unknownPath';
  if (collection === 'keys') return keyRoute(method, name, third, fourth);
  if (collection === 'deletedkeys') return fourth === undefined ? deletedKeyRoute(method, name, third) : 'unknownPath';
  if (collection === 'healthstatus' && name === undefined) return method === 'GET' ? 'healthstatus' : 'wrongMethod';
  return 'unknownPath';
}

function keyRoute(method: string, name: string | undefined, third: string | undefined, verb: string | undefined): Found {
  if (name === undefined || name === '') return whole(method, { GET: 'list' });
  if (verb !== undefined) return cryptoRoute(method, name, third ?? '', verb);
  if (third === undefined && name === 'restore' && method === 'POST') return whole(method, { POST: 'restore' });
  if (third === undefined) return one(method, { GET: 'get', DELETE: 'delete' }, name, null);
  if (actionNames.has(third)) {
    const operation = actions.get(`${method} ${third}`);
    return operation === undefined ? 'wrongMethod' : { operation, name, version: null };
  }
  return one(method, { GET: 'get', PATCH: 'update' }, name, third === '' ? null : third);
}

function cryptoRoute(method: string, name: string, version: string, verb: string): Found {
  const operation = cryptoByVerb.get(verb.toLowerCase());
  if (operation === undefined) return 'unknownPath';
  return method === 'POST' ? { operation, name, version: version === '' ? null : version } : 'wrongMethod';
}

function deletedKeyRoute(method: string, name: string | undefined, action: string | undefined): Found {
  if (name === undefined || name === '') return whole(method, { GET: 'listDeleted' });
  if (action === undefined) return one(method, { GET: 'getDeleted', DELETE: 'purge' }, name, null);
  return action === 'recover' ? one(method, { POST: 'recover' }, name, null) : 'unknownPath';
}

type Methods = Readonly<Partial<Record<string, RoutedOperation>>>;

function whole(method: string, methods: Methods): Found {
  const operation = methods[method];
  return operation === undefined ? 'wrongMethod' : { operation, name: null, version: null };
}

function one(method: string, methods: Methods, name: string, version: string | null): Found {
  const operation = methods[method];
  return operation === undefined ? 'wrongMethod' : { operation, name, version };
}
