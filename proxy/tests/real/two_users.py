"""Two users of one nginx: one sends bodies over HTTP/2 that end in an empty frame, for as long as the other asks for
pages of his own. Every answer that he gets is his, and nginx sees no request that nobody sent.

`REQUESTS` in the environment says how many pages he asks for (100,000 by default).
"""
# needs: apt:nginx pip:h2==4.2.0
import collections
import multiprocessing
import os
import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events

from stage import EVERYBODY, Stage, check, free_port, listens

REQUESTS = int(os.environ.get("REQUESTS", "100000"))
CALLERS = 4
LONGEST = 500
HOST = "two.test"
APP = """
[[app]]
id = "two"
hosts = ["two.test"]
upstreams = ["http://127.0.0.1:{app}"]
identity-headers = {{ "X-User" = "user-id" }}
"""
NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log crit;
events {{ worker_connections 256; }}
http {{
  log_format one '$status "$request" $http_x_user';
  access_log {folder}/nginx.log one;
  client_body_temp_path {folder}/nginx-body;
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 "$http_x_user $request_uri"; }}
  }}
}}
"""


def send_bodies(port, token, stop, sent):
    """Alice: bodies of one piece and an empty last frame, up to 50 streams at a time, until she is asked to stop."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    count, failures = 0, collections.Counter()
    while not stop.is_set():
        with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain, server_hostname=HOST) as wire:
            session = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
            session.initiate_connection()
            open_streams, round_left = set(), 500
            while not stop.is_set() and (round_left or open_streams):
                while round_left and len(open_streams) < 50:
                    stream = session.get_next_available_stream_id()
                    session.send_headers(stream, [(":method", "POST"), (":scheme", "https"), (":authority", HOST),
                                                  (":path", f"/alice/{count}"), ("authorization", f"Bearer {token}")])
                    session.send_data(stream, b"hers")
                    session.send_data(stream, b"", end_stream=True)
                    open_streams.add(stream)
                    round_left -= 1
                    count += 1
                wire.sendall(session.data_to_send())
                data = wire.recv(65536)
                if not data:
                    break
                for event in session.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        failures[dict(event.headers)[":status"]] += 1
                    elif isinstance(event, h2.events.DataReceived):
                        session.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                        open_streams.discard(event.stream_id)
                wire.sendall(session.data_to_send())
    sent.put((count, dict(failures)))


def ask(port, token, caller, wanted, found):
    """Bob: pages of his own over one connection, one after the other; reports every other answer."""
    foreign, asked, end = [], 0, time.monotonic() + LONGEST
    wire, buffer = None, b""
    while asked < wanted and time.monotonic() < end:
        if wire is None:
            wire, buffer = socket.create_connection(("127.0.0.1", port), 10), b""
        path = f"/bob/{caller}/{asked}"
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        asked += 1
        while b"\r\n\r\n" not in buffer:
            piece = wire.recv(65536)
            if not piece:
                break
            buffer += piece
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        while len(buffer) < length:
            buffer += wire.recv(65536)
        body, buffer = buffer[:length], buffer[length:]
        if not head.startswith(b"HTTP/1.1 200") or body != f"bob {path}".encode():
            foreign.append((path, head.split(b"\r\n")[0].decode(), body[:80].decode(errors="replace")))
            wire.close()
            wire = None
    found.put((asked, foreign))


def main():
    with Stage() as stage:
        app = free_port()
        conf = stage.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=stage.folder, port=app))
        stage.start(["nginx", "-c", conf, "-e", stage.folder / "nginx-start.log"])
        listens(app)
        port = stage.portcullis(APP.format(app=app), EVERYBODY, server="threads = 1", tls=[HOST])

        stop, sent, found = multiprocessing.Event(), multiprocessing.Queue(), multiprocessing.Queue()
        alice = multiprocessing.Process(target=send_bodies, args=(stage.tls, stage.token(), stop, sent))
        bob = stage.token(sub="bob")
        callers = [multiprocessing.Process(target=ask, args=(port, bob, caller, REQUESTS // CALLERS, found)) for caller in range(CALLERS)]
        begun = time.monotonic()
        for process in [alice, *callers]:
            process.start()
        asked, foreign = 0, []
        for _ in callers:
            count, odd = found.get()
            asked += count
            foreign += odd
        stop.set()
        bodies, statuses = sent.get(timeout=60)
        for process in [alice, *callers]:
            process.join(10)
            process.kill()

        lines = (stage.folder / "nginx.log").read_text().splitlines()
        seen = collections.Counter(line.split(" ")[0] + " " + line.rsplit(" ", 1)[1] for line in lines)
        print(f"{time.monotonic() - begun:.0f} s: alice sent {bodies} bodies {statuses}, bob asked {asked} times; nginx saw {dict(seen)}")
        phantoms = [line for line in lines if '"GET /bob/' not in line and '"POST /alice/' not in line]
        print(f"answers to bob that are not his: {len(foreign)} {foreign[:3]}; requests that nobody sent: {len(phantoms)} {phantoms[:3]}")
        check(asked == REQUESTS // CALLERS * CALLERS, f"bob asked {asked} times within {LONGEST} s")
        check(bodies > 0 and set(statuses) == {"200"}, "all of alice's bodies were answered with 200")
        check(not foreign, "every answer to bob was his own")
        check(not phantoms, "nginx saw no request that nobody sent")


main()
