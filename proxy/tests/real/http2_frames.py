"""HTTP/2 by the letter: frames that RFC 9113 and RFC 7541 allow, ignore or forbid, sent to the listener over TLS and in plain, case by case.

The cases follow the RFCs section by section, as h2spec does; beyond it, what is malformed must not have reached the app as a request, and
other streams of the connection must go on where the RFC says that only a stream ends.

usage: http2_frames.py [--report-only] [WORD...]   (only cases whose section or name has one of these words)
"""
# needs: pip:hpack==4.2.0 apt:openssl
import concurrent.futures
import itertools
import socket
import ssl
import struct
import sys
import time

import hpack

from origin import Origin
from stage import EVERYBODY, Stage, wiki

HOST = "wiki.test"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONT = range(10)
ACK = END_STREAM = 1
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 32
NO, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CONNECT, CALM = range(12)
NAMES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
         "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# How long an answer may take.
PATIENCE = 8.0
numbers = itertools.count()


class Wrong(Exception):
    """The other end did not do what the RFC says."""


class OtherCode(Wrong):
    """It ended what the RFC says, and named PROTOCOL_ERROR instead of a closer code."""


# What the HTTP/2 library below pingora does in its own way, with why it harms nobody: (section, name) to (what happens, why).
KNOWN = {
    ("3.4", "a first frame that is not SETTINGS ends the connection"): ("waited", "the frames that follow are read as any other; the deadline of the preface still runs"),
    ("5.1", "closed by END_STREAM of both: DATA"): ("it was ignored", "the stream is forgotten, and nothing of it is kept"),
    ("8.1", "trailers with a pseudo-header"): ("answered 200", "it is dropped before anybody sees it"),
    ("8.3.1", "an empty :scheme"): ("answered 200", "nothing is decided by it and nothing of it is passed on"),
    ("8.3.1", "a :path with a fragment"): ("answered 200", "it is cut off before the path is judged, and the app gets the path that was judged"),
}


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    return struct.pack(">I", len(payload) if length is None else length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(value, prefix, first=0):
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytes([first | most]), value - most
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def literal(name, value, first=0):
    """A field without an index and without Huffman's code (RFC 7541, section 6.2.2)."""
    name, value = as_bytes(name), as_bytes(value)
    return bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def setting(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", number, value) for number, value in pairs))


def window(stream, size):
    return frame(WINDOW, 0, stream, struct.pack(">I", size))


def reset(stream, code=CANCEL):
    return frame(RST, 0, stream, struct.pack(">I", code))


class Client:
    """One connection; `case` is what its requests say in `x-case`."""

    def __init__(self, world, tls, preface=PREFACE + setting(), case=None):
        self.world, self.case, self.buffer, self.seen, self.ended = world, case or f"case-{next(numbers)}", b"", [], None
        self.decoder = hpack.Decoder(max_header_list_size=1 << 20)
        number = next(numbers)
        plain = socket.create_connection(("127.0.0.1", world.tls if tls else world.plain), PATIENCE, source_address=(f"127.3.{number // 200 % 200}.{number % 200 + 1}", 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(plain, server_hostname=HOST)
            if self.sock.selected_alpn_protocol() != "h2":
                raise Wrong("no h2 by ALPN")
        else:
            self.sock = plain
        self.send(preface)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, *frames):
        try:
            self.sock.sendall(b"".join(frames))
        except OSError as why:
            self.ended = self.ended or type(why).__name__

    def next(self, seconds=PATIENCE):
        """The next frame (kind, flags, stream, payload), or None when the connection is over."""
        end = time.monotonic() + seconds
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.sock.settimeout(left)
            try:
                piece = self.sock.recv(65536)
            except TimeoutError:
                raise
            except OSError as why:
                self.ended = type(why).__name__
                return None
            if not piece:
                self.ended = "closed"
                return None
            self.buffer += piece
        length = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], "big")
        payload, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
        if stream >> 31:
            raise Wrong("a frame with the reserved bit")
        if length > 16_384:
            raise Wrong(f"a frame of {length} bytes, more than this client takes")
        self.seen.append((kind, flags, stream, payload))
        if kind == HEADERS:
            # Each block is read once, in its order, as HPACK wants it.
            if not flags & END_HEADERS:
                raise Wrong("a head in several frames: not read by this client")
            fields = self.decoder.decode(payload)
            self.seen[-1] = (kind, flags, stream, payload, fields)
        return self.seen[-1]

    def until(self, wanted, what, seconds=PATIENCE):
        """The first frame from now on for which `wanted` holds; the end of the connection is given as None."""
        end = time.monotonic() + seconds
        try:
            while True:
                found = self.next(max(0.01, end - time.monotonic()))
                if found is None or wanted(*found[:4]):
                    return found
        except TimeoutError:
            raise Wrong(f"waited {seconds} s for {what}; came: {self.told()}") from None

    def told(self):
        out = []
        for kind, flags, stream, payload, *_ in self.seen[-6:]:
            name = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH", "PING", "GOAWAY", "WINDOW_UPDATE", "CONT"][kind] if kind < 10 else kind
            code = ""
            if kind == RST:
                code = " " + code_name(payload[:4])
            if kind == GOAWAY:
                code = " " + code_name(payload[4:8])
            if len(_) > 0:
                code = f" :status {dict(_[0]).get(':status')}"
            out.append(f"{name}({stream}){code}")
        return ", ".join(out) + (f", {self.ended}" if self.ended else "")

    def ask(self, stream=1, fields=None, flags=END_STREAM | END_HEADERS, **more):
        self.send(frame(HEADERS, flags, stream, block(fields or self.fields(**more))))

    def fields(self, method="GET", path="/", extra=(), authority=HOST, scheme="https"):
        return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path),
                ("authorization", f"Bearer {self.world.token}"), ("x-case", self.case), *extra]

    def post(self, *extra, **more):
        return self.fields("POST", extra=extra, **more)

    # What may be expected.
    def answer(self, stream=1, seconds=PATIENCE):
        """Status and body of a whole answer, or `reset CODE`, or `over`."""
        status, body, end = None, b"", time.monotonic() + seconds
        while True:
            try:
                found = self.next(max(0.01, end - time.monotonic()))
            except TimeoutError:
                raise Wrong(f"no whole answer on stream {stream} in {seconds} s; came: {self.told()}") from None
            if found is None:
                return "over", body
            kind, flags, on, payload, *fields = found
            if kind == GOAWAY and payload[4:8] != b"\0\0\0\0":
                return f"GOAWAY {code_name(payload[4:8])}", body
            if on != stream:
                continue
            if kind == HEADERS:
                fields = dict(fields[0])
                if not fields.get(":status", "2").startswith("1"):
                    status = fields.get(":status", status)
            elif kind == DATA:
                if flags & PADDED:
                    payload = payload[1:len(payload) - payload[0]]
                body += payload
                if payload:
                    self.send(window(0, len(payload)), window(stream, len(payload)) if not flags & END_STREAM else b"")
            elif kind == RST:
                return (f"reset {code_name(payload)}", body) if status is None or payload != b"\0\0\0\0" else (status, body)
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return status, body

    def works(self, stream=1, **more):
        """A request is answered by the app."""
        self.ask(stream, **more)
        self.expect_ok(stream)

    def expect_ok(self, stream=1):
        got = self.answer(stream)
        if got != ("200", b"ok"):
            raise Wrong(f"expected 200 of the app, got {got}; came: {self.told()}")

    def no_data_comes(self):
        before = len(self.seen)
        self.is_alive()
        if any(one[0] == DATA for one in self.seen[before:]):
            raise Wrong("more than the window")

    def is_alive(self):
        self.send(frame(PING, 0, 0, b"isalive?"))
        found = self.until(lambda kind, flags, stream, payload: (kind == PING and flags & ACK and payload == b"isalive?") or (kind == GOAWAY and payload[4:8] != b"\0\0\0\0"), "the answer to a PING")
        if found is None or found[0] != PING:
            raise Wrong(f"the connection ended; came: {self.told()}")

    def expect_connection_error(self, *codes):
        """GOAWAY with one of these codes and then the end, or the end at once (section 5.4.1)."""
        found = self.until(lambda kind, flags, stream, payload: kind == GOAWAY, "GOAWAY or the end of the connection")
        if found is None:
            return
        code = int.from_bytes(found[3][4:8], "big")
        if self.until(lambda *_: False, "the end after GOAWAY") is not None:
            raise Wrong("the connection goes on after GOAWAY")
        self.judge_code("GOAWAY", code, codes)

    @staticmethod
    def judge_code(kind, code, codes):
        if code not in codes:
            kinds = OtherCode if code == PROTOCOL else Wrong
            raise kinds(f"{kind} {code_name(struct.pack('>I', code))}, expected {' or '.join(NAMES[one] for one in codes)}")

    def expect_stream_error(self, stream, *codes, alive=False, statuses=("400",)):
        """RST_STREAM with one of these codes, a refusal, or the error of the connection; with `alive` other streams must go on."""
        found = self.until(lambda kind, flags, on, payload: kind == GOAWAY or (on == stream and kind in (RST, HEADERS)), "RST_STREAM, a refusal, GOAWAY or the end")
        if found is None or found[0] == GOAWAY:
            if alive:
                raise Wrong(f"the whole connection ended; came: {self.told()}")
            if found is not None:
                self.judge_code("GOAWAY", int.from_bytes(found[3][4:8], "big"), codes)
            return
        if found[0] == HEADERS:
            status = dict(found[4]).get(":status")
            if status not in statuses:
                raise Wrong(f"answered {status}, expected a reset or {' or '.join(statuses)}")
            return
        self.judge_code("RST_STREAM", int.from_bytes(found[3], "big"), codes)

    def nothing_reached(self):
        """The app read no whole request of this case."""
        found = [one for one in self.world.origin.asked("x-case", self.case) if one.is_whole]
        if found:
            raise Wrong(f"the app got it: {found[0].head!r}")


