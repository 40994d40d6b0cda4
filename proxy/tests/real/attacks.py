"""Attackers without a token (or with one, where the name says so), each for some seconds, while another user works.

Each attack of `hostile.py` meets a Portcullis of its own in a container's memory of 512 MiB (it is killed when it takes more),
while a user at another address asks the plain listener on a kept connection and the TLS listener on new ones. What must hold: memory
below 200 MiB, no request of the other user fails, the p99 of the other user stays within three times of calm (or a second: a debug build
on a machine that has other work; `--floor 0.05` on a quiet one; judged in runs of 20 s and more), `/healthz` answers, the log does not grow with the attack, and all is as
before within 5 s.

usage: attacks.py [--seconds 60] [--addresses 64] [--floor 0.05] [--apart] [--realtime] [--nginx] [--out FILE.json] [--report-only] [--all | NAME...]
The other user has an app of its own: what the attack costs the app that it asks is not measured.
With `--apart` who attacks and that app have a processor core alone, as if on another machine, and everybody else the others.
With `--realtime` other work on the machine waits for all that takes part (`chrt`, for root), the other user first: what is seen is then ours.
With `--nginx` it is nginx that is attacked in Portcullis' place, as a proxy that lets everybody in: what the other user waits for
there, too, is the machine's, on which app, attacker and user want the same cores.
Without names it is those of `USUAL`, five seconds each; `--all` takes twice as long.
"""
# needs: apt:nginx
import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import hostile
from stage import EVERYBODY, Stage, binary, free_port, listens, wait_for

LIMIT_MIB, GOAL_MIB, RECOVERY, TIMES, LONG = 512, 200, 5.0, 3, 20
# Seconds in which an attack opens what it may.
FIRST = 2
# Of the process's log in an attack, in KiB: a line a second for each kind of refusal, and then some.
LOG_KIB = 64
RATE = 40
# Of those who take part, where other work waits for them. The other user and the app stand for other machines: they wait for
# nobody here, and least of all for a server that is busy.
SERVES, ASKS = 10, 20
# What nobody says of a container's limits but its memory: what clients may leave unread there.
LIMITS = 'limits = { unsent = "64MiB" }'
USER = "127.0.0.2"
USUAL = ["streams-unread", "heads-unfinished", "heads-held", "idle", "few-descriptors", "half-hello", "silent-h2", "slow-heads", "slow-bodies",
         "rapid-reset", "continuation", "empty-data", "unpacked", "plain-to-tls", "probes", "bad-tokens"]
# Attacks in which who attacks has a token.
WITH_TOKEN = {"downloads-unread", "slow-bodies", "trickling-readers", "bad-tokens", "empty-data"}

# Attacks on a process that may open so few: it cannot serve everybody, but must answer its admin listener and recover.
FEW_DESCRIPTORS, DESCRIPTORS = {"few-descriptors"}, 128

USER_HOST = "user.test"
APP = """
[[app]]
id = "{name}"
hosts = ["{name}.test"]
upstreams = ["http://127.0.0.1:{app}"]
"""
NGINX = """
daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.log; worker_processes 1; worker_rlimit_nofile 16000;
events {{ worker_connections 8000; }}
http {{
  access_log off; client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/www; client_max_body_size 0;
    location /upload {{ proxy_pass http://127.0.0.1:{port}/index.html; proxy_method GET; }} }}
}}
"""

PEER = """
daemon off; pid {folder}/peer.pid; error_log {folder}/peer.log; worker_processes 1; worker_rlimit_nofile 16000;
events {{ worker_connections 16000; }}
http {{
  access_log off; client_body_temp_path {folder}/peer-body; proxy_temp_path {folder}/peer-proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream files {{ server 127.0.0.1:{files}; keepalive 128; }}
  upstream user {{ server 127.0.0.1:{user}; keepalive 128; }}
  map $host $app {{ files.test files; user.test user; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; listen 127.0.0.1:{tls} ssl http2 backlog=4096; ssl_certificate {chain}; ssl_certificate_key {key};
    location / {{ proxy_pass http://$app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0; }} }}
  server {{ listen {admin}; return 200; }}
}}
"""


def nginx(stage, apps):
    """Starts nginx in Portcullis' place."""
    chain, key = stage.certificate([hostile.HOST, USER_HOST])
    port, stage.tls, stage.admin = free_port(), free_port(), f"127.0.0.1:{free_port()}"
    config = stage.folder / "peer.conf"
    config.write_text(PEER.format(folder=stage.folder, **apps, port=port, tls=stage.tls, admin=stage.admin, chain=chain, key=key))
    # With one worker the process is this one: it is measured.
    stage.process = stage.start(["nginx", "-c", config, "-g", "master_process off;"])
    listens(port)
    return port


