"""An app of plain sockets that writes down what it was asked, byte by byte, and reads it by the letter of RFC 9112.

What is not plain (a length said twice, a coding that is not `chunked`, a bare line end) it writes down as `odd`: a proxy must make the
framing of what it sends, so that there is one way to read it.
"""

import contextlib
import re
import socket
import threading

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class Odd(Exception):
    """What a strict reader would not read."""


class Request:
    """One request as it was read: `method`, `target`, `fields` (pairs, names in lower case), `body`, `trailers`, and the `connection`
    (a number) on which it came."""

    def __init__(self, connection, head):
        self.connection, self.head, self.body, self.trailers, self.is_whole = connection, head, b"", [], False
        line, *rest = head.split(b"\r\n")
        if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
            raise Odd("a bare line end in the head")
        parts = line.split(b" ")
        if len(parts) != 3 or not TOKEN.match(parts[0]) or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0") or not parts[1]:
            raise Odd(f"request line {line!r}")
        self.method, self.target, self.version = parts[0].decode(), parts[1].decode("latin-1"), parts[2].decode()
        self.fields = [field(one) for one in rest]

    def all(self, name):
        return [value for found, value in self.fields if found == name]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default


def field(line):
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.match(name) or b"\0" in value:
        raise Odd(f"field line {line!r}")
    return name.decode().lower(), value.strip(b" \t").decode("latin-1")


class Reader:
    """Bytes of a connection, taken by lines and by counts."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def more(self):
        self.buffer += self.piece()

    def piece(self, most=262_144):
        found = self.sock.recv(most)
        if not found:
            raise EOFError
        return found

    def until(self, mark, most=1 << 21):
        while mark not in self.buffer:
            if len(self.buffer) > most:
                raise Odd("a line without an end")
            self.more()
        taken, _, self.buffer = self.buffer.partition(mark)
        return taken

    def exactly(self, count):
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        if len(taken) == count:
            return taken
        pieces, left = [taken], count - len(taken)
        while left:
            pieces.append(self.piece(min(left, 262_144)))
            left -= len(pieces[-1])
        return b"".join(pieces)


def read_body(reader, request):
    lengths, codings = request.all("content-length"), request.all("transfer-encoding")
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        raise Odd(f"framing said twice: {lengths} {codings}")
    if codings:
        if codings[0].lower() != "chunked":
            raise Odd(f"coding {codings[0]!r}")
        pieces = []
        while True:
            size = reader.until(b"\r\n", 1 << 12)
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
                raise Odd(f"chunk size {size!r}")
            if int(size, 16) == 0:
                break
            pieces.append(reader.exactly(int(size, 16)))
            if reader.exactly(2) != b"\r\n":
                raise Odd("no line end after a chunk")
        request.body = b"".join(pieces)
        while line := reader.until(b"\r\n"):
            request.trailers.append(field(line))
    elif lengths:
        if not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
            raise Odd(f"length {lengths[0]!r}")
        request.body = reader.exactly(int(lengths[0]))
    request.is_whole = True


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Origin:
    """Listens until it is closed. `answer(request, sock)` gives the bytes of an answer, None to close, or sends for itself and gives b"".

    `requests` are those whose head was read, `odds` what was not read (connection, why, bytes). `before(request, sock)` is called as soon
    as the head is there and may read nothing.
    """

    def __init__(self, answer=lambda request, sock: OK, before=None, family=socket.AF_INET, port=0):
        self.answer, self.before, self.requests, self.odds, self.lock, self.connections = answer, before, [], [], threading.Lock(), 0
        self.open = set()
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                number = self.connections
                self.open.add(sock)
            threading.Thread(target=self.serve, args=(number, sock), daemon=True).start()

    def serve(self, number, sock):
        reader, request = Reader(sock), None
        try:
            with sock:
                while True:
                    request = None
                    request = Request(number, reader.until(b"\r\n\r\n"))
                    request.reader = reader
                    with self.lock:
                        self.requests.append(request)
                    if self.before:
                        self.before(request, sock)
                    read_body(reader, request)
                    back = self.answer(request, sock)
                    if back is None:
                        return
                    sock.sendall(back)
        except EOFError:
            if reader.buffer and request is None:
                self.odds.append((number, "bytes without an end", reader.buffer))
        except Odd as why:
            self.odds.append((number, str(why), (request.head if request else b"") + b"|" + reader.buffer[:200]))
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(sock)

    def asked(self, name, value):
        """The requests so far that had this field with this value."""
        with self.lock:
            return [one for one in self.requests if value in one.all(name)]
