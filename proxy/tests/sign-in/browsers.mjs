// A person with a real browser (Chromium), a real provider and Portcullis between them.
// needs: apt:chromium apt:openssl apt:redis-server npm:oidc-provider@9.13.3 npm:playwright-core@1.65.1
import { check, follow, run, seen, signIn, sleep, waitFor } from './stage.mjs';
import { metric, world } from './world.mjs';

const isProvider = (url) => url.port !== '' && url.hostname === 'localhost' && !url.pathname.startsWith('/.portcullis');
const cookies = async (context, base) => (await context.cookies(base)).filter((cookie) => /portcullis/i.test(cookie.name));
const session = async (context, base) => (await cookies(context, base)).find((cookie) => !/attempt|chooser|turn|provider/.test(cookie.name));
const body = (page) => page.locator('body').innerText();

async function inWorld(settings, scenario) {
  const installation = await world(settings);
  try {
    await scenario(installation);
  } catch (problem) {
    problem.stack += `\n--- portcullis:\n${installation.child.log.slice(-4000)}`;
    for (const { child } of Object.values(installation.providers)) problem.stack += `\n--- provider:\n${child.log.slice(-1500)}`;
    throw problem;
  } finally {
    await installation.stage.end();
  }
}

const stores = { cookie: '"cookie"', redb: '{ redb = "sessions.redb" }', redis: 'redis' };

