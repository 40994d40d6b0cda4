// What a person sees of a refusal where a script asked and not the browser: htmx, Turbo, Unpoly, fetch of another origin,
// WebSocket, EventSource; each as its library is, in a real Chromium.
// needs: apt:chromium apt:openssl npm:oidc-provider@9.13.3 npm:playwright-core@1.65.1 npm:htmx.org@2.0.11 npm:@hotwired/turbo@8.0.23 npm:unpoly@3.14.3
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { check, run, signIn, waitFor } from './stage.mjs';
import { world } from './world.mjs';

const NODE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../target/real/node_modules');
const LIBRARIES = {
  htmx: 'htmx.org/dist/htmx.min.js', turbo: '@hotwired/turbo/dist/turbo.es2017-esm.js', unpoly: 'unpoly/unpoly.min.js',
};
const version = (name) => JSON.parse(fs.readFileSync(path.join(NODE, name, 'package.json'), 'utf8')).version;
const body = (page) => page.locator('body').innerText();
const content = (page) => page.content();
// That the refusal is shown, whatever the page around it looks like.
const shows = (page, code = '53003') => waitFor(`a page with ${code}`, async () => (await content(page)).includes(code), 15);

// A person on a page of the app that has this library and this body; signed in, unless scripts bring a token.
async function onPage(all, library, html, { head = '', signsIn = true } = {}) {
  const person = await all.stage.person();
  const page = await person.newPage();
  if (process.env.LOUD) {
    page.on('console', (message) => console.log(`   console: ${message.text()}`));
    page.on('response', (answer) => console.log(`   ${answer.status()} ${answer.request().method()} ${answer.url()}`));
  }
  await page.route(`${all.wiki}/lib.js`, (route) => route.fulfill({ path: path.join(NODE, LIBRARIES[library]), contentType: 'text/javascript' }));
  await page.route(`${all.wiki}/page`, (route) => route.fulfill({
    contentType: 'text/html',
    body: `<!doctype html><html><head><title>App</title>${head}<script ${library === 'turbo' ? 'type="module" ' : ''}src="/lib.js"></script></head><body>${html}</body></html>`,
  }));
  if (signsIn) {
    await page.goto(`${all.wiki}/`);
    await signIn(page, 'alice');
  }
  await page.goto(`${all.wiki}/page`);
  return { person, page };
}

async function inWorld(settings, scenario) {
  const all = await world(settings);
  try {
    await scenario(all);
  } catch (problem) {
    problem.stack += `\n--- portcullis:\n${all.child.log.slice(-3000)}`;
    throw problem;
  } finally {
    await all.stage.end();
  }
}

const HTMX = `<button id="get" hx-get="/cellar/part" hx-target="#part">get</button>
<button id="post" hx-post="/cellar/save" hx-target="#part">post</button>
<a id="link" hx-boost="true" href="/cellar/page">boosted</a><div id="part">nothing</div>`;

// An answer that carries a WebSocket and an event stream, and says something each moment.
function lively(server) {
  const [former] = server.listeners('request');
  server.removeAllListeners('request');
  server.on('request', (request, response) => {
    if (!request.url.startsWith('/live/events')) return former(request, response);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => response.write('data: tick\n\n'), 100);
    request.on('close', () => clearInterval(timer));
  });
  server.on('upgrade', (request, socket) => {
    const key = request.headers['sec-websocket-key'];
    const accept = crypto.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const timer = setInterval(() => socket.write(Buffer.from([0x81, 4, ...Buffer.from('tick')])), 100);
    socket.on('close', () => clearInterval(timer)).on('error', () => clearInterval(timer));
  });
}

