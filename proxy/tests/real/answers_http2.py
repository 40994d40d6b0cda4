"""Odd answers of an app that speaks HTTP/2, frame by frame: what the clients of `answers.py` get, and what becomes of the connection.

A malformed answer ends its stream, is a 502 or is cut; what breaks the connection ends it. Nothing of it reaches the next request.

usage: answers_http2.py [--report-only] [WORD...]   (only answers whose name has one of these words)
"""
# needs: apt:curl apt:openssl pip:h2==4.2.0
import contextlib
import socket
import struct
import threading
import time

import hpack

import answers
from answers import RST as TCP_RESET
from http2_frames import (CONT, DATA, END_HEADERS, END_STREAM, FLOW, GOAWAY, HEADERS, INTERNAL, NO, PING, PROTOCOL, PUSH, REFUSED, RST, SETTINGS, block, frame, literal, setting, window)
from origin import Reader

CASES = []
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def case(group, name, make, want="502 cut", status=200, body=b"abc", reuse=None, close=False, method="GET", first=setting(), is_deaf=False):
    """`make(stream)` gives the frames of the answer; `first` is what the app says when it is connected to. With `is_deaf` it never answers."""
    CASES.append({"group": group, "name": name, "make": make, "want": want.split(), "status": status, "body": body, "reuse": reuse, "close": close, "method": method,
                  "absent": (), "present": (), "pieces": (), "first": first, "is_deaf": is_deaf})


def head(stream, *fields, status="200", flags=END_HEADERS):
    return frame(HEADERS, flags, stream, block([(":status", status), *fields]))


def data(stream, payload=b"abc", flags=END_STREAM):
    return frame(DATA, flags, stream, payload)


def reset(stream, code):
    return frame(RST, 0, stream, struct.pack(">I", code))


def goaway(last, code=NO):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code))


LENGTH = ("content-length", "3")
case("plain", "a head and DATA", lambda s: [head(s) + data(s)], want="pass", reuse=True)
case("plain", "with a length", lambda s: [head(s, LENGTH) + data(s)], want="pass", reuse=True)
case("plain", "in pieces, the last empty", lambda s: [head(s), data(s, b"a", 0), 0.05, data(s, b"bc", 0), data(s, b"")], want="pass", reuse=True)
case("plain", "no body", lambda s: [head(s, flags=END_HEADERS | END_STREAM)], want="pass", body=b"", reuse=True)
case("plain", "trailers", lambda s: [head(s) + data(s, flags=0) + frame(HEADERS, END_HEADERS | END_STREAM, s, block([("x-sum", "1")]))], want="pass", reuse=True)
case("plain", "padding", lambda s: [head(s) + frame(DATA, END_STREAM | 8, s, b"\x04abc" + b"\0" * 4)], want="pass")
case("plain", "a head in two frames", lambda s: [frame(HEADERS, 0, s, literal(":status", "200")) + frame(CONT, END_HEADERS, s, literal("x-a", "1")) + data(s)], want="pass")
case("plain", "103, then 200", lambda s: [head(s, ("link", "</a>"), status="103") + head(s) + data(s)], want="pass", reuse=True)
case("plain", "204", lambda s: [head(s, status="204", flags=END_HEADERS | END_STREAM)], want="pass", status=204, body=b"")
case("plain", "304 with a length", lambda s: [head(s, LENGTH, status="304", flags=END_HEADERS | END_STREAM)], want="pass", status=304, body=b"")
case("plain", "HEAD with a length", lambda s: [head(s, LENGTH, flags=END_HEADERS | END_STREAM)], want="pass", body=b"", method="HEAD")
case("plain", "unknown frames and settings between", lambda s: [frame(0xbe, 0, s, b"what") + head(s) + frame(0xbf, 0, 0, b"") + setting((0x99, 7)) + data(s)], want="pass", reuse=True)
case("plain", "a PING between", lambda s: [head(s) + frame(PING, 0, 0, b"12345678") + data(s)], want="pass", reuse=True)
case("plain", "whole, then a reset without error", lambda s: [head(s) + data(s) + reset(s, NO)], want="pass")

for what, fields in (("no :status", [("x-a", "1")]), (":status twice", [(":status", "200"), (":status", "200")]), ("an empty :status", [(":status", "")]), ("status 20", [(":status", "20")]), ("status 2000", [(":status", "2000")]), ("status abc", [(":status", "abc")]),
                     ("status 099", [(":status", "099")]), ("an unknown pseudo-header", [(":status", "200"), (":x", "/")]), (":status behind a field", [("x-a", "1"), (":status", "200")]),
                     ("an upper-case name", [(":status", "200"), ("X-A", "1")]), ("a space in a name", [(":status", "200"), ("x a", "1")]), ("a line end in a value", [(":status", "200"), ("x-a", "1\r\nset-cookie: a=b")]), ("NUL in a value", [(":status", "200"), ("x-a", "\0")]),
                     ("an empty name", [(":status", "200"), ("", "1")]), ("a line end in a name", [(":status", "200"), ("x\r\na", "1")])):
    case("head", what, lambda s, fields=fields: [frame(HEADERS, END_HEADERS, s, block(fields)) + data(s)])