def code_name(data):
    code = int.from_bytes(data[:4], "big")
    return NAMES[code] if code < len(NAMES) else hex(code)


CASES = []


def case(section, name, **options):
    """The cases of a section; `reaches=True` if the app may see the request. The connection has said its preface and SETTINGS."""
    def add(function):
        CASES.append((section, name, function, options))
        return function
    return add


def connection_error(section, name, codes, make, **options):
    """Frames after which the connection must end."""
    @case(section, name, **options)
    def _(c):
        c.send(make(c))
        c.expect_connection_error(*codes)


def malformed(section, name, make, alive=True, **options):
    """A head that makes its stream malformed (section 8.1.1): the app never sees it, and with `alive` other streams go on. (Section 5.4
    lets a server end the connection instead, which this one does where a name or a value is no such thing at all.)"""
    @case(section, name, nothing=True, **options)
    def _(c):
        fields = make(c)
        c.ask(1, fields=fields)
        c.expect_stream_error(1, PROTOCOL, alive=alive)
        if alive:
            c.ask(3, fields=c.fields()[:5] + [("x-other", "1")])
            c.expect_ok(3)


def with_extra(name, value):
    return lambda c: c.fields(extra=[(name, value)])


def without(name):
    return lambda c: [one for one in c.fields() if one[0] != name]


def instead(name, value):
    return lambda c: [(found, value if found == name else old) for found, old in c.fields()]


# --- 3.4: the preface
@case("3.4", "SETTINGS is the first frame of the server")
def _(c):
    if c.next()[0] != SETTINGS:
        raise Wrong(c.told())


@case("3.4", "an invalid preface ends the connection", preface=b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + setting())
def _(c):
    try:
        while c.next() is not None:
            pass
    except TimeoutError:
        raise Wrong("it goes on") from None
    except Wrong:
        # Over h2c what is not the preface may be answered as HTTP/1.
        pass


