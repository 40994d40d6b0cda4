"""What tests in Python share, those against real programs and those of `deploy/`: processes that end with the test, free
ports, waiting. Standard library only.
"""

import contextlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time


# Blocks of ports that tests claim: where they begin, end, and how many ports a block has.
FIRST, END, BLOCK = 10_000, 32_000, 50


class Ports:
    """Ports of loopback that this process alone may name, as long as it runs; `proxy/tests/it/free.rs` says why and how."""

    def __init__(self):
        self.lock, self.claims, self.free = threading.Lock(), [], []
        self.blocks = (END - FIRST) // BLOCK
        self.next = os.getpid() * 7 % self.blocks

    def claim(self):
        taken = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        low, high = int(taken[0]), int(taken[1])
        for _ in range(self.blocks):
            first = FIRST + self.next * BLOCK
            self.next = (self.next + 1) % self.blocks
            if low <= first <= high or low <= first + BLOCK - 1 <= high:
                continue
            claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                claim.bind(("127.0.0.1", first))
            except OSError:
                claim.close()
                continue
            self.claims.append(claim)
            self.free = list(range(first, first + BLOCK))
            return
        sys.exit(f"no ports are left between {FIRST} and {END}: other tests have them, or net.ipv4.ip_local_port_range does")

    def take(self):
        with self.lock:
            while True:
                if not self.free:
                    self.claim()
                port = self.free.pop(0)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    # Another program may listen there that knows nothing of claims.
                    with contextlib.suppress(OSError):
                        probe.bind(("127.0.0.1", port))
                        probe.listen(1)
                        return port


PORTS = Ports()


def free_port():
    """A port of loopback where nobody listens, and which nobody else is given."""
    return PORTS.take()


def wait_for(what, holds, seconds=60, every=0.05, process=None):
    """Looks until `holds` gives something true, and gives it; ends the test when that takes too long, or when the process
    that is waited for has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        # What it did before its end counts.
        ended = process and process.poll()
        with contextlib.suppress(OSError, http.client.HTTPException):
            found = holds()
            if found:
                return found
        if ended is not None:
            sys.exit(f"waited for {what() if callable(what) else what}, and the process ended with status {ended}")
        time.sleep(every)
    sys.exit(f"waited in vain for {what() if callable(what) else what}")


def is_healthy(binary, admin):
    return subprocess.run([binary, "healthcheck", "--admin", admin], capture_output=True).returncode == 0


class Frame(contextlib.ExitStack):
    """Everything that was started ends with the frame."""

    def start(self, command, **options):
        process = subprocess.Popen([str(part) for part in command], **options)
        self.callback(end, process)
        return process


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