const scenarios = {
  // The morning: a deep link, one sign-in, and one is where one wanted to be.
  'a deep link survives the sign-in': async () => {
    for (const [name, store] of Object.entries(stores)) {
      await inWorld({ store }, async (all) => {
        const person = await all.stage.person();
        const page = await person.newPage();
        const began = Date.now();
        const hops = [];
        page.on('response', (answer) => hops.push([answer.status(), new URL(answer.url()).pathname]));
        await page.goto(`${all.wiki}/pages/42?q=a%20b&x=%2F`);
        check(isProvider(new URL(page.url())), `${name}: the browser is at the provider`, page.url());
        await signIn(page, 'alice');
        check(page.url() === `${all.wiki}/pages/42?q=a%20b&x=%2F`, `${name}: it is back at the deep link`, page.url());
        const app = await seen(page);
        check(app.headers['x-user'] === 'alice' && app.headers['x-groups'] === 'staff,admins', `${name}: the app knows alice and her groups`, app.headers);
        check(!/portcullis/i.test(app.headers.cookie ?? ''), `${name}: no cookie of ours reaches the app`, app.headers.cookie);
        check(app.headers.authorization === undefined, `${name}: no token reaches the app`);
        const cookie = await session(person, all.wiki);
        check(cookie?.name === '__Host-Http-portcullis' && cookie.httpOnly && cookie.secure && cookie.sameSite === 'Lax' && cookie.path === '/', `${name}: the cookie is guarded`, cookie);
        check((await cookies(person, all.wiki)).every((one) => !/attempt/.test(one.name)), `${name}: no attempt is left`);
        check(cookie.value.length < 4000, `${name}: the cookie has ${cookie.value.length} bytes`);
        console.log(`   ${name}: ${hops.map((hop) => hop.join(' ')).join(' → ')}, ${Date.now() - began} ms`);
        await page.goto(`${all.wiki}/second`);
        check((await seen(page)).url === '/second', `${name}: the next page needs no sign-in`);
        const script = await page.evaluate(() => document.cookie);
        check(!/portcullis/i.test(script), `${name}: a script of the app does not see the cookie`, script);
      });
    }
  },

  'on loopback a browser signs in without TLS': async () => inWorld({ plain: true }, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/deep`);
    await signIn(page, 'alice');
    check((await seen(page)).headers['x-user'] === 'alice', 'signed in by http on loopback');
  }),

  'several tabs': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const pages = await Promise.all([1, 2, 3].map(() => person.newPage()));
    for (const [index, page] of pages.entries()) await page.goto(`${all.wiki}/tab/${index}`);
    // The last one first: whoever signs in takes the provider's session along for the others.
    for (const [index, page] of [...pages.entries()].reverse()) {
      await signIn(page, 'alice').catch(() => {});
      await page.waitForURL(`${all.wiki}/tab/${index}`);
      check((await seen(page)).headers['x-user'] === 'alice', `tab ${index} is where it wanted to be`);
    }
    check((await cookies(person, all.wiki)).filter((one) => !/turns/.test(one.name)).length === 1, 'one cookie is left', (await cookies(person, all.wiki)).map((one) => one.name));
  }),

  'many abandoned attempts do not pile up': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    for (let turn = 0; turn < 12; turn += 1) await page.goto(`${all.wiki}/turn/${turn}`).catch(() => {});
    const left = await cookies(person, all.wiki);
    check(left.length <= 6, `${left.length} cookies after 12 attempts`, left.map((one) => one.name));
    const failed = await metric(all, 'portcullis_sign_ins_failed_total');
    check(failed === 0, 'none of them is a failure');
    await signIn(page, 'alice').catch(() => {});
    await page.goto(`${all.wiki}/end`).catch(() => {});
    check((await body(page)).length > 0, 'the browser still gets an answer');
  }),

  'only a navigation of the top level starts a sign-in': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.route(`${all.wiki}/host-page`, (route) => route.fulfill({ contentType: 'text/html', body: '<h1>host</h1>' }));
    await page.goto(`${all.wiki}/host-page`);
    const inside = await page.evaluate(async () => {
      const answers = {};
      const got = await fetch('/data', { redirect: 'manual' });
      answers.fetch = [got.status, got.type, got.headers.get('www-authenticate')];
      const html = await fetch('/data', { redirect: 'manual', headers: { accept: 'text/html' } });
      answers.html = [html.status, html.type];
      answers.image = await new Promise((done) => { const image = new Image(); image.onerror = () => done('refused'); image.onload = () => done('loaded'); image.src = '/favicon.ico'; });
      answers.socket = await new Promise((done) => { const socket = new WebSocket('/socket'); socket.onerror = () => done('refused'); socket.onopen = () => done('open'); });
      const frame = document.createElement('iframe');
      frame.src = '/framed';
      document.body.append(frame);
      await new Promise((done) => { frame.onload = done; setTimeout(done, 3000); });
      return answers;
    });
    check(inside.fetch[0] === 401 && inside.fetch[1] === 'basic', 'fetch gets 401 and no redirect', inside);
    check(inside.html[0] === 401, 'fetch of text/html gets 401', inside);
    check(inside.image === 'refused' && inside.socket === 'refused', 'images and WebSockets are refused', inside);
    check((await cookies(person, all.wiki)).length === 0, 'and no attempt began', await cookies(person, all.wiki));
    check(await metric(all, 'portcullis_sign_ins_started_total') === 0, 'nor was one counted');
  }),

  'a browser that keeps no cookies is told so': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/deep`);
    await person.clearCookies({ domain: all.hosts.wiki });
    await signIn(page, 'alice');
    const turns = page.url();
    check(/\.portcullis\//.test(turns), 'it stays on a page of ours', turns);
    check(/cookie/i.test(await body(page)), 'which names cookies', await body(page));
    check(all.stage.requests.length === 0, 'and the app was not asked');
  }),

  'a policy that asks for more': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/start`);
    await signIn(page, 'alice');
    const before = await session(person, all.wiki);
    await page.goto(`${all.wiki}/admin/users`);
    check(isProvider(new URL(page.url())), 'administration leads to the provider', page.url());
    await signIn(page, 'alice', { mfa: true });
    check(page.url() === `${all.wiki}/admin/users` && (await seen(page)).headers['x-user'] === 'alice', 'and back, with two factors', page.url());
    const after = await session(person, all.wiki);
    check(after.value !== before.value, 'the session is a new one');
    const thief = await all.stage.person();
    await thief.addCookies([{ ...before }]);
    const theirs = await thief.newPage();
    await theirs.goto(`${all.wiki}/start`);
    check(isProvider(new URL(theirs.url())), 'a copy of the former cookie opens nothing', theirs.url());
  }),

  'a provider that does not deliver': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/start`);
    await signIn(page, 'bob');
    await page.goto(`${all.wiki}/admin/users`);
    await signIn(page, 'bob');
    check(page.url() === `${all.wiki}/admin/users`, 'the browser is back', page.url());
    const text = await body(page);
    check(/500\d\d|530\d\d/.test(text) && (await page.locator('#seen').count()) === 0, 'on the refusal page, not in a loop', text.slice(0, 400));
    console.log(`   ${text.slice(0, 300).replaceAll('\n', ' | ')}`);
    await page.goto(`${all.wiki}/else`);
    check((await seen(page)).headers['x-user'] === 'bob', 'the rest of the wiki stays open');
  }),

  'a sign-in that is too old': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/start`);
    await signIn(page, 'alice');
    await page.goto(`${all.wiki}/payroll/1`);
    check((await seen(page)).url === '/payroll/1', 'a fresh sign-in opens payroll');
    await sleep(17000);
    await page.goto(`${all.wiki}/payroll/2`);
    check(isProvider(new URL(page.url())), 'an older one leads to the provider', page.url());
    await signIn(page, 'alice');
    check((await seen(page)).url === '/payroll/2', 'and back');
  }),

  'a refusal says what to do and its actions work': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/cellar/1`);
    await signIn(page, 'alice');
    const text = await body(page);
    check(/53003/.test(text), 'the cellar is refused with 53003', text.slice(0, 300));
    const links = await page.locator('a[href*="/.portcullis/"], form[action*="/.portcullis/"]').evaluateAll((all_) => all_.map((one) => one.href ?? one.action));
    check(links.some((link) => link.includes('select_account')), 'another account is offered', links);
    await follow(page, 'a[href*="select_account"]');
    check(isProvider(new URL(page.url())), 'and leads to the provider', page.url());
  }),

  'signing out': async () => {
    for (const [name, store] of Object.entries(stores)) {
      await inWorld({ store }, async (all) => {
        const person = await all.stage.person();
        const page = await person.newPage();
        await page.goto(`${all.wiki}/secret-page`);
        await signIn(page, 'alice');
        const stolen = await session(person, all.wiki);
        await page.goto(`${all.wiki}/.portcullis/me`);
        check(/alice/.test(await body(page)), `${name}: /.portcullis/me says who one is`);
        await page.goto(`${all.wiki}/secret-page`);
        await page.goto(`${all.wiki}/.portcullis/sign-out`);
        await follow(page, 'form button, form input[type=submit]');
        // The provider asks whether its own session shall end too.
        if (isProvider(new URL(page.url()))) await follow(page, 'button[name=logout], form[id="op.logoutForm"] button');
        await page.waitForURL(/signed-out/);
        check(new URL(page.url()).pathname === '/.portcullis/signed-out', `${name}: the browser is on the signed-out page`, page.url());
        check((await session(person, all.wiki)) === undefined || (await session(person, all.wiki)).value !== stolen.value, `${name}: the cookie is gone`);
        for (let back = 0; back < 4; back += 1) {
          await page.goBack().catch(() => {});
          check((await page.locator('#seen').count()) === 0, `${name}: back ${back + 1} shows nothing of the app`, page.url());
        }
        const thief = await all.stage.person();
        await thief.addCookies([{ ...stolen }]);
        const theirs = await thief.newPage();
        await theirs.goto(`${all.wiki}/secret-page`);
        check(isProvider(new URL(theirs.url())), `${name}: a stolen copy of the cookie opens nothing`, theirs.url());
      });
    }
  },

  'the provider signs out by the back channel': async () => {
    for (const [name, store] of Object.entries(stores)) {
      await inWorld({ store }, async (all) => {
        const person = await all.stage.person();
        const page = await person.newPage();
        await page.goto(`${all.wiki}/one`);
        await signIn(page, 'alice');
        const other = await person.newPage();
        await other.goto(`${all.providers.entra.issuer}/session/end`);
        await follow(other, 'button[name=logout], form[id="op.logoutForm"] button, button[type=submit]');
        await waitFor('the logout', async () => (await metric(all, 'portcullis_logouts_total', '{kind="back-channel"}')) > 0, 10);
        await page.goto(`${all.wiki}/two`);
        check(isProvider(new URL(page.url())), `${name}: the next request is signed out`, page.url());
      });
    }
  },

  'a form at the end of a session': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/form`);
    await signIn(page, 'alice');
    await person.clearCookies({ domain: all.hosts.wiki });
    const before = all.stage.requests.length;
    await follow(page, 'form button');
    const text = await body(page);
    check(!isProvider(new URL(page.url())) && /not sent|wasn.t sent/i.test(text), 'a page says that the form was not sent', text.slice(0, 300));
    check(all.stage.requests.length === before, 'the app did not get it');
    const second = await person.newPage();
    await second.goto(`${all.wiki}/again`);
    await signIn(second, 'alice').catch(() => {});
    await page.goBack();
  }),

  'cookies that a script plants': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/one`);
    await signIn(page, 'alice');
    const good = await session(person, all.wiki);
    const planted = await page.evaluate(async () => {
      for (const name of ['__Host-Http-portcullis', '__host-http-portcullis', 'portcullis-session', '__Host-portcullis']) {
        document.cookie = `${name}=planted; Path=/; Secure`;
        document.cookie = `${name}=planted; Path=/one; Secure`;
      }
      try { await cookieStore.set({ name: '__Host-Http-portcullis', value: 'planted' }); } catch { /* as it should be */ }
      return document.cookie;
    });
    await page.goto(`${all.wiki}/two`);
    check((await seen(page)).headers['x-user'] === 'alice', 'planted cookies change nothing', planted);
    check(!/portcullis/i.test((await seen(page)).headers.cookie ?? ''), 'and none of that kind reaches the app', (await seen(page)).headers.cookie);
    check((await session(person, all.wiki)).value === good.value, 'the session stays');
    const chat = await person.newPage();
    await person.addCookies([{ name: good.name, value: good.value, url: all.chat, httpOnly: true, secure: true, sameSite: 'Lax' }]);
    await chat.goto(`${all.chat}/one`);
    check((await chat.locator('#seen').count()) === 0 || (await seen(chat)).headers['x-user'] === 'alice', 'the cookie of one host at another');
  }),

  'somebody cancels at the provider': async () => inWorld({}, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/one`);
    await page.waitForURL(/interaction/);
    await follow(page, 'button[value=cancel]');
    const text = await body(page);
    check(/\.portcullis\/callback/.test(page.url()), 'a page of ours', page.url());
    check((await page.locator('b', { hasText: 'by the person' }).count()) === 0, 'the text of the provider is no markup');
    check(await metric(all, 'portcullis_sign_ins_failed_total') === 1, 'counted as a failure');
    console.log(`   ${text.slice(0, 300).replaceAll('\n', ' | ')}`);
    const back = await page.reload();
    check(back.status() < 500 && all.stage.requests.length === 0, 'the same link again opens nothing');
  }),

  'a callback of somebody else': async () => inWorld({}, async (all) => {
    // Mallory's own browser stops before it follows the provider's answer.
    const mallory = (await all.stage.person()).request;
    let [url, form] = [`${all.wiki}/one`, null];
    const navigation = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    let callback;
    for (let hop = 0; hop < 10 && !callback; hop += 1) {
      const options = { maxRedirects: 0, headers: navigation };
      const answer = form ? await mallory.post(url, { ...options, form }) : await mallory.get(url, options);
      const next = answer.headers().location;
      form = next ? null : { login: 'mallory', do: 'sign-in' };
      url = next ? new URL(next, url).href : url;
      if (/\.portcullis\/callback/.test(url)) callback = url;
    }
    check(/code=/.test(callback ?? ''), 'a callback that nobody followed', url);
    const alice = await all.stage.person();
    const page = await alice.newPage();
    await page.goto(callback);
    check((await page.locator('#seen').count()) === 0 && (await session(alice, all.wiki)) === undefined, 'signs nobody else in', page.url());
  }),

  'several providers': async () => inWorld({ providers: 2 }, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/deep?x=1`);
    check((await page.getByText('Okta').count()) > 0 && (await page.getByText('Entra').count()) > 0, 'a chooser', page.url());
    await page.getByText('Okta').first().click();
    await page.waitForURL(/interaction/);
    check(page.url().startsWith(all.providers.okta.issuer), 'leads to the chosen one', page.url());
    await signIn(page, 'alice');
    check(page.url() === `${all.wiki}/deep?x=1`, 'and back', page.url());
    const chat = await person.newPage();
    await chat.goto(`${all.chat}/one`);
    check(chat.url().startsWith(all.providers.entra.issuer), 'an app of one provider asks nobody', chat.url());
  }),

  'one sign-in host for many apps': async () => inWorld({ signInHost: 'auth.corp.test' }, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/deep?x=1`);
    await signIn(page, 'alice');
    check(page.url() === `${all.wiki}/deep?x=1` && (await seen(page)).headers['x-user'] === 'alice', 'by the sign-in host', page.url());
    const chat = await person.newPage();
    await chat.goto(`${all.chat}/one`);
    await chat.waitForURL(`${all.chat}/one`);
    check((await seen(chat)).headers['x-user'] === 'alice', 'the second app asks for nothing');
    const urls = all.stage.requests.map((request) => request.url).join(' ');
    check(!/code=|token|ey[JI]/.test(urls), 'no app saw a code', urls);
  }),

  'the fragment is kept by who chooses a provider first': async () => inWorld({ providers: 2, app: 'keep-fragment = true\n' }, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/docs?x=1#/slips/7?y=ä`);
    await page.getByText('Okta').first().click();
    await page.waitForURL(/interaction/);
    await signIn(page, 'alice');
    await page.waitForURL(`${all.wiki}/docs?x=1#**`);
    check(new URL(page.url()).hash === new URL('http://x/#/slips/7?y=ä').hash, 'the fragment is back', page.url());
  }),

  'the fragment is kept': async () => inWorld({ app: 'keep-fragment = true\n' }, async (all) => {
    const person = await all.stage.person();
    const page = await person.newPage();
    await page.goto(`${all.wiki}/docs#chapter-7`);
    await signIn(page, 'alice');
    await page.waitForURL(`${all.wiki}/docs#chapter-7`);
    check(page.url() === `${all.wiki}/docs#chapter-7`, 'the fragment is back', page.url());
  }),

  'a session is refreshed and goes on': async () => inWorld(
    { store: '{ redb = "sessions.redb" }', scopes: ['openid', 'profile', 'groups', 'offline_access'], accessTokenSecs: 20, app: 'session-authorization = "access-token"\n' },
    async (all) => {
      const person = await all.stage.person();
      const page = await person.newPage();
      await page.goto(`${all.wiki}/one`);
      await signIn(page, 'alice');
      const first = (await seen(page)).headers.authorization;
      check(/^Bearer /.test(first ?? ''), 'the app gets the access token');
      await sleep(25000);
      await page.goto(`${all.wiki}/two`);
      await waitFor('a refresh', async () => {
        await page.goto(`${all.wiki}/three`);
        return (await seen(page)).headers.authorization !== first;
      }, 20);
      check((await seen(page)).headers['x-user'] === 'alice', 'a new access token, the same session');
    },
  ),

  'only links of ours are followed after a sign-in': async () => inWorld({}, async (all) => {
    for (const target of ['//evil.test/', 'https://evil.test/', '/\\evil.test', '/%5cevil.test', '/\t/evil.test', 'javascript:alert(1)', '', '/.portcullis/sign-out', `${all.wiki}@evil.test/`, '/ok/../..//evil.test']) {
      const person = await all.stage.person();
      const page = await person.newPage();
      const answer = await page.goto(`${all.wiki}/.portcullis/sign-in?return=${encodeURIComponent(target)}`).catch(() => null);
      if (/interaction/.test(page.url())) await signIn(page, 'alice');
      const end = new URL(page.url());
      check(end.host === new URL(all.wiki).host, `"${target}" stays here (${answer?.status()})`, page.url());
      await person.close();
    }
  }),
};

process.exitCode = (await run(scenarios)) === 0 ? 0 : 1;