@case("3.4", "a first frame that is not SETTINGS ends the connection", preface=PREFACE + frame(PING, 0, 0, b"12345678"))
def _(c):
    c.expect_connection_error(PROTOCOL)


# --- 4.1: frames
@case("4.1", "a frame of unknown type is ignored")
def _(c):
    c.send(frame(0xbe, 0xff, 0, b"whatever"), frame(0xbf, 0xff, 7, b"whatever"))
    c.works()


@case("4.1", "undefined flags are ignored")
def _(c):
    c.send(frame(PING, 0xfe, 0, b"isalive!"))
    if c.until(lambda kind, flags, stream, payload: kind == PING and flags & ACK, "PING ACK") is None:
        raise Wrong(c.told())


@case("4.1", "the reserved bit is ignored")
def _(c):
    c.send(frame(PING, 0, 0x8000_0000, b"isalive!"))
    if c.until(lambda kind, flags, stream, payload: kind == PING and flags & ACK, "PING ACK") is None:
        raise Wrong(c.told())


# --- 4.2: sizes
@case("4.2", "DATA of 16,384 bytes is taken", reaches=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(frame(DATA, END_STREAM, 1, b"x" * 16_384))
    c.expect_ok()


@case("4.2", "DATA larger than SETTINGS_MAX_FRAME_SIZE is FRAME_SIZE_ERROR", nothing=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(frame(DATA, END_STREAM, 1, b"x" * 16_385))
    c.expect_stream_error(1, SIZE)


connection_error("4.2", "HEADERS larger than SETTINGS_MAX_FRAME_SIZE", [SIZE], lambda c: frame(HEADERS, 5, 1, block(c.fields(extra=[("x-long", "a" * 17_000)]))), nothing=True)
connection_error("4.2", "SETTINGS larger than SETTINGS_MAX_FRAME_SIZE", [SIZE], lambda c: frame(SETTINGS, 0, 0, b"\0\5\0\0\x40\0" * 2731))

# --- 4.3: field blocks
connection_error("4.3", "a field block that cannot be decoded", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"))
connection_error("4.3", "PRIORITY inside a field block", [PROTOCOL], lambda c: frame(HEADERS, 1, 1, block(c.fields())) + frame(PRIORITY, 0, 1, b"\0\0\0\0\xff") + frame(CONT, 4, 1, b""), nothing=True)
connection_error("4.3", "HEADERS of another stream inside a field block", [PROTOCOL], lambda c: frame(HEADERS, 1, 1, block(c.fields())) + frame(HEADERS, 5, 3, block(c.fields())), nothing=True)

# --- 5.1: states of streams
connection_error("5.1", "idle: DATA", [PROTOCOL], lambda c: frame(DATA, 1, 1, b"x"))
connection_error("5.1", "idle: RST_STREAM", [PROTOCOL], lambda c: reset(1))
connection_error("5.1", "idle: WINDOW_UPDATE", [PROTOCOL], lambda c: window(1, 100))
connection_error("5.1", "idle: CONTINUATION", [PROTOCOL], lambda c: frame(CONT, 4, 1, block(c.fields())), nothing=True)


def half_closed(name, codes, make):
    @case("5.1", f"half-closed (remote): {name}", reaches=True)
    def _(c):
        c.ask(fields=c.fields(path="/slow"))
        c.send(make(c))
        c.expect_stream_error(1, *codes, statuses=())


half_closed("DATA", [CLOSED], lambda c: frame(DATA, 1, 1, b"x"))
half_closed("HEADERS", [CLOSED, PROTOCOL], lambda c: frame(HEADERS, 5, 1, block(c.fields())))
half_closed("CONTINUATION", [CLOSED, PROTOCOL], lambda c: frame(CONT, 4, 1, block([("x-a", "b")])))


def closed(how, name, codes, make):
    @case("5.1", f"closed by {how}: {name}", reaches=True)
    def _(c):
        if how == "RST_STREAM":
            c.ask(fields=c.post(), flags=END_HEADERS)
            c.send(reset(1))
        else:
            c.works()
        c.send(make(c), frame(PING, 0, 0, b"after---"))
        found = c.until(lambda kind, flags, stream, payload: kind in (RST, GOAWAY) or (kind == PING and payload == b"after---"), "RST_STREAM, GOAWAY or the end")
        # After a reset by us the other end may ignore what was still on its way.
        if found and found[0] == PING and how != "RST_STREAM" and name != "WINDOW_UPDATE" and name != "PRIORITY" and name != "RST_STREAM":
            raise Wrong(f"it was ignored; came: {c.told()}")
        if found and found[0] == RST and int.from_bytes(found[3], "big") not in codes:
            raise Wrong(f"RST_STREAM {code_name(found[3])}")
        if found and found[0] == GOAWAY and int.from_bytes(found[3][4:8], "big") not in codes:
            raise Wrong(f"GOAWAY {code_name(found[3][4:8])}")


for how in ("RST_STREAM", "END_STREAM of both"):
    closed(how, "DATA", [CLOSED], lambda c: frame(DATA, 1, 1, b"x"))
    closed(how, "HEADERS", [CLOSED, PROTOCOL], lambda c: frame(HEADERS, 5, 1, block(c.fields())))
    closed(how, "CONTINUATION", [CLOSED, PROTOCOL], lambda c: frame(CONT, 4, 1, block([("x-a", "b")])))


@case("5.1", "closed: WINDOW_UPDATE, RST_STREAM and PRIORITY that crossed are ignored", reaches=True)
def _(c):
    c.works()
    c.send(window(1, 10), reset(1), frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"))
    c.is_alive()
    c.works(3)


# --- 5.1.1: identifiers
connection_error("5.1.1", "an even identifier", [PROTOCOL], lambda c: frame(HEADERS, 5, 2, block(c.fields())), nothing=True)


@case("5.1.1", "an identifier smaller than one before", reaches=True)
def _(c):
    c.works(5)
    c.ask(3)
    c.expect_connection_error(PROTOCOL, CLOSED)


# --- 5.1.2: how many
@case("5.1.2", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS", reaches=True)
def _(c):
    first = c.next()
    most = dict(struct.iter_unpack(">HI", first[3])).get(3)
    if not most:
        raise Wrong("no SETTINGS_MAX_CONCURRENT_STREAMS was said")
    for number in range(most + 20):
        c.ask(2 * number + 1, fields=c.post(), flags=END_HEADERS)
    found = c.until(lambda kind, flags, stream, payload: kind == GOAWAY or (kind == RST and int.from_bytes(payload, "big") in (REFUSED, PROTOCOL)), "RST_STREAM")
    if found is not None and found[0] == GOAWAY and int.from_bytes(found[3][4:8], "big") not in (PROTOCOL, CALM):
        raise Wrong(c.told())


# --- 5.3: priority is deprecated, and must not break anything
@case("5.3.2", "PRIORITY on an idle stream, and in HEADERS, is taken", reaches=True)
def _(c):
    c.send(frame(PRIORITY, 0, 9, b"\0\0\0\1\x10"))
    c.send(frame(HEADERS, 5 | WITH_PRIORITY, 1, b"\x80\0\0\7\xff" + block(c.fields())))
    c.expect_ok()


# --- 5.5: extensions
connection_error("5.5", "an unknown frame inside a field block", [PROTOCOL], lambda c: frame(HEADERS, 1, 1, block(c.fields())) + frame(0xbe, 0, 0, b"x" * 8) + frame(CONT, 4, 1, b""), nothing=True)

# --- 6.1: DATA
connection_error("6.1", "DATA on stream 0", [PROTOCOL], lambda c: frame(DATA, 1, 0, b"x"))
connection_error("6.1", "padding as long as the frame", [PROTOCOL], lambda c: frame(HEADERS, 4, 1, block(c.post())) + frame(DATA, 1 | PADDED, 1, b"\x06test\0"), nothing=True)


@case("6.1", "padding is taken off", reaches=True)
def _(c):
    c.ask(fields=c.post(("content-length", "4")), flags=END_HEADERS)
    c.send(frame(DATA, PADDED, 1, b"\x05te" + b"\0" * 5), frame(DATA, PADDED | END_STREAM, 1, b"\xffst" + b"\0" * 255))
    c.expect_ok()
    found = c.world.origin.asked("x-case", c.case)[0]
    if found.body != b"test":
        raise Wrong(f"the app got {found.body!r}")


# --- 6.2: HEADERS
connection_error("6.2", "HEADERS on stream 0", [PROTOCOL], lambda c: frame(HEADERS, 5, 0, block(c.fields())), nothing=True)
connection_error("6.2", "HEADERS with padding longer than the frame", [PROTOCOL], lambda c: frame(HEADERS, 5 | PADDED, 1, b"\xff" + block(c.fields())[:60]), nothing=True)


@case("6.2", "HEADERS with padding", reaches=True)
def _(c):
    c.send(frame(HEADERS, 5 | PADDED, 1, b"\x07" + block(c.fields()) + b"\0" * 7))
    c.expect_ok()


# --- 6.3: PRIORITY
connection_error("6.3", "PRIORITY on stream 0", [PROTOCOL], lambda c: frame(PRIORITY, 0, 0, b"\0\0\0\1\x10"))


@case("6.3", "PRIORITY of another length than 5 is FRAME_SIZE_ERROR of its stream", reaches=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(frame(PRIORITY, 0, 1, b"\0\0\0\1"))
    c.expect_stream_error(1, SIZE, statuses=())


# --- 6.4: RST_STREAM
connection_error("6.4", "RST_STREAM on stream 0", [PROTOCOL], lambda c: reset(0))
connection_error("6.4", "RST_STREAM of another length than 4", [SIZE], lambda c: frame(HEADERS, 4, 1, block(c.post())) + frame(RST, 0, 1, b"\0\0\0"))

# --- 6.5: SETTINGS
connection_error("6.5", "SETTINGS with ACK and a payload", [SIZE], lambda c: frame(SETTINGS, ACK, 0, b"\0" * 6))
connection_error("6.5", "SETTINGS on a stream", [PROTOCOL], lambda c: frame(SETTINGS, 0, 1, b"\0\3\0\0\0\x64"))
connection_error("6.5", "SETTINGS of a length that is no multiple of 6", [SIZE], lambda c: frame(SETTINGS, 0, 0, b"\0\3\0"))
connection_error("6.5.2", "SETTINGS_ENABLE_PUSH of 2", [PROTOCOL], lambda c: setting((2, 2)))
connection_error("6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE of 2^31", [FLOW], lambda c: setting((4, 1 << 31)))
connection_error("6.5.2", "SETTINGS_MAX_FRAME_SIZE below 2^14", [PROTOCOL], lambda c: setting((5, 16_383)))
connection_error("6.5.2", "SETTINGS_MAX_FRAME_SIZE above 2^24-1", [PROTOCOL], lambda c: setting((5, 1 << 24)))


@case("6.5.2", "an unknown setting is ignored", reaches=True)
def _(c):
    c.send(setting((0xff, 1), (0x1234, 77)))
    c.is_alive()
    c.works()


@case("6.5.3", "SETTINGS is acknowledged", reaches=True)
def _(c):
    c.send(setting((1, 4096)))
    # The first acknowledges the preface's, the second this one.
    for _ in range(2):
        if c.until(lambda kind, flags, stream, payload: kind == SETTINGS and flags & ACK and not payload, "SETTINGS ACK") is None:
            raise Wrong(c.told())


@case("6.5.3", "of two values for a setting the last counts", reaches=True)
def _(c):
    c.send(setting((4, 100), (4, 1)))
    c.until(lambda kind, flags, stream, payload: kind == SETTINGS and flags & ACK, "SETTINGS ACK")
    c.ask()
    found = c.until(lambda kind, flags, stream, payload: kind == DATA and payload, "DATA")
    if found is None or len(found[3]) != 1:
        raise Wrong(f"{len(found[3])} bytes; {c.told()}")


# --- 6.6: PUSH_PROMISE
connection_error("6.6", "PUSH_PROMISE from a client", [PROTOCOL], lambda c: frame(HEADERS, 4, 1, block(c.post())) + frame(PUSH, 4, 1, b"\0\0\0\2" + block(c.fields())), nothing=True)


# --- 6.7: PING
@case("6.7", "PING is answered with the same bytes", reaches=True)
def _(c):
    c.is_alive()


@case("6.7", "PING with ACK is not answered", reaches=True)
def _(c):
    c.send(frame(PING, ACK, 0, b"invalid!"), frame(PING, 0, 0, b"valid!!!"))
    found = c.until(lambda kind, *_: kind == PING, "PING ACK")
    if found is None or found[3] != b"valid!!!":
        raise Wrong(c.told())


connection_error("6.7", "PING on a stream", [PROTOCOL], lambda c: frame(PING, 0, 1, b"12345678"))
connection_error("6.7", "PING of another length than 8", [SIZE], lambda c: frame(PING, 0, 0, b"123456"))

# --- 6.8: GOAWAY
connection_error("6.8", "GOAWAY on a stream", [PROTOCOL], lambda c: frame(GOAWAY, 0, 1, b"\0" * 8))


@case("6.8", "a stream that is open goes on after GOAWAY", reaches=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(frame(GOAWAY, 0, 0, b"\0" * 8), frame(DATA, END_STREAM, 1, b"late"))
    c.expect_ok()


connection_error("6.8", "GOAWAY shorter than 8", [SIZE], lambda c: frame(GOAWAY, 0, 0, b"\0" * 4))

# --- 6.9: windows
connection_error("6.9", "WINDOW_UPDATE of 0 for the connection", [PROTOCOL], lambda c: window(0, 0))
connection_error("6.9", "WINDOW_UPDATE of another length than 4", [SIZE], lambda c: frame(WINDOW, 0, 0, b"\0\0\1"))
connection_error("6.9.1", "WINDOW_UPDATE beyond 2^31-1 for the connection", [FLOW], lambda c: window(0, (1 << 31) - 1) * 2)


@case("6.9", "WINDOW_UPDATE of 0 for a stream", reaches=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(window(1, 0))
    c.expect_stream_error(1, PROTOCOL, statuses=())


@case("6.9.1", "DATA keeps to the window of the stream, byte by byte", reaches=True)
def _(c):
    c.send(setting((4, 1)))
    c.until(lambda kind, flags, stream, payload: kind == SETTINGS and flags & ACK, "SETTINGS ACK")
    c.ask()
    first = c.until(lambda kind, flags, stream, payload: kind == DATA and payload, "DATA")
    if first is None or first[3] != b"o":
        raise Wrong(c.told())
    c.no_data_comes()
    c.send(window(1, 1))
    second = c.until(lambda kind, flags, stream, payload: kind == DATA and payload, "DATA")
    if second is None or second[3] != b"k":
        raise Wrong(c.told())


@case("6.9.1", "WINDOW_UPDATE beyond 2^31-1 for a stream", reaches=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(window(1, (1 << 31) - 1), window(1, (1 << 31) - 1))
    c.expect_stream_error(1, FLOW, statuses=())


@case("6.9.1", "DATA keeps to the window of the connection", reaches=True)
def _(c):
    c.ask(fields=c.fields(path="/large"))
    got = 0
    while got < 65_535:
        found = c.until(lambda kind, *_: kind == DATA, "DATA")
        if found is None:
            raise Wrong(c.told())
        got += len(found[3])
    if got > 65_535:
        raise Wrong(f"{got} bytes")
    c.no_data_comes()


@case("6.9.2", "a change of SETTINGS_INITIAL_WINDOW_SIZE counts for open streams", reaches=True)
def _(c):
    c.send(setting((4, 0)))
    c.until(lambda kind, flags, stream, payload: kind == SETTINGS and flags & ACK, "SETTINGS ACK")
    c.ask()
    c.until(lambda kind, *_: kind == HEADERS, "a head")
    c.send(setting((4, 1)))
    found = c.until(lambda kind, flags, stream, payload: kind == DATA and payload, "DATA")
    if found is None or found[3] != b"o":
        raise Wrong(c.told())


@case("6.9.2", "a window may be negative", reaches=True)
def _(c):
    c.send(setting((4, 3)))
    c.until(lambda kind, flags, stream, payload: kind == SETTINGS and flags & ACK, "SETTINGS ACK")
    c.ask(fields=c.fields(path="/large"))
    c.until(lambda kind, flags, stream, payload: kind == DATA and payload, "DATA")
    c.send(setting((4, 2)))
    c.until(lambda kind, flags, stream, payload: kind == SETTINGS and flags & ACK, "SETTINGS ACK")
    c.send(window(1, 2))
    found = c.until(lambda kind, flags, stream, payload: kind == DATA and payload, "DATA")
    if found is None or len(found[3]) != 1:
        raise Wrong(f"{found and len(found[3])} bytes, expected 1")


connection_error("6.9.2", "SETTINGS that make a window larger than 2^31-1", [FLOW], lambda c: frame(HEADERS, 4, 1, block(c.post())) + window(1, (1 << 31) - 1 - 65_535) + setting((4, 65_536)))


@case("6.9", "a body beyond the window that was given is FLOW_CONTROL_ERROR", reaches=True)
def _(c):
    first = c.next()
    most = max(65_535, dict(struct.iter_unpack(">HI", first[3])).get(4, 65_535))
    c.ask(fields=c.post(path="/never"), flags=END_HEADERS)
    # The window of the connection is looked at too: what it gives beyond this is told by WINDOW_UPDATE, which comes first.
    c.is_alive()
    given = 65_535 + sum(int.from_bytes(one[3], "big") for one in c.seen if one[0] == WINDOW and one[2] == 0)
    for _ in range(min(given, most) // 16_384 + 400):
        c.send(frame(DATA, 0, 1, b"x" * 16_384))
        if c.ended:
            break
    c.expect_stream_error(1, FLOW, statuses=("408", "413", "400"))


# --- 6.10: CONTINUATION
@case("6.10", "a head in many CONTINUATION frames", reaches=True)
def _(c):
    data = block(c.fields())
    # Few, as many small ones are a known attack: who sends them is told to calm down.
    size = len(data) // 4 + 1
    pieces = [data[start:start + size] for start in range(0, len(data), size)]
    c.send(frame(HEADERS, END_STREAM, 1, pieces[0]), *[frame(CONT, 0, 1, one) for one in pieces[1:-1]], frame(CONT, END_HEADERS, 1, pieces[-1]))
    c.expect_ok()


connection_error("6.10", "CONTINUATION followed by another frame", [PROTOCOL], lambda c: frame(HEADERS, 1, 1, block(c.fields())) + frame(CONT, 0, 1, block([("x-a", "b")])) + frame(DATA, 1, 1, b"x"), nothing=True)
connection_error("6.10", "CONTINUATION on stream 0", [PROTOCOL], lambda c: frame(HEADERS, 1, 1, block(c.fields())) + frame(CONT, 4, 0, block([("x-a", "b")])), nothing=True)
connection_error("6.10", "CONTINUATION on another stream", [PROTOCOL], lambda c: frame(HEADERS, 1, 1, block(c.fields())) + frame(CONT, 4, 3, block([("x-a", "b")])), nothing=True)
connection_error("6.10", "CONTINUATION after a head that is whole", [PROTOCOL], lambda c: frame(HEADERS, 4, 1, block(c.post())) + frame(CONT, 4, 1, block([("x-a", "b")])), nothing=True)
connection_error("6.10", "CONTINUATION after DATA", [PROTOCOL], lambda c: frame(HEADERS, 4, 1, block(c.post())) + frame(DATA, 0, 1, b"x") + frame(CONT, 4, 1, block([("x-a", "b")])), nothing=True)


# --- 7: codes
@case("7", "unknown codes in RST_STREAM and GOAWAY are taken", reaches=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(reset(1, 0xff))
    c.works(3)
    c.ask(5, fields=c.fields(path="/slow"))
    c.send(frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\xff"))
    if c.answer(5)[0] not in ("200", "over", "GOAWAY 0xff"):
        raise Wrong(c.told())


# --- 8.1: messages
@case("8.1", "trailers reach the app or are left out, and nothing else happens", reaches=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(frame(DATA, 0, 1, b"test"), frame(HEADERS, 5, 1, block([("x-trailer", "1")])))
    c.expect_ok()
    found = c.world.origin.asked("x-case", c.case)
    if len(found) != 1 or found[0].body != b"test":
        raise Wrong(f"the app got {[(one.body, one.trailers) for one in found]}")


@case("8.1", "a second HEADERS without END_STREAM is malformed", nothing=True)
def _(c):
    c.ask(fields=c.post(), flags=END_HEADERS)
    c.send(frame(HEADERS, 4, 1, block([("x-trailer", "1")])))
    c.expect_stream_error(1, PROTOCOL)


def bad_trailers(section, name, fields):
    @case(section, name, nothing=True)
    def _(c):
        c.ask(fields=c.post(), flags=END_HEADERS)
        c.send(frame(DATA, 0, 1, b"test"), frame(HEADERS, 5, 1, block(fields)))
        c.expect_stream_error(1, PROTOCOL)


bad_trailers("8.1", "trailers with a pseudo-header", [(":method", "GET")])
bad_trailers("8.1", "trailers with an unknown pseudo-header", [(":x", "GET")])
bad_trailers("8.2.1", "trailers with an upper-case name", [("X-Trailer", "1")])
bad_trailers("8.2.1", "trailers with a line end in a value", [("x-trailer", "1\r\nx-evil: 1")])
bad_trailers("8.2.2", "trailers with Connection", [("connection", "close")])

# --- 8.2: fields
malformed("8.2.1", "an upper-case name", with_extra("X-Test", "1"), alive=False)
for what, name in (("a space", "x test"), ("a colon", "x:test"), ("a line end", "x\r\ntest"), ("NUL", "x\0test"), ("a letter beyond ASCII", "x\xfctest"), ("a tab", "x\ttest"), ("DEL", "x\x7ftest")):
    malformed("8.2.1", f"a name with {what}", with_extra(name, "1"), alive=False)
malformed("8.2.1", "an empty name", with_extra("", "1"), alive=False)
for what, value in (("a line end", "a\r\nx-evil: 1"), ("LF", "a\nb"), ("CR", "a\rb"), ("NUL", "a\0b")):
    malformed("8.2.1", f"a value with {what}", with_extra("x-test", value), alive=False)


@case("8.2.1", "a value with white space around is refused or trimmed", reaches=True)
def _(c):
    c.ask(fields=c.fields(extra=[("x-test", " a\t")]))
    got = c.answer()
    if got[0] == "200":
        found = c.world.origin.asked("x-case", c.case)[0]
        if found.get("x-test") != "a":
            raise Wrong(f"the app got {found.get('x-test')!r}")
    elif got[0] not in ("400", "reset PROTOCOL_ERROR"):
        raise Wrong(str(got))


for name, value in (("connection", "close"), ("connection", "x-case"), ("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked"), ("upgrade", "websocket"), ("te", "gzip"), ("te", "trailers, deflate")):
    malformed("8.2.2", f"{name}: {value}", with_extra(name, value))


@case("8.2.2", "te: trailers", reaches=True)
def _(c):
    c.works(fields=c.fields(extra=[("te", "trailers")]))


@case("8.2.3", "crumbs of Cookie reach the app as one line", reaches=True)
def _(c):
    c.works(fields=c.fields(extra=[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]))
    found = c.world.origin.asked("x-case", c.case)[0]
    if found.all("cookie") != ["a=1; b=2; c=3"]:
        raise Wrong(f"the app got {found.all('cookie')}")


# --- 8.3: control data
malformed("8.3", "an unknown pseudo-header", lambda c: [(":test", "1"), *c.fields()], alive=False)
malformed("8.3", "a pseudo-header of answers", lambda c: [(":status", "200"), *c.fields()])
malformed("8.3", "a pseudo-header after a field", lambda c: [*c.fields()[:3], ("x-test", "1"), *c.fields()[3:]])
malformed("8.3", ":protocol without extended CONNECT", lambda c: [(":protocol", "websocket"), *c.fields()])
for name in (":method", ":scheme", ":path"):
    malformed("8.3.1", f"no {name}", without(name))
for name in (":method", ":scheme", ":path", ":authority"):
    malformed("8.3.1", f"{name} twice", lambda c, name=name: [pair for pair in c.fields() if pair[0] == name] + c.fields())
malformed("8.3.1", "an empty :path", instead(":path", ""))
malformed("8.3.1", "an empty :method", instead(":method", ""), alive=False)
malformed("8.3.1", "an empty :scheme", instead(":scheme", ""))
malformed("8.3.1", "a :path without a slash", instead(":path", "admin"))
malformed("8.3.1", "a :path of a whole URL", instead(":path", "http://wiki.test/"))
malformed("8.3.1", "a :path with a space", instead(":path", "/a b"))
malformed("8.3.1", "a :path with a line end", instead(":path", "/a HTTP/1.1\r\nx-evil: 1\r\n\r\n"))
malformed("8.3.1", "a :path with a fragment", instead(":path", "/a#b"))
malformed("8.3.1", "a :method with a space", instead(":method", "GET /evil"), alive=False)
malformed("8.3.1", "a :method with a line end", instead(":method", "GET / HTTP/1.1\r\nx: y"), alive=False)
malformed("8.3.1", "an :authority with userinfo", instead(":authority", f"a@{HOST}"))
malformed("8.3.1", "an :authority with a path", instead(":authority", f"{HOST}/x"))
malformed("8.3.1", "an :authority with a line end", instead(":authority", f"{HOST}\r\nx: y"))
malformed("8.3.1", "an :authority with a space", instead(":authority", f"{HOST} x"))
malformed("8.3.1", "Host unlike :authority", with_extra("host", "other.test"))
malformed("8.3.1", "Host twice, without :authority", lambda c: [pair for pair in c.fields() if pair[0] != ":authority"] + [("host", HOST), ("host", HOST)])
malformed("8.3.1", "neither :authority nor Host", without(":authority"))


@case("8.3.1", "Host instead of :authority is taken or refused", reaches=True)
def _(c):
    c.ask(fields=[pair for pair in c.fields() if pair[0] != ":authority"] + [("host", HOST)])
    got = c.answer()
    if got[0] == "200":
        found = c.world.origin.asked("x-case", c.case)[0]
        if found.all("host") != [HOST]:
            raise Wrong(f"the app got {found.all('host')}")
    elif got[0] not in ("400", "reset PROTOCOL_ERROR"):
        raise Wrong(str(got))


@case("8.3.1", "a scheme of its own is no way around anything", nothing=False, reaches=True)
def _(c):
    c.ask(fields=instead(":scheme", "ftp")(c))
    if (got := c.answer())[0] not in ("200", "400", "reset PROTOCOL_ERROR"):
        raise Wrong(str(got))


@case("8.5", "CONNECT is not served", nothing=True)
def _(c):
    c.ask(fields=[(":method", "CONNECT"), (":authority", "wiki.test:443"), *c.fields()[4:]])
    c.expect_stream_error(1, PROTOCOL, CONNECT, REFUSED, statuses=("400", "405", "501"))


@case("8.5", "CONNECT with :scheme and :path is malformed", nothing=True)
def _(c):
    c.ask(fields=c.fields("CONNECT"))
    c.expect_stream_error(1, PROTOCOL, statuses=("400", "405", "501"))


# --- 8.1.1: Content-Length
def lengths(name, length, *pieces):
    @case("8.1.1", f"Content-Length {name}", nothing=True)
    def _(c):
        c.ask(fields=c.post(*[("content-length", one) for one in ([length] if isinstance(length, str) else length)]), flags=END_HEADERS | (0 if pieces else END_STREAM))
        for number, piece in enumerate(pieces):
            c.send(frame(DATA, END_STREAM if number + 1 == len(pieces) else 0, 1, piece))
        c.expect_stream_error(1, PROTOCOL, alive=True, statuses=("400", "502"))
        c.ask(3, fields=c.fields()[:5] + [("x-other", "1")])
        c.expect_ok(3)


lengths("larger than one DATA", "5", b"test")
lengths("smaller than one DATA", "3", b"test")
lengths("larger than several DATA", "9", b"test", b"test")
lengths("smaller than several DATA", "7", b"test", b"test")
lengths("of 1 and no body", "1")
lengths("twice, unlike", ["4", "5"], b"test")
lengths("as a list", "4, 4", b"test")
lengths("with a sign", "+4", b"test")
lengths("negative", "-1", b"test")
lengths("empty", "", b"test")
lengths("hexadecimal", "0x4", b"test")
lengths("beyond 64 bits", "18446744073709551620", b"test")


@case("8.1.1", "Content-Length of 0 with an empty DATA", reaches=True)
def _(c):
    c.ask(fields=c.post(("content-length", "0")), flags=END_HEADERS)
    c.send(frame(DATA, END_STREAM, 1))
    c.expect_ok()


@case("8.1.1", "Content-Length that is right, in pieces, the last empty", reaches=True)
def _(c):
    c.ask(fields=c.post(("content-length", "8")), flags=END_HEADERS)
    c.send(frame(DATA, 0, 1, b"test"), frame(DATA, 0, 1, b"test"), frame(DATA, END_STREAM, 1))
    c.expect_ok()
    if c.world.origin.asked("x-case", c.case)[0].body != b"testtest":
        raise Wrong("another body")


@case("8.7", "a request that was reset leaves the connection as it was", reaches=True)
def _(c):
    for stream in range(1, 21, 2):
        c.ask(stream, fields=c.post(), flags=END_HEADERS)
        c.send(reset(stream))
    c.works(31)


@case("8.4", "HEAD has a length and no DATA", reaches=True)
def _(c):
    c.ask(fields=c.fields("HEAD"))
    if (got := c.answer()) != ("200", b""):
        raise Wrong(str(got))


# --- RFC 7541
connection_error("HPACK 2.3.3", "an index beyond the tables", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\xc6"), nothing=True)
connection_error("HPACK 2.3.3", "the name of an index beyond the tables", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\x40\x46"[:0] + b"\x7e\x01a"), nothing=True)
connection_error("HPACK 4.2", "a table size update at the end of a block", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\x21"), nothing=True)
connection_error("HPACK 6.3", "a table size beyond SETTINGS_HEADER_TABLE_SIZE", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, b"\x3f\xe1\xff\x07" + block(c.fields())), nothing=True)
connection_error("HPACK 5.2", "Huffman padding longer than 7 bits", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), nothing=True)
connection_error("HPACK 5.2", "Huffman padding of zeros", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"), nothing=True)
connection_error("HPACK 5.2", "Huffman's EOS in a string", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\x00\x88\xf2\xb2\x4a\x84\xff\xff\xff\xfc\x83\x49\x50\x9f"[:14]), nothing=True)
connection_error("HPACK 6.1", "index 0", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\x80"), nothing=True)
connection_error("HPACK 5.1", "an integer without an end", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\xff" + b"\xff" * 12 + b"\x7f"), nothing=True)
connection_error("HPACK 5.2", "a string longer than its block", [COMPRESSION], lambda c: frame(HEADERS, 5, 1, block(c.fields()) + b"\x00\x01a\x7fb"), nothing=True)


@case("HPACK 2.3.2", "fields of the dynamic table are read again", reaches=True)
def _(c):
    encoder = hpack.Encoder()
    for stream in (1, 3, 5):
        c.send(frame(HEADERS, 5, stream, encoder.encode(c.fields(extra=[("x-stream", "same")]))))
        c.expect_ok(stream)
    if [one.get("x-stream") for one in c.world.origin.asked("x-case", c.case)] != ["same"] * 3:
        raise Wrong("another value")


@case("HPACK 4.2", "a table size update at the beginning of a block", reaches=True)
def _(c):
    c.send(frame(HEADERS, 5, 1, b"\x20" + block(c.fields())))
    c.expect_ok()


def answer(request, sock):
    if request.target == "/slow":
        time.sleep(0.4)
    if request.target == "/never":
        time.sleep(5)
    if request.target == "/large":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"l" * 200_000
    if request.method == "HEAD":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def never_reads(request, sock):
    if request.target == "/never":
        time.sleep(6)


def run(world, tls, section, name, function, options):
    try:
        with Client(world, tls, preface=options.get("preface", PREFACE + setting())) as client:
            function(client)
            # Who malformed something has closed nothing yet: what could reach the app has reached it.
            if options.get("nothing"):
                client.nothing_reached()
        return None
    except Wrong as why:
        return why
    except (OSError, hpack.HPACKError) as why:
        return f"{type(why).__name__}: {why}"


def main():
    words = [one for one in sys.argv[1:] if not one.startswith("--")]
    chosen = [one for one in CASES if not words or any(word in f"{one[0]} {one[1]}" for word in words)]
    with Stage() as world:
        world.origin = world.enter_context(Origin(answer, never_reads))
        world.plain = world.portcullis(wiki(world.origin.port, (HOST,)), EVERYBODY, tls=[HOST])
        world.token = world.token()
        failed, others, known, table = [], [], [], {}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            kinds = [(tls, one) for tls in (True, False) for one in chosen]
            for (tls, (section, name, *_)), why in zip(kinds, pool.map(lambda pair: run(world, pair[0], *pair[1]), kinds)):
                counts = table.setdefault(section, [0, 0, 0, 0])
                expected = KNOWN.get((section, name))
                if expected:
                    # Known is what happens, not that something does.
                    kind = known if why and expected[0] in str(why) else failed
                    why = why or "passed, and is listed as known: take it off"
                else:
                    kind = others if isinstance(why, OtherCode) else failed if why else None
                counts[0 if kind is None else 1 if kind is others else 2 if kind is known else 3] += 1
                if kind is not None:
                    kind.append((section, name, "TLS" if tls else "h2c", why))
        for section, name, how, why in failed:
            print(f"FAILED: {section} {name} ({how}): {why}")
        print("section        passed  other code  known  failed")
        for section, (passed, other, knowns, wrong) in table.items():
            print(f"{section:<14} {passed:6} {other:11} {knowns:6} {wrong:7}")
        for (section, name), (what, why) in KNOWN.items():
            if any(one[:2] == (section, name) for one in known):
                print(f"known: {section} {name}: {what}; {why}")
        for odd in world.origin.odds:
            print(f"FAILED: the app got what a strict reader does not read: {odd}")
        print(f"{len(kinds) - len(failed)} of {len(kinds)} as they must be ({len(chosen)} cases, over TLS and in plain), {len(others)} of them with another code, {len(known)} known")
        if world.process.poll() is not None:
            sys.exit(f"FAILED: Portcullis ended, status {world.process.returncode}")
        if (failed or world.origin.odds) and "--report-only" not in sys.argv:
            sys.exit(1)


if __name__ == "__main__":
    main()
