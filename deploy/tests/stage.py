"""A stage for the tests of `deploy/`: a real Portcullis with a key server, an app and people, all on loopback.

Standard library only. The demo's issuer signs the tokens; its keys are served again by a key server of our own, so
that a test can let it die without losing the tokens.
"""

import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import pathlib
import secrets
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "proxy" / "tests"))
from frame import Frame, end, free_port, is_healthy, wait_for  # noqa: E402,F401

HOST = "wiki.localhost"
OFFICE, HOME, ABROAD = "203.0.113.10", "198.51.100.20", "192.0.2.10"


def get(url, headers=None, timeout=10):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=timeout) as answer:
        return answer.read().decode()


class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """Whoever leaves in the middle is no problem of the server."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def serve(body, port=0, version="HTTP/1.1"):
    """A server, on a free port if none is named, that answers everything with `body`; gives it and its address."""
    handler = type("Handler", (Quiet,), {"body": body, "protocol_version": version})
    server = Server(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server, f"127.0.0.1:{server.server_address[1]}"


class Stage(Frame):
    """A demo's issuer, a key server and an app."""

    def __init__(self, binary, folder):
        super().__init__()
        self.binary, self.folder = str(pathlib.Path(binary).resolve()), pathlib.Path(folder)
        demo = self.start(
            [self.binary, "demo", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--dir",
             str(self.folder / "demo")],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        told = json.loads(demo.stdout.readline())
        self.issuer = told["front_door"]
        # Where the provider sends browsers back to.
        self.demo_app = self.issuer.replace("127.0.0.1", told["app_host"])
        self.tokens = {request["name"]: request["headers"]["Authorization"] for request in told["requests"]}
        keys = wait_for("the demo's keys", lambda: get(f"{self.issuer}/jwks.json"))
        self.key_document = keys.encode()
        # One connection for each answer: a server that ends leaves none open that would go on answering.
        self.key_server, self.keys = serve(self.key_document, version="HTTP/1.0")
        self.app_server, self.app = serve(b"ok\n")

    def kill_key_server(self):
        self.key_server.shutdown()
        self.key_server.server_close()

    def revive_key_server(self):
        self.key_server, _ = serve(self.key_document, int(self.keys.rsplit(":", 1)[1]), "HTTP/1.0")

    def configuration(self, folder, listen, admin, more="", upstream=None, server=""):
        """Writes a configuration with three policies: two enforced, one report-only."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policies").mkdir(exist_ok=True)
        main = MAIN.format(listen=listen, admin=admin, issuer=self.issuer, keys=self.keys, host=HOST, server=server,
                           app=upstream or self.app, country=self.folder / "demo/country.mmdb", run=self.folder, more=more,
                           name=listen.rsplit(":", 1)[1])
        (folder / "portcullis.toml").write_text(main)
        (folder / "policies/policies.toml").write_text(POLICIES)
        return folder / "portcullis.toml"

    def portcullis(self, config, admin):
        process = self.start([self.binary, "run", "--config", str(config)])
        wait_for("Portcullis to be ready", lambda: is_healthy(self.binary, admin), process=process)
        return process

    def headers(self, token="allowed", address=OFFICE):
        return {"Host": HOST, "Authorization": self.tokens.get(token, token), "X-Forwarded-For": address}

    def newcomer(self):
        """The headers of somebody who has just signed in at the demo's provider (RFC 6749, RFC 7636): no token that is
        remembered."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        back = f"{self.demo_app}/.portcullis/callback/demo"
        answer = self.at_provider("/authorize", {
            "client_id": "portcullis", "redirect_uri": back, "response_type": "code", "scope": "openid", "state": "s", "nonce": "n",
            "code_challenge": challenge, "code_challenge_method": "S256", "person": "alice", "method": "mfa", "device": "compliant",
            "place": "office"})
        arrived = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["Location"]).query)
        answer = self.at_provider("/token", {
            "client_id": "portcullis", "client_secret": (self.folder / "demo/client.secret").read_text().strip(),
            "grant_type": "authorization_code", "code": arrived["code"][0], "redirect_uri": back, "code_verifier": verifier})
        return self.headers("Bearer " + json.loads(answer.body)["access_token"])

    def at_provider(self, path, form):
        """The provider's answer to a form; a redirect is not followed."""
        door = http.client.HTTPConnection(self.issuer.removeprefix("http://"), timeout=10)
        with contextlib.closing(door):
            door.request("POST", path, urllib.parse.urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})
            answer = door.getresponse()
            answer.body = answer.read()
        return answer


class Client:
    """One connection that is kept; counts the answers by status, 0 for none."""

    def __init__(self, address):
        self.address, self.connection, self.seen = address, None, {}

    def ask(self, headers, path="/"):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address, timeout=10)
            self.connection.request("GET", path, headers=headers)
            answer = self.connection.getresponse()
            answer.read()
            status = answer.status
            if answer.will_close:
                self.connection.close()
                self.connection = None
        except (OSError, http.client.HTTPException):
            status, self.connection = 0, None
        self.seen[status] = self.seen.get(status, 0) + 1
        return status


class Crowd:
    """Threads that ask in turn until stopped."""

    def __init__(self, address, kinds, pause, threads=1):
        self.stopped = threading.Event()
        self.clients = [Client(address) for _ in range(threads)]
        self.threads = [threading.Thread(target=self.run, args=(client, kinds, pause), daemon=True)
                        for client in self.clients]
        for thread in self.threads:
            thread.start()

    def run(self, client, kinds, pause):
        turn = 0
        while not self.stopped.is_set():
            kind = kinds[turn % len(kinds)]
            client.ask(kind() if callable(kind) else kind)
            turn += 1
            if pause:
                self.stopped.wait(pause)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        total = {}
        for client in self.clients:
            for status, count in client.seen.items():
                total[status] = total.get(status, 0) + count
        return total


MAIN = """policies = ["policies/*.toml"]

[server]
listeners = [{{ address = "{listen}" }}{server}]
admin = "{admin}"
threads = 1
pid-file = "{run}/{name}.pid"
upgrade-socket = "{run}/{name}.sock"
decision-log = {{ file = "{run}/{name}.ndjson", max-size = "1MiB", keep = 1, grants-one-in = 10 }}

[trusted-proxies]
networks = ["127.0.0.0/8"]

[[issuer]]
name = "demo"
issuer = "{issuer}"
audiences = ["portcullis-demo"]
algorithms = ["ES256"]
keys = {{ url = "http://{keys}/jwks.json" }}
refresh = "2s"
refresh-min = "1s"
stale-max = "12s"

[[app]]
id = "wiki"
name = "Internal wiki"
hosts = ["{host}"]
upstreams = ["http://{app}"]

[[location]]
name = "office"
networks = ["203.0.113.0/24"]
trusted = true

[[location]]
name = "abroad"
networks = ["192.0.2.0/24"]

[geo]
database = "{country}"
{more}
"""

POLICIES = """[[policy]]
id = "block-abroad"
name = "Nobody from abroad"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
[policy.conditions]
locations = { include = ["abroad"] }

[[policy]]
id = "compliant-device"
name = "Compliant devices"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { operator = "and", controls = ["compliant-device"] }

[[policy]]
id = "trial-office-only"
name = "Only from the office"
state = "report-only"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
[policy.conditions]
locations = { include = ["all"], exclude = ["office"] }
"""
