"""HTTP/2 (RFC 9113) over plain connections, as far as counting needs it: a client that asks one thing after the other, and an
origin that answers each request alike.

Header fields are literals, without an index and without Huffman's code, so that each request costs its reader the same.
"""
import socket
import socketserver
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
# `:status: 200` of HPACK's static table (RFC 7541, appendix A).
STATUS_200 = b"\x88"
# Windows that no exchange here uses up.
WIDE = 1 << 30


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(value):
    """A string of HPACK: its length with a prefix of seven bits, and itself."""
    value, length = value.encode(), b""
    left = len(value)
    if left >= 127:
        length, left = b"\x7f", left - 127
        while left >= 128:
            length, left = length + bytes([left & 127 | 128]), left >> 7
    return length + bytes([left]) + value


def fields(pairs):
    return b"".join(b"\0" + text(name) + text(value) for name, value in pairs)


class Connection:
    """One end of a connection."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def take(self, count):
        while len(self.buffer) < count:
            piece = self.sock.recv(65_536)
            if not piece:
                raise ConnectionError("the connection ended")
            self.buffer += piece
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def next(self):
        """The next frame of a stream, as (kind, flags, stream, payload); what is of the whole connection is answered here."""
        while True:
            head = self.take(9)
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            payload = self.take(int.from_bytes(head[:3], "big"))
            if kind in (SETTINGS, PING) and not flags & ACK:
                self.sock.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind in (RST_STREAM, GOAWAY):
                raise ConnectionError(f"frame {kind}: {payload!r}")
            elif kind in (DATA, HEADERS):
                return kind, flags, stream, payload


class Client(Connection):
    """Asks over one connection; the server's windows must hold the bodies that are sent."""

    def __init__(self, port):
        super().__init__(socket.create_connection(("127.0.0.1", port), 60))
        self.stream = -1
        self.sock.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, WIDE)) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WIDE)))

    def ask(self, path, headers, body):
        """The status of the answer to a request, when it has come whole."""
        self.stream += 2
        pairs = [(":method", "POST" if body else "GET"), (":scheme", "http"), (":authority", headers["Host"]), (":path", path)]
        pairs += [(name.lower(), value) for name, value in headers.items() if name != "Host"]
        if body:
            pairs.append(("content-length", str(len(body))))
        request = frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), self.stream, fields(pairs))
        self.sock.sendall(request + (frame(DATA, END_STREAM, self.stream, body) if body else b""))
        status = None
        while True:
            kind, flags, _, payload = self.next()
            if kind == HEADERS and status is None:
                # A change of the table's size may come first.
                block = payload.lstrip(bytes(range(0x20, 0x40)))
                status = 200 if block.startswith(STATUS_200) else 0
            if flags & END_STREAM:
                return status

    def close(self):
        self.sock.close()


class Origin(socketserver.BaseRequestHandler):
    """Answers each request by what the server's `answer()` gives: pairs of header fields, and a body."""

    def handle(self):
        connection = Connection(self.request)
        try:
            connection.take(len(PREFACE))
            connection.sock.sendall(frame(SETTINGS))
            while True:
                _, flags, stream, _ = connection.next()
                if flags & END_STREAM:
                    pairs, body = self.server.answer()
                    connection.sock.sendall(frame(HEADERS, END_HEADERS, stream, STATUS_200 + fields(pairs)) + frame(DATA, END_STREAM, stream, body))
        except ConnectionError:
            pass


def serve(answer):
    """An origin on a free port; each connection has a thread."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Origin)
    server.daemon_threads, server.answer = True, answer
    return server
