"""A stop and an upgrade, seen by real clients: curl, h2load, a WebSocket, a half-sent head, and others behind nginx and HAProxy.

Each is in the middle of something when the signal comes. Everything that ends within `grace` must end as if nothing had
happened; whoever is idle is let go at once; what takes longer than `grace` is cut, and the process says so by its status.

usage: drain.py [--report-only] [stop] [late] [upgrade] [balancers]
"""
# needs: apt:curl apt:nghttp2-client apt:nginx apt:haproxy pip:websockets==17.4
import asyncio
import contextlib
import hashlib
import http.client
import http.server
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.server

from stage import EVERYBODY, ROOT, Stage, binary, free_port, listens, wait_for

REPORT_ONLY = "--report-only" in sys.argv
HOST = "files.test"
APPS = """
[[app]]
id = "files"
hosts = ["files.test"]
upstreams = ["http://127.0.0.1:{app}"]

[[app]]
id = "socket"
hosts = ["socket.test"]
upstreams = ["http://127.0.0.1:{socket}"]
websocket = true
"""
# How long a slow request takes, and the part of it that has passed when the signal comes.
SLOW, BEFORE = 3.0, 0.8
PIECES, PIECE = 30, 20_000
EXIT_CUT = 3
failures = []


def check(holds, what):
    """One expectation; all are looked at before the test ends."""
    print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)
    if not holds:
        failures.append(what)


