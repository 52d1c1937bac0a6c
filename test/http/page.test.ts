import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type * as z from 'zod/mini';
import { page as html, pageHeaders } from '../../src/http/page/page.ts';
import type { status as statusSchema } from '../../src/http/schemas/fleet.ts';
import { chromiumPath, chromiumPlaces } from '../support/chromium.ts';

type Status = z.output<typeof statusSchema>;
type Vault = Status['vaults'][number];

const minute = 60_000;
const day = 24 * 60 * minute;
const token = 'header.claims.signature';

function ago(ms: number): string {
  return new Date(Date.now() - ms).toISOString();
}

function clockFrom(firstDenialMs: number) {
  return {
    firstDenialAt: ago(firstDenialMs),
    inaccessibleAt: ago(firstDenialMs - 10 * minute),
    healsUntil: ago(firstDenialMs - 480 * minute),
  };
}

/** Sixty minutes of which the first five were not seen; the circuit was open from 20 minutes ago until 3 minutes ago if `opened`. */
function anHour(opened: boolean): Vault['lastHour'] {
  const minutes = Array.from({ length: 60 }, (_, n) => n);
  return {
    from: ago(59 * minute),
    stepMs: minute,
    rate: minutes.map((n) => (n < 5 ? null : 0.1 + (n % 7) / 10)),
    circuit: minutes.map((n) => (n < 5 ? null : opened && n >= 40 && n < 57 ? ('open' as const) : ('closed' as const))),
  };
}

function aVaultOf(name: string, changes: Partial<Vault> = {}): Vault {
  return {
    name,
    uri: `https://${name}.vault.azure.net`,
    region: 'westeurope',
    geography: 'Europe',
    kind: 'vault',
    subscriptionId: '11111111-2222-4333-8444-555555555555',
    circuit: { state: 'closed', since: null, instances: { closed: 2, open: 0, halfOpen: 0 } },
    association: { used: 640, limit: 1000 },
    rate: { used: 120, limit: 950, windowMs: 10_000, byKeyType: {} },
    latencyMs: { p50: 11.5, p99: 48.2 },
    latches: { suspected: 0, confirmed: 0, unknown: 0 },
    outageSince: null,
    failoverSince: null,
    lastHour: anHour(false),
    ...changes,
  };
}

/** What the broker would answer; a test changes it. Typed by the schema, so that a field that is renamed there is missed here. */
function aStatus(): Status {
  return {
    at: ago(0),
    servers: {
      total: 42,
      byState: { online: 38, atRisk: 2, inaccessible: 1, needsRevalidation: 1, pendingValidation: 0 },
      notOnline: {
        items: [
          { name: '<b>sql</b>-gone', state: 'inaccessible', since: ago(30 * minute), clock: clockFrom(40 * minute) },
          { name: 'sql-soon', state: 'atRisk', since: ago(7 * minute), clock: clockFrom(8 * minute) },
          { name: 'sql-late', state: 'atRisk', since: ago(minute), clock: clockFrom(2 * minute) },
          { name: 'mysql-lost', state: 'needsRevalidation', since: ago(minute), clock: null },
        ],
        next: null,
      },
    },
    vaults: [
      aVaultOf('kv-well'),
      aVaultOf('kv-latched', { latches: { suspected: 1, confirmed: 3, unknown: 0 } }),
      aVaultOf('kv-unread', { latches: { suspected: 0, confirmed: 0, unknown: 2 } }),
      aVaultOf('kv-down', {
        circuit: { state: 'open', since: ago(4 * minute), instances: { closed: 0, open: 2, halfOpen: 0 } },
        outageSince: ago(5 * minute),
        failoverSince: ago(4 * minute),
        lastHour: anHour(true),
      }),
      aVaultOf('kv-new', { lastHour: { ...anHour(false), rate: Array<null>(60).fill(null), circuit: Array<null>(60).fill(null) } }),
    ],
    latchedLinks: {
      total: 4,
      items: ['sql-a', 'sql-b', 'sql-c', 'sql-d'].map((server) => ({
        server,
        keyId: 'https://kv-latched.vault.azure.net/keys/tde-key/1',
        vault: 'kv-latched',
        status: server === 'sql-d' ? 'suspected' : 'confirmed',
        class: 'revoked',
        since: ago(minute),
      })),
    },
    audit: {
      slot: '2026-11-22T06:00:00Z',
      startedAt: ago(2 * minute),
      finishedAt: ago(minute),
      servers: 42,
      links: 84,
      errors: 2,
      warnings: 5,
      new: 1,
      resolved: 0,
      excessPermissions: 'checked',
    },
    oldestProof: { server: 'sql-a', keyId: 'https://kv-well.vault.azure.net/keys/a/1', vault: 'kv-well', provenAt: ago(9 * minute) },
    undeliveredEvents: {
      count: 3,
      oldestAt: ago(minute),
      dead: 0,
      webhooks: [
        {
          name: 'ops',
          host: 'ops.example',
          state: 'failing',
          since: ago(minute),
          reason: 'answered 503',
          count: 3,
          oldestAt: null,
          dead: 0,
        },
      ],
      deadLetters: [],
    },
    instances: ['one', 'two'].map((instance) => ({
      instance,
      startedAt: ago(minute),
      at: ago(0),
      records: { issued: 0, waiting: 0, spilled: 0 },
    })),
  };
}

