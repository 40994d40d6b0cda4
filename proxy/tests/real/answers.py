"""Odd answers of an app: what curl, Python's http.client and an HTTP/2 client get, and what becomes of the app's connection.

Each answer is sent byte by byte by a plain socket. It is passed on as one plain answer, or is a 502, or (where the head has gone out) is
cut so that every client notices. Whatever it was, the next request is answered with its own answer, and an odd answer's connection
is never used again. The table that is printed is the record.

usage: answers.py [--report-only] [WORD...]   (only answers whose name has one of these words)
"""
# needs: apt:curl apt:openssl pip:h2==4.2.0
import concurrent.futures
import contextlib
import http.client
import itertools
import re
import socket
import struct
import subprocess
import sys
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from origin import Origin
from stage import EVERYBODY, Stage

PATIENCE = 20
CASES = []
RST = object()


def case(group, name, *pieces, want="502", status=200, body=b"abc", reuse=None, close=False, method="GET", absent=(), present=()):
    """`pieces` are bytes, or seconds to wait, or RST. `want` lists the outcomes that are right: `pass`, `502`, `cut`. `reuse` says whether the
    connection must be used again (True), must not (False) or may (None); after anything but a pass it must not."""
    CASES.append({"group": group, "name": name, "pieces": pieces, "want": want.split(), "status": status, "body": body, "reuse": reuse, "close": close,
                  "method": method, "absent": absent, "present": present})


def head(*fields, status="200 OK", version="HTTP/1.1"):
    return f"{version} {status}\r\n".encode() + b"".join((one if isinstance(one, bytes) else one.encode()) + b"\r\n" for one in fields) + b"\r\n"


LENGTH = "Content-Length: 3"
CHUNKED = "Transfer-Encoding: chunked"
ABC = b"3\r\nabc\r\n0\r\n\r\n"
POISON = head("Content-Length: 6") + b"poison"

