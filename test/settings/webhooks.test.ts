import { describe, expect, test } from 'vitest';
import { readWebhooks } from '../../src/settings/webhooks.ts';

const key = Buffer.alloc(24, 1).toString('base64');
const sound = { name: 'ops', url: 'https://hooks.example/a?sig=1', secret: `whsec_${key}` };

function problemOf(...list: readonly unknown[]): string {
  const outcome = readWebhooks(JSON.stringify(list));
  return outcome.ok ? '' : outcome.problem;
}

describe('KEYBROKER_WEBHOOKS', () => {
  test('a list of webhooks; loopback may be http; two secrets while one replaces the other', () => {
    const local = { name: 'local', url: 'http://127.0.0.1:8080/', secret: [`whsec_${key}`, `whsec_${key}`] };
    expect(readWebhooks(JSON.stringify([sound, local]))).toEqual({
      ok: true,
      value: [
        { name: 'ops', url: sound.url, secrets: [key] },
        { name: 'local', url: local.url, secrets: [key, key] },
      ],
    });
  });

  test.each<[string, unknown, string]>([
    ['http on a foreign host', { ...sound, url: 'http://hooks.example/' }, 'url must be https'],
    ['http on a host that begins like loopback', { ...sound, url: 'http://127.0.0.1.example/' }, 'url must be https'],
    ['credentials', { ...sound, url: 'https://me:word@hooks.example/' }, 'url must hold no user and no password'],
    ['another scheme', { ...sound, url: 'ftp://hooks.example/' }, 'url must be https'],
    ['a fragment', { ...sound, url: 'https://hooks.example/#a' }, 'url must have no fragment'],
    ['no URL', { ...sound, url: 'hooks' }, 'url must be a URL'],
    ['a short secret', { ...sound, secret: 'whsec_c2hvcnQ=' }, 'secret must be'],
    ['a secret without its mark', { ...sound, secret: key }, 'secret must be'],
    ['three secrets', { ...sound, secret: [1, 2, 3].map(() => `whsec_${key}`) }, 'secret must be'],
    ['a bad name', { ...sound, name: 'Ops Team' }, 'name must be'],
    ['an unknown field', { ...sound, secrets: [] }, 'has a field that no webhook has'],
    ['no object', 7, 'must be an object'],
  ])('%s is told', (_name, webhook, problem) => {
    expect(problemOf(webhook)).toContain(`[0] ${problem}`);
  });

  test('all problems of all webhooks are told at once, and nothing of what was set', () => {
    const problem = problemOf({ ...sound, url: 'http://me:word@hooks.example/' }, { ...sound, secret: 'whsec_hidden' }, sound);
    expect(problem).toContain('[0] url must be https');
    expect(problem).toContain('[0] url must hold no user');
    expect(problem).toContain('[1] secret must be');
    expect(problem).toContain('has a name twice');
    expect(problem).not.toMatch(/me:word|hidden|hooks\./);
  });

  test.each(['{', '{}', '"a"', 'null'])('what is no list is told: %s', (text) => {
    expect(readWebhooks(text)).toMatchObject({ ok: false });
  });
});
