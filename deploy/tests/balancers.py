"""The shipped files of nginx and HAProxy let through what apps need: scheme, port, host, WebSockets, large bodies.

Both real programs stand before a real Portcullis, with and without TLS of their own; the app answers with what reached it.

usage: balancers.py BINARY FOLDER
"""

import base64
import hashlib
import http.client
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import threading

from replicas import DEPLOY
from stage import HOST, Quiet, Server, Stage, end, free_port, wait_for

LIES = {"Forwarded": "for=192.0.2.10;proto=gopher", "X-Forwarded-Proto": "gopher", "X-Forwarded-Port": "70",
        "X-Forwarded-Host": "evil.test"}


class App(Quiet):
    """Says what came; a WebSocket gets back what it sends."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            # HAProxy holds the answer against it (RFC 6455, section 4.2.2).
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.end_headers()
            self.wfile.write(self.rfile.read(4))
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        left = length
        while left:
            left -= len(self.rfile.read(min(left, 1 << 16)))
        body = json.dumps({"length": length, **{name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


def balanced(stage, name, listen, admin, port, tls):
    """The shipped file with our addresses, and with TLS as its comment says."""
    text = (DEPLOY / f"balancer/{ {'nginx': 'nginx.conf', 'haproxy': 'haproxy.cfg'}[name] }").read_text()
    for number in range(1, 4):
        text = text.replace(f"10.0.0.1{number}:8080 port 9090", f"{listen} port {admin.rsplit(':', 1)[1]}")
        text = text.replace(f"10.0.0.1{number}:8080", listen)
    plain = {"nginx": "listen 0.0.0.0:80;", "haproxy": "bind 0.0.0.0:80"}[name]
    encrypted = {"nginx": f"listen 127.0.0.1:{port} ssl; ssl_certificate {tls}; ssl_certificate_key {tls};",
                 "haproxy": f"bind 127.0.0.1:{port} ssl crt {tls}"}[name]
    assert plain in text and "10.0.0." not in text
    text = text.replace(plain, encrypted if tls else plain.replace("0.0.0.0:80", f"127.0.0.1:{port}"))
    config = stage.folder / f"{name}-{port}.conf"
    if name == "nginx":
        text = f"pid {stage.folder}/nginx-{port}.pid;\nerror_log {stage.folder}/nginx.log;\n" + text
        command = ["nginx", "-c", str(config), "-g", "daemon off;"]
    else:
        command = ["haproxy", "-db", "-f", str(config)]
    config.write_text(text)
    return stage.start(command)


def main():
    binary, folder = sys.argv[1:3]
    with Stage(binary, folder) as stage:
        app = Server(("127.0.0.1", 0), App)
        stage.callback(app.shutdown)
        threading.Thread(target=app.serve_forever, args=(0.05,), daemon=True).start()
        listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        config = stage.configuration(pathlib.Path(folder) / "etc", listen, admin,
                                     upstream=f"127.0.0.1:{app.server_address[1]}")
        stage.portcullis(config, admin)
        pem = stage.folder / "tls.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}",
                        "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", pem, "-out", f"{pem}.crt"],
                       check=True, capture_output=True)
        pem.write_text(pathlib.Path(f"{pem}.crt").read_text() + pem.read_text())
        trust = ssl.create_default_context(cafile=f"{pem}.crt")
        for name in ("nginx", "haproxy"):
            for scheme in ("http", "https"):
                port = free_port()
                balancer = balanced(stage, name, listen, admin, port, pem if scheme == "https" else None)

                def connect():
                    raw = socket.create_connection(("127.0.0.1", port), 10)
                    return trust.wrap_socket(raw, server_hostname=HOST) if scheme == "https" else raw

                def ask(method="GET", body=None, headers=None):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                    connection.sock = connect()
                    connection.request(method, "/", body, {**stage.headers(), "Connection": "close", **(headers or {})})
                    answer = connection.getresponse()
                    text = answer.read()
                    return answer.status, json.loads(text) if answer.status == 200 else text

                wait_for(f"{name} with {scheme}", lambda: ask()[0] == 200)
                status, seen = ask(headers=LIES)
                told = {what: seen.get(f"x-forwarded-{what}") for what in ("for", "proto", "port", "host")}
                wanted = {"for": "127.0.0.1", "proto": scheme, "port": str(port), "host": f"{HOST}:{port}"}
                assert (status, told) == (200, wanted), (name, scheme, status, told, wanted)
                assert seen["host"] == f"{HOST}:{port}" and "forwarded" not in seen, seen
                status, seen = ask("POST", b"x" * (3 << 20))
                assert status == 200 and seen["length"] == 3 << 20, (name, scheme, status)
                with connect() as sock:
                    lines = [f"{key}: {value}" for key, value in stage.headers().items()]
                    lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
                    sock.sendall("\r\n".join(["GET /ws HTTP/1.1", *lines, "", ""]).encode())
                    head = b""
                    while b"\r\n\r\n" not in head:
                        piece = sock.recv(4096)
                        assert piece, (name, scheme, head)
                        head += piece
                    assert b" 101 " in head.split(b"\r\n")[0], (name, scheme, head)
                    sock.sendall(b"ping")
                    assert sock.recv(4) == b"ping", (name, scheme)
                end(balancer)
                print(f"{name}, {scheme}: scheme, port and host are told, a WebSocket and 3 MiB pass")
        passed_on(stage, binary, app, pem, trust)


def passed_on(stage, binary, app, pem, trust):
    """The files that pass TLS on: the client's address comes by a PROXY header, and from nobody else."""
    public, admin = free_port(), f"127.0.0.1:{free_port()}"
    tls = f", proxy-protocol = {{ from = ['127.0.0.1'] }}, tls = {{ certificate = '{pem}.crt', key = '{pem}' }}"
    config = stage.configuration(stage.folder / "passed-on", f"127.0.0.1:{public}", admin, upstream=f"127.0.0.1:{app.server_address[1]}")
    # The balancer is no trusted proxy: it says nothing in a request.
    text = config.read_text().replace(f'address = "127.0.0.1:{public}"', f'address = "127.0.0.1:{public}"{tls}')
    config.write_text(text.replace('networks = ["127.0.0.0/8"]', 'networks = ["192.0.2.77"]') + CLIENT)
    (config.parent / "policies/policies.toml").write_text(BY_ADDRESS)
    stage.portcullis(config, admin)
    for name in ("nginx", "haproxy"):
        port = free_port()
        text = (DEPLOY / f"balancer/{ {'nginx': 'nginx-tls.conf', 'haproxy': 'haproxy-tls.cfg'}[name] }").read_text()
        for number in range(1, 4):
            text = text.replace(f"10.0.0.1{number}:8443 port 9090", f"127.0.0.1:{public} port {admin.rsplit(':', 1)[1]}")
            text = text.replace(f"10.0.0.1{number}:8443", f"127.0.0.1:{public}")
        text = text.replace("0.0.0.0:443", f"127.0.0.1:{port}")
        assert "10.0.0." not in text and f"127.0.0.1:{port}" in text
        file = stage.folder / f"{name}-tls.conf"
        if name == "nginx":
            text = f"pid {stage.folder}/nginx-tls.pid;\nerror_log {stage.folder}/nginx.log;\n" + text
        file.write_text(text)
        balancer = stage.start(["nginx", "-c", str(file), "-g", "daemon off;"] if name == "nginx" else ["haproxy", "-db", "-f", str(file)])

        def ask(source, to=port):
            raw = socket.create_connection(("127.0.0.1", to), 10, source_address=(source, 0))
            connection = http.client.HTTPConnection("127.0.0.1", to, timeout=30)
            connection.sock = trust.wrap_socket(raw, server_hostname=HOST)
            connection.request("GET", "/", headers={"Host": HOST, "Authorization": stage.tokens["allowed"], "Connection": "close"})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if answer.status == 200 else text

        wait_for(f"{name} that passes TLS on", lambda: ask("127.0.0.9")[0] == 200)
        status, seen = ask("127.0.0.9")
        assert (status, seen["x-forwarded-for"], seen["x-forwarded-proto"]) == (200, "127.0.0.9", "https"), (name, status, seen)
        assert ask("127.0.0.8")[0] == 403, f"{name}: the address of the PROXY header is not the one that is judged"
        # As many connections as people: those of the balancer are not those of one client.
        held = []
        for number in range(700):
            held.append(socket.create_connection(("127.0.0.1", port), 10, source_address=(f"127.2.{number // 250}.{number % 250 + 1}", 0)))
        assert ask("127.0.0.9")[0] == 200, f"{name}: the 701st client is shut out"
        for one in held:
            one.close()
        end(balancer)
        print(f"{name} passes TLS on: the address of the PROXY header is judged, and 700 clients share the balancer's")
    # Who is not the balancer cannot say who it is.
    forged = socket.create_connection(("127.0.0.1", public), 10, source_address=("127.0.0.8", 0))
    forged.sendall(b"PROXY TCP4 127.0.0.9 127.0.0.1 1 1\r\n")
    try:
        connection = trust.wrap_socket(forged, server_hostname=HOST)
        sys.exit(f"a forged PROXY header was taken: {connection.version()}")
    except (ssl.SSLError, OSError):
        pass
    assert ask("127.0.0.8", public)[0] == 403 and ask("127.0.0.9", public)[0] == 200
    try:
        ask("127.0.0.1", public)
        sys.exit("a connection of the balancer without a PROXY header was taken")
    except (ssl.SSLError, OSError, http.client.HTTPException):
        pass
    print("a PROXY header counts from the balancer alone, and must come from there")


CLIENT = """
[[location]]
name = "desk"
networks = ["127.0.0.9"]
"""
BY_ADDRESS = """[[policy]]
id = "desk-only"
name = "From the desk alone"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
[policy.conditions]
locations = { include = ["all"], exclude = ["desk"] }

[[policy]]
id = "everybody"
name = "Everybody with a compliant device"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { operator = "and", controls = ["compliant-device"] }
"""


if __name__ == "__main__":
    main()
