"""What is passed on has one reading: requests odd and illegal, as nginx, http.server, aiohttp and a strict reader saw them.

A seeded generator writes requests that are legal, odd, or wrong in one or two ways, and sends each as raw bytes for each of four apps,
behind which the same proxy stands. What is answered by an app must have been read there as exactly one request, with the method, path, host
and body that all the others read and that the decision log says was judged; the answer must be that request's own. What is refused has
our 4xx, and no app read a whole request of it. Nothing that was hidden in a body or behind a request may ever be read as a request.

usage: differential.py [--report-only] [--seed N] [--count N] [--show N]   (`--show` sends request N alone and prints it)
"""
# needs: apt:nginx pip:aiohttp==3.14.5
import argparse
import asyncio
import collections
import concurrent.futures
import http.server
import json
import random
import re
import socket
import threading
import time

import aiohttp.web

from origin import Origin
from stage import EVERYBODY, Stage, free_port, listens, wait_for

HOST = "{kind}.test"
KINDS = ("strict", "nginx", "python", "aiohttp")
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  log_format seen escape=json '{{"case": "$http_x_case", "method": "$request_method", "target": "$request_uri", "host": "$http_host", "body": "$request_body", "status": "$status"}}';
  access_log {folder}/seen.log seen; keepalive_requests 100000;
  client_body_buffer_size 1m; client_body_in_single_buffer on; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{sink}; }} }}
}}
"""
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: wiki.test\r\nX-Case: smuggled\r\nContent-Length: 0\r\n\r\n"
Seen = collections.namedtuple("Seen", "method target host length")


class Generator:
    """Writes requests: `write(number)` gives the bytes for each app and whether they may want more bytes than there are."""

    def __init__(self, seed, token):
        self.seed, self.token = seed, token

    def write(self, number, host):
        self.chooser = chooser = random.Random(self.seed * 1_000_003 + number)
        wrongs = chooser.choices((0, 1, 2), (15, 65, 20))[0]
        odd = set(chooser.sample(("method", "target", "version", "spaces", "ends", "host", "framing", "field", "body", "behind", "before"), wrongs))
        pick = lambda what, plain, odds: chooser.choice(odds if what in odd else plain)
        method = pick("method", (b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS"), (b"get", b"G-T", b"PROPFIND", b"X" * 300, b"", b"G\0T", b"GET\t", b"CONNECT", b"TRACE", b"G(T", b"\xe9", b"PRI", b"HEAD "))
        target = pick("target", (b"/", b"/a?b=c", b"/a/b/c", b"/index.html", b"/a?b=%20&c=/d"),
                      (b"/%61", b"/a/../b", b"/a/./b", b"//x", b"/a//b", b"/a;b", b"/a\\b", b"/a%2fb", b"/a%5cb", b"/a b", b"/\xc3\xbc", b"/%c3%bc", b"/a#f", b"*", b"http://" + host + b"/a", b"http://other.test/a", b"https://" + host + b"/a",
                       b"a", b"/?%00", b"/%00", b"/a%0d%0ab", b"/" + b"a" * 7000, b"/..", b"/%2e%2e/b", b"/a%", b"/a%zz", b"/a?x=/../y", b"?x", b"", b"/\x01", b"/\x7f", b"/a?b c", b"/a?\xff", b"/a|b", b"/a\"b", b"/<>", b"/a?x=[1]&y={2}", b"/.portcullis/x",
                       b"/a?", b"/a??b", b"/a%20b", b"/A", b"/a,b", b"/a:b", b"/a@b", b"/~a", b"http://" + host, b"http://a@" + host + b"/", b"///", b"/%252e", b"/a\tb"))
        version = pick("version", (b"HTTP/1.1",), (b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 ", b"HTTP/11", b"HTTP/1.10", b"HTTP /1.1", b"", b"HTTP/1", b"HTTP/3.1", b"HTTP/1.1\0"))
        first, second = pick("spaces", ((b" ", b" "),), ((b"  ", b" "), (b" ", b"  "), (b"\t", b" "), (b" ", b"\t"), (b"\x0b", b" "), (b" ", b"\x0c"), (b"\xa0", b" "), (b" ", b"")))
        end, last = pick("ends", ((b"\r\n", b"\r\n"),), ((b"\n", b"\n"), (b"\r\n", b"\n"), (b"\n", b"\r\n"), (b"\r", b"\r"), (b"\r\r\n", b"\r\n"), (b"\r\n", b"\r\r\n"), (b"\n\r", b"\n\r")))
        before = pick("before", (b"",), (b"\r\n", b"\r\n\r\n\r\n", b"\n", b" ", b"\0", b"\r", b"X\r\n", b"\xef\xbb\xbf", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"))
        lines = list(pick("host", ([b"Host: " + host],),
                          ([], [b"Host:"], [b"Host: " + host.upper()], [b"Host: " + host + b":80"], [b"Host: " + host + b":x"], [b"Host: " + host, b"Host: " + host], [b"Host: " + host, b"Host: other.test"], [b"Host: a@" + host], [b"Host: " + host + b"."],
                           [b"Host : " + host], [b"Host:\r\n " + host], [b"Host: " + host + b" x"], [b"Host: " + host + b", " + host], [b"Host: " + host + b"/x"], [b"Host: [" + host + b"]"], [b"host:" + host], [b"HOST:\t" + host + b" \t"], [b"Host: other.test"], [b"\tHost: " + host],
                           [b"Host: " + host + b"\0"], [b"Host: " + host + b"#x"], [b"Host: " + host + b"?x"], [b"Host: " + host + b"\\x"], [b"Host: " + host + b":80:80"], [b"Host: %61" + host[1:]], [b"X-Forwarded-Host: other.test", b"Host: " + host])))
        body, is_short = self.framing(odd, method, lines)
        lines += [b"X-Case: %d" % number, b"Authorization: Bearer " + self.token]
        if "field" in odd:
            lines.insert(chooser.randrange(len(lines) + 1), chooser.choice((
                b"X_Case: 1", b"X-A: \0", b"X-A: a\rb", b"X-A: a\r\n b", b"X-A", b": a", b"X A: 1", b"X-A : 1", b"X-\xe9: 1", b"X-A: \xe9", b"X-A: " + b"a" * 40_000, b"Connection: x-case", b"Connection: close, authorization", b"Connection: host", b"Connection: content-length",
                b"Connection: transfer-encoding", b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", b"Upgrade: websocket", b"Expect: 100-continue", b"Expect: 200-ok", b"TE: gzip", b"TE: trailers", b"Range: bytes=0-", b"Content-Length\0: 3",
                b"Transfer_Encoding: chunked", b"Content_Length: 5", b"X-Http-Method-Override: DELETE", b"X-Original-URL: /admin", b"X-Rewrite-URL: /admin", b"Trailer: content-length", b"Keep-Alive: 5", b"Proxy-Connection: keep-alive", b"X-A: 1\x0b", b"X-A: \x7f", b"Cookie: a=b\r\nCookie: c=d",
                b"X-A:" + b" " * 3000 + b"b", b"\r\n".join(b"X-%d: a" % number for number in range(120)), b"Connection: keep-alive, keep-alive,,", b"Connection: ", b"X-A: a\nX-Case: smuggled", b"GET /smuggled HTTP/1.1", b"Max-Forwards: 0")))
        chooser.shuffle(lines) if chooser.random() < 0.3 else None
        behind = pick("behind", (b"",), (SMUGGLED, b"\r\n" + SMUGGLED, b"\r\n", b"garbage", b"0\r\n\r\n" + SMUGGLED, SMUGGLED * 3, b"\0"))
        head = before + method + first + target + second + version + end + b"".join(line + end for line in lines) + last
        return head + body + behind, is_short or "ends" in odd or "field" in odd or "version" in odd or "method" in odd

    def framing(self, odd, method, lines):
        """Adds the lines that frame a body; gives its bytes and whether a reader may wait for more."""
        chooser = self.chooser
        payload = chooser.choice((b"", b"abc", b"x" * 5000, SMUGGLED, b"0\r\n\r\n" + SMUGGLED))
        chunks = lambda data, size=b"%x", after=b"\r\n": b"".join(size % len(data[at:at + 3000]) + b"\r\n" + data[at:at + 3000] + after for at in range(0, len(data), 3000)) + b"0\r\n\r\n"
        n = b"%d" % len(payload)
        if "framing" not in odd and "body" not in odd:
            if method in (b"GET", b"OPTIONS") and chooser.random() < 0.7:
                return b"", False
            if chooser.random() < 0.5:
                lines.append(b"Content-Length: " + n)
                return payload, False
            lines.append(b"Transfer-Encoding: chunked")
            return chunks(payload), False
        if "body" in odd and chooser.random() < 0.8:
            lines.append(b"Transfer-Encoding: chunked")
            payload = payload or b"abc"
            return chooser.choice((
                chunks(payload, b"%x;a=b"), chunks(payload, b"%x;a=\"b\"c"), chunks(payload, b"%X"), chunks(payload, b"000%x"), chunks(payload, b"%x "), chunks(payload, b" %x"), chunks(payload, b"0x%x"), chunks(payload, b"+%x"), chunks(payload, b"-%x"),
                chunks(payload, b"%x", b"\n"), chunks(payload, b"%x", b""), chunks(payload, b"%x", b"\r"), chunks(payload, b"%x", b"XX"), chunks(payload, b"%x\0"), chunks(payload, b"%x;" + b"a" * 9000), chunks(payload, b"%x;a\nb"), chunks(payload, b"%x;\rb"),
                chunks(payload).replace(b"\r\n", b"\n"), b"3\r\nabc\r\n0\r\n", b"3\r\nabc", b"3\r\nabc\r\n", b"ffffffffffffffff3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
                b"3\r\nabc\r\n0\r\nX T\r\n\r\n", b"3\r\nabc\r\n0\r\nX-T : 1\r\n\r\n", b"3\r\nabc\r\n0\r\n" + SMUGGLED, b"3\r\nabc\r\n00000\r\n\r\n", b"3\r\nabc\r\n0;a\r\n\r\n", b"\r\nabc\r\n0\r\n\r\n", b"3\nabc\r\n0\r\n\r\n", b"0\n\n" + SMUGGLED, b"1\r\na\r\n\r\n" + SMUGGLED,
                b"3\r\nabc\r\n0\r\nX-T: a\nX-U: b\r\n\r\n", b"_3\r\nabc\r\n0\r\n\r\n", b"3_0\r\nabc\r\n0\r\n\r\n", b"3\r\n" + b"abc" + b"\r\n0\r\n\rX" + SMUGGLED)), True
        kind = chooser.randrange(30)
        odds = [[b"Content-Length: " + n, b"Content-Length: " + n], [b"Content-Length: " + n + b", " + n], [b"Content-Length: 1", b"Content-Length: " + n], [b"Content-Length: +" + n], [b"Content-Length: -" + n], [b"Content-Length: 0" + n], [b"Content-Length: 0x%x" % len(payload)],
                [b"Content-Length: " + n + b" x"], [b"Content-Length:"], [b"Content-Length: 1 1"], [b"Content-Length: " + n + b"\x0b"], [b"Content-Length : " + n], [b"Content-Length\t: " + n], [b"Content-Length:\r\n " + n], [b"Content-Length: 99999999999999999999"], [b"Content-Length: 18446744073709551616"],
                [b"Content-Length: 1_0"]]
        if kind < len(odds):
            lines += odds[kind]
            return payload, True
        if chooser.random() < 0.3:
            lines.append(chooser.choice((b"Content-Length: 3", b"Content-Length: 0", b"Content-Length: " + n)))
        lines += chooser.choice(([b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: Chunked"], [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: identity"], [b"Transfer-Encoding: gzip, chunked"], [b"Transfer-Encoding: chunked, identity"],
                                 [b"Transfer-Encoding: xchunked"], [b"Transfer-Encoding: \x0bchunked"], [b"Transfer-Encoding:\x0cchunked"], [b"Transfer-Encoding: chunked;q=1"], [b"Transfer-Encoding : chunked"], [b"Transfer-Encoding:\r\n chunked"], [b"Transfer-Encoding: \"chunked\""],
                                 [b"Transfer-Encoding: chunked,"], [b"Transfer-Encoding:"], [b"Transfer-Encoding: ,chunked"], [b"transfer-encoding:chunked"], [b"Transfer-Encoding: chunked\0"], [b" Transfer-Encoding: chunked"], [b"X: a\nTransfer-Encoding: chunked"], [b"Transfer-Encoding: chunk\x65d\t"]))
        return chunks(payload), True


class App:
    """What an app saw: `seen[case]` is a list of `Seen`."""

    def __init__(self):
        self.seen, self.lock = collections.defaultdict(list), threading.Lock()

    def note(self, case, *what):
        with self.lock:
            self.seen[case].append(Seen(*what))


class Strict(App):
    def start(self, stage):
        self.origin = stage.enter_context(Origin(self.answer))
        return self.origin.port

    def answer(self, request, sock):
        case = request.get("x-case", "none")
        self.note(case, request.method, request.target, request.get("host"), len(request.body))
        body = b"case " + case.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + (b"" if request.method == "HEAD" else body)


class Nginx(App):
    def start(self, stage):
        self.sink = Strict()
        sink = self.sink.start(stage)
        self.folder, port = stage.folder, free_port()
        (stage.folder / "nginx.conf").write_text(NGINX.format(folder=stage.folder, port=port, sink=sink))
        stage.start(["nginx", "-c", stage.folder / "nginx.conf"])
        listens(port)
        return port

    def read(self):
        for line in (self.folder / "seen.log").read_bytes().decode("latin-1").splitlines():
            one = json.loads(line, strict=False)
            method = one["method"] if one["status"].startswith("2") else f"refused {one['status']}"
            self.seen[one["case"] or f"none {line}"].append(Seen(method, one["target"], one["host"], len(one["body"].encode("latin-1"))))


class Python(App):
    """The server of Python's standard library, with a lenient reader of chunks, as people write it."""

    def start(self, stage):
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    body = b""
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    while self.rfile.readline().strip():
                        pass
                else:
                    wanted = int(self.headers.get("Content-Length", 0))
                    body = self.rfile.read(wanted)
                    if len(body) < wanted:
                        return
                case = self.headers.get("X-Case", "none")
                app.note(case, self.command, self.path, self.headers.get("Host"), len(body))
                back = b"case " + case.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(back)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(back)

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return self.handle_any
                raise AttributeError(name)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 512

            def handle_error(self, request, address):
                """A request that broke off is not seen."""

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server.server_port