const scenarios = {
  htmx: () => inWorld({}, async (all) => {
    for (const [id, leads] of [['get', '/.portcullis/refusal'], ['post', '/.portcullis/refusal'], ['link', '/cellar/page']]) {
      const { page } = await onPage(all, 'htmx', HTMX);
      const [answer] = await Promise.all([page.waitForResponse((one) => /\/cellar\//.test(one.url())), page.click(`#${id}`)]);
      await page.waitForURL((url) => url.pathname.startsWith(leads));
      await shows(page);
      const status = answer.status();
      check(status === 403, `htmx ${version('htmx.org')} ${id}: ${status}, and the browser is at ${leads}`, page.url());
      check(/53003/.test(await body(page)), `htmx ${id}: the page shows the refusal`, await body(page));
      if (id !== 'link') {
        // The page is this very refusal: the request's id is that of the answer to htmx.
        check((await content(page)).includes(answer.headers()['x-request-id']), `htmx ${id}: of this very request`);
      }
    }
  }),

  'htmx without a session': () => inWorld({}, async (all) => {
    const { person, page } = await onPage(all, 'htmx', HTMX);
    await person.clearCookies({ domain: all.hosts.wiki });
    await Promise.all([page.waitForURL((url) => url.hostname === 'localhost' || url.pathname === '/cellar/page'), page.click('#link')]);
    check(true, 'htmx, boosted, signed out: the browser signs in', page.url());
  }),

  // No page of ours would know whose token it was: the refusal comes with the answer, for apps that let htmx swap it.
  'htmx with a token of its script': () => inWorld({}, async (all) => {
    const { publicKey, privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
    all.stage.file('mine.json', JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'mine', alg: 'ES256', use: 'sig' }] }));
    const issuer = '[[issuer]]\nname = "mine"\nissuer = "https://mine.test"\naudiences = ["api://wiki"]\nkeys = { file = "mine.json" }\n';
    fs.writeFileSync(path.join(all.stage.folder, 'portcullis.toml'), all.config.replace('\n[[app]]', `\n${issuer}\n[[app]]`));
    await waitFor('the reload', () => /the configuration was reloaded/.test(all.child.log));
    const now = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'ES256', typ: 'JWT', kid: 'mine' })}.${part({ iss: 'https://mine.test', aud: 'api://wiki', sub: 'alice', iat: now, exp: now + 600 })}`;
    const token = `${signed}.${crypto.sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    const headers = `hx-headers='{"Authorization": "Bearer ${token}"}'`;
    const swaps = `<meta name="htmx-config" content='{"responseHandling": [{"code": "[245]..", "swap": true}]}'>`;
    for (const head of [swaps, '']) {
      const { page } = await onPage(all, 'htmx', `<div ${headers}>${HTMX}</div>`, { head, signsIn: false });
      const failed = page.evaluate(() => new Promise((done) => document.body.addEventListener('htmx:responseError', (event) => done(event.detail.xhr.responseText)))).catch(String);
      const [answer] = await Promise.all([page.waitForResponse((one) => /\/cellar\//.test(one.url())), page.click('#get')]);
      check(answer.status() === 403 && answer.headers()['hx-retarget'] === 'body', 'htmx with a token: 403, and the page is for the body', answer.headers());
      if (head) {
        await shows(page);
        check(page.url() === `${all.wiki}/page`, 'htmx that swaps refusals shows it in place of the page');
      } else {
        check(/53003/.test(await failed), 'htmx that does not hands it to `htmx:responseError`');
      }
    }
  }),

  turbo: () => inWorld({}, async (all) => {
    const name = `Turbo ${version('@hotwired/turbo')}`;
    const html = `<a id="link" href="/cellar/page">drive</a><turbo-frame id="frame"><a id="part" href="/cellar/part">frame</a></turbo-frame>
<form id="form" method="post" action="/cellar/save"><button id="save">form</button></form>`;
    for (const id of ['link', 'part', 'save']) {
      const { page } = await onPage(all, 'turbo', html);
      await page.click(`#${id}`);
      await shows(page);
      check(/53003/.test(await body(page)), `${name} ${id}: the page shows the refusal`, await body(page));
    }
  }),

  unpoly: () => inWorld({}, async (all) => {
    const html = '<main>before <a id="link" href="/cellar/page" up-follow>link</a><a id="layer" href="/cellar/part" up-layer="new">layer</a></main>';
    for (const id of ['link', 'layer']) {
      const { page } = await onPage(all, 'unpoly', html);
      await page.click(`#${id}`);
      await shows(page);
      check(/53003/.test(await body(page)), `Unpoly ${version('unpoly')} ${id}: the page shows the refusal`, await body(page));
    }
  }),

  // The other origin is the other app's: a page that a test made up would have no address, and Chromium would not let it ask.
  'fetch of another origin': () => inWorld({}, async (all) => {
    const allowed = all.config.replace('unmatched = "allow"', `unmatched = "allow"\nallowed-origins = ["${all.chat}"]\ncors = { credentials = true }`);
    fs.writeFileSync(path.join(all.stage.folder, 'portcullis.toml'), allowed);
    await waitFor('the reload', () => /the configuration was reloaded/.test(all.child.log));
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/`);
    await signIn(page, 'alice');
    const ask = (url) => page.evaluate(async (url) => {
      const got = await fetch(url, { method: 'PUT', credentials: 'include', headers: { 'x-csrf': '1' } }).catch((problem) => ({ problem: `${problem}` }));
      if (got.problem) return got;
      const names = ['x-request-id', 'proxy-status', 'www-authenticate'];
      return { status: got.status, fields: names.map((name) => got.headers.get(name)), text: await got.text() };
    }, url);
    await page.goto(`${all.chat}/`);
    await page.waitForURL(`${all.chat}/`);
    const refused = await ask(`${all.wiki}/cellar/x`);
    check(refused.status === 403 && JSON.parse(refused.text).code === 53003, 'an allowed origin reads status and code', refused);
    check(JSON.parse(refused.text).request_id === refused.fields[0] && /details="53003"/.test(refused.fields[1]), 'and the fields of the head', refused.fields);
    const asked = all.stage.requests.length;
    check((await ask(`${all.wiki}/x`)).status === 200 && all.stage.requests.length === asked + 1, 'what is let in reaches the app once, and the page reads it');
    check(all.stage.requests.every((one) => one.method !== 'OPTIONS'), 'no preflight reaches the app');
    await page.goto(`${all.wiki}/`);
    check(/Failed to fetch/.test((await ask(`${all.chat}/x`)).problem), 'an origin that is not named reads nothing');
  }),

  'WebSocket and EventSource': () => inWorld({}, async (all) => {
    lively(all.stage.servers[0]);
    const { page } = await onPage(all, 'htmx', '');
    // A page that really came from there: Chromium lets no other open sockets to this machine.
    await page.goto(`${all.wiki}/`);
    const refused = await page.evaluate(async () => {
      const socket = await new Promise((done) => { const one = new WebSocket('/cellar/socket'); one.onclose = (event) => done([event.code, event.reason]); });
      const events = await new Promise((done) => { const one = new EventSource('/cellar/events'); one.onerror = () => done(one.readyState); });
      const probe = await fetch('/.portcullis/probe?app=wiki&path=/cellar/socket');
      return { socket, events, probe: [probe.status, await probe.json()] };
    });
    check(refused.socket[0] === 1006 && refused.events === 2, 'a page is told nothing but that it failed', refused);
    check(refused.probe[0] === 403 && refused.probe[1].code === 53003, 'a probe tells it why', refused.probe);

    await page.evaluate(() => {
      window.ended = {};
      const socket = new WebSocket('/live/socket');
      socket.onmessage = () => { window.ended.spoke = true; };
      socket.onclose = (event) => { window.ended.socket = [event.code, event.reason]; };
      const events = new EventSource('/live/events');
      events.onmessage = () => { window.ended.streamed = true; };
      events.onerror = () => { if (events.readyState === EventSource.CLOSED) window.ended.events = true; };
    });
    await page.waitForFunction(() => window.ended.spoke && window.ended.streamed);
    const policies = path.join(all.stage.folder, 'policies.toml');
    fs.appendFileSync(policies, `
[[policy]]
id = "nobody-lives"
name = "Nobody lives"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["wiki"] }
grant = "block"
conditions = { request = { paths = ["/live/**"] } }
`);
    await page.waitForFunction(() => window.ended.socket && window.ended.events);
    const ended = await page.evaluate(() => window.ended);
    check(ended.socket[0] === 1008 && ended.socket[1] === '53003', 'a WebSocket that a policy cuts says 1008 and the code', ended);
    check(ended.events, 'an event stream that it cuts ends, and is not opened again');
  }),
};

process.exitCode = (await run(scenarios)) === 0 ? 0 : 1;
