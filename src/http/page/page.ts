import { createHash } from 'node:crypto';
import { script } from './script.ts';
import { style } from './style.ts';

/** The page of `GET /status`: one document without a word about the fleet, since anyone may load it. */
export const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>Key-operations broker</title>
<style>${style}</style>
<header><h1>Key-operations broker</h1><p id="age" class="soft"></p><button id="out" type="button" hidden>Sign out</button></header>
<main>
<p id="news" class="soft" role="status"></p>
<form id="in" hidden>
<label for="token">Access token with the app role KeyBroker.Auditor or KeyBroker.Operator</label>
<input id="token" type="password" autocomplete="off" spellcheck="false" required>
<button>Show the fleet</button>
</form>
<div id="fleet" hidden>
<ul id="counts" class="numbers" aria-label="Counts"></ul>
<h2>Servers that are not online</h2>
<p id="all-well">None.</p>
<ul id="servers" class="grid"></ul>
<p id="more" class="soft" hidden></p>
<h2>Vaults</h2>
<ul id="vaults" class="grid"></ul>
<h2>Audit, proofs and events</h2>
<ul id="rest" class="grid"></ul>
</div>
<noscript><p>This page needs JavaScript; the same is answered by GET /v1/status.</p></noscript>
</main>
<script>${script}</script>
</html>
`;

function source(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** Nothing but this script and this style, and no other host, nor a frame around it. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    "default-src 'none'",
    `script-src ${source(script)}`,
    `style-src ${source(style)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};
