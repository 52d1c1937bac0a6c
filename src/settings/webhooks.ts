import type { Webhook } from '../domain/delivery.ts';
import { loopback, type Read } from './kinds.ts';

export const webhookBounds =
  'a JSON list of up to 20 `{"name", "url", "secret"}`; `secret` a text `whsec_…`, or a list of two while one replaces the other';

const mostWebhooks = 20;
const fields = new Set(['name', 'url', 'secret']);

/** Reads the list; the problem names every wrong field of every webhook, and repeats no value. */
export function readWebhooks(text: string): Read<readonly Webhook[]> {
  const list = parse(text);
  if (!Array.isArray(list)) return { ok: false, problem: `must be ${webhookBounds}` };
  const problems: string[] = list.length > mostWebhooks ? [`must name at most ${mostWebhooks}`] : [];
  const webhooks = list.map((item: unknown, index) => readWebhook(item, (problem) => problems.push(`[${index}] ${problem}`)));
  const names = webhooks.map(({ name }) => name).filter((name) => name !== '');
  if (new Set(names).size < names.length) problems.push('has a name twice');
  return problems.length === 0 ? { ok: true, value: webhooks } : { ok: false, problem: problems.join('; ') };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readWebhook(item: unknown, wrong: (problem: string) => void): Webhook {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) {
    wrong('must be an object');
    return { name: '', url: '', secrets: [] };
  }
  const given = new Map<string, unknown>(Object.entries(item));
  if ([...given.keys()].some((field) => !fields.has(field))) wrong('has a field that no webhook has');
  return {
    name: readName(given.get('name'), wrong),
    url: readUrl(given.get('url'), wrong),
    secrets: readSecrets(given.get('secret'), wrong),
  };
}

function readName(name: unknown, wrong: (problem: string) => void): string {
  if (typeof name === 'string' && /^[a-z][a-z0-9-]{0,39}$/.test(name)) return name;
  wrong('name must be 1 to 40 small letters, digits and hyphens, a letter first');
  return '';
}

/** The query may hold what the receiver knows its callers by, as Azure's own webhooks do. */
function readUrl(url: unknown, wrong: (problem: string) => void): string {
  if (typeof url !== 'string' || url.length > 2048 || !URL.canParse(url)) {
    wrong('url must be a URL of at most 2048 letters');
    return '';
  }
  const { protocol, hostname, username, password, hash } = new URL(url);
  if (protocol !== 'https:' && !(protocol === 'http:' && loopback.test(hostname)))
    wrong('url must be https, or http on a loopback address');
  if (username !== '' || password !== '') wrong('url must hold no user and no password');
  if (hash !== '') wrong('url must have no fragment');
  return url;
}

/** Standard Webhooks: 24 to 64 random bytes, base64. */
function readSecrets(secret: unknown, wrong: (problem: string) => void): readonly string[] {
  const given: readonly unknown[] = Array.isArray(secret) ? secret : [secret];
  const keys = given.flatMap((one) => (typeof one === 'string' ? (/^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(one)?.[1] ?? []) : []));
  const sound = keys.filter((key) => {
    const { length } = Buffer.from(key, 'base64');
    return length >= 24 && length <= 64;
  });
  if (sound.length === given.length && given.length >= 1 && given.length <= 2) return sound;
  wrong('secret must be `whsec_` and 24 to 64 random bytes in base64, or a list of one or two such');
  return [];
}
