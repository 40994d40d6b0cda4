"""Apps in HTTP/2 that misbehave, by raw frames: every one ends in bounded time and memory, with a cause that is counted, and
no client is told that half an answer was whole."""
# needs: pip:h2==4.2.0
import concurrent.futures
import contextlib
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame

from stage import EVERYBODY, Stage, check, free_port, raw

OK = [(":status", "200")]
# How much the program may grow by all of it, in MiB.
GROWTH_MAX = 64


class App:
    """A server whose streams are answered by `answer(app, connection, number of the connection, stream, head)`."""

    def __init__(self, answer, settings=None, tls=None, preface=True):
        self.answer, self.settings, self.tls, self.preface = answer, settings or {}, tls, preface
        self.port, self.count, self.protocols = free_port(), 0, []
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.count += 1
                threading.Thread(target=self.serve, args=(connection, self.count), daemon=True).start()

    def serve(self, connection, number):
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError, ssl.SSLError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self.protocols.append(connection.selected_alpn_protocol())
                if connection.selected_alpn_protocol() != "h2":
                    return self.serve_http1(connection)
            if not self.preface:
                while connection.recv(65536):
                    pass
                return None
            config = h2.config.H2Configuration(client_side=False, validate_outbound_headers=False,
                                               normalize_outbound_headers=False, header_encoding="utf-8")
            state = h2.connection.H2Connection(config)
            if self.settings:
                state.local_settings = h2.settings.Settings(client=False, initial_values=self.settings)
            state.initiate_connection()
            connection.sendall(state.data_to_send())
            while data := connection.recv(65536):
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        self.answer(self, Wire(connection, state), number, event.stream_id, dict(event.headers))
                    if isinstance(event, h2.events.DataReceived) and self.settings.get(WINDOW) != 0:
                        with contextlib.suppress(h2.exceptions.ProtocolError):
                            state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                connection.sendall(state.data_to_send())

    @staticmethod
    def serve_http1(connection):
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\none\n")


WINDOW = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


class Wire:
    """A connection, to be written to by frames or by bytes."""

    def __init__(self, connection, state):
        self.connection, self.state = connection, state

    def flush(self):
        self.connection.sendall(self.state.data_to_send())

    def close(self):
        self.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


def whole(_app, wire, _number, stream, _head, body=b"fine\n"):
    wire.state.send_headers(stream, OK)
    wire.state.send_data(stream, body, end_stream=True)


def reset(_app, wire, _number, stream, _head):
    wire.state.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)


def refuse_once(app, wire, number, stream, head):
    if stream == 1:
        wire.state.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
    else:
        whole(app, wire, number, stream, head)


def refuse_always(_app, wire, _number, stream, _head):
    wire.state.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)


def goodbye_once(app, wire, number, stream, head):
    if number == 1:
        wire.state.close_connection(last_stream_id=0)
        wire.close()
    else:
        whole(app, wire, number, stream, head)


def goodbye_in_the_middle(_app, wire, _number, stream, _head):
    wire.state.send_headers(stream, [*OK, ("content-length", "100")])
    wire.state.send_data(stream, b"half")
    wire.flush()
    time.sleep(0.2)
    wire.state.close_connection(h2.errors.ErrorCodes.INTERNAL_ERROR, last_stream_id=stream)
    wire.close()


def many_fields(_app, wire, _number, stream, _head):
    wire.state.send_headers(stream, [*OK, *((f"x-{number}", "1") for number in range(200))], end_stream=True)


def endless_head(_app, wire, _number, stream, _head):
    field = b"\x00\x01a\x7f\x81\x7e" + b"x" * 254
    head = HeadersFrame(stream, b"\x88")
    wire.flush()
    wire.connection.sendall(head.serialize())
    for _ in range(100_000):
        wire.connection.sendall(ContinuationFrame(stream, field * 60).serialize())


def endless_interim(_app, wire, _number, stream, _head):
    head = HeadersFrame(stream, b"\x08\x03103", flags=["END_HEADERS"]).serialize()
    wire.flush()
    while True:
        wire.connection.sendall(head * 100)


def beyond_the_window(_app, wire, _number, stream, _head):
    wire.flush()
    wire.connection.sendall(HeadersFrame(stream, b"\x88", flags=["END_HEADERS"]).serialize())
    piece = DataFrame(stream, b"x" * 16_000).serialize()
    for _ in range(20_000):
        wire.connection.sendall(piece)


def nonsense(_app, wire, _number, _stream, _head):
    wire.flush()
    wire.connection.sendall(b"\xff" * 10_000)


def another_length(_app, wire, _number, stream, _head):
    wire.state.send_headers(stream, [*OK, ("content-length", "3")], end_stream=True)