# --- plain ones
case("plain", "Content-Length", head(LENGTH) + b"abc", want="pass", reuse=True)
case("plain", "chunked", head(CHUNKED) + ABC, want="pass", reuse=True)
case("plain", "chunked, in three", head(CHUNKED) + b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", want="pass", reuse=True)
case("plain", "until the end", head() + b"abc", want="pass", reuse=False, close=True)
case("plain", "an empty body by Content-Length: 0", head("Content-Length: 0"), want="pass", body=b"", reuse=True)
case("plain", "byte by byte", *[bytes([one]) for one in head(LENGTH) + b"abc"], want="pass", reuse=True)
case("plain", "Connection: close", head(LENGTH, "Connection: close") + b"abc", want="pass", reuse=False)
case("plain", "404 with a body", head(LENGTH, status="404 Not Found") + b"abc", want="pass", status=404, reuse=True)
case("plain", "an empty line before the status line", b"\r\n" + head(LENGTH) + b"abc", want="pass 502")

# --- version and status line
case("status line", "HTTP/1.0 with Content-Length", head(LENGTH, version="HTTP/1.0") + b"abc", want="pass", reuse=False)
case("status line", "HTTP/1.0 with keep-alive", head(LENGTH, "Connection: keep-alive", version="HTTP/1.0") + b"abc", want="pass")
case("status line", "HTTP/1.0 until the end", head(version="HTTP/1.0") + b"abc", want="pass", reuse=False, close=True)
case("status line", "HTTP/1.0 and chunked", head(CHUNKED, version="HTTP/1.0") + ABC, want="502 pass", reuse=False)
case("status line", "HTTP/1.2", head(LENGTH, version="HTTP/1.2") + b"abc", want="502 pass")
case("status line", "HTTP/2.0", head(LENGTH, version="HTTP/2.0") + b"abc")
case("status line", "http/1.1", head(LENGTH, version="http/1.1") + b"abc")
case("status line", "ICY", head(LENGTH, version="ICY") + b"abc")
case("status line", "no head (HTTP/0.9)", b"<html>abc</html>", close=True)
case("status line", "a banner of SSH", b"SSH-2.0-OpenSSH_9.2\r\n", close=True)
case("status line", "an alert of TLS", b"\x15\x03\x01\x00\x02\x02\x16", close=True)
case("status line", "two spaces before the status", b"HTTP/1.1  200 OK\r\nContent-Length: 3\r\n\r\nabc", want="502 pass")
case("status line", "a tab before the status", b"HTTP/1.1\t200 OK\r\nContent-Length: 3\r\n\r\nabc")
case("status line", "no reason", head(LENGTH, status="200 ") + b"abc", want="pass")
case("status line", "no reason and no space", head(LENGTH, status="200") + b"abc", want="pass 502")
for status in ("000", "099", "20", "2000", "abc", "-20", "2 0", "+200", "0x1"):
    case("status line", f"status {status}", head(LENGTH, status=f"{status} What") + b"abc")
case("status line", "status 600", head(LENGTH, status="600 What") + b"abc", want="502 pass", status=600)
case("status line", "status 999", head(LENGTH, status="999 What") + b"abc", want="502 pass", status=999)
case("status line", "NUL in the reason", b"HTTP/1.1 200 O\0K\r\nContent-Length: 3\r\n\r\nabc")
case("status line", "CR in the reason", b"HTTP/1.1 200 O\rK\r\nContent-Length: 3\r\n\r\nabc")
case("status line", "letters beyond ASCII in the reason", "HTTP/1.1 200 Größe\r\nContent-Length: 3\r\n\r\nabc".encode(), want="pass 502")
case("status line", "a reason of 1 MiB", head(LENGTH, status="200 " + "x" * (1 << 20)) + b"abc")

# --- length and coding
case("framing", "Content-Length and chunked", head(LENGTH, CHUNKED) + ABC, want="502 pass", reuse=False, absent=())
case("framing", "chunked and Content-Length", head(CHUNKED, "Content-Length: 13") + ABC, want="502 pass", reuse=False)
case("framing", "Content-Length twice, the same", head(LENGTH, LENGTH) + b"abc", want="502 pass", reuse=None)
case("framing", "Content-Length twice, unlike", head(LENGTH, "Content-Length: 5") + b"abcde")
case("framing", "Content-Length as a list, the same", head("Content-Length: 3, 3") + b"abc", want="502 pass")
case("framing", "Content-Length as a list, unlike", head("Content-Length: 3, 5") + b"abcde")
for value in ("+3", "-3", "0x3", "3.0", "3 3", "3;", "three", "99999999999999999999", "18446744073709551619", "3\x0b"):
    case("framing", f"Content-Length: {value!r}", head(f"Content-Length: {value}") + b"abc")
case("framing", "Content-Length, empty", head("Content-Length:") + b"abc", close=True)
for value in ("gzip, chunked", "chunked, chunked", "chunked, identity", "identity", "xchunked", "chunked;q=1", "\x0bchunked", "chunked\x0b", "chunked,", ""):
    case("framing", f"Transfer-Encoding: {value!r}", head(f"Transfer-Encoding: {value}") + ABC, close=True)
case("framing", "Transfer-Encoding: Chunked", head("Transfer-Encoding: Chunked") + ABC, want="pass", reuse=True)
case("framing", "Transfer-Encoding twice", head(CHUNKED, CHUNKED) + ABC, close=True)
case("framing", "Transfer-Encoding: identity and a length", head("Transfer-Encoding: identity", LENGTH) + b"abc", close=True)

# --- the head
case("head", "a space before the colon of a length", head("Content-Length : 3") + b"abc", want="502 pass", close=True)
case("head", "a space before the colon of a coding", head("Transfer-Encoding : chunked") + ABC, want="502 pass", close=True)
case("head", "a tab before a colon", head("X-A\t: 1", LENGTH) + b"abc", want="502 pass")
case("head", "a folded line", head("X-A: 1\r\n 2", LENGTH) + b"abc", want="502 pass")
case("head", "a folded length", head("Content-Length:\r\n 3") + b"abc", want="502 pass")
case("head", "a first line that begins with a space", head(" X-A: 1", LENGTH) + b"abc")
case("head", "a line without a colon", head("X-A", LENGTH) + b"abc")
case("head", "an empty name", head(": 1", LENGTH) + b"abc")
case("head", "a space in a name", head("X A: 1", LENGTH) + b"abc")
case("head", "NUL in a name", head("X\0A: 1", LENGTH) + b"abc")
case("head", "NUL in a value", head("X-A: 1\0", LENGTH) + b"abc")
case("head", "CR in a value", head("X-A: 1\rSet-Cookie: a=b", LENGTH) + b"abc")
case("head", "a control letter in a value", head("X-A: 1\x01", LENGTH) + b"abc")
case("head", "letters beyond ASCII in a value", head(b"X-A: \xe9\xc3\xa9", LENGTH) + b"abc", want="pass 502", reuse=None)
case("head", "letters beyond ASCII in a name", head(b"X-\xe9: 1", LENGTH) + b"abc")
case("head", "lines that end in LF alone", b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", want="502 pass")
case("head", "one line that ends in LF alone", b"HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 3\r\n\r\nabc", want="502 pass")
case("head", "a length behind LF", b"HTTP/1.1 200 OK\r\nContent-Length: 30\nContent-Length: 3\r\n\r\nabc")
case("head", "lines that end in CR alone", b"HTTP/1.1 200 OK\rContent-Length: 3\r\rabc", close=True)
case("head", "a line of 1 MiB", head("X-A: " + "a" * (1 << 20), LENGTH) + b"abc")
case("head", "a line of 200 KiB", head("X-A: " + "a" * (200 << 10), LENGTH) + b"abc")
case("head", "ten lines of 1 KiB", head(*[f"X-{number}: {'a' * 1000}" for number in range(10)], LENGTH) + b"abc", want="pass", reuse=True)
case("head", "1,000 lines", head(*[f"X-{number}: a" for number in range(1000)], LENGTH) + b"abc")
case("head", "20,000 lines", head(*[f"X-{number}: a" for number in range(20_000)], LENGTH) + b"abc")
case("head", "a head that never ends", b"HTTP/1.1 200 OK\r\n", *[b"X-A: " + b"a" * 60_000 + b"\r\n"] * 200)
case("head", "fields of one connection", head(LENGTH, "Connection: x-hop, keep-alive", "Keep-Alive: timeout=5", "X-Hop: 1", "Proxy-Connection: x", "Upgrade: h2c", "TE: trailers", "X-Kept: 1") + b"abc",
     want="pass", absent=("x-hop", "keep-alive", "proxy-connection", "upgrade", "te"), present=("x-kept",))
case("head", "Connection names what frames the body", head(LENGTH, "Connection: content-length, set-cookie", "Set-Cookie: a=b") + b"abc", want="pass 502")

# --- chunks
for name, body in (("a size that is no number", b"xyz\r\nabc\r\n0\r\n\r\n"), ("a negative size", b"-3\r\nabc\r\n0\r\n\r\n"), ("0x before a size", b"0x3\r\nabc\r\n0\r\n\r\n"), ("an empty size", b"\r\nabc\r\n0\r\n\r\n"),
                   ("a size beyond 64 bits", b"10000000000000003\r\nabc\r\n0\r\n\r\n"), ("a size with a sign", b"+3\r\nabc\r\n0\r\n\r\n"), ("a space before a size", b" 3\r\nabc\r\n0\r\n\r\n"),
                   ("LF alone behind a size", b"3\nabc\r\n0\r\n\r\n"), ("CR alone behind a size", b"3\rabc\r\n0\r\n\r\n"), ("no line end behind a chunk", b"3\r\nabc0\r\n\r\n"), ("more bytes than a chunk has", b"3\r\nabcd\r\n0\r\n\r\n"),
                   ("LF alone behind a chunk", b"3\r\nabc\n0\r\n\r\n"), ("two letters behind a chunk", b"3\r\nabcXX0\r\n\r\n"), ("LF in an extension", b"3;a\nb\r\nabc\r\n0\r\n\r\n"), ("an extension of 1 MiB", b"3;" + b"a" * (1 << 20) + b"\r\nabc\r\n0\r\n\r\n"),
                   ("a size of 1,000 zeros", b"0" * 1000 + b"3\r\nabc\r\n0\r\n\r\n")):
    case("chunks", name, head(CHUNKED) + body, want="502 cut", close=True)
case("chunks", "a space behind a size", head(CHUNKED) + b"3 \r\nabc\r\n0\r\n\r\n", want="502 cut pass", close=True)
case("chunks", "an extension", head(CHUNKED) + b"3;a=b\r\nabc\r\n0\r\n\r\n", want="pass")
case("chunks", "an upper-case and a padded size", head(CHUNKED) + b"0A\r\nabcdefghij\r\n000\r\n\r\n", want="pass", body=b"abcdefghij")
case("chunks", "trailers", head(CHUNKED, "Trailer: X-T") + b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", want="pass")
case("chunks", "trailers that frame", head(CHUNKED) + b"3\r\nabc\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n", want="pass 502 cut")
case("chunks", "a trailer that is none", head(CHUNKED) + b"3\r\nabc\r\n0\r\nX T\r\n\r\n", want="502 cut", close=True)
case("chunks", "a trailer with NUL", head(CHUNKED) + b"3\r\nabc\r\n0\r\nX-T: \0\r\n\r\n", want="502 cut", close=True)
case("chunks", "trailers of 1 MiB", head(CHUNKED) + b"3\r\nabc\r\n0\r\nX-T: " + b"a" * (1 << 20) + b"\r\n\r\n", want="502 cut")
case("chunks", "trailers without end", head(CHUNKED) + b"3\r\nabc\r\n0\r\n", *[b"X-T: " + b"a" * 60_000 + b"\r\n"] * 200, want="502 cut")

# --- too early an end
case("end", "no answer", close=True)
case("end", "no answer but a reset", RST)
case("end", "in the status line", b"HTTP/1.1 2", close=True)
case("end", "in the head", b"HTTP/1.1 200 OK\r\nContent-Le", close=True)
case("end", "before the empty line", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", close=True)
case("end", "in a body of known length", head("Content-Length: 5") + b"abc", want="cut", close=True)
case("end", "before a body of known length", head("Content-Length: 5"), want="cut 502", close=True)
case("end", "in a chunk", head(CHUNKED) + b"5\r\nabc", want="cut", close=True)
case("end", "between two chunks", head(CHUNKED) + b"3\r\nabc\r\n", want="cut", close=True)
case("end", "in the size of the last chunk", head(CHUNKED) + b"3\r\nabc\r\n0", want="cut", close=True)
case("end", "before the last empty line", head(CHUNKED) + b"3\r\nabc\r\n0\r\n", want="cut", close=True)
case("end", "a reset in a body of known length", head("Content-Length: 5") + b"abc", 0.2, RST, want="cut")
case("end", "a reset in a body until the end", head() + b"abc", 0.2, RST, want="cut")

# --- more than one answer
case("surplus", "bytes after a body of known length", head(LENGTH) + b"abcXYZ", want="pass 502", reuse=False)
case("surplus", "two answers at once", head(LENGTH) + b"abc" + POISON, want="pass 502", reuse=False)
case("surplus", "two answers at once, chunked", head(CHUNKED) + ABC + POISON, want="pass 502", reuse=False)
case("surplus", "a second answer on the idle connection", head(LENGTH) + b"abc", 0.15, POISON, want="pass", reuse=False)
case("surplus", "a 408 on the idle connection, and its end", head(LENGTH) + b"abc", 0.15, head("Content-Length: 0", status="408 Request Timeout"), want="pass", reuse=False, close=True)
case("surplus", "an answer behind an empty one", head("Content-Length: 0") + POISON, want="pass 502", body=b"", reuse=False)
case("surplus", "a body of a 204", head(LENGTH, status="204 No Content") + b"abc", want="pass 502", status=204, body=b"", reuse=False)
case("surplus", "a chunked 204", head(CHUNKED, status="204 No Content") + ABC, want="pass 502", status=204, body=b"", reuse=False)
case("surplus", "a whole answer behind a 204", head(status="204 No Content") + POISON, want="pass 502", status=204, body=b"", reuse=False)
case("surplus", "204", head(status="204 No Content"), want="pass", status=204, body=b"", reuse=True)
case("surplus", "304 with the length it would have", head(LENGTH, status="304 Not Modified"), want="pass", status=304, body=b"", reuse=True)
case("surplus", "a body of a 304", head(LENGTH, status="304 Not Modified") + b"abc", want="pass 502", status=304, body=b"", reuse=False)
case("surplus", "205 with a body", head(LENGTH, status="205 Reset Content") + b"abc", want="pass 502", status=205, body=None)
case("surplus", "HEAD with a length", head(LENGTH), want="pass", body=b"", reuse=True, method="HEAD")
case("surplus", "HEAD, chunked", head(CHUNKED), want="pass", body=b"", reuse=True, method="HEAD")
case("surplus", "HEAD and a body", head(LENGTH) + b"abc", want="pass 502", body=b"", reuse=False, method="HEAD")
case("surplus", "HEAD and a whole answer", head(LENGTH) + POISON, want="pass 502", body=b"", reuse=False, method="HEAD")

# --- interim ones
case("interim", "100, then 200", head(status="100 Continue") + head(LENGTH) + b"abc", want="pass", reuse=True)
case("interim", "103, then 200", head("Link: </a.css>; rel=preload", status="103 Early Hints") + head(LENGTH) + b"abc", want="pass", reuse=True)
case("interim", "five 102, then 200", head(status="102 Processing") * 5 + head(LENGTH) + b"abc", want="pass", reuse=True)
case("interim", "1,000 times 102, then 200", head(status="102 Processing") * 1000 + head(LENGTH) + b"abc")
case("interim", "102 without end", *[head(status="102 Processing") * 2000] * 100)
case("interim", "103 of 60 KiB, a hundred times", *[head("Link: " + "a" * 60_000, status="103 Early Hints")] * 100, want="502 cut")
case("interim", "199, then 200", head(status="199 What") + head(LENGTH) + b"abc", want="pass 502")
case("interim", "100 with a length, then 200", head(LENGTH, status="100 Continue") + head(LENGTH) + b"abc", want="pass 502", reuse=None)
case("interim", "100 that is chunked, then 200", head(CHUNKED, status="100 Continue") + head(LENGTH) + b"abc", want="pass 502", reuse=None)
case("interim", "101 that nobody asked for", head("Upgrade: websocket", "Connection: Upgrade", status="101 Switching Protocols") + b"abc", close=True)
case("interim", "only a 100, then the end", head(status="100 Continue"), close=True)
case("interim", "103, then no HTTP", head(status="103 Early Hints") + b"garbage\r\n\r\n", close=True)


class App:
    """The app of one case."""

    has_streams, table = False, '"http://127.0.0.1:{}"'

    def __init__(self, one):
        self.one, self.origin = one, Origin(self.answer)

    def answer(self, request, sock):
        if request.target.startswith("/next"):
            body = f"next on {request.connection} {request.get('x-nonce')}".encode()
            return head(f"Content-Length: {len(body)}") + body
        for piece in self.one["pieces"]:
            if piece is RST:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return None
            if isinstance(piece, float):
                time.sleep(piece)
            else:
                sock.sendall(piece)
        return None if self.one["close"] else b""


def fields_of(lines):
    return {name.strip().lower() for name in lines}


class Response(http.client.HTTPResponse):
    """An answer as http.client reads it, which knows no interim ones but 100."""

    def _read_status(self):
        while True:
            found = super()._read_status()
            if not 102 <= found[1] < 200:
                return found
            http.client.parse_headers(self.fp)


# Each client gives (outcome, status, body, names of fields): outcome `whole`, `cut`, or what else happened.
def by_curl(world, host, one):
    method = ["--head"] if one["method"] == "HEAD" else []
    done = subprocess.run(["curl", "-sS", "-i", "--http1.1", "--noproxy", "*", "--max-time", str(PATIENCE), *method, "-H", f"Host: {host}", "-H", f"Authorization: Bearer {world.token}",
                           f"http://127.0.0.1:{world.port}/case"], capture_output=True)
    rest, interim, status, names = done.stdout, 0, None, set()
    while rest.startswith(b"HTTP/"):
        found, _, rest = rest.partition(b"\r\n\r\n")
        line, *fields = found.split(b"\r\n")
        status = int(line.split(b" ")[1])
        names = fields_of(one.split(b":")[0].decode("latin-1") for one in fields)
        if status >= 200:
            break
        interim += 1
    outcome = "whole" if done.returncode == 0 else "cut" if done.returncode in (18, 56, 52) and status else f"curl {done.returncode} {done.stderr.decode(errors='replace').strip()[-80:]}"
    return outcome, status, rest, names


def by_http_client(world, host, one):
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=PATIENCE)
    connection.response_class = Response
    try:
        connection.request(one["method"], "/case", headers={"Host": host, "Authorization": f"Bearer {world.token}"})
        answer = connection.getresponse()
        names = fields_of(answer.headers.keys())
        try:
            return "whole", answer.status, answer.read(), names
        except http.client.IncompleteRead as short:
            return "cut", answer.status, short.partial, names
        except (ConnectionError, ValueError):
            return "cut", answer.status, b"", names
    except (OSError, http.client.HTTPException) as why:
        return f"{type(why).__name__} {str(why)[:60]}", None, b"", set()
    finally:
        connection.close()


def by_http2(world, host, one):
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="latin-1"))
    with socket.create_connection(("127.0.0.1", world.port), PATIENCE) as sock:
        connection.initiate_connection()
        connection.send_headers(1, [(":method", one["method"]), (":scheme", "http"), (":authority", host), (":path", "/case"), ("authorization", f"Bearer {world.token}")], end_stream=True)
        sock.sendall(connection.data_to_send())
        status, body, names = None, b"", set()
        while True:
            try:
                piece = sock.recv(65536)
            except TimeoutError:
                return "nothing came", status, body, names
            except OSError:
                piece = b""
            if not piece:
                return "cut" if status else "the connection ended", status, body, names
            try:
                events = connection.receive_data(piece)
            except h2.exceptions.ProtocolError as why:
                return f"{type(why).__name__} {str(why)[:60]}", status, body, names
            for event in events:
                if isinstance(event, h2.events.ResponseReceived):
                    fields = dict(event.headers)
                    status, names = int(fields[":status"]), {name for name in fields if name[0] != ":"}
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, h2.events.StreamReset):
                    return "cut" if status else f"reset {event.error_code}", status, body, names
                elif isinstance(event, h2.events.ConnectionTerminated):
                    return f"GOAWAY {event.error_code}", status, body, names
                elif isinstance(event, h2.events.StreamEnded):
                    return "whole", status, body, names
            with contextlib.suppress(OSError):
                sock.sendall(connection.data_to_send())


