// A real OpenID provider (`oidc-provider`, certified) for the sign-in tests: people sign in by name, with or without a
// second factor. Settings come as one argument of JSON: { port, clients, accessTokenSecs, timed }; `timed` prints how long each answer took. Loopback only.
import http from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

import './names.mjs';

const settings = JSON.parse(process.argv[2]);
const require = createRequire(`${process.env.PACKAGES}/package.json`);
const { Provider, interactionPolicy } = await import(pathToFileURL(require.resolve('oidc-provider')));

const { Check, Prompt, base } = interactionPolicy;
const policy = base();
// `acr_values` is only a wish; this provider takes it seriously, as long as the person does what it asks.
policy.get('login').checks.add(
  new Check('acr', 'another strength of authentication is asked for', (ctx) => {
    const asked = (ctx.oidc.params.acr_values ?? '').split(' ').filter(Boolean);
    const isMet = asked.length === 0 || asked.includes(ctx.oidc.session.acr) || ctx.oidc.result?.login;
    return isMet ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT;
  }),
);

policy.add(new Prompt({ name: 'select_account', requestable: true }), 0);

const groups = { alice: ['staff', 'admins'], bob: ['staff'] };
const issuer = `http://localhost:${settings.port}`;
const provider = new Provider(issuer, {
  clients: settings.clients,
  acrValues: ['pwd', 'mfa'],
  claims: { openid: ['sub'], profile: ['name'], email: ['email'], groups: ['groups'], acr: null, amr: null, auth_time: null, sid: null },
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  conformIdTokenClaims: false,
  // Its own refuses loopback.
  fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  cookies: { keys: ['of this test alone'] },
  features: {
    backchannelLogout: { enabled: true },
    claimsParameter: { enabled: true },
    devInteractions: { enabled: false },
    pushedAuthorizationRequests: { enabled: settings.pushed !== false },
    rpInitiatedLogout: { enabled: true },
    userinfo: { enabled: true },
  },
  interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: async (_, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  rotateRefreshToken: true,
  ttl: { AccessToken: settings.accessTokenSecs ?? 600, IdToken: 600, Session: 3600, Interaction: 600, Grant: 3600, RefreshToken: 3600, AuthorizationCode: 60 },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: `${id} of the tests`, email: `${id}@corp.test`, groups: groups[id] ?? [] }),
  }),
  loadExistingGrant: async (ctx) => {
    const { client, session, params, provider: own } = ctx.oidc;
    const grant = new own.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    await grant.save();
    return grant;
  },
});
provider.on('server_error', (_, problem) => console.error('server_error', problem));

const form = (uid, prompt) => `<!doctype html><title>Provider</title><h1>${prompt}</h1>
<form method="post" action="/interaction/${uid}"><input name="login" autofocus><label><input type="checkbox" name="mfa" value="yes">second factor</label>
<button name="do" value="sign-in">Sign in</button><button name="do" value="cancel">Cancel</button></form>`;

const handle = provider.callback();
http.createServer(async (request, response) => {
  if (settings.timed) {
    const begun = performance.now();
    response.once('finish', () => console.log(`took ${new URL(request.url, issuer).pathname} ${performance.now() - begun}`));
  }
  if (!request.url.startsWith('/interaction/')) return handle(request, response);
  try {
    const { uid, prompt } = await provider.interactionDetails(request, response);
    if (request.method === 'GET') {
      response.setHeader('content-type', 'text/html');
      return response.end(form(uid, prompt.name));
    }
    let body = '';
    for await (const piece of request) body += piece;
    const fields = new URLSearchParams(body);
    const amr = fields.get('mfa') ? ['pwd', 'mfa'] : ['pwd'];
    const result = fields.get('do') === 'cancel'
      ? { error: 'access_denied', error_description: 'cancelled <b>by the person</b>' }
      : { login: { accountId: fields.get('login'), acr: amr.at(-1), amr, remember: true }, select_account: {} };
    return await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  } catch (problem) {
    response.statusCode = 400;
    return response.end(`${problem}`);
  }
}).listen(settings.port, '127.0.0.1', () => console.log('listening'));
