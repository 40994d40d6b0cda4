"""How deployments start and stop it: as process 1 of a container, with sockets of systemd, by a service manager that is notified.

usage: starting.py BINARY FOLDER
"""

import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

from stage import Client, Stage, free_port, is_healthy, wait_for


def gone(process, seconds=15):
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return "no end"


def child(process):
    """The only child of a process."""
    return int(wait_for("a child", lambda: pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())[0])


def process_one(stage):
    """The kernel delivers no signal to process 1 that it has no handler for: a container would be killed after its grace, with all requests."""
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    config = stage.configuration(stage.folder / "one", listen, admin)
    for name in ("SIGTERM", "SIGINT"):
        outer = stage.start(["unshare", "--pid", "--fork", "--kill-child", stage.binary, "run", "--config", str(config)])
        wait_for("Portcullis as process 1", lambda: is_healthy(stage.binary, admin), process=outer)
        inner = child(outer)
        status = pathlib.Path(f"/proc/{inner}/status").read_text()
        assert next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1] == "1", status
        assert Client(listen).ask(stage.headers()) == 200
        os.kill(inner, getattr(signal, name))
        assert gone(outer) == 0, f"{name} does not end process 1"
    print("process 1 of a container: serves, and ends by SIGTERM and SIGINT")


def by_systemd(stage):
    """`systemd-socket-activate` hands the socket over as systemd does; what waits in its queue is served by the next process."""
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    config = stage.configuration(stage.folder / "activated", listen, admin)
    held = socket.create_server(("127.0.0.1", int(listen.rsplit(":", 1)[1])), backlog=512)

    def activated():
        # The descriptor is number 3, as sd_listen_fds(3) says, and stays open here, as it does in systemd.
        script = 'exec 3<&"$1"; shift; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
        process = stage.start(["bash", "-c", script, "bash", str(held.fileno()), stage.binary, "run", "--config", str(config)],
                              pass_fds=[held.fileno()])
        wait_for("Portcullis with systemd's socket", lambda: is_healthy(stage.binary, admin), process=process)
        return process

    first = activated()
    assert Client(listen).ask(stage.headers()) == 200
    stopped, lost, asked = threading.Event(), [], [0]

    def load():
        while not stopped.is_set():
            connection = http.client.HTTPConnection(listen, timeout=20)
            try:
                connection.request("GET", "/", headers={**stage.headers(), "Connection": "close"})
                answer = connection.getresponse()
                if answer.status != 200:
                    lost.append(f"status {answer.status}: {answer.read()[:300]}")
            except (OSError, http.client.HTTPException) as problem:
                lost.append(repr(problem))
            finally:
                connection.close()
            asked[0] += 1

    threads = [threading.Thread(target=load, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.5)
        first.send_signal(signal.SIGTERM)
        assert gone(first) == 0, "SIGTERM"
        first = activated()
    time.sleep(0.5)
    stopped.set()
    for thread in threads:
        thread.join(20)
    if lost or asked[0] < 20:
        sys.exit(f"sockets of systemd: {len(lost)} of {asked[0]} requests lost over two restarts: {sorted(set(lost))}")
    first.send_signal(signal.SIGTERM)
    gone(first)
    print(f"sockets of systemd: {asked[0]} requests on new connections over two restarts, none lost")


def notified(stage):
    """What a unit of `Type=notify` waits for: READY once it serves, STOPPING, and the watchdog's pings."""
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    config = stage.configuration(stage.folder / "notified", listen, admin)
    path = stage.folder / "notify"
    bus = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bus.bind(str(path))
    bus.settimeout(20)
    said = []

    def heard(word):
        while not any(line.startswith(word) for line in said):
            said.extend(bus.recv(4096).decode().split("\n"))

    process = stage.start([stage.binary, "run", "--config", str(config)],
                          env={**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000000"})
    heard("READY=1")
    assert Client(listen).ask(stage.headers()) == 200, "READY before it serves"
    heard("WATCHDOG=1")
    process.send_signal(signal.SIGTERM)
    heard("STOPPING=1")
    assert gone(process) == 0
    print("a unit of Type=notify: READY when it serves, the watchdog's pings, STOPPING")


def main():
    binary, folder = sys.argv[1:3]
    with Stage(binary, folder) as stage:
        process_one(stage)
        by_systemd(stage)
        notified(stage)


if __name__ == "__main__":
    main()