CLIENTS = (("curl", by_curl), ("http.client", by_http_client), ("h2", by_http2))
numbers = itertools.count(1)


def judge(world, app, one, by):
    """What a client got in words, what became of the connection, and what is wrong with it."""
    host, wrong = app.host, []
    outcome, status, body, names = by(world, host, one)
    if outcome == "whole" and status in (502, 504):
        kind = str(status)
    elif outcome == "whole":
        kind = "pass"
        if status != one["status"] or one["body"] not in (None, body):
            wrong.append(f"passed {status} {body[:60]!r}")
        wrong += [f"{name} was passed on" for name in one["absent"] if name in names]
        wrong += [f"{name} is missing" for name in one["present"] if name not in names]
        if {"content-length", "transfer-encoding"} <= names:
            wrong.append("it has a length and a coding")
    elif outcome == "cut":
        kind = "cut"
        if not (one["body"] or b"").startswith(body):
            wrong.append(f"cut after {body[:60]!r}")
    else:
        kind = outcome
    if kind not in one["want"]:
        wrong.append(f"{kind}, expected {' or '.join(one['want'])}")
    # What the app sends behind its answer must have come, to be told from the next one.
    time.sleep(sum(piece for piece in one["pieces"] if isinstance(piece, float)) + 0.05)
    if one.get("is_deaf"):
        return kind, "closed", wrong
    # A connection that is to be used again may be given back a little later.
    for _ in range(4 if one["reuse"] and kind == "pass" else 2):
        used, problem = next_request(world, app)
        if problem:
            return kind, "?", [*wrong, problem]
        if used:
            break
        time.sleep(0.1)
    cases = [request for request in app.origin.requests if request.target == "/case"]
    # A connection of HTTP/2 goes on when one of its streams ends in an odd way.
    if used and (one["reuse"] is False or (kind != "pass" and not app.has_streams)):
        wrong.append("its connection was used again")
    if len(cases) > app.seen + 1 and kind == "pass":
        wrong.append(f"the app was asked {len(cases) - app.seen} times")
    app.seen = len(cases)
    return kind, "used again" if used else "closed", wrong


