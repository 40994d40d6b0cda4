"""What the tests against real programs share: a Portcullis with a configuration, an issuer's key, tokens, free ports.

Standard library and the `openssl` program only. Everything listens on loopback, and what was started ends with the
stage.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "proxy" / "tests"))
from frame import Frame, free_port, is_healthy, wait_for  # noqa: E402

# Where `run` installs what the scripts need.
PACKAGES = ROOT / "target" / "real"
NODE = PACKAGES / "node_modules"
ISSUER = "https://issuer.test/"
AUDIENCE = "api://real"


def binary():
    """The program under test: `PORTCULLIS`, or what `cargo build` made."""
    named = os.environ.get("PORTCULLIS")
    found = pathlib.Path(named) if named else ROOT / "target" / "debug" / "portcullis"
    if not found.is_file():
        sys.exit(f"{found} is not there: build it with `sh .config/with-cmake cargo build -p portcullis`")
    return str(found.resolve())


def listens(port):
    """Waits until somebody listens on a port of loopback."""
    wait_for(f"port {port}", lambda: socket.create_connection(("127.0.0.1", port), 1).close() or True)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Stage(Frame):
    """A folder, an RSA key, and processes that end with it."""

    def __init__(self):
        super().__init__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.key = self.folder / "issuer.pem"
        openssl = shutil.which("openssl") or sys.exit("openssl is wanted to sign tokens")
        subprocess.run([openssl, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key],
                       check=True, capture_output=True)
        modulus = subprocess.run([openssl, "rsa", "-in", self.key, "-noout", "-modulus"], check=True,
                                 capture_output=True, text=True).stdout.strip().removeprefix("Modulus=")
        jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "real", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}
        (self.folder / "keys.json").write_text(json.dumps({"keys": [jwk]}))

    def token(self, **claims):
        """A signed token of an hour: alice's, unless the claims say otherwise (`None` leaves one out)."""
        now = int(time.time())
        all_claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "nbf": now, "exp": now + 3600,
                      "auth_time": now, "amr": ["pwd", "mfa"], **claims}
        all_claims = {name: value for name, value in all_claims.items() if value is not None}
        head = b64(json.dumps({"alg": "RS256", "typ": "JWT", "kid": "real"}).encode())
        signed = f"{head}.{b64(json.dumps(all_claims).encode())}"
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed.encode(), check=True,
                                   capture_output=True).stdout
        return f"{signed}.{b64(signature)}"

    def certificate(self, names):
        """A self-signed certificate for these names: the files of the chain and of its key."""
        chain, key = self.folder / "chain.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=real",
                        "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names), "-keyout", key,
                        "-out", chain], check=True, capture_output=True)
        return chain, key

    def portcullis(self, apps, policies, server="", more="", tls=None, tls_listener=None, tls_port=None, plain="", log="", program=None):
        """Starts Portcullis with these `[[app]]` and `[[policy]]` tables and waits until it is ready.

        `server` holds further lines of `[server]`, `more` further tables. Gives the port of its plain listener; the
        decision log is `self.folder / "decisions.ndjson"`, the admin listener `self.admin`. With names in `tls` there is
        a listener with HTTP/2 for them too, at port `self.tls`, with a certificate in `self.folder / "chain.pem"`;
        `tls_listener` holds the keys of one with settings of its own instead, at `tls_port` if that matters; `plain` further
        ones of the plain listener, `log` of the decision log; `program` runs instead of
        the program under test, and starts it.
        """
        port, admin = free_port(), free_port()
        listeners = f'{{ address = "127.0.0.1:{port}"{plain} }}'
        if tls:
            chain, key = self.certificate(tls)
            self.tls = free_port()
            listeners += f', {{ address = "127.0.0.1:{self.tls}", tls = {{ certificate = "{chain}", key = "{key}" }} }}'
        if tls_listener:
            self.tls = tls_port or free_port()
            listeners += f', {{ address = "127.0.0.1:{self.tls}", {tls_listener} }}'
        self.admin = f"127.0.0.1:{admin}"
        (self.folder / "policies").mkdir(exist_ok=True)
        (self.folder / "policies" / "policies.toml").write_text(policies)
        config = self.folder / "portcullis.toml"
        config.write_text(f"""policies = ["policies/*.toml"]

[server]
listeners = [{listeners}]
admin = "{self.admin}"
pid-file = "{self.folder}/portcullis.pid"
upgrade-socket = "{self.folder}/upgrade.sock"
decision-log = {{ file = "{self.folder}/decisions.ndjson"{log} }}
{server}

[[issuer]]
name = "issuer"
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
keys = {{ file = "keys.json" }}
{more}
{apps}""")
        self.config = config
        self.process = self.start([program or binary(), "run", "--config", config])
        wait_for("Portcullis to be ready", self.is_ready)
        return port

    def is_ready(self):
        if self.process.poll() is not None:
            sys.exit(f"Portcullis ended early, status {self.process.returncode}")
        return is_healthy(binary(), self.admin)

    def decisions(self):
        """The lines of the decision log so far."""
        log = self.folder / "decisions.ndjson"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def resident(self):
        """Resident memory of Portcullis, in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def wiki(port, hosts=("wiki.test",)):
    """The `[[app]]` table of a wiki that is served from a port of loopback."""
    return f"""
[[app]]
id = "wiki"
name = "Internal wiki"
hosts = {json.dumps(hosts)}
upstreams = ["http://127.0.0.1:{port}"]
"""


def nobody_in(policy, folder):
    """A policy that blocks everybody in a folder of the wiki."""
    return f"""
[[policy]]
id = "{policy}"
name = "Nobody in {folder}"
state = "enabled"
users = {{ include = ["all"] }}
apps = {{ include = ["wiki"] }}
grant = "block"
conditions = {{ request = {{ paths = ["{folder}/**"] }} }}
"""


# A policy that grants everybody, for tests that are not about policies.
EVERYBODY = """
[[policy]]
id = "everybody-with-mfa"
name = "Everybody, with two factors"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { operator = "and", controls = ["mfa"] }
"""


def raw(port, data, seconds=10):
    """Sends bytes and gives all that comes back until the other end closes, or for so long."""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        connection.sendall(data)
        back = b""
        with contextlib.suppress(TimeoutError):
            while piece := connection.recv(65536):
                back += piece
        return back


def check(holds, what):
    """One expectation of a script; the first that fails ends it."""
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}", flush=True)
