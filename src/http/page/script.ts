/**
 * The script of the status page: reads `GET /v1/status` every ten seconds and shows it. Plain JavaScript, since it runs in a browser as it
 * stands here. What comes from the broker goes into the page as text only, never as markup. The token stays in this tab.
 */
export const script = String.raw`
'use strict';
const every = 10e3;
const byId = (id) => document.getElementById(id);
const kept = (name, fallback) => { try { return JSON.parse(sessionStorage.getItem(name)) ?? fallback; } catch { return fallback; } };
const keep = (name, value) => { try { sessionStorage.setItem(name, JSON.stringify(value)); } catch { /* A full or forbidden storage: the token is asked for at the next load. */ } };
function make(tag, attributes, ...children) {
  const node = /^(svg|path|line|rect|title)$/.test(tag) ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

let token = kept('keybroker.token', null), shown = null, offset = 0, timer, asking = 0;
const given = /^#token=(.+)$/.exec(location.hash);
if (given) {
  // Gone from the address bar and from the browser's history before anything is sent.
  history.replaceState(null, '', location.pathname);
  token = decodeURIComponent(given[1]);
  keep('keybroker.token', token);
}

function signIn(why) {
  clearTimeout(timer); asking += 1; token = null; shown = null; sessionStorage.removeItem('keybroker.token');
  byId('fleet').hidden = true; byId('out').hidden = true; byId('in').hidden = false;
  byId('why').textContent = why; byId('news').textContent = why;
  byId('token').focus();
}
byId('in').addEventListener('submit', (event) => {
  event.preventDefault();
  token = byId('token').value.trim(); byId('token').value = '';
  if (token === '') return signIn('An access token is needed.');
  keep('keybroker.token', token); start();
});
byId('out').addEventListener('click', () => { sessionStorage.clear(); signIn('You are signed out.'); });

async function read(path) {
  const answer = await fetch(path, { headers: { authorization: 'Bearer ' + token }, cache: 'no-store', signal: AbortSignal.timeout(every * 2) });
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(body.title ?? 'the broker answered ' + answer.status), { status: answer.status });
}

function start() {
  byId('in').hidden = true; byId('out').hidden = false;
  void poll();
}

async function poll() {
  clearTimeout(timer);
  const mine = (asking += 1);
  try {
    const status = await read('/v1/status?limit=200');
    if (mine !== asking) return;
    offset = Date.parse(status.at) - Date.now();
    shown = status; show(); connected(null);
  } catch (error) {
    if (mine !== asking) return;
    if (error.status === 401) return signIn('The token is not valid, or no longer. Give a new one.');
    if (error.status === 403) return signIn('This needs the app role KeyBroker.Auditor or KeyBroker.Operator.');
    connected(error.status ? error.message : 'the broker does not answer');
  }
  timer = setTimeout(poll, every);
}

function connected(trouble) {
  byId('age').className = trouble ? 'word bad' : 'soft';
  byId('age').textContent = (shown ? 'As of ' + new Date(shown.at).toLocaleTimeString() : '') + (trouble ? ' (not current: ' + trouble + ')' : '');
}

const span = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000)), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return h > 0 ? h + ' h ' + m + ' min' : m > 0 ? m + ' min ' + (s % 60) + ' s' : s + ' s';
};
const states = {
  inaccessible: ['bad', 'Inaccessible', 'healsUntil', 'left to heal by itself'], needsRevalidation: ['bad', 'Needs revalidation by a person'],
  atRisk: ['warn', 'At risk', 'inaccessibleAt', 'left until it is inaccessible'], pendingValidation: ['', 'Waits for its protector'], online: ['good', 'Online'],
};
const order = Object.keys(states);
const endOf = ({ state, clock }) => (clock && states[state][2] ? Date.parse(clock[states[state][2]]) : null);

function show() {
  byId('fleet').hidden = false;
  const { servers, vaults, audit, oldestProof, undeliveredEvents: events, instances } = shown;
  const items = [...servers.notOnline.items].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (endOf(a) ?? 0) - (endOf(b) ?? 0));
  byId('servers').replaceChildren(...items.map(serverCard));
  byId('all-well').hidden = items.length > 0;
  byId('more').hidden = servers.notOnline.next === null;
  const rank = ({ circuit, outageSince, latches }) => (circuit.state === 'open' || outageSince ? 0 : latches.confirmed + latches.suspected + latches.unknown > 0 || circuit.state === 'halfOpen' ? 1 : 2);
  byId('vaults').replaceChildren(...[...vaults].sort((a, b) => rank(a) - rank(b) || b.rate.used / b.rate.limit - a.rate.used / a.rate.limit).map((vault) => vaultCard(vault, rank(vault))));
  byId('counts').replaceChildren(...order.map((state) => number(servers.byState[state], states[state][1])), number(vaults.length, 'vaults'), number(instances.length, 'instances'));
  byId('rest').replaceChildren(
    fact(audit && audit.errors > 0 ? 'bad' : '', 'Permission audit', audit ? audit.slot + ': ' + audit.errors + ' errors, ' + audit.warnings + ' warnings' + (audit.finishedAt ? '' : ', under way') : 'none yet'),
    fact('', 'Oldest proof', oldestProof ? oldestProof.server + ', ' + span(Date.now() + offset - Date.parse(oldestProof.provenAt)) + ' ago, in ' + oldestProof.vault : 'none'),
    fact(events.dead > 0 ? 'bad' : events.count > 0 ? 'warn' : 'good', 'Events', events.count + ' undelivered, ' + events.dead + ' given up'),
    ...events.webhooks.map((one) => fact({ stopped: 'bad', failing: 'bad', refusing: 'warn' }[one.state] ?? 'good', 'Webhook ' + one.name, one.state + (one.reason ? ': ' + one.reason : '') + ', ' + one.count + ' waiting')),
  );
  const news = items.length === 0 ? 'All servers are online.' : servers.total - servers.byState.online + ' servers are not online; the worst is ' + items[0].name + ', ' + states[items[0].state][1] + '.';
  if (byId('news').textContent !== news) byId('news').textContent = news;
  document.title = (items.length === 0 ? '' : '(' + (servers.total - servers.byState.online) + ') ') + 'Key-operations broker';
  tick();
}

const number = (value, what) => make('li', null, make('b', null, String(value)), what);
const fact = (kind, title, text) => make('li', { class: 'card ' + kind }, make('h3', null, title), make('p', null, text));

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
  return make('li', { class: 'card ' + ['bad', 'warn', 'good'][rank] }, make('h3', null, name), make('p', { class: 'word' }, word),
    make('p', { class: 'soft' }, region + ' · ' + Math.round((100 * rate.used) / rate.limit) + ' % of the rate, ' + association.used + ' of ' + association.limit + ' points · p50 ' + ms(latencyMs.p50) + ', p99 ' + ms(latencyMs.p99)),
    make('p', latches.confirmed + latches.unknown > 0 ? { class: 'word bad' } : null, latches.confirmed + ' confirmed latches, ' + latches.suspected + ' suspected' + (latches.unknown > 0 ? ', ' + latches.unknown + ' that cannot be read' : '')),
    picture(vault), make('div', { class: 'scale', 'aria-hidden': 'true' }, make('span', null, '1 h ago'), make('span', null, 'rate used, circuit below'), make('span', null, 'now')));
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
  for (const node of document.querySelectorAll('[data-end]')) node.textContent = span(Number(node.dataset.end) - Date.now() - offset);
}
setInterval(tick, 1000);
if (token === null) signIn(''); else start();
`;