class Aiohttp(App):
    """aiohttp, whose parser is that of Node."""

    def start(self, stage):
        found, ready = [], threading.Event()

        async def handle(request):
            body = await request.read()
            case = request.headers.get("X-Case", "none")
            self.note(case, request.method, request.raw_path, request.headers.get("Host"), len(body))
            return aiohttp.web.Response(text=f"case {case}")

        async def serve():
            runner = aiohttp.web.ServerRunner(aiohttp.web.Server(handle))
            await runner.setup()
            site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            found.append(site._server.sockets[0].getsockname()[1])
            ready.set()
            await asyncio.Event().wait()

        threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
        ready.wait(20)
        return found[0]


def ask(port, data, may_wait):
    """Status and body of the first answer, all further statuses, and the request id; status 0 when nothing came."""
    back = b""
    end = time.monotonic() + 8
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        try:
            sock.sendall(data)
            if may_wait:
                # Whatever it waits for does not come: the end of what we send lets it go on.
                time.sleep(0.2)
                sock.shutdown(socket.SHUT_WR)
            while time.monotonic() < end:
                sock.settimeout(max(0.01, end - time.monotonic()))
                piece = sock.recv(65536)
                if not piece:
                    break
                back += piece
                found = whole(back)
                if found is not None and not may_wait:
                    # Anything more is a second answer: it had its time when it was sent at once.
                    sock.settimeout(0.02)
                    try:
                        back += sock.recv(65536)
                    except TimeoutError:
                        pass
                    break
        except OSError:
            pass
    statuses = [int(one) for one in re.findall(rb"(?:^|\n|[^\r\n])HTTP/1\.[01] (\d{3})", back)]
    final = [one for one in statuses if one >= 200]
    head, _, body = back.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 1"):
        head, _, body = body.partition(b"\r\n\r\n")
    request_id = re.search(rb"x-request-id: (\S+)", head, re.I)
    length = re.search(rb"content-length: (\d+)", head, re.I)
    return (final[0] if final else 0, body[:int(length[1])] if length else body, final[1:], request_id and request_id[1].decode())


