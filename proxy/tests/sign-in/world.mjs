// An installation as people run it: two apps behind Portcullis, one or two providers, https under names of a company.
import crypto from 'node:crypto';

import { Stage, freePort } from './stage.mjs';

const POLICIES = `
[[policy]]
id = "mfa-for-administration"
name = "Administration needs two factors"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["wiki"] }
grant = { controls = ["mfa"] }
conditions = { request = { paths = ["/admin/**"] } }

[[policy]]
id = "fresh-for-payroll"
name = "Payroll needs a fresh sign-in"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["wiki"] }
session = { sign-in-frequency = "15s" }
conditions = { request = { paths = ["/payroll/**"] } }

[[policy]]
id = "nobody-in-the-cellar"
name = "Nobody in the cellar"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["wiki"] }
grant = "block"
conditions = { request = { paths = ["/cellar/**"] } }
`;

// `settings`: store (TOML of `[session] store`, or `redis` for one of its own), signInHost, providers (1 or 2), scopes, accessTokenSecs, app (more TOML
// of the wiki), session (more TOML of `[session]`), top (more tables), reports (the port of the key server of an app that takes tokens in a cookie), plain:
// without TLS, on a host below localhost.
export async function world(settings = {}) {
  const stage = new Stage();
  const [app, port, admin] = [await stage.app(), await freePort(), await freePort()];
  const plain = settings.plain === true;
  const scheme = plain ? 'http' : 'https';
  const hosts = plain ? { wiki: 'wiki.localhost', chat: 'chat.localhost' } : { wiki: 'wiki.corp.test', chat: 'chat.corp.test' };
  const reports = 'reports.corp.test';
  const origin = (host) => `${scheme}://${host}:${port}`;
  const store = settings.store === 'redis' ? `{ redis = "${(await stage.redis()).url}" }` : settings.store ?? '"cookie"';
  const own = Object.values(hosts).concat(settings.signInHost ?? []).map(origin);
  const secret = crypto.randomBytes(24).toString('hex');
  stage.file('client-secret', secret);
  const names = ['entra', 'okta'].slice(0, settings.providers ?? 1);
  const providers = {};
  for (const name of names) {
    providers[name] = await stage.provider({
      accessTokenSecs: settings.accessTokenSecs,
      timed: settings.timed,
      clients: [{
        client_id: 'portcullis', client_secret: secret, grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: own.map((base) => `${base}/.portcullis/callback/${name}`),
        post_logout_redirect_uris: own.map((base) => `${base}/.portcullis/signed-out`),
        ...(plain ? {} : {
          backchannel_logout_uri: `${origin(hosts.wiki)}/.portcullis/logout/backchannel`, backchannel_logout_session_required: true,
        }),
      }],
    });
  }
  const tls = plain ? '' : (() => {
    const { chain, key } = stage.certificate([...Object.values(hosts), reports, settings.signInHost].filter(Boolean));
    return `, tls = { certificate = "${chain}", key = "${key}" }`;
  })();
  stage.file('policies.toml', POLICIES);
  const key = stage.key('session-1');
  const scopes = JSON.stringify(settings.scopes ?? ['openid', 'profile', 'email', 'groups']);
  const tables = names.map((name) => `
[[issuer]]
name = "${name}"
issuer = "${providers[name].issuer}"
audiences = ["api://wiki"]
keys = { discovery = "${providers[name].issuer}/.well-known/openid-configuration" }

[issuer.claims]
user-name = "name"

[[provider]]
name = "${name}"
display-name = "${name[0].toUpperCase()}${name.slice(1)}"
issuer = "${name}"
client-id = "portcullis"
client-secret = { file = "client-secret" }
scopes = ${scopes}
`).join('') + `
[evidence]
mfa-methods = ["mfa"]
mfa-acrs = ["mfa"]
`;
  const config = `
policies = ["policies.toml"]

[server]
listeners = [{ address = "127.0.0.1:${port}"${tls} }]
admin = "127.0.0.1:${admin}"
pid-file = "${stage.folder}/portcullis.pid"
upgrade-socket = "${stage.folder}/upgrade.sock"
decision-log = { file = "${stage.folder}/decisions.ndjson" }

[session]
keys = ["${key}"]
store = ${store}
${settings.session ?? ''}
${settings.signInHost ? `[sign-in]\nhost = "${settings.signInHost}"\n` : ''}
${tables}
[[app]]
id = "wiki"
name = "Internal wiki"
hosts = ["${hosts.wiki}"]
upstreams = ["http://127.0.0.1:${app}"]
sign-in = ${JSON.stringify(names.length === 1 ? names[0] : names)}
unmatched = "allow"
identity-headers = { x-user = "user-id", x-user-name = "user-name", x-groups = "groups" }
${settings.app ?? ''}
[[app]]
id = "chat"
name = "Chat"
hosts = ["${hosts.chat}"]
upstreams = ["http://127.0.0.1:${app}"]
sign-in = ["${names[0]}"]
unmatched = "allow"
identity-headers = { x-user = "user-id" }
${settings.top ?? ''}${settings.reports ? `
[[issuer]]
name = "reports"
issuer = "http://localhost:${settings.reports}"
audiences = ["api://reports"]
keys = { url = "http://localhost:${settings.reports}/keys" }

[[app]]
id = "reports"
name = "Reports"
hosts = ["${reports}"]
upstreams = ["http://127.0.0.1:${app}"]
issuers = ["reports"]
unmatched = "allow"
token = { bearer = false, cookie = "reports" }
` : ''}`;
  const child = await stage.portcullis(config, admin).catch(async (problem) => { await stage.end(); throw problem; });
  const metrics = () => fetch(`http://127.0.0.1:${admin}/metrics`).then((answer) => answer.text());
  return { stage, child, config, port, admin, providers, hosts, wiki: origin(hosts.wiki), chat: origin(hosts.chat), reports: origin(reports), metrics };
}

// One value of the metrics page; 0 when there is no such series.
export async function metric(installation, name, labels = '') {
  const line = (await installation.metrics()).split('\n').find((text) => text.startsWith(`${name}${labels}`));
  return line ? Number(line.slice(line.lastIndexOf(' '))) : 0;
}