# Malformed too; the library drops it before anybody sees it.
case("head", "a pseudo-header of requests", lambda s: [head(s, (":path", "/")) + data(s)], want="502 cut pass")
for name, value in (("connection", "close"), ("transfer-encoding", "chunked"), ("keep-alive", "timeout=1"), ("proxy-connection", "close"), ("upgrade", "websocket")):
    # Malformed by section 8.2.2; it may be left out, as the framing of HTTP/2 does not depend on it.
    case("head", f"{name}: {value}", lambda s, name=name, value=value: [head(s, (name, value)) + data(s)], want="502 cut pass")
case("head", "101", lambda s: [head(s, status="101") + data(s)])
case("head", "no head, DATA", lambda s: [data(s)])
case("head", "a head of 1 MiB", lambda s: [frame(HEADERS, 0, s, literal(":status", "200") + literal("x-a", "a" * 10_000)), *[frame(CONT, 0, s, literal("x-b", "b" * 16_000)) for _ in range(64)], frame(CONT, END_HEADERS, s, b""), data(s)])
case("head", "CONTINUATION without end", lambda s: [frame(HEADERS, 0, s, literal(":status", "200")), *[frame(CONT, 0, s, literal("x-b", "b" * 16_000)) for _ in range(1000)]])
case("head", "10,000 empty CONTINUATION", lambda s: [frame(HEADERS, 0, s, literal(":status", "200")), frame(CONT, 0, s, b"") * 10_000])
case("head", "1,000 times 103, then 200", lambda s: [head(s, status="103") * 1000 + head(s) + data(s)])
case("head", "103 without end", lambda s: [head(s, ("link", "a" * 1000), status="103") * 200] * 100)
case("head", "103 with END_STREAM", lambda s: [head(s, status="103", flags=END_HEADERS | END_STREAM)])
case("head", "a block that cannot be decoded", lambda s: [frame(HEADERS, END_HEADERS, s, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff")])
case("head", "another frame in a block", lambda s: [frame(HEADERS, 0, s, literal(":status", "200")) + frame(PING, 0, 0, b"12345678")])
case("head", "a second head without end", lambda s: [head(s) + head(s) + data(s)], want="502 cut")

case("length", "larger than the body", lambda s: [head(s, ("content-length", "5")) + data(s)], want="502 cut")
case("length", "smaller than the body", lambda s: [head(s, ("content-length", "2")) + data(s)], want="502 cut", body=b"abc")
case("length", "and no body", lambda s: [head(s, LENGTH, flags=END_HEADERS | END_STREAM)], want="502 cut")
case("length", "twice, unlike", lambda s: [head(s, LENGTH, ("content-length", "5")) + data(s)], want="502 cut")
case("length", "twice, the same", lambda s: [head(s, LENGTH, LENGTH) + data(s)], want="502 cut pass")
case("length", "as a list", lambda s: [head(s, ("content-length", "3, 3")) + data(s)], want="502 cut pass")
for value in ("+3", "-3", "0x3", "", "three", "99999999999999999999"):
    case("length", repr(value), lambda s, value=value: [head(s, ("content-length", value)) + data(s)], want="502 cut")
case("length", "a body of a 204", lambda s: [head(s, status="204") + data(s)], want="502 cut pass", status=204, body=b"")
case("length", "a body of a 304", lambda s: [head(s, status="304") + data(s)], want="502 cut pass", status=304, body=b"")
case("length", "a body for HEAD", lambda s: [head(s, LENGTH) + data(s)], want="502 cut pass", body=b"", method="HEAD")

case("end", "no answer but the end", lambda s: [], close=True)
case("end", "no answer but a reset of the connection", lambda s: [TCP_RESET])
case("end", "REFUSED_STREAM", lambda s: [reset(s, REFUSED)], want="502")
case("end", "INTERNAL_ERROR", lambda s: [reset(s, INTERNAL)], want="502")
case("end", "RST_STREAM with NO_ERROR and no answer", lambda s: [reset(s, NO)], want="502")
case("end", "a reset after the head", lambda s: [head(s), 0.1, reset(s, INTERNAL)], want="cut 502")
case("end", "a reset in the body", lambda s: [head(s) + data(s, b"ab", 0), 0.1, reset(s, INTERNAL)], want="cut")
case("end", "a reset with NO_ERROR in the body", lambda s: [head(s) + data(s, b"ab", 0), 0.1, reset(s, NO)], want="cut")
case("end", "the end of the connection in the body", lambda s: [head(s) + data(s, b"ab", 0), 0.1], want="cut", close=True)
case("end", "the end of the connection in a body of known length", lambda s: [head(s, ("content-length", "5")) + data(s, flags=0), 0.1], want="cut", close=True)
case("end", "GOAWAY with an error in the body", lambda s: [head(s) + data(s, b"ab", 0), 0.1, goaway(s, INTERNAL)], want="cut", close=True)
case("end", "GOAWAY, and the answer to its end", lambda s: [goaway(s) + head(s) + data(s)], want="pass", reuse=False)
case("end", "GOAWAY that leaves the request out", lambda s: [goaway(0)], want="502 pass", close=True)
case("end", "silence", lambda s: [6.0], want="502 504", body=None)
case("end", "silence after the head", lambda s: [head(s), 6.0], want="cut 502 504", body=None)

case("connection", "DATA on stream 0", lambda s: [frame(DATA, 0, 0, b"x")], want="502 cut", reuse=False)
case("connection", "HEADERS on a stream that nobody opened", lambda s: [head(s + 2) + data(s + 2) + head(s) + data(s)], want="502 cut", reuse=False)
case("connection", "PUSH_PROMISE", lambda s: [frame(PUSH, END_HEADERS, s, struct.pack(">I", 2) + block([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")])) + head(s) + data(s)], want="502 cut", reuse=False)
case("connection", "a frame of 17,000 bytes", lambda s: [head(s) + frame(DATA, END_STREAM, s, b"x" * 17_000)], want="502 cut", body=b"", reuse=False)
case("connection", "SETTINGS with an impossible window", lambda s: [setting((4, 1 << 31)) + head(s) + data(s)], want="502 cut pass", reuse=None)
case("connection", "WINDOW_UPDATE of 0", lambda s: [window(0, 0)], want="502 cut", reuse=False)
case("connection", "a window beyond 2^31-1", lambda s: [window(0, (1 << 31) - 1)], want="502 cut", reuse=False)
case("connection", "PING of 7 bytes", lambda s: [frame(PING, 0, 0, b"1234567")], want="502 cut", reuse=False)
case("connection", "it is no HTTP/2", lambda s: [], want="502", close=True, first=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", is_deaf=True)
case("connection", "it says nothing but an alert of TLS", lambda s: [], want="502", close=True, first=b"\x15\x03\x01\x00\x02\x02\x16", is_deaf=True)
case("connection", "it allows one stream", lambda s: [head(s) + data(s)], want="pass", first=setting((3, 1)))
case("connection", "it gives a window of 1", lambda s: [head(s) + data(s)], want="pass", first=setting((4, 1)))
case("connection", "its table of fields is 0", lambda s: [head(s) + data(s)], want="pass", first=setting((1, 0)))


class Asked:
    def __init__(self, connection, target):
        self.connection, self.target = connection, target


class Origin:
    """An app of plain sockets that speaks HTTP/2 without TLS."""

    def __init__(self, one):
        self.one, self.requests, self.connections, self.open = one, [], 0, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self.open.append(sock)
            threading.Thread(target=self.serve, args=(self.connections, sock), daemon=True).start()

    def serve(self, number, sock):
        reader, decoder, parts = Reader(sock), hpack.Decoder(max_header_list_size=1 << 20), b""
        with contextlib.suppress(EOFError, OSError), sock:
            if reader.exactly(len(PREFACE)) != PREFACE:
                return
            sock.sendall(self.one["first"])
            while True:
                size, kind, flags, stream = int.from_bytes(reader.exactly(3), "big"), *struct.unpack(">BBI", reader.exactly(6))
                payload = reader.exactly(size)
                if kind == SETTINGS and not flags & 1:
                    sock.sendall(frame(SETTINGS, 1))
                elif kind == PING and not flags & 1:
                    sock.sendall(frame(PING, 1, 0, payload))
                elif kind in (HEADERS, CONT):
                    if kind == HEADERS:
                        parts = payload[5:] if flags & 32 else payload
                    else:
                        parts += payload
                    if flags & END_HEADERS:
                        fields = dict(decoder.decode(parts))
                        if not self.answer(number, sock, stream, fields):
                            return

    def answer(self, number, sock, stream, fields):
        target = fields[":path"]
        self.requests.append(Asked(number, target))
        if target == "/next":
            body = f"next on {number} {fields.get('x-nonce')}".encode()
            sock.sendall(head(stream, ("content-length", str(len(body)))) + data(stream, body))
            return True
        for piece in self.one["make"](stream):
            if piece is TCP_RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if isinstance(piece, float):
                time.sleep(piece)
            else:
                sock.sendall(piece)
        return not self.one["close"]


class App(answers.App):
    has_streams, table = True, '{{ url = "http://127.0.0.1:{}", protocol = "h2" }}'

    def __init__(self, one):
        self.one, self.origin = one, Origin(one)


if __name__ == "__main__":
    answers.main(CASES, App)