def connection_field(_app, wire, _number, stream, _head):
    wire.state.send_headers(stream, [*OK, ("connection", "close")], end_stream=True)


def never(*_):
    pass


def later(_app, wire, _number, stream, _head):
    time.sleep(0.05)
    whole(_app, wire, _number, stream, _head)


class RefusesTwice(App):
    """Takes a part of a body and refuses the stream, takes little of it again and refuses that, and then takes it whole."""

    def __init__(self):
        super().__init__(None, {WINDOW: 10})
        self.attempts, self.taken = {}, {}

    def serve(self, connection, number):
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            state.local_settings = h2.settings.Settings(client=False, initial_values=self.settings)
            state.initiate_connection()
            connection.sendall(state.data_to_send())
            while data := connection.recv(65536):
                for event in state.receive_data(data):
                    self.take(state, event)
                connection.sendall(state.data_to_send())

    def take(self, state, event):
        if isinstance(event, h2.events.RequestReceived):
            stream = event.stream_id
            attempt = self.attempts[stream] = len(self.attempts) + 1
            self.taken[attempt] = b""
            if attempt != 2:
                state.increment_flow_control_window(100_000, stream)
        if isinstance(event, h2.events.DataReceived):
            attempt = self.attempts[event.stream_id]
            self.taken[attempt] += event.data
            if len(self.taken[attempt]) >= {1: 4_000, 2: 10}.get(attempt, 1 << 20):
                state.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
        if isinstance(event, h2.events.StreamEnded):
            state.send_headers(event.stream_id, OK)
            state.send_data(event.stream_id, b"fine\n", end_stream=True)


def in_pieces(port, host, token, pieces):
    """The status of a POST whose body comes piece by piece."""
    head = f"POST / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(head.encode())
        for piece in pieces:
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            time.sleep(0.1)
        connection.sendall(b"0\r\n\r\n")
        return connection.recv(65536).split(b" ")[1]


# What the app does, what it says of itself, the request, what the client gets, and the cause that is counted.
CASES = {
    "whole": (whole, {}, "GET", b"", 200, None),
    "reset": (reset, {}, "POST", b"abc", 502, "reset"),
    "refuse-once": (refuse_once, {}, "POST", b"abc", 200, None),
    "refuse-always": (refuse_always, {}, "POST", b"abc", 502, "reset"),
    "goodbye-once": (goodbye_once, {}, "POST", b"abc", 200, None),
    "goodbye-in-the-middle": (goodbye_in_the_middle, {}, "GET", b"", "cut", None),
    "many-fields": (many_fields, {}, "GET", b"", 502, "protocol"),
    "endless-head": (endless_head, {}, "GET", b"", 502, "protocol"),
    "endless-interim": (endless_interim, {}, "GET", b"", 502, "protocol"),
    "beyond-the-window": (beyond_the_window, {}, "GET", b"", "cut", None),
    "nonsense": (nonsense, {}, "GET", b"", 502, "protocol"),
    "another-length": (another_length, {}, "GET", b"", 502, "protocol"),
    "connection-field": (connection_field, {}, "GET", b"", 502, "protocol"),
    "no-window": (never, {WINDOW: 0}, "POST", b"x" * (1 << 20), 504, "write-timeout"),
    "no-answer": (never, {}, "GET", b"", 504, "answer-timeout"),
    "no-streams": (never, {STREAMS: 0}, "GET", b"", 504, "connect-timeout"),
}
APP = """
[[app]]
id = "{id}"
hosts = ["{id}.test"]
upstreams = [{{ url = "{scheme}://127.0.0.1:{port}", protocol = "{protocol}"{more} }}]
timeouts = {{ connect = "1s", first-byte = "2s", read = "2s", write = "2s" }}
"""


def ask(port, host, token, method="GET", body=b""):
    """Status and body, and whether the body is whole. Interim answers are read over."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{length}Connection: close\r\n\r\n"
    back = b""
    with socket.create_connection(("127.0.0.1", port), 30) as connection, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):
            connection.sendall(head.encode() + body)
        while piece := connection.recv(1 << 16):
            back += piece
    status = 100
    while 100 <= status < 200 and back:
        head, _, back = back.partition(b"\r\n\r\n")
        status = int(head.split()[1])
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length:
        return status, back, len(back) == int(length[1])
    is_whole = back.endswith(b"0\r\n\r\n")
    return status, b"".join(re.findall(rb"(?s)[0-9a-f]+\r\n(.*?)\r\n", back)), is_whole


def failures(admin):
    """How often each cause was counted, by app."""
    text = urllib.request.urlopen(f"http://{admin}/metrics", timeout=10).read().decode()
    found = {}
    for line in text.splitlines():
        if line.startswith("portcullis_upstream_failures_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            found[labels["app"], labels["kind"]] = float(line.rsplit(" ", 1)[1])
    return found


def context(chain, key, protocols):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(chain, key)
    made.set_alpn_protocols(protocols)
    return made


def certificate(folder):
    """One that is no authority's, and its key."""
    chain, key = folder / "app.pem", folder / "app.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=app", "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:app.test",
                    "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain, key


