"""People who are signed in: an OpenID provider of a few lines that lets in whoever is next, and their sessions' cookies."""
import base64
import hashlib
import http.client
import http.server
import json
import subprocess
import threading
import time
import urllib.parse

CLIENT, SECRET = "portcullis-under-load", "b3b2e3b0c5a04b0d9a6c5f0d9d1e7c21"
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
# Where the browser is: before the balancer that ends TLS.
HTTPS = {"X-Forwarded-Proto": "https"}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def payload(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        path, _, query = self.path.partition("?")
        provider, issuer = self.server.provider, self.server.provider.issuer
        if path == "/.well-known/openid-configuration":
            self.say({"issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/keys",
                      "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
                      "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": True})
        elif path == "/keys":
            self.say(provider.keys)
        elif path == "/authorize":
            asked = dict(urllib.parse.parse_qsl(query))
            code = b64(hashlib.sha256(query.encode()).digest())
            provider.codes[code] = asked
            self.send_response(303)
            self.send_header("Location", f"{asked['redirect_uri']}?{urllib.parse.urlencode({'code': code, 'state': asked['state'], 'iss': issuer})}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = self.server.provider.codes.pop(form["code"])
        if b64(hashlib.sha256(form["code_verifier"].encode()).digest()) != asked["code_challenge"]:
            raise RuntimeError("another verifier than the one that began")
        self.say({"access_token": "opaque", "token_type": "Bearer", "expires_in": 600, "id_token": self.server.provider.id_token(asked["nonce"])})

    def say(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Provider:
    """Signs in one after the other of those whom these tokens are for: the claims of its ID tokens are theirs."""

    def __init__(self, folder, tokens):
        self.folder, self.people, self.next, self.codes = folder, [payload(token) for token in tokens], 0, {}
        self.key = folder / "provider.pem"
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True, capture_output=True)
        said = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True, capture_output=True, text=True).stdout
        modulus = bytes.fromhex(said.strip().removeprefix("Modulus="))
        self.keys = {"keys": [{"kty": "RSA", "kid": "provider", "alg": "RS256", "use": "sig", "n": b64(modulus), "e": "AQAB"}]}
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads, server.provider = True, self
        self.issuer = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def id_token(self, nonce):
        person = self.people[self.next % len(self.people)]
        self.next += 1
        now = int(time.time())
        claims = {**person, "iss": self.issuer, "aud": CLIENT, "nonce": nonce, "iat": now, "nbf": now, "auth_time": now, "exp": now + 3600}
        signed = f"{b64(json.dumps({'alg': 'RS256', 'typ': 'JWT', 'kid': 'provider'}).encode())}.{b64(json.dumps(claims).encode())}"
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed.encode(), check=True, capture_output=True).stdout
        return f"{signed}.{b64(signature)}"

    def tables(self, store):
        """What Portcullis is told of it, and where sessions are to be: `"cookie"`, or a table of TOML."""
        self.folder.joinpath("secret").write_text(SECRET)
        self.folder.joinpath("session-key").write_bytes(hashlib.sha256(self.issuer.encode()).digest())
        return f"""
[[issuer]]
name = "provider"
issuer = "{self.issuer}"
algorithms = ["RS256"]
keys = {{ url = "{self.issuer}/keys" }}

[[provider]]
name = "load"
issuer = "provider"
client-id = "{CLIENT}"
client-secret = {{ file = "{self.folder}/secret" }}

[session]
keys = ["{self.folder}/session-key"]
store = {store}
"""

    def sign_in(self, port, host, headers):
        """Signs the next person in; the header that their browser sends from then on."""
        jar = {}

        def ask(address, path, more):
            connection = http.client.HTTPConnection("127.0.0.1", address, timeout=60)
            connection.request("GET", path, headers=more)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            for line in answer.headers.get_all("Set-Cookie") or []:
                name, value = line.split(";")[0].split("=", 1)
                if "Max-Age=0" in line:
                    jar.pop(name, None)
                else:
                    jar[name] = value
            return answer

        def of_browser():
            cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
            return {"Host": host, **headers, **BROWSER, **HTTPS, **cookies}

        sent = ask(port, "/", of_browser())
        if sent.status != 303:
            raise RuntimeError(f"{sent.status} where somebody is to be sent to sign in")
        back = ask(urllib.parse.urlsplit(self.issuer).port, sent.headers["Location"].removeprefix(self.issuer), {})
        url = urllib.parse.urlsplit(back.headers["Location"])
        done = ask(port, f"{url.path}?{url.query}", of_browser())
        if done.status != 303 or not jar:
            raise RuntimeError(f"{done.status} at the end of a sign-in")
        return {"Cookie": of_browser()["Cookie"], **HTTPS}
