"""WebSockets through the proxy, as the library `websockets` speaks them at both ends, and as plain sockets do what it would not.

Fragments, pings, close codes, sizes up to 64 MiB, compression, subprotocols, a thousand messages each way, a reader that does not
read, one end that leaves, an end that falls silent, and frames in pieces of single bytes: what comes out is what went in.

usage: websocket_suite.py [--report-only] [WORD...]   (only cases whose name has one of these words)
"""
# needs: pip:websockets==17.4 apt:openssl
import asyncio
import base64
import contextlib
import hashlib
import os
import random
import socket
import ssl
import struct
import time

import websockets.asyncio.client
import websockets.asyncio.server
import websockets.exceptions

from cases import Wrong, case, chosen, conclude, expect, name_of
from origin import Origin
from stage import EVERYBODY, Stage

HOST = "socket.test"
APPS = """
[[app]]
id = "socket"
hosts = ["socket.test"]
upstreams = ["http://127.0.0.1:{app}"]
websocket = true

[[app]]
id = "raw"
hosts = ["raw.test"]
upstreams = ["http://127.0.0.1:{raw}"]
websocket = true

[[app]]
id = "silent"
hosts = ["silent.test"]
upstreams = ["http://127.0.0.1:{raw}"]
websocket = true
timeouts = {{ read = "2s", stream-idle = "2s" }}

[[app]]
id = "pinged"
hosts = ["pinged.test"]
upstreams = ["http://127.0.0.1:{app}"]
websocket = true
timeouts = {{ read = "2s", stream-idle = "2s" }}

[[app]]
id = "pages"
hosts = ["pages.test"]
upstreams = ["http://127.0.0.1:{raw}"]
websocket = false
"""
MIB = 1 << 20
LARGEST = 64 * MIB
# Of the proxy, while 64 MiB pass or wait.
GROWTH_MIB = 24

# --- the app
async def app(socket):
    """Does what the path says."""
    path = socket.request.path
    with contextlib.suppress(websockets.exceptions.ConnectionClosed):
        if path == "/echo":
            async for message in socket:
                await socket.send(message)
        elif path.startswith("/close/"):
            _, _, code, reason = path.split("/")
            await socket.close(int(code), reason)
        elif path == "/closed":
            async for _ in socket:
                pass
        elif path == "/drop":
            await socket.recv()
            socket.transport.abort()
        elif path == "/ping":
            waiter = await socket.ping(b"from the app")
            await asyncio.wait_for(waiter, 10)
            await socket.send("ponged")
        elif path == "/count":
            async def count():
                for number in range(1000):
                    await socket.send(f"app {number}")
            sending = asyncio.create_task(count())
            got = [await socket.recv() for _ in range(1000)]
            await sending
            await socket.send("right" if got == [f"client {number}" for number in range(1000)] else "wrong")
        elif path == "/large":
            await socket.send(b"l" * LARGEST)
        elif path == "/fragments":
            await socket.send(["α", "γ", "δ" * 100_000])
        elif path == "/headers":
            await socket.send("\n".join(f"{name}: {value}" for name, value in socket.request.headers.raw_items()))
    world.ends.append((path, socket.close_code, socket.close_reason))


def raw_app(request, sock):
    """An app of plain sockets that speaks WebSocket by hand."""
    key = request.get("sec-websocket-key", "")
    accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    path = request.target
    if path == "/refused":
        return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n"
    if path == "/page":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npage\n"
    if path == "/other":
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nnonsense")
    elif path == "/with-head":
        # The first frame comes with the head.
        sock.sendall(head + frame(b"at once", mask=False))
        request.reader.more()
    elif path == "/bytes":
        sock.sendall(head)
        digest, count = hashlib.sha256(), 0
        while count < world.bytes_wanted:
            if not request.reader.buffer:
                request.reader.more()
            digest.update(request.reader.buffer)
            count += len(request.reader.buffer)
            request.reader.buffer = b""
        sock.sendall(frame(digest.hexdigest().encode(), mask=False))
        for piece in world.pieces:
            sock.sendall(piece)
            time.sleep(0.0005)
        world.ends.append(("bytes", None, None))
        with contextlib.suppress(EOFError):
            request.reader.more()
    elif path == "/after-end":
        sock.sendall(head)
        with contextlib.suppress(EOFError):
            while True:
                request.reader.more()
        world.ends.append(("after-end", "end seen", None))
        sock.sendall(frame(b"bye", mask=False))
    elif path == "/leaves":
        sock.sendall(head + frame(b"last", mask=False))
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(EOFError):
            while True:
                request.reader.more()
        world.ends.append(("leaves", request.reader.buffer, None))
    elif path == "/silence":
        sock.sendall(head)
        with contextlib.suppress(EOFError, OSError):
            request.reader.more()
        world.ends.append(("silence", time.monotonic(), None))
    return None


