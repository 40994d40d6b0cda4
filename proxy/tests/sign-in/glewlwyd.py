"""A second, independent OpenID provider: Glewlwyd, written in C. A person signs in at its API, as its page does.

# needs: deb:glewlwyd deb:glewlwyd-common apt:sqlite3 apt:openssl apt:libconfig9 apt:libhoel1.4 apt:libiddawc1.1
# needs: apt:liboath0 apt:liborcania2.3 apt:librhonabwy1.1 apt:libulfius2.7 apt:libyder2.0 apt:libcbor0.8 apt:libldap-2.5-0
"""
import http.client
import json
import pathlib
import secrets
import ssl
import subprocess
import sys
import urllib.parse

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "real"))
from stage import PACKAGES, Stage, check, free_port, listens  # noqa: E402

FILES = PACKAGES / "deb"
HOST = "wiki.corp.test"


class Browser:
    """Follows nothing by itself, and keeps the cookies of each host."""

    def __init__(self, ports):
        self.ports, self.cookies = ports, {}

    def ask(self, method, url, body=None, headers=None):
        parts = urllib.parse.urlsplit(url)
        port = parts.port or self.ports[parts.hostname]
        if parts.scheme == "https":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        kept = self.cookies.setdefault(parts.hostname, {})
        sent = {"Host": parts.netloc, **(headers or {})}
        if kept:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, str) else json.dumps(body)
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, sent)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        for line in answer.headers.get_all("set-cookie") or []:
            name, _, rest = line.partition("=")
            value, _, attributes = rest.partition(";")
            if "max-age=0" in attributes.lower().replace(" ", "") or not value:
                kept.pop(name, None)
            else:
                kept[name] = value
        connection.close()
        return answer.status, answer.headers, text

    def navigate(self, url):
        return self.ask("GET", url, headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
                                             "Sec-Fetch-Site": "cross-site"})


def provider(stage, port, redirect, back_channel, secret):
    """Starts Glewlwyd with a plug-in for OpenID Connect, one client, and one person, alice."""
    base = f"http://localhost:{port}"
    database = stage.folder / "glewlwyd.db"
    schema = FILES / "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
    subprocess.run(["sqlite3", database], stdin=schema.open(), check=True)
    modules = FILES / "usr/lib/glewlwyd"
    config = stage.folder / "glewlwyd.conf"
    config.write_text(f"""port={port}
bind_address="127.0.0.1"
external_url="{base}"
login_url="login.html"
api_prefix="api"
static_files_path="{FILES}/usr/share/glewlwyd/webapp/"
log_mode="console"
log_level="WARNING"
cookie_domain="localhost"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
user_middleware_module_path="{modules}/user_middleware"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3", path = "{database}" }};
static_files_mime_types = ( {{ extension = ".html", mime_type = "text/html", compress = 0 }} )
""")
    (modules / "user_middleware").mkdir(exist_ok=True)
    stage.start([FILES / "usr/bin/glewlwyd", "--config-file", config])
    listens(port)
    admin = Browser({"localhost": port})

    def api(method, path, body=None):
        status, _, text = admin.ask(method, f"{base}/api/{path}", body)
        if status != 200:
            sys.exit(f"{method} {path}: {status} {text}")
        return json.loads(text) if text else None

    api("POST", "auth/", {"username": "admin", "password": "password"})
    key = stage.folder / "glewlwyd.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", key, "-pubout"], check=True, capture_output=True, text=True).stdout
    api("POST", "mod/plugin/", {
        "module": "oidc", "name": "oidc", "display_name": "OpenID Connect", "enabled": True,
        "parameters": {
            "iss": f"{base}/api/oidc", "jwt-type": "rsa", "jwt-key-size": "256", "key": key.read_text(), "cert": public,
            "access-token-duration": 600, "refresh-token-duration": 3600, "code-duration": 60, "auth-type-code-enabled": True,
            "auth-type-refresh-enabled": True, "pkce-allowed": True, "pkce-method-plain-allowed": False, "jwks-show": True,
            "oauth-as-iss-id": True, "oauth-par-allowed": True, "session-management-allowed": True,
            "back-channel-logout-allowed": True, "front-channel-logout-allowed": True, "name-claim": "mandatory",
            "subject-type": "public", "session-cookie-name": "GLEWLWYD2_OIDC_SID", "session-cookie-expiration": 3600,
            "oauth-par-request_uri-prefix": "urn:ietf:params:oauth:request_uri:", "oauth-par-duration": 60,
        },
    })
    api("POST", "client/", {
        "client_id": "portcullis", "name": "Portcullis", "enabled": True, "confidential": True, "client_secret": secret,
        "redirect_uri": [redirect], "authorization_type": ["code", "refresh_token"], "scope": ["openid"],
        "token_endpoint_auth_method": ["client_secret_basic"], "backchannel_logout_uri": back_channel,
        "post_logout_redirect_uris": redirect.replace("callback/glewlwyd", "signed-out"),
    })
    api("POST", "user/", {"username": "alice", "name": "Alice of the tests", "password": "correct horse", "enabled": True,
                          "scope": ["g_profile", "openid"]})
    return f"{base}/api/oidc"