class App(http.server.BaseHTTPRequestHandler):
    """`/slow/SECONDS` waits, `/download` sends slowly, `/upload` says what it got, anything else is short."""
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/slow/"):
            time.sleep(float(self.path.split("/")[2]))
            self.answer(b"slow\n")
        elif self.path == "/download":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(PIECES):
                time.sleep(SLOW / PIECES)
                self.wfile.write(b"%x\r\n%s\r\n" % (PIECE, bytes([number]) * PIECE))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.answer(b"short\n")

    def do_POST(self):
        digest = hashlib.sha256()
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                digest.update(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            digest.update(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(digest.hexdigest().encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, address):
        """Whoever was cut is counted by the client."""


DOWNLOAD = hashlib.sha256(b"".join(bytes([number]) * PIECE for number in range(PIECES))).hexdigest()


def echo(socket):
    with contextlib.suppress(websockets.exceptions.ConnectionClosed):
        for message in socket:
            socket.send(message)


def apps():
    app = Server(("127.0.0.1", free_port()), App)
    threading.Thread(target=app.serve_forever, args=(0.05,), daemon=True).start()
    sockets = websockets.sync.server.serve(echo, "127.0.0.1", free_port())
    threading.Thread(target=sockets.serve_forever, daemon=True).start()
    listens(app.server_port)
    return APPS.format(app=app.server_port, socket=sockets.socket.getsockname()[1])


class Clients:
    """All that is under way while the signal comes."""

    def __init__(self, stage, port, tls, folder):
        self.stage, self.port, self.tls, self.folder = stage, port, tls, folder
        self.token, self.running, self.results, self.threads = stage.token(), {}, {}, []
        self.upload = folder / "upload"
        self.upload.write_bytes(os.urandom(300_000))

    def curl(self, name, *options, tls=False, host=HOST, path="/"):
        url = f"https://{host}:{self.tls}{path}" if tls else f"http://{host}:{self.port}{path}"
        port = self.tls if tls else self.port
        out = self.folder / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.out"
        # Without retries, proxies of the environment, or anything else that would hide a loss.
        self.running[name] = (subprocess.Popen(
            ["curl", "-sS", "--noproxy", "*", "--max-time", "20", "--insecure", "--resolve", f"{host}:{port}:127.0.0.1", "-o", out, "-w", "%{http_code} %{http_version} %{size_download}",
             "-H", f"Authorization: Bearer {self.token}", *options, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), out)

    def begin(self):
        upload = hashlib.sha256(self.upload.read_bytes()).hexdigest()
        self.wanted = {}
        for version, tls in (("1.1", False), ("2", True)):
            option = "--http2" if version == "2" else "--http1.1"
            for name, wanted, path, more in (
                (f"slow answer, HTTP/{version}", b"slow\n", f"/slow/{SLOW}", ()),
                (f"download, HTTP/{version}", DOWNLOAD, "/download", ()),
                (f"upload, HTTP/{version}", upload.encode(), "/upload", ("--limit-rate", "100k", "--data-binary", f"@{self.upload}")),
                (f"chunked upload, HTTP/{version}", upload.encode(), "/upload",
                 ("--limit-rate", "100k", "-H", "Expect:", "-X", "POST", "-T", str(self.upload))),
            ):
                self.wanted[name] = wanted
                self.curl(name, option, *more, tls=tls, path=path)
        self.streams = subprocess.Popen(
            ["h2load", "-n", "40", "-c", "2", "-m", "20", "-H", f"authorization: Bearer {self.token}", "-H", f"host: {HOST}",
             "--connect-to", f"127.0.0.1:{self.tls}", f"https://{HOST}/slow/{SLOW}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.half = socket.create_connection(("127.0.0.1", self.port), 10)
        self.half.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.token}\r\nX-".encode())
        self.idle = socket.create_connection(("127.0.0.1", self.port), 10)
        self.idle.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.token}\r\n\r\n".encode())
        self.idle.recv(65536)
        self.idle_tls = context(["h2"]).wrap_socket(socket.create_connection(("127.0.0.1", self.tls), 10), server_hostname=HOST)
        self.idle_tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        self.idle_tls.recv(65536)
        self.spawn("WebSocket", self.web_socket)
        wait_for("the WebSocket", lambda: "echo" in self.results)

    def spawn(self, name, what):
        def keep():
            try:
                self.results[name] = what()
            except Exception as problem:  # noqa: BLE001: whatever it is, it is the result
                self.results[name] = problem
        thread = threading.Thread(target=keep, daemon=True)
        thread.start()
        self.threads.append(thread)

    def web_socket(self):
        async def talk():
            uri = f"ws://socket.test:{self.port}/"
            async with websockets.asyncio.client.connect(uri, host="127.0.0.1", port=self.port, proxy=None,
                                                         additional_headers={"Authorization": f"Bearer {self.token}"}) as wire:
                await wire.send("hello")
                self.results["echo"] = await wire.recv()
                try:
                    await wire.recv()
                except websockets.exceptions.ConnectionClosed as closed:
                    return closed.rcvd.code if closed.rcvd else "no close frame"
        return asyncio.run(talk())

    def after(self, signalled):
        """Looks at those that notice the signal at once: idle connections, and the half-sent head."""
        self.results["idle"] = ended(self.idle, signalled)
        self.results["idle h2"] = ended(self.idle_tls, signalled, pong)
        try:
            self.half.sendall(b"Rest: of it\r\n\r\n")
            back = b""
            while piece := self.half.recv(65536):
                back += piece
            self.results["half"] = back
        except OSError as problem:
            self.results["half"] = repr(problem).encode()

    def judge(self):
        for name, (process, out) in self.running.items():
            told, problem = process.communicate(timeout=30)
            got = out.read_bytes() if out.exists() else b""
            wanted = self.wanted[name]
            found = hashlib.sha256(got).hexdigest() if isinstance(wanted, str) else got
            check(process.returncode == 0 and told.startswith("200") and found == wanted, f"{name}: whole ({told} {problem.strip()})")
        told, _ = self.streams.communicate(timeout=60)
        done = re.search(r"requests: (.*)", told)
        check("40 succeeded, 0 failed, 0 errored" in told, f"h2load, 40 streams: {done[1] if done else told[-200:]}")
        check(self.results["idle"] < 1.5, f"an idle HTTP/1 connection ends at once ({self.results['idle']:.2f} s)")
        check(self.results["idle h2"] < 1.5, f"an idle HTTP/2 connection ends at once ({self.results['idle h2']:.2f} s)")
        half = self.results["half"]
        check(half.startswith(b"HTTP/1.1 200") and b"connection: close" in half.lower(),
              f"a head that was half there is read to its end, answered, and the connection closed ({half[:60]!r})")
        for thread in self.threads:
            thread.join(20)
        check(self.results.get("WebSocket") == 1001, f"a WebSocket ends with 1001, going away ({self.results.get('WebSocket')!r})")


def context(protocols):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_alpn_protocols(protocols)
    return made


def pong(connection, data):
    """Answers the PINGs of HTTP/2: a server asks by one whether all that was under way has arrived, before it goes."""
    while len(data) >= 9:
        length, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
        if kind == 6 and not flags & 1:
            connection.sendall(data[:4] + b"\1" + data[5:9 + length])
        data = data[9 + length:]


def ended(connection, since, seen=lambda connection, data: None, limit=8):
    """How long after a moment the other end closed; the limit if it did not."""
    connection.settimeout(limit)
    try:
        while data := connection.recv(65536):
            seen(connection, data)
    except TimeoutError:
        return float(limit)
    except OSError:
        pass
    return time.monotonic() - since


def gone(process, seconds):
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


class Load:
    """One request after the other, each on a new connection, until stopped; every one counts."""

    def __init__(self, ports, token, clients=3, method="GET", path="/"):
        self.over, self.asked, self.lost = threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.run, args=(ports, token, method, path), daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, ports, token, method, path):
        turn = 0
        while not self.over.is_set():
            turn += 1
            connection = http.client.HTTPConnection("127.0.0.1", ports[turn % len(ports)], timeout=15)
            try:
                connection.request(method, path, b"body" if method == "POST" else None, {"Host": HOST, "Authorization": f"Bearer {token}", "Connection": "close"})
                status = connection.getresponse()
                status.read()
                if status.status != 200:
                    self.lost.append(str(status.status))
            except (OSError, http.client.HTTPException) as problem:
                self.lost.append(repr(problem))
            finally:
                connection.close()
            self.asked += 1

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(20)
        return self.asked, self.lost


def stop(stage):
    """SIGTERM while all of them are under way."""
    port = stage.portcullis(apps(), EVERYBODY, 'grace = "8s"', tls=[HOST])
    clients = Clients(stage, port, stage.tls, stage.folder)
    clients.begin()
    time.sleep(BEFORE)
    signalled = time.monotonic()
    stage.process.send_signal(signal.SIGTERM)
    refused_after = None
    end = time.monotonic() + 2
    while refused_after is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            time.sleep(0.01)
        except OSError:
            refused_after = time.monotonic() - signalled
    check(refused_after is not None and refused_after < 1.0, f"new connections are refused ({refused_after and round(refused_after, 2)} s after SIGTERM)")
    clients.after(signalled)
    status = gone(stage.process, 12)
    took = time.monotonic() - signalled
    clients.judge()
    check(status == 0, f"it ends by itself with status 0 ({status})")
    check(took < SLOW + 3, f"it ends when the last has ended, not when `grace` is over ({took:.1f} s)")


def late(stage):
    """What takes longer than `grace` is cut, counted, and said by the status."""
    port = stage.portcullis(apps(), EVERYBODY, 'grace = "2s"')
    clients = Clients(stage, port, None, stage.folder)
    clients.wanted = {}
    clients.curl("too slow", path="/slow/15")
    clients.curl("in time", path="/slow/1.5")
    time.sleep(BEFORE)
    signalled = time.monotonic()
    stage.process.send_signal(signal.SIGTERM)
    status = gone(stage.process, 10)
    took = time.monotonic() - signalled
    told = {name: process.communicate(timeout=30)[0] for name, (process, _) in clients.running.items()}
    check(told["in time"].startswith("200"), f"what ends within `grace` is answered ({told['in time']})")
    check(not told["too slow"].startswith("200"), f"what takes longer is cut ({told['too slow']})")
    check(1.5 < took < 4, f"at the end of `grace` ({took:.1f} s of 2)")
    check(status == EXIT_CUT, f"and the status says so ({status})")


def upgrade(stage):
    """`run --upgrade` while all of them are under way and new connections come; twice."""
    port = stage.portcullis(apps(), EVERYBODY, 'grace = "8s"', tls=[HOST])
    clients = Clients(stage, port, stage.tls, stage.folder)
    load = Load([port], clients.token)
    clients.begin()
    time.sleep(BEFORE)
    old, signalled = stage.process, time.monotonic()
    stage.process = stage.start([binary(), "run", "--upgrade", "--config", stage.config])
    clients.after(signalled)
    status = gone(old, 20)
    took = time.monotonic() - signalled
    clients.judge()
    check(status == 0, f"the old process ends by itself with status 0 ({status}, {took:.1f} s)")
    second = stage.start([binary(), "run", "--upgrade", "--config", stage.config])
    status = gone(stage.process, 20)
    check(status == 0, f"the successor hands over in its turn ({status})")
    # A successor that cannot serve: its configuration names a file that is not there.
    broken = stage.folder / "broken.toml"
    broken.write_text(re.sub(r'certificate = "[^"]*"', 'certificate = "/nowhere.pem"', stage.config.read_text()))
    failed = subprocess.run([binary(), "run", "--upgrade", "--config", broken], capture_output=True, timeout=30)
    check(failed.returncode != 0 and second.poll() is None, f"a successor that cannot serve ends ({failed.returncode}), the old one serves on")
    time.sleep(0.5)
    asked, lost = load.stop()
    check(asked > 100 and not lost, f"new connections meanwhile: {asked} requests, {len(lost)} lost {sorted(set(lost))[:3]}")


def balancers(stage):
    """Two replicas behind the shipped files of nginx and HAProxy; each is stopped in turn under load, and a POST is not asked again."""
    replicas, tables = [], apps()
    token = stage.token()
    for number in range(2):
        folder = stage.folder / f"replica-{number}"
        folder.mkdir()
        replica = stage.enter_context(Replica(stage, folder))
        replica.port = replica.portcullis(tables, EVERYBODY, 'grace = "8s"\npre-stop-delay = "2s"' if supports("pre-stop-delay") else 'grace = "8s"',
                                          '[trusted-proxies]\nnetworks = ["127.0.0.0/8"]\n')
        replicas.append(replica)
    for name in ("nginx", "haproxy"):
        port = balanced(stage, name, replicas)
        wait_for(name, lambda port=port: http.client.HTTPConnection("127.0.0.1", port, timeout=2).request("GET", "/") or True)
        time.sleep(2)
        pages, posts = Load([port], token, 3), Load([port], token, 2, "POST", "/upload")
        slow = Load([port], token, 2, path=f"/slow/{SLOW}")
        time.sleep(BEFORE)
        for replica in replicas:
            replica.process.send_signal(signal.SIGTERM)
            status = gone(replica.process, 20)
            check(status == 0, f"{name}: a replica that is stopped under load ends by itself ({status})")
            replica.process = replica.start([binary(), "run", "--config", replica.config])
            wait_for("the replica to be ready again", replica.is_ready)
            time.sleep(6 if name == "nginx" else 2)  # nginx leaves a server out for `fail_timeout`, 5 s
        for what, load in (("pages", pages), ("POST requests", posts), ("slow requests", slow)):
            asked, lost = load.stop()
            check(asked > 1 and not lost, f"{name}: {what}: {asked}, {len(lost)} lost {sorted(set(lost))[:3]}")


class Replica(Stage):
    """One more Portcullis with the same issuer."""

    def __init__(self, stage, folder):
        super().__init__()
        for name in ("issuer.pem", "keys.json"):
            (folder / name).write_bytes((stage.folder / name).read_bytes())
        self.folder, self.key = folder, folder / "issuer.pem"


def supports(key):
    return key in subprocess.run([binary(), "schema"], capture_output=True, text=True).stdout


def balanced(stage, name, replicas):
    """The shipped file with our addresses."""
    text = (ROOT / "deploy" / "balancer" / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[name]).read_text()
    port = free_port()
    lines = []
    for line in text.splitlines():
        found = re.search(r"10\.0\.0\.1(\d):8080", line)
        if found and int(found[1]) > len(replicas):
            continue
        if found:
            replica = replicas[int(found[1]) - 1]
            line = line.replace("port 9090", f"port {replica.admin.rsplit(':', 1)[1]}").replace(found[0], f"127.0.0.1:{replica.port}")
        lines.append(line.replace("0.0.0.0:80", f"127.0.0.1:{port}"))
    config = stage.folder / f"{name}.conf"
    text = "\n".join(lines) + "\n"
    if name == "nginx":
        text = f"pid {stage.folder}/nginx.pid;\nerror_log {stage.folder}/nginx.log;\n" + text
    config.write_text(text)
    stage.start(["nginx", "-c", config, "-g", "daemon off;"] if name == "nginx" else ["haproxy", "-db", "-f", config])
    listens(port)
    return port


def main():
    os.environ.setdefault("PORTCULLIS_LOG", "off,portcullis=error")
    every = {"stop": stop, "late": late, "upgrade": upgrade, "balancers": balancers}
    for name in [word for word in sys.argv[1:] if word in every] or every:
        print(f"-- {name}", flush=True)
        with Stage() as stage:
            every[name](stage)
    if failures and not REPORT_ONLY:
        sys.exit(f"FAILED: {len(failures)}")


main()