def whole(back):
    """Whether a whole answer is there."""
    head, mark, body = back.partition(b"\r\n\r\n")
    if not mark:
        return None
    length = re.search(rb"content-length: (\d+)", head, re.I)
    return True if length and len(body) >= int(length[1]) else None


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--report-only", action="store_true")
    options.add_argument("--seed", type=int, default=25)
    options.add_argument("--count", type=int, default=2000)
    options.add_argument("--show", type=int)
    chosen = options.parse_args()
    with Stage() as stage:
        apps = dict(zip(KINDS, (Strict(), Nginx(), Python(), Aiohttp())))
        tables = "".join(f'\n[[app]]\nid = "{kind}"\nhosts = ["{kind}.test"]\nupstreams = ["http://127.0.0.1:{app.start(stage)}"]\n' for kind, app in apps.items())
        port = stage.portcullis(tables, EVERYBODY, log=", grants-one-in = 1")
        generator = Generator(chosen.seed, stage.token().encode())
        numbers = range(chosen.count) if chosen.show is None else [chosen.show]
        jobs = [(number, kind) for number in numbers for kind in KINDS]

        def one(job):
            number, kind = job
            data, may_wait = generator_of_thread().write(number, f"{kind}.test".encode())
            if chosen.show is not None:
                print(kind, data, flush=True)
            return data, may_wait, ask(port, data, may_wait)

        local = threading.local()

        def generator_of_thread():
            if not hasattr(local, "one"):
                local.one = Generator(chosen.seed, generator.token)
            return local.one

        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(48) as pool:
            results = dict(zip(jobs, pool.map(one, jobs)))
        took = time.monotonic() - begun
        time.sleep(0.3)
        apps["nginx"].read()
        answered = [found for *_, found in results.values() if 200 <= found[0] < 300]
        wait_for("the decision log", lambda: len(stage.decisions()) >= len(answered), 20)
        decisions = {line["requestId"]: line for line in stage.decisions()}
        failed, counts = [], collections.Counter()
        for number in numbers:
            readings = {}
            for kind in KINDS:
                data, may_wait, (status, body, more, request_id) = results[number, kind]
                seen = [one for one in apps[kind].seen.get(str(number), []) if not one.method.startswith("refused")]
                told = f"request {number} for {kind}: {data.replace(generator.token, b'TOKEN')[:300]!r}: {status} {body[:60]!r} {more}, seen {seen}"
                counts["passed" if 200 <= status < 300 else f"{status}" if status else "closed without a word"] += 1
                if 200 <= status < 300:
                    if len(seen) != 1:
                        failed.append(f"read {len(seen)} times: {told}")
                    elif seen[0].method != "HEAD" and body != f"case {number}".encode():
                        failed.append(f"another's answer: {told}")
                    else:
                        readings[kind] = seen[0]._replace(host=seen[0].host.lower().replace(kind, "KIND"), target=seen[0].target.replace(f"{kind}.test", "KIND.test"))
                        line = decisions.get(request_id)
                        if line is None:
                            failed.append(f"no line in the decision log for {request_id}: {told}")
                        elif not judged(line, seen[0]):
                            failed.append(f"judged was {json.dumps(line)[:600]}: {told}")
                elif status == 0:
                    # Closed without a word, as the client had ended what it sends before there was an answer: a request may be read by then.
                    if len(seen) > may_wait:
                        failed.append(f"no answer, and read: {told}")
                elif 400 <= status < 500:
                    if seen:
                        failed.append(f"refused, and read: {told}")
                elif status == 502 and kind in ("python", "nginx", "aiohttp"):
                    # The app refused it: it is stricter than HTTP where it may be. Nothing was read.
                    counts[f"502 of {kind}"] += 1
                else:
                    failed.append(f"status: {told}")
                if any(200 <= one < 300 for one in more):
                    failed.append(f"a second answer: {told}")
            if len(set(readings.values())) > 1:
                failed.append(f"request {number} has several readings: {readings}: {results[number, 'strict'][0][:300]!r}")
        for kind, app in apps.items():
            for case in app.seen:
                if not case.isdigit() and any(not one.method.startswith("refused") for one in app.seen[case]):
                    failed.append(f"{kind} read a request that nobody sent: {case} {app.seen[case]}")
        for odd in [*apps["strict"].origin.odds]:
            failed.append(f"the strict reader got {odd}")
        for line in failed[:40]:
            print(f"FAILED: {line[:1500]}")
        both = sum(1 for number in numbers if all(200 <= results[number, kind][2][0] < 300 for kind in KINDS))
        print(f"seed {chosen.seed}: {len(numbers)} requests, each for {len(KINDS)} apps, in {took:.0f} s: {both} were read by all of them, in one way each")
        print("answers: " + ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
        if stage.process.poll() is not None:
            failed.append("Portcullis ended")
        if failed and not chosen.report_only:
            raise SystemExit(f"FAILED: {len(failed)}")


def judged(line, seen):
    """Whether the line of the decision log is about the request that the app saw."""
    target = seen.target.partition("?")[0]
    path = re.sub("^[a-z]+://[^/]*", "", target) or "/"
    # Long ones are cut in the log, and end in `…` then.
    return all(seen_one.startswith(logged.removesuffix("…")) and (logged.endswith("…") or logged == seen_one) for logged, seen_one in ((line["method"], seen.method), (line["path"], path)))


main()
