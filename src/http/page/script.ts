/**
 * The script of the status page: reads `GET /v1/status` every ten seconds and shows it. Plain JavaScript, since it runs in a browser as it
 * stands here. What comes from the broker goes into the page as text only, never as markup. The token stays in this tab.
 */
export const script = String.raw`
'use strict';
const every = 10e3, day = 86400e3, heading = document.title;
const byId = (id) => document.getElementById(id);
const kept = (name, fallback) => { try { return JSON.parse(sessionStorage.getItem(name)) ?? fallback; } catch { return fallback; } };
const keep = (name, value) => { try { sessionStorage.setItem(name, JSON.stringify(value)); } catch { /* A full or forbidden storage: the token is asked for at the next load. */ } };
function make(tag, attributes, ...children) {
  const node = /^(svg|path|line|rect|title)$/.test(tag) ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

let token = kept('keybroker.token', null), shown = null, offset = 0, timer, asking = 0, byHand = false;

// Gone from the address bar and from the browser's history before anything is sent.
function takeFromAddress() {
  const given = /^#token=(.*)$/.exec(location.hash);
  if (!given) return false;
  history.replaceState(null, '', location.pathname);
  try { useToken(decodeURIComponent(given[1])); } catch { signIn('The address holds no token that can be read.'); }
  return true;
}

function useToken(text) {
  if (text === '') return signIn('An access token is needed.');
  token = text; keep('keybroker.token', token);
  byId('in').hidden = true; byId('out').hidden = false;
  void poll();
}

function signIn(why) {
  clearTimeout(timer); asking += 1; token = null; sessionStorage.removeItem('keybroker.token');
  byId('out').hidden = true; byId('in').hidden = false;
  byId('news').textContent = why;
  // A picture on a wall stays, with its time, until somebody gives a new token.
  if (shown) connected('the token is not valid any more');
  if (!shown || byHand) byId('token').focus();
}
function forget() {
  shown = null; byId('fleet').hidden = true; byId('age').textContent = ''; document.title = heading;
}
byId('in').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('token').value.trim(); byId('token').value = '';
  byHand = true; useToken(text);
});
byId('out').addEventListener('click', () => { sessionStorage.clear(); forget(); signIn('You are signed out.'); });
addEventListener('hashchange', takeFromAddress);

async function read(path) {
  const answer = await fetch(path, { headers: { authorization: 'Bearer ' + token }, cache: 'no-store', signal: AbortSignal.timeout(every * 2) });
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(body.title ?? 'the broker answered ' + answer.status), { status: answer.status });
}

async function poll() {
  clearTimeout(timer);
  const mine = (asking += 1);
  try {
    const status = await read('/v1/status?limit=200');
    if (mine !== asking) return;
    offset = Date.parse(status.at) - Date.now();
    shown = status; byHand = false; show(); connected(null);
  } catch (error) {
    if (mine !== asking) return;
    if (error.status === 401) return signIn('The token is not valid, or no longer. Give a new one.');
    if (error.status === 403) return forget(), signIn('This needs the app role KeyBroker.Auditor or KeyBroker.Operator.');
    connected(error.status ? error.message : 'the broker does not answer');
  }
  timer = setTimeout(poll, every);
}

function connected(trouble) {
  byId('age').className = trouble ? 'word bad' : 'soft';
  byId('fleet').className = trouble ? 'stale' : '';
  const at = shown && new Date(shown.at);
  byId('age').textContent = (at ? 'As of ' + (trouble ? at.toLocaleString() : at.toLocaleTimeString()) : '') + (trouble ? ' (not current: ' + trouble + ')' : '');
  document.title = (trouble ? '(not current) ' : '') + (shown ? troubles(shown).short : '') + heading;
}

const now = () => Date.now() + offset;
const span = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000)), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return h > 0 ? h + ' h ' + m + ' min' : m > 0 ? m + ' min ' + (s % 60) + ' s' : s + ' s';
};
const states = {
  inaccessible: ['bad', 'Inaccessible', 'healsUntil', 'left to heal by itself'], atRisk: ['warn', 'At risk', 'inaccessibleAt', 'left until it is inaccessible'],
  needsRevalidation: ['bad', 'Needs revalidation by a person'], pendingValidation: ['', 'Waits for its protector'], online: ['good', 'Online'],
};
const order = Object.keys(states);
const endOf = ({ state, clock }) => (clock && states[state][2] ? Date.parse(clock[states[state][2]]) : null);
const many = (n, one, more) => n + ' ' + (n === 1 ? one : more);
const listed = (names) => names.slice(0, 3).join(', ') + (names.length > 3 ? ' and ' + (names.length - 3) + ' more' : '');
const isDown = ({ circuit, outageSince }) => circuit.state === 'open' || outageSince !== null;

// What is wrong, in a sentence for people and in short for the title of the tab.
function troubles({ servers, vaults }) {
  const n = servers.total - servers.byState.online, [worst] = servers.notOnline.items, down = vaults.filter(isDown).map((vault) => vault.name);
  const ofServers = n === 0 ? 'All servers are online' : many(n, 'server is', 'servers are') + ' not online' + (worst ? (n === 1 ? ': ' : '; the worst is ') + worst.name + ', ' + states[worst.state][1] : '');
  const ofVaults = down.length === 0 ? '' : '; ' + (down.length === 1 ? 'vault ' : 'vaults ') + listed(down) + (down.length === 1 ? ' is down' : ' are down');
  const short = [n > 0 && many(n, 'server', 'servers'), down.length > 0 && many(down.length, 'vault', 'vaults') + ' down'].filter(Boolean).join(', ');
  return { sentence: ofServers + ofVaults + '.', short: short && '(' + short + ') ' };
}

function show() {
  byId('fleet').hidden = false;
  const { servers, vaults, audit, oldestProof, undeliveredEvents: events, instances } = shown;
  const { items, next } = servers.notOnline;
  byId('servers').replaceChildren(...items.map(serverCard));
  byId('all-well').hidden = items.length > 0;
  byId('more').hidden = next === null;
  byId('more').textContent = 'These are the worst; ' + (servers.total - servers.byState.online - items.length) + ' more are not online.';
  const rank = (vault) => (isDown(vault) ? 0 : vault.latches.confirmed + vault.latches.suspected + vault.latches.unknown > 0 || vault.circuit.state === 'halfOpen' ? 1 : 2);
  byId('vaults').replaceChildren(...[...vaults].sort((a, b) => rank(a) - rank(b) || b.rate.used / b.rate.limit - a.rate.used / a.rate.limit).map((vault) => vaultCard(vault, rank(vault))));
  byId('counts').replaceChildren(...order.map((state) => number(servers.byState[state], states[state][1])), number(vaults.length, 'vaults'), number(instances.length, 'instances'));
  byId('rest').replaceChildren(auditCard(audit),
    fact('', 'Oldest proof', oldestProof ? oldestProof.server + ', ' + span(now() - Date.parse(oldestProof.provenAt)) + ' ago, in ' + oldestProof.vault : 'none'),
    eventsCard(events),
    ...events.webhooks.map((one) => fact({ stopped: 'bad', failing: 'bad', unknown: 'bad', refusing: 'warn' }[one.state] ?? 'good', 'Webhook ' + one.name, one.state + (one.reason ? ': ' + one.reason : '') + ', ' + one.count + ' waiting')));
  const news = troubles(shown).sentence;
  if (byId('news').textContent !== news) byId('news').textContent = news;
  tick();
}

function auditCard(audit) {
  if (!audit) return fact('', 'Permission audit', 'none yet');
  return fact(audit.errors > 0 ? 'bad' : '', 'Permission audit', audit.slot + ': ' + many(audit.errors, 'error', 'errors') + ', ' + many(audit.warnings, 'warning', 'warnings') + (audit.finishedAt ? '' : ', under way'),
    'Findings: GET /v1/audits/' + audit.slot);
}

// What was given up stays counted; it is a trouble for a day.
function eventsCard({ count, dead, deadLetters }) {
  const recent = deadLetters.filter(({ diedAt }) => now() - Date.parse(diedAt) < day).sort((a, b) => Date.parse(b.diedAt) - Date.parse(a.diedAt));
  return fact(recent.length > 0 ? 'bad' : count > 0 ? 'warn' : 'good', 'Events', count + ' undelivered, ' + dead + ' given up' + (recent.length > 0 ? ', the last ' + span(now() - Date.parse(recent[0].diedAt)) + ' ago' : ''),
    ...recent.slice(0, 3).map(({ webhook, type, subject, reason }) => webhook + ' did not hear ' + type + ' of ' + subject + ': ' + reason));
}

const number = (value, what) => make('li', null, make('b', null, String(value)), what);
const fact = (kind, title, text, ...more) => make('li', { class: 'card ' + kind }, make('h3', null, title), make('p', null, text), ...more.map((line) => make('p', { class: 'soft' }, line)));

function serverCard(server) {
  const [kind, word, , what] = states[server.state], end = endOf(server);
  return make('li', { class: 'card ' + kind }, make('h3', null, server.name), make('p', { class: 'word' }, word + ' since ' + new Date(server.since).toLocaleString()),
    end === null ? null : make('p', { class: 'left', 'data-end': end }), end === null ? null : make('p', { class: 'soft' }, what));
}

function vaultCard(vault, rank) {
  const { name, region, circuit, rate, association, latencyMs, latches, outageSince, failoverSince } = vault;
  const word = 'Circuit ' + { closed: 'closed', open: 'OPEN', halfOpen: 'half open' }[circuit.state] + (outageSince ? ', no answer since ' + new Date(outageSince).toLocaleTimeString() : '')
    + (failoverSince ? ', standbys serve' : '');
  const ms = (value) => (value === null ? '–' : value + ' ms');
  return make('li', { class: 'card ' + ['bad', 'warn', 'good'][rank] }, make('h3', null, name), make('p', { class: 'word ' + { closed: outageSince ? 'bad' : 'good', open: 'bad', halfOpen: 'warn' }[circuit.state] }, word),
    make('p', { class: 'soft' }, region + ' · ' + Math.min(100, Math.round((100 * rate.used) / rate.limit)) + ' % of the rate, ' + association.used + ' of ' + association.limit + ' points · p50 ' + ms(latencyMs.p50) + ', p99 ' + ms(latencyMs.p99)),
    latchLine(latches), ...latchedHere(name, latches.confirmed + latches.suspected),
    picture(vault), make('div', { class: 'scale', 'aria-hidden': 'true' }, make('span', null, '1 h ago'), make('span', null, 'rate used, circuit below'), make('span', null, 'now')));
}

function latchLine({ confirmed, suspected, unknown }) {
  const said = [confirmed > 0 && many(confirmed, 'confirmed latch', 'confirmed latches'), suspected > 0 && many(suspected, 'suspected latch', 'suspected latches'), unknown > 0 && many(unknown, 'row', 'rows') + ' of access that cannot be read: no failover'].filter(Boolean);
  return make('p', said.length === 0 ? null : { class: 'word ' + (confirmed + unknown > 0 ? 'bad' : 'warn') }, said.length === 0 ? 'No latches' : said.join(', '));
}

// The worst of them; a broker of an earlier version names none.
function latchedHere(name, all) {
  const here = (shown.latchedLinks?.items ?? []).filter(({ vault }) => vault === name).slice(0, 3);
  const lines = here.map(({ server, keyId, status, since }) => server + ': key ' + keyId.split('/')[4] + ', ' + status + ' since ' + new Date(since).toLocaleString());
  if (lines.length > 0 && all > lines.length) lines.push('and ' + (all - lines.length) + ' more: GET /v1/status');
  return lines.map((line) => make('p', { class: 'soft' }, line));
}

// A column a minute: how much of the rate was used, and below it the circuit. Minutes in which nobody looked stay empty.
function picture({ lastHour: { rate, circuit, stepMs } }) {
  const wide = 100 / rate.length, seen = rate.filter((share) => share !== null), of = (state) => circuit.filter((one) => one === state).length;
  const lasted = (n) => span(n * stepMs);
  const says = seen.length === 0 ? 'Last hour: nothing was seen yet.' : 'Last hour: at most ' + Math.round(Math.max(...seen) * 100) + ' % of the rate was used; the circuit was open for '
    + lasted(of('open')) + (of('halfOpen') > 0 ? ' and half open for ' + lasted(of('halfOpen')) : '') + (seen.length < rate.length ? '; nothing was seen for ' + lasted(rate.length - seen.length) : '') + '.';
  const column = (kind, n, top, height) => make('rect', { class: kind, x: (n * wide).toFixed(2), width: wide.toFixed(2), y: top.toFixed(2), height: height.toFixed(2) });
  return make('svg', { viewBox: '0 0 100 72', preserveAspectRatio: 'none', role: 'img', 'aria-label': says }, make('title', null, says),
    make('line', { class: 'axis', x1: 0, x2: 100, y1: 56, y2: 56 }), make('line', { class: 'axis', x1: 0, x2: 100, y1: 2, y2: 2 }),
    ...rate.map((share, n) => (share === null ? null : column('use', n, 56 - 54 * Math.min(1, share), 54 * Math.min(1, share)))),
    ...circuit.map((state, n) => (state === null ? null : column(state, n, 61, state === 'open' ? 11 : 5))));
}

function tick() {
  for (const node of document.querySelectorAll('[data-end]')) node.textContent = span(Number(node.dataset.end) - now());
}
setInterval(tick, 1000);
if (!takeFromAddress()) token === null ? signIn('') : useToken(token);
`;