def main():
    with Stage() as stage:
        # An app that answers 200 with what it received.
        app = free_port()
        stage.start([sys.executable, "-c", f"""
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps({{"path": self.path, "headers": dict(self.headers)}}).encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", {app}), Handler).serve_forever()
"""])
        listens(app)
        port, secret = free_port(), secrets.token_hex(24)
        chain, key = stage.certificate([HOST])
        tls = free_port()
        own = f"https://{HOST}:{tls}/.portcullis"
        issuer = provider(stage, port, f"{own}/callback/glewlwyd", f"{own}/logout/backchannel", secret)
        for name, data in (("client-secret", secret.encode()), ("session-1", secrets.token_bytes(32))):
            place = stage.folder / name
            place.write_bytes(data)
            place.chmod(0o600)
        stage.portcullis(f"""
[[app]]
id = "wiki"
name = "Internal wiki"
hosts = ["{HOST}"]
issuers = ["glewlwyd"]
upstreams = ["http://127.0.0.1:{app}"]
sign-in = "glewlwyd"
unmatched = "allow"
identity-headers = {{ x-user = "user-id", x-user-name = "user-name" }}
""", "", more=f"""
[[issuer]]
name = "glewlwyd"
issuer = "{issuer}"
audiences = ["api://wiki"]
keys = {{ discovery = "{issuer}/.well-known/openid-configuration" }}

[issuer.claims]
user-name = "name"

[[provider]]
name = "glewlwyd"
issuer = "glewlwyd"
client-id = "portcullis"
client-secret = {{ file = "client-secret" }}
scopes = ["openid"]

[session]
keys = ["session-1"]
""", tls_listener=f'tls = {{ certificate = "{chain}", key = "{key}" }}', tls_port=tls)
        browser = Browser({HOST: tls, "localhost": port})
        status, headers, _ = browser.navigate(f"https://{HOST}:{tls}/deep?x=1")
        start = headers["location"] or ""
        check(status == 303 and start.startswith(f"{issuer}/auth?"), f"a navigation is sent to the provider ({status} {start})")
        status, _, text = browser.ask("POST", f"http://localhost:{port}/api/auth/", {"username": "alice", "password": "correct horse"})
        check(status == 200, f"alice signs in there ({status} {text})")
        status, _, text = browser.ask("PUT", f"http://localhost:{port}/api/auth/grant/portcullis", {"scope": "openid"})
        check(status == 200, f"and agrees ({status} {text})")
        status, headers, text = browser.navigate(start + "&g_continue")
        back = headers["location"] or ""
        check(status in (302, 303) and back.startswith(own) and "code=" in back, f"the provider sends her back ({status} {back} {text})")
        status, headers, text = browser.navigate(back)
        check(status == 303 and headers["location"].endswith("/deep?x=1"), f"and Portcullis to the deep link ({status} {headers['location']} {text[:2000]})")
        status, _, text = browser.navigate(f"https://{HOST}:{tls}/deep?x=1")
        received = {name.lower(): value for name, value in json.loads(text)["headers"].items()} if status == 200 else {}
        check(received.get("x-user") and received.get("x-user-name") == "Alice of the tests", f"the app knows her ({status} {received})")
        status, _, _ = browser.navigate(back)
        check(status != 200, f"the callback works once ({status})")


main()