def main():
    with Stage() as stage:
        chain, key = certificate(stage.folder)
        tls = f', tls-name = "app.test", ca = "{chain}"'
        apps = {name: App(answer, settings) for name, (answer, settings, *_) in CASES.items()}
        apps["silent"] = App(never, preface=False)
        apps["refuses-twice"] = RefusesTwice()
        apps["one-at-once"] = App(later, {STREAMS: 1})
        apps["three-at-once"] = App(later, {STREAMS: 3})
        config = "".join(APP.format(id=name, scheme="http", port=app.port, protocol="h2", more="") for name, app in apps.items())
        both, old = context(chain, key, ["h2", "http/1.1"]), context(chain, key, ["http/1.1"])
        secure = {"tls-h2": (App(whole, tls=both), "h2"), "tls-auto": (App(whole, tls=both), "auto"),
                  "tls-one": (App(whole, tls=both), "http/1.1"), "tls-auto-old": (App(whole, tls=old), "auto"),
                  "tls-h2-old": (App(whole, tls=old), "h2")}
        config += "".join(APP.format(id=name, scheme="https", port=app.port, protocol=protocol, more=tls)
                          for name, (app, protocol) in secure.items())
        port = stage.portcullis(config, EVERYBODY)
        token = stage.token()
        before = int(stage.resident())
        for name, (_, _, method, body, expected, cause) in CASES.items():
            begun = time.monotonic()
            status, got, is_whole = ask(port, f"{name}.test", token, method, body)
            took = time.monotonic() - begun
            counted = {known[1] for known, count in failures(stage.admin).items() if known[0] == name and count > 0}
            held = (not is_whole if expected == "cut" else (status, is_whole) == (expected, True)) and took < 15
            held = held and (cause is None or cause in counted) and (expected != 200 or got == b"fine\n" and not counted)
            check(held, f"{name}: {status}{'' if is_whole else ', cut'} after {took:.1f} s, {counted or 'no failure'}, "
                        f"{int(stage.resident())} MiB")
        status, _, _ = ask(port, "silent.test", token)
        check(status == 504 and failures(stage.admin).get(("silent", "connect-timeout")), "a server that says nothing is 504")
        pieces = [bytes([letter]) * 1_000 for letter in b"abcdefgh"]
        status, app = in_pieces(port, "refuses-twice.test", token, pieces), apps["refuses-twice"]
        check(status == b"200" and app.taken.get(3) == b"".join(pieces),
              f"a body that was refused twice is sent whole: {[len(taken) for taken in app.taken.values()]} bytes, {status}")
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            for name in ["one-at-once", "three-at-once"]:
                answers = list(pool.map(lambda _, name=name: ask(port, f"{name}.test", token)[0], range(60)))
                check(answers == [200] * 60, f"60 requests to a server that takes few at once: {apps[name].count} connections")
            answers = list(pool.map(lambda _: ask(port, "whole.test", token)[0], range(600)))
            check(answers == [200] * 600 and apps["whole"].count == 1, "600 requests share one connection")
        for name, (app, protocol) in secure.items():
            status, got, _ = ask(port, f"{name}.test", token)
            again, _, _ = ask(port, f"{name}.test", token)
            expected = {"tls-h2": (200, b"fine\n", "h2"), "tls-auto": (200, b"fine\n", "h2"),
                        "tls-one": (200, b"one\n", "http/1.1"), "tls-auto-old": (200, b"one\n", "http/1.1"),
                        "tls-h2-old": (502, None, None)}[name]
            held = status == again == expected[0] and (expected[1] is None or got == expected[1])
            held = held and (expected[2] is None or set(app.protocols) == {expected[2]} and app.count == 1)
            check(held, f"{name}: {protocol} to a server that chose {app.protocols}: {status}")
        app, _ = secure["tls-auto"]
        back = raw(port, f"GET / HTTP/1.1\r\nHost: tls-auto.test\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode(), 2)
        check(back.endswith(b"one\n") and app.protocols == ["h2", "http/1.1"],
              f"a WebSocket to a server that may choose is asked for over HTTP/1.1: {app.protocols}")
        after = int(stage.resident())
        check(after - before < GROWTH_MAX, f"memory: {before} MiB before, {after} MiB after")


main()