class User:
    """Others who work meanwhile: as many requests a second on kept connections as on new ones with TLS, each begun when it is due, whether the
    one before it is answered or not."""

    def __init__(self, port, tls, token):
        self.port, self.tls = port, tls
        self.request = (f"GET / HTTP/1.1\r\nHost: {USER_HOST}\r\nAuthorization: Bearer {token}\r\n\r\n").encode()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.kept, self.over, self.samples, self.pool = [], threading.Event(), [], concurrent.futures.ThreadPoolExecutor(256)

    def connect(self, port):
        return socket.create_connection(("127.0.0.1", port), 5, source_address=(USER, 0))

    def ask(self, connection):
        connection.sendall(self.request)
        back = b""
        while b"\r\n\r\n" not in back:
            piece = connection.recv(65536)
            if not piece:
                raise ConnectionResetError("closed")
            back += piece
        head, _, body = back.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
        while len(body) < length:
            body += connection.recv(65536)
        if not head.startswith(b"HTTP/1.1 200"):
            raise OSError(head.split(b"\r\n")[0].decode())

    def on_kept(self):
        connection = self.kept.pop() if self.kept else self.connect(self.port)
        self.ask(connection)
        self.kept.append(connection)

    def on_new(self):
        with self.context.wrap_socket(self.connect(self.tls), server_hostname=USER_HOST) as connection:
            self.ask(connection)

    def once(self, kind, one, due):
        problem = None
        try:
            one()
        except OSError as found:
            problem = f"{kind}: {found or type(found).__name__}"
        self.samples.append((due, time.monotonic() - due, problem, kind))

    def work(self, kind, one):
        due = time.monotonic()
        while not self.over.is_set():
            self.pool.submit(self.once, kind, one, due)
            due += 1 / RATE
            self.over.wait(max(0, due - time.monotonic()))

    def run(self):
        threads = [threading.Thread(target=self.work, args=pair, daemon=True) for pair in (("kept", self.on_kept), ("new", self.on_new))]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self.over.set()
        for thread in threads:
            thread.join(6)
        self.pool.shutdown()
        print(json.dumps(self.samples))


class Watcher(threading.Thread):
    """Memory and descriptors of the process, and whether its admin listener answers; ends it at the limit, as a container does."""

    def __init__(self, process, admin):
        super().__init__(daemon=True)
        self.process, self.admin, self.over = process, admin, threading.Event()
        self.rss, self.files, self.killed, self.unhealthy, self.asked = 0.0, 0, None, 0, 0
        self.begun = time.monotonic()

    def run(self):
        health = threading.Thread(target=self.health, daemon=True)
        health.start()
        turn = 0
        while not self.over.wait(0.02):
            with contextlib.suppress(OSError, IndexError):
                rss = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 / 2**20
                self.rss = max(self.rss, rss)
                if rss > LIMIT_MIB and self.killed is None:
                    self.killed = round(time.monotonic() - self.begun, 1)
                    self.process.kill()
                turn += 1
                if turn % 25 == 0:
                    self.files = max(self.files, len(os.listdir(f"/proc/{self.process.pid}/fd")))

    def health(self):
        host, port = self.admin.rsplit(":", 1)
        while not self.over.wait(0.5):
            self.asked += 1
            connection = http.client.HTTPConnection(host, int(port), timeout=3)
            try:
                connection.request("GET", "/healthz")
                if connection.getresponse().status != 200:
                    self.unhealthy += 1
            except (OSError, http.client.HTTPException):
                self.unhealthy += 1
            finally:
                connection.close()

    @staticmethod
    def processor(process):
        try:
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            return 0.0


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def in_realtime(stage, priority):
    """Whatever the stage starts from here on goes before other work on the machine."""
    start = stage.start
    stage.start = lambda command, **more: start(["chrt", "--fifo", str(priority), *command], **more)