def frame(payload, opcode=2, fin=True, mask=True, chooser=random):
    head = bytes([(0x80 if fin else 0) | opcode])
    bit, size = (0x80 if mask else 0), len(payload)
    if size < 126:
        head += bytes([bit | size])
    elif size < 65_536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    key = chooser.randbytes(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


class RawClient:
    """The client's end by hand."""

    def __init__(self, path, host="raw.test", more="", token=True, version="13"):
        self.buffer = b""
        self.sock = socket.create_connection(("127.0.0.1", world.port), 15)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bearer = f"Authorization: Bearer {world.token}\r\n" if token else ""
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{bearer}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: {version}\r\n"
                          f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n".encode())
        while b"\r\n\r\n" not in self.buffer:
            piece = self.sock.recv(65536)
            if not piece:
                break
            self.buffer += piece
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(self.head.split(b" ")[1]) if self.head else 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def take(self, count):
        while len(self.buffer) < count:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def frame(self):
        first, second = self.take(2)
        size = second & 127
        if size >= 126:
            size = int.from_bytes(self.take(2 if size == 126 else 8), "big")
        return first & 15, self.take(size)

    def rest(self, seconds=5):
        self.sock.settimeout(seconds)
        out, self.buffer = self.buffer, b""
        with contextlib.suppress(ConnectionError):
            while piece := self.sock.recv(65536):
                out += piece
        return out


def connect(path, tls=False, host=HOST, **options):
    options = {"compression": None, "max_size": None, "open_timeout": 15, "ping_interval": None, "proxy": None, **options}
    headers = {"Authorization": f"Bearer {world.token}", **options.pop("headers", {})}
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return websockets.asyncio.client.connect(f"wss://{host}{path}", host="127.0.0.1", port=world.tls, ssl=context, additional_headers=headers, **options)
    return websockets.asyncio.client.connect(f"ws://{host}{path}", host="127.0.0.1", port=world.port, additional_headers=headers, **options)


async def ended(path, seconds=8):
    """How the app saw its socket end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for found in world.ends:
            if found[0] == path:
                world.ends.remove(found)
                return found
        await asyncio.sleep(0.02)
    raise Wrong(f"the app's end of {path} did not come within {seconds} s")


# --- sizes and fragments
@case
async def sizes_up_to_a_mebibyte():
    async with connect("/echo") as socket:
        for size in (0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, MIB):
            for message in (b"b" * size, "t" * size):
                await socket.send(message)
                expect(await socket.recv() == message, f"{size} bytes of {type(message).__name__}")


@case
async def sixty_four_mebibytes_there_and_back():
    message, before = os.urandom(MIB) * 64, world.resident()
    async with connect("/echo") as socket:
        await socket.send(message)
        back = await socket.recv()
    expect(back == message, f"{len(back)} bytes came back, or others")
    grown = world.resident() - before
    expect(grown < GROWTH_MIB, f"the proxy grew by {grown:.0f} MiB")
    return f"memory +{grown:.1f} MiB"


@case
async def sixty_four_mebibytes_there_and_back_over_tls():
    message = os.urandom(MIB) * 64
    async with connect("/echo", tls=True) as socket:
        await socket.send(message)
        expect(await socket.recv() == message, "another message")


@case
async def thirty_two_mebibytes_both_ways_in_frames_of_64_kib():
    piece = os.urandom(65_536)
    async with connect("/echo") as socket:
        async def send():
            for _ in range(512):
                await socket.send(piece)
        sending = asyncio.create_task(send())
        for number in range(512):
            expect(await socket.recv() == piece, f"frame {number}")
        await sending


@case
async def fragments_of_the_client_with_a_letter_cut_in_two():
    text = "naïve – 日本語 🙂" * 100
    data = text.encode()
    async with connect("/echo") as socket:
        await socket.send([text[:5], text[5:17], "", text[17:]])
        expect(await socket.recv() == text, "another text")

    def by_hand():
        with RawClient("/echo", host=HOST) as client:
            cuts = [0, 3, 4, 11, 12, 13, len(data)]
            for number, (start, end) in enumerate(zip(cuts, cuts[1:])):
                client.sock.sendall(frame(data[start:end], opcode=1 if number == 0 else 0, fin=end == len(data)))
                # A control frame may stand between two fragments.
                client.sock.sendall(frame(b"between", opcode=9))
            got = [client.frame() for _ in range(7)]
            expect(sorted(got) == sorted([(1, data)] + [(10, b"between")] * 6), f"{[(code, len(body)) for code, body in got]}")
    await asyncio.to_thread(by_hand)


@case
async def fragments_of_the_app():
    async with connect("/fragments") as socket:
        expect(await socket.recv() == "αγ" + "δ" * 100_000, "another text")


@case
async def every_byte_comes_out_as_it_went_in():
    """Frames of random sizes, opcodes, reserved bits and masks, cut into random pieces, both ways."""
    def work():
        chooser = random.Random(25)
        frames = [frame(chooser.randbytes(chooser.choice((0, 1, 5, 125, 126, 300, 65_535, 65_536))), opcode=chooser.choice((1, 2, 0, 9, 10, 3, 11)), fin=chooser.random() < 0.7, chooser=chooser) for _ in range(40)]
        there = b"".join(frames)
        back = b"".join(frame(chooser.randbytes(chooser.choice((0, 1, 125, 126, 65_536))), opcode=chooser.choice((1, 2, 0, 9)), fin=chooser.random() < 0.5, mask=False) for _ in range(25))
        def cut(data):
            pieces, at = [], 0
            while at < len(data):
                size = chooser.choice((1, 1, 2, 3, 7, 1000, 30_000))
                pieces.append(data[at:at + size])
                at += size
            return pieces
        world.bytes_wanted, world.pieces = len(there), cut(back)
        with RawClient("/bytes") as client:
            expect(client.status == 101, client.head)
            for piece in cut(there):
                client.sock.sendall(piece)
            _, digest = client.frame()
            expect(digest.decode() == hashlib.sha256(there).hexdigest(), "the app got other bytes")
            expect(client.take(len(back)) == back, "the client got other bytes")
        return f"{len(there)} bytes there, {len(back)} back"
    return await asyncio.to_thread(work)


@case
async def a_head_and_frames_of_single_bytes():
    def work():
        with RawClient("/echo", host=HOST) as client:
            for byte in frame("möwe".encode(), opcode=1) + frame(b"x" * 130):
                client.sock.sendall(bytes([byte]))
                time.sleep(0.001)
            expect(client.frame() == (1, "möwe".encode()) and client.frame() == (2, b"x" * 130), "other frames")
    await asyncio.to_thread(work)


@case
async def a_frame_that_comes_with_the_head():
    def work():
        with RawClient("/with-head") as client:
            expect(client.frame() == (2, b"at once"), "another frame")
    await asyncio.to_thread(work)


# --- pings
@case
async def pings_of_the_client_and_of_the_app():
    async with connect("/echo") as socket:
        for payload in (b"", b"x", b"p" * 125):
            await asyncio.wait_for(await socket.ping(payload), 10)
        await socket.pong(b"nobody asked")
        await socket.send("still here")
        expect(await socket.recv() == "still here", "another message")
    async with connect("/ping") as socket:
        expect(await socket.recv() == "ponged", "no pong reached the app")


@case
async def a_thousand_small_messages_each_way_keep_their_order():
    async with connect("/count") as socket:
        async def send():
            for number in range(1000):
                await socket.send(f"client {number}")
        sending = asyncio.create_task(send())
        got = [await socket.recv() for _ in range(1000)]
        await sending
        expect(got == [f"app {number}" for number in range(1000)], "another order at the client")
        expect(await socket.recv() == "right", "another order at the app")


# --- the end
@case
async def close_codes_of_the_app():
    for code in (1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 4000, 4999):
        async with connect(f"/close/{code}/because-{code}") as socket:
            await socket.wait_closed()
            expect((socket.close_code, socket.close_reason) == (code, f"because-{code}"), f"{code}: the client saw {socket.close_code} {socket.close_reason!r}")
        expect((await ended(f"/close/{code}/because-{code}"))[1] == code, f"{code}: the app saw another")


@case
async def close_codes_of_the_client():
    for code in (1000, 1001, 1003, 1008, 1011, 3000, 4000, 4999):
        async with connect("/closed") as socket:
            await socket.close(code, f"because-{code}")
        path, seen, reason = await ended("/closed")
        expect((seen, reason) == (code, f"because-{code}"), f"{code}: the app saw {seen} {reason!r}")


@case
async def a_close_without_a_code():
    def work():
        with RawClient("/closed", host=HOST) as client:
            client.sock.sendall(frame(b"", opcode=8))
            expect(client.frame()[0] == 8, "no close came back")
            expect(client.rest() == b"", "bytes after the close")
    await asyncio.to_thread(work)
    expect((await ended("/closed"))[1] == 1005, "the app saw another code")


@case
async def an_app_that_breaks_off_is_seen_at_once():
    async with connect("/drop") as socket:
        begun = time.monotonic()
        await socket.send("drop")
        await asyncio.wait_for(socket.wait_closed(), 10)
        expect(socket.close_code == 1006, f"the client saw {socket.close_code}")
        return f"after {time.monotonic() - begun:.2f} s"


@case
async def a_client_that_breaks_off_is_seen_at_once():
    socket = await connect("/closed")
    begun = time.monotonic()
    socket.transport.abort()
    expect((await ended("/closed"))[1] == 1006, "the app saw another code")
    return f"after {time.monotonic() - begun:.2f} s"


@case
async def what_the_app_says_after_the_client_s_end_still_comes_or_both_end():
    def work():
        with RawClient("/after-end") as client:
            client.sock.shutdown(socket.SHUT_WR)
            got = client.rest()
            expect(got in (b"", frame(b"bye", mask=False)), f"{got!r}")
            return "it comes" if got else "both ends are closed"
    told = await asyncio.to_thread(work)
    await ended("after-end")
    return told


@case
async def what_the_client_says_after_the_app_s_end_still_comes_or_both_end():
    def work():
        with RawClient("/leaves") as client:
            expect(client.frame() == (2, b"last"), "the last frame is lost")
            with contextlib.suppress(OSError):
                client.sock.sendall(frame(b"reply"))
                client.sock.shutdown(socket.SHUT_WR)
            client.rest()
    await asyncio.to_thread(work)
    got = (await ended("leaves"))[1]
    return "it comes" if got else "both ends are closed"


@case
async def a_socket_on_which_nothing_passes_ends_by_its_time():
    def work():
        with RawClient("/silence", host="silent.test") as client:
            begun = time.monotonic()
            client.rest(20)
            return time.monotonic() - begun
    took = await asyncio.to_thread(work)
    await ended("silence")
    expect(1.5 < took < 8, f"after {took:.1f} s, the time is 2 s")
    return f"after {took:.1f} s of 2"


@case
async def a_socket_on_which_pings_pass_goes_on():
    async with connect("/echo", host="pinged.test", ping_interval=0.7, ping_timeout=5) as socket:
        await asyncio.sleep(4.5)
        await socket.send("still here")
        expect(await socket.recv() == "still here", "another message")


# --- the handshake
@case
async def compression_is_between_the_two_ends():
    async with connect("/echo", compression="deflate") as socket:
        expect("permessage-deflate" in socket.response.headers.get("Sec-WebSocket-Extensions", ""), "it was not agreed on")
        for message in ("again and again " * 60_000, os.urandom(300_000)):
            await socket.send(message)
            expect(await socket.recv() == message, "another message")


@case
async def subprotocols():
    async with connect("/echo", subprotocols=["second.example", "first.example"]) as socket:
        expect(socket.subprotocol == "first.example", f"{socket.subprotocol}")
    async with connect("/echo") as socket:
        expect(socket.subprotocol is None, f"{socket.subprotocol}")


@case
async def what_the_app_is_told():
    async with connect("/headers", headers={"X-Mine": "1"}) as socket:
        lines = (await socket.recv()).lower().splitlines()
    expect("x-mine: 1" in lines and f"host: {HOST}" in lines, lines)
    expect(lines.count("upgrade: websocket") == 1 and sum(line.startswith("connection:") for line in lines) == 1, lines)
    expect(not any(world.token.lower() in line for line in lines), "the token reached the app")


@case
async def a_handshake_that_is_refused_never_reaches_the_app():
    before = len(world.raw.requests)
    with RawClient("/silence", token=False) as client:
        expect(client.status == 401, client.head)
    with RawClient("/silence", host="pages.test") as client:
        expect(client.status != 101, client.head)
    expect([one.target for one in world.raw.requests[before:] if one.get("upgrade")] == [], "it reached the app")


@case
async def answers_of_the_app_that_are_no_101():
    for path, status in (("/refused", 403), ("/page", 200)):
        with RawClient(path) as client:
            expect(client.status == status, client.head)
    with RawClient("/other") as client:
        expect(client.status == 502 and b"nonsense" not in client.rest(), client.head)


@case
async def over_tls_as_in_plain():
    async with connect("/echo", tls=True) as socket:
        await socket.send("secret")
        expect(await socket.recv() == "secret", "another message")
        await socket.close(4001, "done")
    expect((await ended("/echo", 8))[0] == "/echo", "")


@case
async def a_reader_that_does_not_read_holds_the_app_back():
    """64 MiB for a client that reads nothing: they wait at the app, not in the proxy."""
    before = world.resident()
    async with connect("/large", max_queue=1) as socket:
        socket.transport.pause_reading()
        await asyncio.sleep(1.5)
        grown = world.resident() - before
        socket.transport.resume_reading()
        message = await socket.recv()
    expect(message == b"l" * LARGEST, "another message")
    expect(grown < GROWTH_MIB, f"the proxy grew by {grown:.0f} MiB")
    return f"memory +{grown:.1f} MiB"


def first(_, offered):
    return "first.example" if "first.example" in offered else None


async def run(ran, failed):
    server = await websockets.asyncio.server.serve(app, "127.0.0.1", 0, max_size=None, ping_interval=None, compression="deflate", select_subprotocol=first)
    world.raw = world.enter_context(Origin(raw_app))
    world.port = await asyncio.to_thread(lambda: world.portcullis(APPS.format(app=server.sockets[0].getsockname()[1], raw=world.raw.port), EVERYBODY, tls=[HOST]))
    for one in ran:
        name, begun = name_of(one), time.monotonic()
        world.ends.clear()
        try:
            note = await asyncio.wait_for(one(), 60)
            print(f"ok: {name} ({time.monotonic() - begun:.1f} s{', ' + note if note else ''})", flush=True)
        except (Wrong, OSError, EOFError, TimeoutError, websockets.exceptions.WebSocketException) as why:
            failed.append(name)
            print(f"FAILED: {name}: {type(why).__name__} {why}", flush=True)
    server.close()


def main():
    global world
    ran = chosen()
    failed = []
    with Stage() as world:
        world.ends, world.token = [], world.token()
        asyncio.run(run(ran, failed))
        if world.process.poll() is not None:
            failed.append("Portcullis ended")
    conclude(ran, failed)


main()
