"""TLS as `openssl s_client` sees it: certificates by name and by reload, tickets, client certificates and their revocation.

A session that is resumed shows no certificate; a revoked one must not get in by it.
"""
# needs: apt:openssl apt:curl
import os
import re
import socket
import ssl
import subprocess
import time
import urllib.request

from stage import EVERYBODY, Stage, binary, check, free_port, raw, wait_for

APPS = """
[[app]]
id = "wiki"
hosts = ["wiki.test", "alt.test", "one.wild.test"]
upstreams = ["http://127.0.0.1:{app}"]

[[app]]
id = "vault"
hosts = ["vault.test"]
upstreams = ["http://127.0.0.1:{app}"]
client-certificate = "required"
client-ca = ["{folder}/ca.pem"]
client-crl = ["{folder}/crl.pem"]
"""
LISTENER = """tls = {{ certificates = [
  {{ certificate = "{folder}/wiki.pem", key = "{folder}/wiki.key" }}, {{ certificate = "{folder}/alt.pem", key = "{folder}/alt.key" }},
  {{ certificate = "{folder}/vault.pem", key = "{folder}/vault.key" }}, {{ certificate = "{folder}/wild.pem", key = "{folder}/wild.key" }},
], ticket-keys = ["{folder}/ticket.key"] }}, hsts = "30d\""""
# What openssl's `ca` wants to know.
CA = """
[ca]
default_ca = one
[one]
database = {folder}/index.txt
crlnumber = {folder}/crlnumber
serial = {folder}/serial
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
default_crl_days = 2
default_days = 2
policy = any
x509_extensions = client
unique_subject = no
[any]
commonName = supplied
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
"""


def openssl(*arguments, stdin=None, seconds=20):
    done = subprocess.run(["openssl", *[str(one) for one in arguments]], input=stdin, capture_output=True, timeout=seconds)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def made(*arguments):
    code, text = openssl(*arguments)
    assert code == 0, text