const noneOut: Status['servers'] = {
  total: 42,
  byState: { online: 42, atRisk: 0, inaccessible: 0, needsRevalidation: 0, pendingValidation: 0 },
  notOnline: { items: [], next: null },
};

/** For paragraphs of the page. */
const textsAndKinds = (all: readonly { readonly textContent: string | null; readonly className: string }[]) =>
  all.map((one) => [one.textContent, one.className]);

let status: Status;
let answerStatus: number;
let asked: { path: string; authorization: string | undefined }[];

async function serve(): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push({ path, authorization: request.headers.authorization });
    if (path === '/status') return void response.writeHead(200, pageHeaders).end(html);
    const isKnown = request.headers.authorization === `Bearer ${token}`;
    response.writeHead(isKnown ? answerStatus : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answerStatus === 200 ? status : { title: 'the store is away' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

test('the page holds no secret and no data, and may run its own script alone', () => {
  expect(pageHeaders['content-security-policy']).toMatch(
    /^default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
  );
  expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)|innerHTML|style="/);
});

const without = chromiumPath === undefined ? ` (skipped: none of ${chromiumPlaces.join(', ')} is there; install \`chromium\`)` : '';

describe.skipIf(chromiumPath === undefined)(`the status page in Chromium${without}`, () => {
  let server: Server;
  let browser: Browser;
  let origin: string;
  beforeAll(async () => {
    server = await serve();
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser.close();
    server.close();
  });
  beforeEach(() => {
    status = aStatus();
    answerStatus = 200;
    asked = [];
  });

  /** Opens the page in a fresh context, with all that went wrong in it, and all other hosts it asked. */
  async function open(path: string, options: BrowserContextOptions = {}): Promise<{ page: Page; wrong: string[] }> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const wrong: string[] = [];
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('console', (message) => message.text().includes('Content Security Policy') && wrong.push(message.text()));
    page.on('request', (request) => !/^data:/.test(request.url()) && !request.url().startsWith(origin) && wrong.push(request.url()));
    await page.goto(origin + path);
    return { page, wrong };
  }

  test('F7: of a vault that is throttled no more than all of its rate is shown as used', async () => {
    status.vaults = [aVaultOf('kv-slow', { rate: { used: 800, limit: 50, windowMs: 10_000, byKeyType: {} } })];
    const { page } = await open(`/status#token=${token}`);
    await page.getByText(/^westeurope · 100 % of the rate, /).waitFor({ timeout: 5000 });
  });

  test('the token of the address is gone from it at once, and is sent to the broker alone', async () => {
    const { page, wrong } = await open(`/status#token=${token}`);
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    expect(page.url()).toBe(`${origin}/status`);
    expect(await page.evaluate('history.length')).toBeLessThanOrEqual(2);
    expect(asked.filter(({ path }) => path.includes(token))).toEqual([]);
    expect(asked.find(({ path }) => path.startsWith('/v1/status'))?.authorization).toBe(`Bearer ${token}`);
    await page.reload();
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    expect(wrong).toEqual([]);
    await page.context().close();
  });

  test('the worst comes first, with the time that is left; what the broker says is text and nothing else', async () => {
    const { page, wrong } = await open(`/status#token=${token}`);
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    expect(await page.locator('#servers h3').allTextContents()).toEqual(['<b>sql</b>-gone', 'sql-soon', 'sql-late', 'mysql-lost']);
    expect(await page.locator('#vaults h3').allTextContents()).toEqual(['kv-down', 'kv-latched', 'kv-unread', 'kv-well', 'kv-new']);
    expect(await page.locator('#vaults li', { hasText: 'kv-unread' }).locator('.bad').textContent()).toContain(
      '2 rows of access that cannot be read',
    );
    expect(await page.locator('#servers li', { hasText: 'sql-soon' }).locator('.left').textContent()).toMatch(/^1 min \d+ s$/);
    expect(await page.getByRole('status').first().textContent()).toBe(
      '4 servers are not online; the worst is <b>sql</b>-gone, Inaccessible; vault kv-down is down.',
    );
    expect(await page.title()).toBe('(4 servers, 1 vault down) Key-operations broker');
    expect(wrong).toEqual([]);
    await page.context().close();
  });

  test('the last hour is there at once, as the broker saw it: a picture, and the same in words', async () => {
    const { page } = await open(`/status#token=${token}`);
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    const saidOf = async (vault: string) => page.locator('#vaults li', { hasText: vault }).getByRole('img').getAttribute('aria-label');
    expect(await saidOf('kv-down')).toBe(
      'Last hour: at most 70 % of the rate was used; the circuit was open for 17 min 0 s; nothing was seen for 5 min 0 s.',
    );
    expect(await saidOf('kv-well')).toContain('the circuit was open for 0 s');
    expect(await saidOf('kv-new')).toBe('Last hour: nothing was seen yet.');
    const drawn = page.locator('#vaults li', { hasText: 'kv-down' });
    expect(await drawn.locator('rect.use').count()).toBe(55);
    expect(await drawn.locator('rect.open').count()).toBe(17);
    expect(asked.map(({ path }) => path).filter((path) => path.startsWith('/v1/'))).toEqual(['/v1/status?limit=200']);
    await page.context().close();
  });

  test('what is wrong is said of vaults too, and of one server as of one', async () => {
    const saidOf = async (page: Page) => [await page.getByRole('status').first().textContent(), await page.title()];
    status = { ...aStatus(), servers: { ...noneOut, byState: { ...noneOut.byState, online: 42 } } };
    const { page } = await open(`/status#token=${token}`);
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    expect(await saidOf(page)).toEqual(['All servers are online; vault kv-down is down.', '(1 vault down) Key-operations broker']);
    const item = { name: 'sql-a', state: 'pendingValidation', since: ago(0), clock: null } as const;
    status = {
      ...aStatus(),
      servers: { ...noneOut, byState: { ...noneOut.byState, online: 41, pendingValidation: 1 }, notOnline: { items: [item], next: null } },
      vaults: [aVaultOf('kv-well')],
    };
    await page.reload();
    await page.getByRole('heading', { name: 'sql-a' }).waitFor();
    expect(await saidOf(page)).toEqual(['1 server is not online: sql-a, Waits for its protector.', '(1 server) Key-operations broker']);
    await page.context().close();
  });

  test('the trouble has the colour, not what stands beside it: a closed circuit is well where a latch is the trouble', async () => {
    const { page } = await open(`/status#token=${token}`);
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    const coloured = (vault: string) => page.locator('#vaults li', { hasText: vault }).locator('p.word');
    expect(await coloured('kv-latched').evaluateAll(textsAndKinds)).toEqual([
      ['Circuit closed', 'word good'],
      ['3 confirmed latches, 1 suspected latch', 'word bad'],
    ]);
    expect(await coloured('kv-well').evaluateAll(textsAndKinds)).toEqual([['Circuit closed', 'word good']]);
    expect(await page.locator('#rest li', { hasText: 'Permission audit' }).textContent()).toContain('GET /v1/audits/2026-11-22T06:00:00Z');
    await page.context().close();
  });

  test('the worst latches of a vault are named in its card, and how many more there are', async () => {
    const linesOf = async (page: Page, vault: string) =>
      (await page.locator('#vaults li', { hasText: vault }).locator('p.soft').allTextContents()).slice(1);
    const { page } = await open(`/status#token=${token}`);
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    expect(await linesOf(page, 'kv-latched')).toEqual([
      ...['sql-a', 'sql-b', 'sql-c'].map((server) => expect.stringMatching(`^${server}: key tde-key, confirmed since .*\\d`) as string),
      'and 1 more: GET /v1/status',
    ]);
    expect(await linesOf(page, 'kv-well')).toEqual([]);
    // As a broker of an earlier version answers, in a rollout.
    const { latchedLinks: _none, ...earlier } = aStatus();
    status = earlier as Status;
    await page.reload();
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    expect(await linesOf(page, 'kv-latched')).toEqual([]);
    await page.context().close();
  });

  test('events that were given up are a trouble for a day, and counted for ever', async () => {
    const letter = {
      webhook: 'ops',
      id: 'e1',
      type: 'keybroker.server.state',
      subject: 'sql-a',
      time: ago(day * 4),
      reason: 'answered 400',
    };
    const shown = async (diedAt: string) => {
      status = aStatus();
      status.undeliveredEvents = { ...status.undeliveredEvents, count: 0, dead: 7, deadLetters: [{ ...letter, diedAt }] };
      const { page } = await open(`/status#token=${token}`);
      const card = page.locator('#rest li', { hasText: 'Events' });
      await card.waitFor();
      const seen = [await card.getAttribute('class'), await card.textContent()];
      await page.context().close();
      return seen;
    };
    expect(await shown(ago(2 * day))).toEqual(['card good', 'Events0 undelivered, 7 given up']);
    const [kind, text] = await shown(ago(61 * minute));
    expect(kind).toBe('card bad');
    expect(text).toMatch(/7 given up, the last 1 h 1 min agoops did not hear keybroker\.server\.state of sql-a: answered 400$/);
  });

  test('a token that lapses leaves the last picture, marked as such; a fresh link in the same tab goes on', async () => {
    const { page, wrong } = await open('/status');
    await page.clock.install();
    await page.reload();
    const vault = page.getByRole('heading', { name: 'kv-well' });
    await page.getByLabel(/Access token/).waitFor();
    await page.goto(`${origin}/status#token=${token}`);
    await vault.waitFor();
    answerStatus = 401;
    await page.clock.runFor(11_000);
    await page.getByText('not current: the token is not valid any more').waitFor();
    expect(await vault.isVisible()).toBe(true);
    const field = page.getByLabel(/Access token/);
    expect((await field.boundingBox())!.y).toBeLessThan((await vault.boundingBox())!.y);
    expect(await page.title()).toMatch(/^\(not current\) \(4 servers/);
    answerStatus = 200;
    await page.goto(`${origin}/status#token=${token}`);
    await page.getByText(/^As of [^(]+$/).waitFor();
    expect(await field.isVisible()).toBe(false);
    expect(page.url()).toBe(`${origin}/status`);
    expect(wrong).toEqual([]);
    await page.context().close();
  });

  test('an address whose token cannot be read asks for one', async () => {
    const { page, wrong } = await open('/status#token=%zz');
    await page.getByText('The address holds no token that can be read.').first().waitFor();
    expect(await page.getByLabel(/Access token/).isVisible()).toBe(true);
    expect(page.url()).toBe(`${origin}/status`);
    expect(wrong).toEqual([]);
    await page.context().close();
  });

  test('by keyboard alone: give a token, see the fleet, sign out; a token that is refused is asked for anew', async () => {
    const { page, wrong } = await open('/status');
    const field = page.getByLabel(/Access token/);
    await field.waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('token');
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('The token is not valid').first().waitFor();
    await page.keyboard.type(token);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'kv-down' }).waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('You are signed out.').first().waitFor();
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
    expect(wrong).toEqual([]);
    await page.context().close();
  });

  test('the broker does not answer: the page says so', async () => {
    answerStatus = 503;
    const { page } = await open(`/status#token=${token}`);
    await page.getByText('not current: the store is away').waitFor();
    await page.context().close();
  });

  test.each([
    [1440, 'light'],
    [1440, 'dark'],
    [390, 'light'],
    [390, 'dark'],
  ] as const)('%i wide, %s: nothing runs over the edge, and text can be read', async (width, colorScheme) => {
    const { page } = await open(`/status#token=${token}`, { viewport: { width, height: 900 }, colorScheme });
    await page.getByRole('heading', { name: 'kv-well' }).waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    expect(await page.evaluate(contrastOfSoftText)).toBeGreaterThanOrEqual(4.5);
    const folder = process.env['SCREENSHOTS'];
    if (folder !== undefined) await page.screenshot({ path: `${folder}/status-${width}-${colorScheme}.png`, fullPage: true });
    await page.context().close();
  });
});

/** WCAG 2.2 contrast of the palest text on the page's ground. */
const contrastOfSoftText = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).slice(0, 3).map((n) => n / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  const luminance = (color) => { const [r, g, b] = channels(color); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const pair = [luminance(getComputedStyle(document.querySelector('.soft')).color), luminance(getComputedStyle(document.body).backgroundColor)].sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
})()`;
