// What signing in adds: how long Portcullis takes for its own steps of a sign-in in Chromium, and how much of that it waits for the
// provider. `node load-tests/sign-in.mjs [--times 30] [--store cookie|redb|redis]`, once `proxy/tests/sign-in/run` has installed what it
// needs. `PORTCULLIS` names the program.
//
// A step is timed by the browser, from its first byte sent to the first byte received. The provider says how long each answer took;
// what it took for Portcullis' own questions (pushed request, token, user information) is taken off.
import { parseArgs } from 'node:util';

import { signIn } from '../proxy/tests/sign-in/stage.mjs';
import { world } from '../proxy/tests/sign-in/world.mjs';

const { values } = parseArgs({ options: { times: { type: 'string', default: '30' }, store: { type: 'string', default: 'cookie' } } });
const store = { cookie: '"cookie"', redb: '{ redb = "sessions.redb" }', redis: 'redis' }[values.store];
// Which of the provider's answers each step waits for.
const ASKED = { 'to the provider': ['/request'], back: ['/token', '/me'], 'first page': [], 'next page': [] };

const all = await world({ store, timed: true });
const provider = Object.values(all.providers)[0].child;
const seen = Object.fromEntries(Object.keys(ASKED).map((step) => [step, []]));

function quantile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

try {
  for (let turn = 0; turn < Number(values.times); turn += 1) {
    const person = await all.stage.person();
    const page = await person.newPage();
    const answers = [];
    page.on('requestfinished', (request) => answers.push(request));
    const from = provider.log.length;
    const path = `/pages/${turn}`;
    await page.goto(`${all.wiki}${path}`);
    await signIn(page, 'alice');
    await page.goto(`${all.wiki}${path}/next`);
    const waited = {};
    for (const [, asked, took] of provider.log.slice(from).matchAll(/^took (\S+) (\S+)$/gm)) waited[asked] = (waited[asked] ?? 0) + Number(took);
    const navigations = answers.filter((request) => request.isNavigationRequest() && request.url().startsWith(all.wiki));
    const steps = navigations.map((request) => [request, new URL(request.url()).pathname]);
    const [sent, first] = steps.filter(([, asked]) => asked === path);
    const back = steps.find(([, asked]) => asked.startsWith('/.portcullis/callback/'));
    const next = steps.find(([, asked]) => asked === `${path}/next`);
    for (const [step, found] of Object.entries({ 'to the provider': sent, back, 'first page': first, 'next page': next })) {
      if (!found) throw new Error(`no ${step}: ${steps.map(([, asked]) => asked)}`);
      const { requestStart, responseStart } = found[0].timing();
      const theirs = ASKED[step].reduce((sum, asked) => sum + (waited[asked] ?? 0), 0);
      seen[step].push([responseStart - requestStart, theirs]);
    }
    await person.close();
  }
} finally {
  await all.stage.end();
}
for (const [step, times] of Object.entries(seen)) {
  const own = times.map(([whole, theirs]) => whole - theirs);
  const [whole, half, most] = [quantile(times.map(([time]) => time), 0.5), quantile(own, 0.5), quantile(own, 0.9)].map((time) => time.toFixed(1));
  console.log(`${step.padEnd(16)} ${whole.padStart(6)} ms, without the provider ${half.padStart(6)} ms (9 in 10 below ${most} ms)`);
}