def next_request(world, app):
    """Whether the next request takes the connection of the last answer, and what is wrong with its own."""
    nonce = f"{next(numbers)}"
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/next", headers={"Host": app.host, "Authorization": f"Bearer {world.token}", "X-Nonce": nonce})
        answer = connection.getresponse()
        found = re.fullmatch(rb"next on (\d+) (\d+)", text := answer.read())
        if not found or answer.status != 200 or found[2].decode() != nonce:
            return False, f"the next request got {answer.status} {text[:60]!r}"
    except (OSError, http.client.HTTPException) as why:
        return False, f"the next request got {type(why).__name__} {why}"
    finally:
        connection.close()
    cases = [request for request in app.origin.requests if request.target == "/case"]
    return bool(cases) and cases[-1].connection == int(found[1]), None


def run(world, app):
    rows = []
    app.seen = 0
    for name, by in CLIENTS:
        try:
            rows.append((name, *judge(world, app, app.one, by)))
        except Exception as why:  # A client that breaks is a finding, not the end of the table.
            rows.append((name, f"{type(why).__name__}: {why}", "?", ["the client broke"]))
    return rows


def main(cases=CASES, kind=App):
    words = [one for one in sys.argv[1:] if not one.startswith("--")]
    chosen = [one for one in cases if not words or any(word in f"{one['group']} {one['name']}" for word in words)]
    with Stage() as world:
        apps, tables = [kind(one) for one in chosen], []
        for number, app in enumerate(apps):
            world.callback(app.origin.close)
            app.host = f"case{number}.test"
            tables.append(f'[[app]]\nid = "case{number}"\nhosts = ["{app.host}"]\nupstreams = [{kind.table.format(app.origin.port)}]\ntimeouts = {{ first-byte = "4s", read = "4s" }}\n')
        world.port = world.portcullis("\n".join(tables), EVERYBODY)
        world.token = world.token()
        before, failed = world.resident(), 0
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for app, rows in zip(apps, pool.map(lambda app: run(world, app), apps)):
                one = app.one
                kinds, ends = [row[1] for row in rows], sorted({row[2] for row in rows})
                got = kinds[0] if len(set(kinds)) == 1 else ", ".join(f"{row[0]} {row[1]}" for row in rows)
                wrong = [f"{row[0]}: {what}" for row in rows for what in row[3]]
                # A client that is gone at the last byte may take the connection with it, so that one of three is enough.
                if one["reuse"] and "used again" not in ends:
                    wrong.append("its connection was not used again")
                failed += bool(wrong)
                print(f"{'FAILED' if wrong else 'ok':<7}{one['group']:<12} {one['name']:<46} {got:<8} connection {'/'.join(ends)}{'  ' + '; '.join(wrong) if wrong else ''}", flush=True)
        print(f"{len(chosen) - failed} of {len(chosen)} answers; memory {before:.0f} -> {world.resident():.0f} MiB")
        if world.process.poll() is not None:
            sys.exit(f"FAILED: Portcullis ended, status {world.process.returncode}")
        if failed and "--report-only" not in sys.argv:
            sys.exit(1)


if __name__ == "__main__":
    main()
