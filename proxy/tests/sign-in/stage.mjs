// What the scenarios share: free ports, an app that shows what it received, a provider, Portcullis, and Chromium.
// Everything listens on loopback and ends with the stage.
import { spawn, execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import './names.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '../../..');
const PACKAGES = path.join(ROOT, 'target/real');
export const PORTCULLIS = process.env.PORTCULLIS ?? path.join(ROOT, 'target/debug/portcullis');
const require = createRequire(path.join(PACKAGES, 'package.json'));
export const { chromium } = require('playwright-core');

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function waitFor(what, holds, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await Promise.resolve().then(holds).catch(() => undefined);
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(50);
  }
}

// Outside the range that the kernel gives to outgoing connections; free when it was looked at.
let next = 12000 + (process.pid % 200) * 40;
export async function freePort() {
  for (;;) {
    next += 1;
    const port = next;
    const isFree = await new Promise((done) => {
      const server = net.createServer().once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
    if (isFree) return port;
  }
}

export class Stage {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sign-in-'));
    this.children = [];
    this.servers = [];
    this.requests = [];
  }

  async end() {
    await this.browser?.close();
    for (const child of this.children) {
      child.kill('SIGINT');
      await Promise.race([new Promise((done) => child.once('exit', done)), sleep(3000)]);
      child.kill('SIGKILL');
    }
    for (const server of this.servers) server.closeAllConnections?.(), server.close();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  file(name, text) {
    const place = path.join(this.folder, name);
    if (text !== undefined) fs.writeFileSync(place, text, { mode: 0o600 });
    return place;
  }

  start(command, args, environment = {}) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    child.log = '';
    child.stdout.on('data', (data) => { child.log += data; });
    child.stderr.on('data', (data) => { child.log += data; });
    this.children.push(child);
    return child;
  }

  // An app that answers with a page of what it received, and takes forms.
  async app() {
    const port = await freePort();
    const server = http.createServer(async (request, response) => {
      let body = '';
      for await (const piece of request) body += piece;
      const { method, url, headers } = request;
      this.requests.push({ method, url, headers, body });
      response.setHeader('content-type', 'text/html; charset=utf-8');
      const seen = JSON.stringify({ method, url, headers, body }).replaceAll('<', '\\u003c');
      response.end(`<!doctype html><title>App</title><link rel="icon" href="/favicon.ico"><script type="application/json" id="seen">${seen}</script>
<p id="user">${headers['x-user'] ?? ''}</p><form method="post" action="/save"><input name="text" value="kept?"><button>Save</button></form>`);
    });
    await new Promise((done) => server.listen(port, '127.0.0.1', done));
    this.servers.push(server);
    return port;
  }

  async provider(settings) {
    const port = settings.port ?? (await freePort());
    const child = this.start('node', [path.join(HERE, 'provider.mjs'), JSON.stringify({ ...settings, port })],
      { PACKAGES, NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' });
    await waitFor('the provider', () => child.log.includes('listening'));
    return { port, child, issuer: `http://localhost:${port}` };
  }

  // A Redis of this stage alone; its URL.
  async redis() {
    const port = await freePort();
    const child = this.start('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', this.folder]);
    await waitFor('Redis', () => child.log.includes('Ready to accept connections'));
    return { url: `redis://127.0.0.1:${port}`, child };
  }

  certificate(names) {
    const [chain, key] = [this.file('chain.pem'), this.file('key.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=test', '-addext',
      `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`, '-keyout', key, '-out', chain], { stdio: 'ignore' });
    return { chain, key };
  }

  key(name) {
    return this.file(name, crypto.randomBytes(32));
  }

  // Writes a configuration (TOML text made by `write(ports)`), starts Portcullis, and waits until it is ready.
  async portcullis(text, admin, name = 'portcullis.toml') {
    const place = this.file(name, text);
    const child = this.start(PORTCULLIS, ['run', '--config', place]);
    await waitFor('Portcullis to be ready', () => {
      if (child.exitCode !== null) throw new Error(child.log);
      return fetch(`http://127.0.0.1:${admin}/readyz`).then((answer) => answer.ok);
    }).catch((problem) => { throw new Error(`${problem.message}\n${child.log}`); });
    return child;
  }

  async chromium() {
    this.browser ??= await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', `--host-resolver-rules=MAP *.test ${this.address ?? '127.0.0.1'}`],
    });
    return this.browser;
  }

  // A browser of somebody else: no cookie of the others.
  async person(options = {}) {
    const browser = await this.chromium();
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
    context.setDefaultTimeout(15000);
    return context;
  }
}

// At the provider's page: signs in, and waits until the browser is back.
export async function signIn(page, login, { mfa = false } = {}) {
  await page.waitForURL(/\/interaction\//);
  await page.fill('input[name=login]', login);
  if (mfa) await page.check('input[name=mfa]');
  await Promise.all([page.waitForURL((url) => !url.pathname.startsWith('/interaction/')), page.click('button[value=sign-in]')]);
  await page.waitForLoadState();
}

// Clicks the first of what leads to another page, and waits until that page stands: a click alone comes back before the browser goes.
export async function follow(page, what) {
  await Promise.all([page.waitForNavigation(), page.locator(what).first().click()]);
}

// What the app received, as its page shows.
export const seen = async (page) => JSON.parse(await page.locator('#seen').textContent());

export function check(holds, what, detail) {
  if (!holds) throw new Error(`FAILED: ${what}${detail === undefined ? '' : `: ${JSON.stringify(detail)}`}`);
  console.log(`ok: ${what}`);
}

// The browser did not come in time, or died: it says nothing of what was to be seen.
const isBrowsers = (problem) => problem.name === 'TimeoutError' || /Target (page|crashed)|browser has been closed|Page crashed/.test(problem.message ?? '');

// Runs scenarios one after the other, all of them, and says how many failed. Where the browser itself failed, the scenario has a
// second turn, and the end says so; what a check found wrong is wrong at once.
export async function run(scenarios) {
  const only = process.argv.slice(2);
  let failed = 0;
  const again = [];
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (only.length > 0 && !only.some((word) => name.includes(word))) continue;
    for (let turn = 1; turn <= 2; turn += 1) {
      const began = Date.now();
      try {
        await scenario();
        console.log(`-- ${name}: passed in ${Date.now() - began} ms`);
        break;
      } catch (problem) {
        console.log(`-- ${name}: ${problem.stack ?? problem}`);
        if (turn === 1 && isBrowsers(problem)) {
          again.push(name);
        } else {
          failed += 1;
          break;
        }
      }
    }
  }
  if (again.length > 0) console.log(`a second turn, because the browser failed: ${again.join('; ')}`);
  return failed;
}