class Authority:
    """An authority for clients, with a list of what it revoked."""

    def __init__(self, folder):
        self.folder, self.config = folder, folder / "ca.conf"
        self.config.write_text(CA.format(folder=folder))
        (folder / "index.txt").write_text("")
        (folder / "crlnumber").write_text("01\n")
        (folder / "serial").write_text("1000\n")
        made("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=authority",
             "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
        self.publish()

    def issue(self, name):
        made("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", self.folder / f"{name}.key",
             "-out", self.folder / f"{name}.csr")
        made("ca", "-batch", "-notext", "-config", self.config, "-in", self.folder / f"{name}.csr", "-out", self.folder / f"{name}.pem")
        return ["-cert", self.folder / f"{name}.pem", "-key", self.folder / f"{name}.key"]

    def revoke(self, name):
        made("ca", "-config", self.config, "-revoke", self.folder / f"{name}.pem")
        self.publish()

    def publish(self):
        made("ca", "-config", self.config, "-gencrl", "-out", self.folder / "crl.new")
        (self.folder / "crl.new").rename(self.folder / "crl.pem")


def serve(folder, name, names, days=2):
    """A pair of the listener, put in place as a renewal does."""
    made("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days, "-subj", f"/CN={name}", "-addext",
         "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=" + ",".join(f"DNS:{one}" for one in names), "-keyout", folder / f"{name}.key.new", "-out", folder / f"{name}.pem.new")
    for end in ("key", "pem"):
        (folder / f"{name}.{end}.new").rename(folder / f"{name}.{end}")


def main():
    with Stage() as stage:
        folder = stage.folder
        app = free_port()
        (folder / "nothing").mkdir()
        stage.start(["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder / "nothing", str(app)],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        authority = Authority(folder)
        alice, bob = authority.issue("alice"), authority.issue("bob")
        (folder / "other").mkdir()
        stranger = Authority(folder / "other").issue("stranger")
        for name, names in (("wiki", ["wiki.test"]), ("alt", ["alt.test"]), ("vault", ["vault.test"]), ("wild", ["*.wild.test"])):
            serve(folder, name, names)
        (folder / "ticket.key").write_bytes(os.urandom(80))
        port = stage.portcullis(APPS.format(app=app, folder=folder), EVERYBODY, tls_listener=LISTENER.format(folder=folder),
                                plain=", redirect-to-https = true")
        token = stage.token()

        def client(name, *options, host=None, path="/", to=None):
            """A handshake and one request by s_client: what openssl says and what came back."""
            request = f"GET {path} HTTP/1.1\r\nHost: {host or name}\r\nAuthorization: Bearer {token}\r\nAccept: application/problem+json\r\nConnection: close\r\n\r\n"
            names = ["-servername", name] if name else ["-noservername"]
            _, text = openssl("s_client", "-connect", f"127.0.0.1:{to or stage.tls}", *names, "-ign_eof", *options, stdin=request.encode())
            return text

        def subject(text):
            return re.search(r"subject=CN = (\S+)", text)[1]

        def serial(name="wiki.test"):
            _, text = openssl("s_client", "-connect", f"127.0.0.1:{stage.tls}", "-servername", name, stdin=b"")
            return re.search(r"-----BEGIN.*?END CERTIFICATE-----", text, re.S)[0]

        def status(text):
            return int(re.search(r"HTTP/1\.1 (\d+)", text)[1])

        def is_reused(text):
            return "Reused, " in text

        # Names.
        for name, wanted in (("wiki.test", "wiki"), ("alt.test", "alt"), ("ALT.test", "alt"), ("one.wild.test", "wild"), ("two.one.wild.test", "wiki"), (None, "wiki")):
            check(subject(client(name, host="wiki.test")) == wanted, f"{name} is served the certificate of {wanted}")
        answer = client("wiki.test")
        check(status(answer) == 200 and re.search(r"strict-transport-security: max-age=2592000", answer, re.I), "and its app, with HSTS")
        check(status(client("wiki.test", host="alt.test")) == 421, "a host of another certificate is misdirected: 421")
        check(status(client("wiki.test", host="vault.test")) == 421, "and so is one that asks for a client certificate: 421")
        for old in ("-tls1", "-tls1_1"):
            code, text = openssl("s_client", "-connect", f"127.0.0.1:{stage.tls}", old, "-cipher", "DEFAULT@SECLEVEL=0", stdin=b"")
            check(code != 0 and "Cipher is (NONE)" in text, f"{old.removeprefix('-')} is not spoken")
        back = raw(stage.tls, b"GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        check(back.startswith((b"HTTP/1.1 400", b"HTTP/1.1 308")), f"a plain request to the TLS listener is answered in plain ({back[:30]!r})")

        back = raw(port, b"GET /page HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n\r\n")
        check(back.startswith(b"HTTP/1.1 308") and f"https://wiki.test:{stage.tls}/page".encode() in back, f"a plain listener sends to https ({back[:30]!r})")
        back = raw(port, b"GET /page HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
        check(b"evil" not in back.split(b"\r\n\r\n")[0].lower(), f"but not to a host that is not ours ({back[:30]!r})")

        # Tickets.
        for version in ("-tls1_3", "-tls1_2"):
            session = folder / f"session{version}"
            first = client("wiki.test", version, "-sess_out", session)
            check(not is_reused(first) and is_reused(client("wiki.test", version, "-sess_in", session)), f"{version.removeprefix('-')}: a session is resumed")
            other = client("alt.test", version, "-sess_in", session)
            check(subject(other) == "alt" or status(other) in (200, 421), f"{version.removeprefix('-')}: but hands no name on to another ({'Reused' if is_reused(other) else 'new'})")
        # A second process with the same ticket key, as a replica has.
        admin, replica = free_port(), free_port()
        text = stage.config.read_text().replace(f":{stage.tls}\"", f":{replica}\"").replace(stage.admin, f"127.0.0.1:{admin}")
        text = text.replace(f"127.0.0.1:{port}\"", f"127.0.0.1:{free_port()}\"").replace("portcullis.pid", "two.pid").replace("upgrade.sock", "two.sock")
        (folder / "two.toml").write_text(text.replace("decisions.ndjson", "two.ndjson"))
        stage.start([binary(), "run", "--config", folder / "two.toml"])
        wait_for("the replica", lambda: socket.create_connection(("127.0.0.1", replica), 1).close() or True)
        check(is_reused(client("wiki.test", "-tls1_3", "-sess_in", folder / "session-tls1_3", to=replica)), "a ticket of one replica is good at another")

        # A renewal, while a connection is open.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        kept = context.wrap_socket(socket.create_connection(("127.0.0.1", stage.tls), 10), server_hostname="wiki.test")

        def ask(connection, host):
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nAccept: application/problem+json\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return 0, head
                head += piece
            length = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
            head, _, body = head.partition(b"\r\n\r\n")
            while len(body) < length:
                body += connection.recv(65536)
            return int(head.split()[1]), body

        def expiry(name):
            page = urllib.request.urlopen(f"http://{stage.admin}/metrics").read().decode()
            found = [float(value) for labels, value in re.findall(r"^portcullis_tls_certificate_not_after_timestamp_seconds\{(.*)\} (\S+)$", page, re.M) if name in labels]
            return min(found) if found else 0

        check(ask(kept, "wiki.test")[0] == 200, "a connection before the renewal")
        before, end = serial(), expiry("wiki.test")
        serve(folder, "wiki", ["wiki.test"], days=9)
        begun = time.monotonic()
        wait_for("the new certificate", lambda: serial() != before, 10)
        check(time.monotonic() - begun < 4, f"a renewed certificate is served after {time.monotonic() - begun:.1f} s, without a signal")
        check(ask(kept, "wiki.test")[0] == 200, "and the connection of before goes on")
        wait_for("its expiry in the metrics", lambda: expiry("wiki.test") > end + 6 * 86400, 5)
        check(is_reused(client("wiki.test", "-tls1_3", "-sess_in", folder / "session-tls1_3")), "a ticket of before is good after it")
        now = serial()
        (folder / "wiki.pem").write_text((folder / "alt.pem").read_text())
        time.sleep(3)
        check(serial() == now, "a certificate of another key is not taken up: the former goes on")
        serve(folder, "wiki", ["wiki.test"])

        # Client certificates.
        def code(text):
            found = re.search(r'"code":\s*"?(?:AADSTS)?(\d+)', text)
            return int(found[1]) if found else 0

        nobody = client("vault.test")
        check(status(nobody) == 403 and code(nobody) == 880101, f"without a certificate: 403 and 880101 ({status(nobody)}, {code(nobody)})")
        foreign = client("vault.test", *stranger)
        check(status(foreign) == 403 and code(foreign) == 880102, f"with one of another authority: 880102 ({status(foreign)}, {code(foreign)})")
        sessions = {}
        for version in ("-tls1_3", "-tls1_2"):
            sessions[version] = folder / f"alice{version}"
            check(status(client("vault.test", version, *alice, "-sess_out", sessions[version])) == 200, f"{version.removeprefix('-')}: with her certificate alice gets in")
            again = client("vault.test", version, "-sess_in", sessions[version])
            check(is_reused(again) and status(again) == 200, f"{version.removeprefix('-')}: and by her session")
        context.load_cert_chain(folder / "alice.pem", folder / "alice.key")
        mine = context.wrap_socket(socket.create_connection(("127.0.0.1", stage.tls), 10), server_hostname="vault.test")
        check(ask(mine, "vault.test")[0] == 200, "and keeps a connection open")
        authority.revoke("alice")
        begun = time.monotonic()
        wait_for("the revocation", lambda: ask(mine, "vault.test")[0] != 200, 10)
        check(time.monotonic() - begun < 4, f"revoked: refused on the open connection after {time.monotonic() - begun:.1f} s")
        for version in ("-tls1_3", "-tls1_2"):
            again = client("vault.test", version, "-sess_in", sessions[version])
            check(status(again) == 403 and code(again) in (880103, 880101), f"{version.removeprefix('-')}: and by her session: {status(again)}, {code(again)}{', resumed' if is_reused(again) else ''}")
            check(status(client("vault.test", version, *alice)) == 403, f"{version.removeprefix('-')}: and by a new handshake")
        check(status(client("vault.test", *bob)) == 200, "bob still gets in")


main()