def attack(name, seconds, addresses, floor, environment, core=None, realtime=False, peer=False):
    """One attack on a process of its own; gives what was seen."""
    calm_seconds = max(3.0, seconds / 4)
    with Stage() as stage:
        folder, start_plainly = stage.folder, stage.start
        if realtime:
            in_realtime(stage, ASKS)
        (folder / "www").mkdir()
        os.chmod(folder, 0o755)
        (folder / "www" / "index.html").write_bytes(b"o" * 1000)
        (folder / "www" / "large").write_bytes(b"l" * (10 << 20))
        apps, serves = {}, {}
        for app in ("files", "user"):
            apps[app] = free_port()
            (folder / f"{app}.conf").write_text(NGINX.format(folder=folder, name=app, port=apps[app]))
            attacked = ["taskset", "-c", str(core)] if core is not None and app == "files" else []
            serves[app] = stage.start([*attacked, "nginx", "-c", folder / f"{app}.conf", "-g", "master_process off;"])
            listens(apps[app])
        if realtime:
            stage.start = start_plainly
            in_realtime(stage, SERVES)
        log = (folder / "process.log").open("wb")
        os.environ.update(environment)
        start = stage.start
        few = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"] if name in FEW_DESCRIPTORS else []
        stage.start = lambda command: start([*few, *command], stderr=log, stdout=log)
        tables = "".join(APP.format(name=app, app=at) for app, at in apps.items())
        port = nginx(stage, apps) if peer else stage.portcullis(tables, EVERYBODY, LIMITS, tls=[hostile.HOST, USER_HOST])
        stage.start = start
        token = stage.token()
        (folder / "token").write_text(token)
        watcher = Watcher(stage.process, stage.admin)
        watcher.start()
        if realtime:
            stage.start = start_plainly
            in_realtime(stage, ASKS)
        user = stage.start([sys.executable, str(pathlib.Path(__file__)), "--user", str(port), str(stage.tls), folder / "token"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if realtime:
            stage.start = start_plainly
            in_realtime(stage, SERVES)
        time.sleep(1)  # both listeners have answered, the token is remembered
        calm_begun = time.monotonic()
        watcher.over.wait(calm_seconds)
        parts = [stage.process, serves["files"], user]
        calm_rss, before, written = watcher.rss, [watcher.processor(part) for part in parts], log_size(folder)
        begun = watcher.begun = time.monotonic()
        hostile_token = ["--token", folder / "token"] if name in WITH_TOKEN else []
        apart = ["taskset", "-c", str(core)] if core is not None else ["nice", "-n", "5"]
        attacker = stage.start([*apart, sys.executable, pathlib.Path(hostile.__file__), name, "--port", port, "--tls", stage.tls, "--seconds", seconds,
                                "--addresses", addresses, *hostile_token], stdout=subprocess.PIPE)
        told, _ = attacker.communicate(timeout=seconds + 60)
        ended = time.monotonic()
        used = [round(watcher.processor(part) - was, 2) for part, was in zip(parts, before)]
        grown = log_size(folder) - written
        watcher.over.wait(RECOVERY + 1)
        user.stdin.close()
        samples = json.loads(user.stdout.read())
        watcher.over.set()
        after = stage.process.poll()
        page = ""
        if after is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(stage.admin, timeout=5)
                connection.request("GET", "/metrics")
                page = connection.getresponse().read().decode()
        lines = (folder / "process.log").read_text(errors="replace").splitlines()
    calm = [took for due, took, _, _ in samples if calm_begun <= due < begun]
    during = [(due, took, problem) for due, took, problem, _ in samples if begun <= due < ended]
    bound = max(TIMES * quantile(calm, 0.99), floor)
    late = [due + took for due, took, problem, _ in samples if due >= begun and (problem or took > bound) and due + took > ended]
    problems = [problem for _, _, problem in during if problem]
    return {
        "attack": name, "addresses": addresses, "seconds": round(ended - begun, 1), "attacker": json.loads(told or "{}"),
        "rss_calm_mib": round(calm_rss, 1), "rss_max_mib": round(watcher.rss, 1), "killed_after_s": watcher.killed, "descriptors": watcher.files,
        "processor_s": dict(zip(("proxy", "app", "user"), used)), "log_kib": round(grown / 1024, 1), "unhealthy": f"{watcher.unhealthy}/{watcher.asked}",
        "calm_p50_ms": round(quantile(calm, 0.5) * 1e3, 2), "calm_p99_ms": round(quantile(calm, 0.99) * 1e3, 2),
        "p50_ms": round(quantile([took for _, took, _ in during], 0.5) * 1e3, 2),
        "p99_ms": round(quantile([took for _, took, _ in during], 0.99) * 1e3, 2),
        **{f"{kind}_p99_ms": [round(quantile([took for due, took, _, of in samples if of == kind and since <= due < until], 0.99) * 1e3, 2)
                              for since, until in ((calm_begun, begun), (begun, begun + FIRST), (begun + FIRST, ended))] for kind in ("kept", "new")},
        "asked": len(during), "failed": len(problems), "problems": sorted(set(problems))[:5],
        "recovery_s": round(max(late) - ended, 1) if late else 0.0, "status": after, "metrics": limits_seen(page), "log_tail": lines[-3:],
    }


def log_size(folder):
    return (folder / "process.log").stat().st_size


def limits_seen(page):
    """The counters of the listener's limits that are not zero."""
    return [line for line in page.splitlines() if re.match(r"portcullis_(listener|connection|head|stream|unsent|http2|handshake|tls_handshake|limit)", line)
            and not line.endswith((" 0", " 0.0"))][:20]


def judged(seen, floor):
    """What does not hold."""
    wrong = []
    if seen["killed_after_s"] is not None:
        wrong.append(f"took {LIMIT_MIB} MiB after {seen['killed_after_s']} s")
    elif seen["rss_max_mib"] > GOAL_MIB:
        wrong.append(f"{seen['rss_max_mib']} MiB")
    if seen["killed_after_s"] is None and seen["status"] is not None:
        wrong.append(f"ended with status {seen['status']}")
    if seen["attack"] in FEW_DESCRIPTORS:
        return wrong + ([] if seen["unhealthy"].startswith("0/") else [f"/healthz failed {seen['unhealthy']} times"]) + (
            [f"{seen['recovery_s']} s until all was as before"] if seen["recovery_s"] > RECOVERY else [])
    if seen["failed"]:
        wrong.append(f"{seen['failed']} of {seen['asked']} requests of another user failed")
    # The first seconds are those in which the attack's own requests are answered.
    if seen["seconds"] >= LONG and seen["p99_ms"] > max(TIMES * seen["calm_p99_ms"], floor * 1e3):
        wrong.append(f"p99 {seen['p99_ms']} ms, calm {seen['calm_p99_ms']} ms")
    if not seen["unhealthy"].startswith("0/"):
        wrong.append(f"/healthz failed {seen['unhealthy']} times")
    if seen["recovery_s"] > RECOVERY:
        wrong.append(f"{seen['recovery_s']} s until all was as before")
    if seen["log_kib"] > LOG_KIB:
        wrong.append(f"{seen['log_kib']} KiB of log")
    return wrong


def main():
    if sys.argv[1:2] == ["--user"]:
        User(int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4]).read_text()).run()
        return
    options = argparse.ArgumentParser()
    options.add_argument("names", nargs="*")
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--addresses", type=int, default=1)
    options.add_argument("--floor", type=float, default=1.0)
    options.add_argument("--apart", action="store_true")
    options.add_argument("--realtime", action="store_true")
    options.add_argument("--nginx", action="store_true")
    options.add_argument("--all", action="store_true")
    options.add_argument("--out", type=pathlib.Path)
    options.add_argument("--report-only", action="store_true")
    chosen = options.parse_args()
    print(f"{'nginx' if chosen.nginx else binary()}, {chosen.seconds:g} s each, from {chosen.addresses} addresses")
    core = None
    if chosen.apart:
        *others, core = sorted(os.sched_getaffinity(0))
        # What is started here inherits it.
        os.sched_setaffinity(0, others)
    failed = []
    for name in chosen.names or (list(hostile.ATTACKS) if chosen.all else USUAL):
        seen = attack(name, min(chosen.seconds, 60), chosen.addresses, chosen.floor, {"MIMALLOC_PURGE_DELAY": "10"}, core, chosen.realtime, chosen.nginx)
        wrong = judged(seen, chosen.floor)
        if wrong:
            failed.append(name)
        open_ = seen["attacker"]
        print(f"{'FAILED' if wrong else 'ok'}: {name}: {seen['rss_calm_mib']:.0f} -> {seen['rss_max_mib']:.0f} MiB, p50 {seen['calm_p50_ms']} -> {seen['p50_ms']} ms, "
              f"p99 {seen['calm_p99_ms']} -> {seen['p99_ms']} ms (calm, first {FIRST} s, rest: kept {seen['kept_p99_ms']}, new {seen['new_p99_ms']}), {seen['failed']}/{seen['asked']} failed, recovery {seen['recovery_s']} s, "
              f"processor {seen['processor_s']} s of {seen['seconds']}, log {seen['log_kib']} KiB, descriptors {seen['descriptors']}; "
              f"attacker {open_}" + (f" -- {'; '.join(wrong)} {seen['problems']}" if wrong else ""), flush=True)
        if chosen.out:
            with chosen.out.open("a") as out:
                out.write(json.dumps({**seen, "wrong": wrong}) + "\n")
    if failed and not chosen.report_only:
        sys.exit(f"FAILED: {', '.join(failed)}")


if __name__ == "__main__":
    main()
