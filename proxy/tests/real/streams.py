"""Answers and bodies as they come: events, slow pages, interim answers, trailers, large bodies in bounded memory, early answers.

curl over HTTP/1.1 and HTTP/2, plain sockets and the library `h2`. What passes is timed where it must not wait, and the process's
memory is measured where something waits.

usage: streams.py [--report-only] [WORD...]   (only cases whose name has one of these words)
"""
# needs: apt:curl apt:openssl pip:h2==4.2.0
import contextlib
import hashlib
import socket
import subprocess
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from cases import Wrong, case, chosen, conclude, expect, name_of
from origin import Origin
from stage import EVERYBODY, Stage, wiki

HOST = "wiki.test"
MIB = 1 << 20
LARGE = 64 * MIB
GROWTH_MIB = 24
# How late a piece may be, on a machine that has other work.
LATE = 0.25
PIECES, PAUSE = 5, 0.3

PATTERN = bytes(range(256)) * 256


# --- the app
def answer(request, sock):
    path = request.target
    if path.startswith("/events/"):
        framing = b"Transfer-Encoding: chunked\r\n" if path.endswith("chunked") else b""
        if path.endswith("length"):
            framing = b"Content-Length: %d\r\n" % sum(len(event(number)) for number in range(PIECES))
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + b"\r\n")
        for number in range(PIECES):
            time.sleep(PAUSE)
            world.sent.append(time.monotonic())
            data = event(number)
            sock.sendall(b"%x\r\n%s\r\n" % (len(data), data) if path.endswith("chunked") else data)
        if path.endswith("chunked"):
            return b"0\r\n\r\n"
        return b"" if path.endswith("length") else None
    if path == "/hash":
        return ok(hashlib.sha256(request.body).hexdigest().encode())
    if path == "/large":
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        with contextlib.suppress(OSError):
            for _ in range(LARGE // len(PATTERN)):
                sock.sendall(PATTERN)
        return b""
    if path == "/large-chunked":
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(LARGE // len(PATTERN)):
                sock.sendall(b"%x\r\n%s\r\n" % (len(PATTERN), PATTERN))
        return b"0\r\n\r\n"
    if path == "/hints":
        return b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + ok(b"page")
    if path == "/trailers":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\npage\r\n0\r\nX-Sum: 12\r\n\r\n"
    if path == "/204":
        return b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"
    if path == "/304":
        return b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 4\r\n\r\n"
    if path == "/hop":
        return ok(b"page", b"Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-Kept: 1\r\n")
    if path == "/chunked":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n"
    return ok(b"page") if request.method != "HEAD" else b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


def before(request, sock):
    """What the app does before it reads the body."""
    path = request.target
    if path == "/echo":
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        left, reader = int(request.get("content-length") or LARGE), request.reader
        chunked = request.get("transfer-encoding") == "chunked"
        while left:
            if chunked:
                size = int(reader.until(b"\r\n"), 16)
                if not size:
                    break
                data = reader.exactly(size)
                reader.exactly(2)
            else:
                if not reader.buffer:
                    reader.more()
                data, reader.buffer = reader.buffer[:left], reader.buffer[left:]
                left -= len(data)
            sock.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        sock.sendall(b"0\r\n\r\n")
        raise EOFError
    if path == "/early":
        time.sleep(0.5)
        sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
        time.sleep(3)
        raise EOFError
    if path == "/continue":
        world.asked.append(request.get("expect"))
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if path == "/refuses-early":
        sock.sendall(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
        raise EOFError
    if path == "/slow-app":
        time.sleep(2.5)


def ok(body, more=b""):
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (more, len(body), body)


def event(number):
    return b"data: event %d\n\n" % number


# --- clients
def curl(path, *more, version="1.1", stdin=None, **options):
    """curl's command for a path over a version of HTTP."""
    return ["curl", "-sS", "--noproxy", "*", "--max-time", "40", "--http2-prior-knowledge" if version == "2" else f"--http{version}", "-H", f"Host: {HOST}", "-H", f"Authorization: Bearer {world.token}", *more,
            f"http://127.0.0.1:{world.port}{path}"]


def connect(path, method="GET", more="", version="1.1", token=True):
    sock = socket.create_connection(("127.0.0.1", world.port), 20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bearer = f"Authorization: Bearer {world.token}\r\n" if token else ""
    sock.sendall(f"{method} {path} HTTP/{version}\r\nHost: {HOST}\r\n{bearer}{more}\r\n".encode())
    return sock


def until(sock, mark, seconds=10):
    data, end = b"", time.monotonic() + seconds
    while mark not in data:
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            piece = sock.recv(65536)
        except TimeoutError:
            raise Wrong(f"waited {seconds} s for {mark!r}; came {data[-300:]!r}") from None
        if not piece:
            raise Wrong(f"the end before {mark!r}; came {data[-300:]!r}")
        data += piece
    return data


def by_h2(path):
    """Status, body, interim statuses and trailers over HTTP/2."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="latin-1"))
    interim, trailers, fields, body = [], {}, {}, b""
    with socket.create_connection(("127.0.0.1", world.port), 20) as sock:
        connection.initiate_connection()
        connection.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", path), ("authorization", f"Bearer {world.token}"), ("te", "trailers")], end_stream=True)
        sock.sendall(connection.data_to_send())
        while True:
            piece = sock.recv(65536)
            expect(piece, "the connection ended")
            for found in connection.receive_data(piece):
                if isinstance(found, h2.events.InformationalResponseReceived):
                    interim.append(dict(found.headers)[":status"])
                elif isinstance(found, h2.events.ResponseReceived):
                    fields = dict(found.headers)
                elif isinstance(found, h2.events.DataReceived):
                    body += found.data
                elif isinstance(found, h2.events.TrailersReceived):
                    trailers = dict(found.headers)
                elif isinstance(found, h2.events.StreamReset):
                    raise Wrong(f"reset {found.error_code}")
                elif isinstance(found, h2.events.StreamEnded):
                    return fields, body, interim, trailers
            sock.sendall(connection.data_to_send())


class Memory:
    """The most that the process grows by, looked at twenty times a second."""

    def __enter__(self):
        self.before, self.most, self.over = world.resident(), 0, threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()
        return self

    def look(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, world.resident() - self.before)

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join()
        if kind is None:
            expect(self.most < GROWTH_MIB, f"the process grew by {self.most:.0f} MiB")

    def told(self):
        return f"memory +{self.most:.1f} MiB"


# --- cases
def events_are_not_held(framing, version):
    def run():
        world.sent.clear()
        process = subprocess.Popen(curl(f"/events/{framing}", "-N", version=version), stdout=subprocess.PIPE)
        lates = []
        for number in range(PIECES):
            data = b""
            while not data.endswith(event(number)):
                piece = process.stdout.read(1)
                expect(piece, f"the end in event {number}: {data!r}")
                data += piece
            lates.append(time.monotonic() - world.sent[number])
        process.stdout.read()
        expect(process.wait(10) == 0, f"curl ended with {process.returncode}")
        expect(max(lates) < LATE, f"events were late by {', '.join(f'{late:.2f}' for late in lates)} s")
        return f"at most {max(lates) * 1000:.0f} ms late"
    run.__name__ = f"pieces_every_{PAUSE}_s_{framing}_over_http/{version}"
    return run


for framing in ("chunked", "until-end", "length"):
    for version in ("1.1", "2"):
        case(events_are_not_held(framing, version))


@case
def the_head_comes_before_the_body():
    sock = connect("/events/chunked")
    begun = time.monotonic()
    until(sock, b"\r\n\r\n")
    expect(time.monotonic() - begun < PAUSE, f"after {time.monotonic() - begun:.2f} s")
    sock.close()


def upload(version, framing):
    def run():
        data = PATTERN * (LARGE // len(PATTERN))
        more = ["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []
        with Memory() as grown:
            done = subprocess.run(curl("/hash", "-H", "Expect:", *more, "--data-binary", "@-", version=version), input=data, capture_output=True)
        expect(done.stdout == hashlib.sha256(data).hexdigest().encode(), f"{done.returncode} {done.stdout[:80]!r} {done.stderr!r}")
        return grown.told()
    run.__name__ = f"64_MiB_up_{framing}_over_http/{version}"
    return run


def download(version, path):
    def run():
        with Memory() as grown:
            process = subprocess.Popen(curl(path, version=version), stdout=subprocess.PIPE)
            digest, count = hashlib.sha256(), 0
            while piece := process.stdout.read(1 << 16):
                digest.update(piece)
                count += len(piece)
        expect((process.wait(10), count) == (0, LARGE) and digest.hexdigest() == world.large, f"curl {process.returncode}, {count} bytes")
        return grown.told()
    run.__name__ = f"64_MiB_down{path.replace('/large', '')}_over_http/{version}"
    return run


def echo(version):
    def run():
        with Memory() as grown:
            process = subprocess.Popen(curl("/echo", "-H", "Expect:", "-T", "-", "-X", "POST", version=version), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            digest, count = hashlib.sha256(), 0

            def send():
                with contextlib.suppress(OSError):
                    for _ in range(LARGE // len(PATTERN)):
                        process.stdin.write(PATTERN)
                    process.stdin.close()

            threading.Thread(target=send, daemon=True).start()
            while piece := process.stdout.read(1 << 16):
                digest.update(piece)
                count += len(piece)
        expect((process.wait(10), count) == (0, LARGE) and digest.hexdigest() == world.large, f"curl {process.returncode}, {count} bytes")
        return grown.told()
    run.__name__ = f"64_MiB_there_and_back_over_http/{version}"
    return run


for version in ("1.1", "2"):
    case(upload(version, "length"))
    case(upload(version, "chunked"))
    case(download(version, "/large"))
    case(download(version, "/large-chunked"))
    case(echo(version))


@case
def what_a_client_does_not_read_waits_at_the_app():
    with Memory() as grown:
        sock = connect("/large")
        until(sock, b"\r\n\r\n")
        time.sleep(1.5)
        sock.close()
    return grown.told()


@case
def what_an_app_does_not_read_waits_at_the_client():
    data = PATTERN * (LARGE // len(PATTERN))
    with Memory() as grown:
        done = subprocess.run(curl("/slow-app", "-H", "Expect:", "--data-binary", "@-"), input=data, capture_output=True)
    expect(done.stdout == b"page", f"{done.returncode} {done.stdout[:80]!r} {done.stderr!r}")
    return grown.told()


@case
def an_answer_before_100_mib_are_sent_over_http_1_1():
    begun = time.monotonic()
    process = subprocess.Popen(curl("/early", "-H", "Expect:", "-T", "-", "-w", " %{http_code}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def send():
        with contextlib.suppress(OSError, ValueError):
            for _ in range(100 * MIB // len(PATTERN)):
                process.stdin.write(PATTERN)

    threading.Thread(target=send, daemon=True).start()
    back = process.stdout.read()
    took = time.monotonic() - begun
    process.kill()
    process.wait()
    expect(b"no\n" in back and b"401" in back, f"{back!r} {process.stderr.read()[-100:]!r}")
    expect(took < 2.5, f"401 came after {took:.1f} s")
    return f"after {took:.2f} s of 0.5"


@case
def an_answer_before_100_mib_are_sent_over_http_2():
    """By the library: curl 7.88 forgets an answer that a reset without an error follows."""
    connection, begun, body, sent = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True)), time.monotonic(), b"", 0
    with socket.create_connection(("127.0.0.1", world.port), 20) as sock:
        connection.initiate_connection()
        connection.send_headers(1, [(":method", "PUT"), (":scheme", "http"), (":authority", HOST), (":path", "/early"), ("authorization", f"Bearer {world.token}")])
        while time.monotonic() < begun + 10:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                while sent < 100 * MIB and (size := min(16_384, connection.local_flow_control_window(1))):
                    connection.send_data(1, PATTERN[:size])
                    sent += size
            sock.settimeout(10)
            sock.sendall(connection.data_to_send())
            sock.settimeout(0.05)
            try:
                piece = sock.recv(65536)
            except TimeoutError:
                continue
            expect(piece, "the connection ended")
            for found in connection.receive_data(piece):
                if isinstance(found, h2.events.ResponseReceived):
                    expect(dict(found.headers)[b":status"] == b"401", found.headers)
                elif isinstance(found, h2.events.DataReceived):
                    body += found.data
                elif isinstance(found, h2.events.StreamReset):
                    raise Wrong(f"reset {found.error_code} before the answer was whole")
                elif isinstance(found, h2.events.StreamEnded):
                    took = time.monotonic() - begun
                    expect(body == b"no\n" and took < 2.5, f"{body} after {took:.1f} s")
                    return f"after {took:.2f} s of 0.5, {sent >> 10} KiB were sent"
    raise Wrong("no answer in 10 s")


# --- Expect: 100-continue
@case
def an_app_s_100_reaches_the_client_before_its_body():
    world.asked.clear()
    sock = connect("/continue", "POST", "Content-Length: 3\r\nExpect: 100-continue\r\n")
    first = until(sock, b"\r\n\r\n")
    expect(first.startswith(b"HTTP/1.1 100"), first)
    sock.sendall(b"abc")
    back = first.partition(b"\r\n\r\n")[2] or until(sock, b"\r\n\r\n")
    expect(back.startswith(b"HTTP/1.1 200"), back)
    expect(world.asked == ["100-continue"], f"the app was asked {world.asked}")


@case
def an_app_that_says_no_100_gets_the_body_when_it_comes():
    sock = connect("/hash", "POST", "Content-Length: 3\r\nExpect: 100-continue\r\n")
    sock.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        sock.recv(1)
    sock.sendall(b"abc")
    back = until(sock, b"\r\n\r\n")
    expect(b"HTTP/1.1 200" in back, back)


@case
def an_app_that_refuses_an_expectation_is_heard_before_the_body():
    sock = connect("/refuses-early", "POST", "Content-Length: 1000000\r\nExpect: 100-continue\r\n")
    back = until(sock, b"\r\n\r\n", 3)
    expect(back.startswith(b"HTTP/1.1 417"), back)


@case
def our_refusal_of_an_expectation_comes_before_the_body_and_without_100():
    sock = connect("/hash", "POST", "Content-Length: 1000000\r\nExpect: 100-continue\r\n", token=False)
    back = until(sock, b"\r\n\r\n", 3)
    expect(back.startswith(b"HTTP/1.1 401"), back)


@case
def curl_waits_for_100_and_uploads():
    for version in ("1.1",):
        done = subprocess.run(curl("/continue", "-H", "Expect: 100-continue", "--data-binary", "abc", version=version), capture_output=True)
        expect(done.stdout == b"page", f"{done.stdout!r} {done.stderr!r}")


# --- heads
@case
def a_103_reaches_the_client_before_the_answer():
    sock = connect("/hints")
    back = until(sock, b"page")
    expect(back.startswith(b"HTTP/1.1 103") and b"preload" in back.split(b"\r\n\r\n")[0] and b"HTTP/1.1 200" in back, back)
    fields, body, interim, _ = by_h2("/hints")
    expect((fields[":status"], body) == ("200", b"page") and interim in ([], ["103"]), f"{fields[':status']} {interim}")
    return "over HTTP/2 too" if interim else "over HTTP/2 it is left out"


@case
def an_old_client_gets_no_103_and_no_chunks():
    for path in ("/hints", "/chunked", "/events/chunked"):
        sock = connect(path, version="1.0")
        back = b""
        while piece := sock.recv(65536):
            back += piece
        head, _, body = back.partition(b"\r\n\r\n")
        expect(b" 200 " in head.split(b"\r\n")[0] and b"transfer-encoding" not in head.lower(), head)
        expect(body in (b"page", b"".join(event(number) for number in range(PIECES))), body)


@case
def head_204_and_304_have_no_body():
    for version in ("1.1", "2"):
        for path, more, status in (("/", ["--head"], "200"), ("/204", [], "204"), ("/304", [], "304")):
            done = subprocess.run(curl(path, *more, "-o", "/dev/null", "-w", "%{http_code} %{size_download}", version=version), capture_output=True, text=True)
            expect(done.stdout == f"{status} 0", f"{path} over {version}: {done.stdout} {done.stderr}")
    sock = connect("/204")
    head = until(sock, b"\r\n\r\n").lower()
    expect(b"content-length" not in head and b"transfer-encoding" not in head, head)
    # The connection goes on with the next answer.
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {world.token}\r\n\r\n".encode())
    expect(until(sock, b"page").startswith(b"HTTP/1.1 200"), "another answer")


@case
def fields_of_one_connection_end_there_both_ways():
    sock = connect("/hop", more="Connection: keep-alive, te\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-Kept: 1\r\nX-Case: hop\r\n")
    head = until(sock, b"page").partition(b"\r\n\r\n")[0].lower()
    for name in (b"x-hop", b"keep-alive:", b"proxy-connection", b"upgrade"):
        expect(name not in head, f"{name} of the app reached the client: {head}")
    expect(b"x-kept" in head, head)
    asked = world.origin.asked("x-case", "hop")[-1]
    for name in ("keep-alive", "proxy-connection", "te"):
        expect(asked.get(name) is None, f"{name} of the client reached the app: {asked.fields}")
    expect(asked.get("x-kept") == "1", asked.fields)
    # A field that would vanish after the decision is none that a client may name.
    expect(b" 400 " in until(connect("/hop", more="Connection: x-mine\r\nX-Mine: 1\r\n"), b"\r\n\r\n"), "it may be named")


@case
def trailers_of_the_app_reach_the_client():
    _, body, _, trailers = by_h2("/trailers")
    expect((body, trailers) == (b"page", {"x-sum": "12"}), f"over HTTP/2: {body} {trailers}")
    sock = connect("/trailers", more="TE: trailers\r\nConnection: close\r\n")
    back = b""
    while piece := sock.recv(65536):
        back += piece
    framed = back.partition(b"\r\n\r\n")[2].lower()
    expect(framed in (b"4\r\npage\r\n0\r\nx-sum: 12\r\n\r\n", b"4\r\npage\r\n0\r\n\r\n"), f"over HTTP/1.1: {back}")
    return "over both versions" if b"x-sum" in framed else "over HTTP/2; over HTTP/1.1 they are left out"


@case
def trailers_of_the_client_reach_the_app_or_are_left_out():
    sock = connect("/hash", "POST", "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\nX-Case: trailers\r\n")
    sock.sendall(b"3\r\nabc\r\n0\r\nX-Sum: 12\r\n\r\n")
    until(sock, b"\r\n\r\n")
    asked = world.origin.asked("x-case", "trailers")[-1]
    expect(asked.body == b"abc" and asked.trailers in ([("x-sum", "12")], []), f"{asked.body} {asked.trailers}")
    return "they reach it" if asked.trailers else "they are left out"


def main():
    global world
    failed = []
    with Stage() as world:
        world.sent, world.asked = [], []
        digest = hashlib.sha256()
        for _ in range(LARGE // len(PATTERN)):
            digest.update(PATTERN)
        world.large = digest.hexdigest()
        world.origin = world.enter_context(Origin(answer, before))
        world.port = world.portcullis(wiki(world.origin.port, (HOST,)) + 'body-max = "128MiB"\n', EVERYBODY)
        world.token = world.token()
        ran = chosen()
        for one in ran:
            name, begun = name_of(one), time.monotonic()
            try:
                note = one()
                print(f"ok: {name} ({time.monotonic() - begun:.1f} s{', ' + note if note else ''})", flush=True)
            except (Wrong, OSError) as why:
                failed.append(name)
                print(f"FAILED: {name}: {str(why)[:400]}", flush=True)
        for odd in world.origin.odds:
            failed.append(f"the app got what a strict reader does not read: {odd}")
        if world.process.poll() is not None:
            failed.append("Portcullis ended")
    conclude(ran, failed)


main()
