"""What tests in Python share, those against real programs and those of `deploy/`: processes that end with the test, free
ports, waiting. Standard library only.
"""

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(what, holds, seconds=60, every=0.05):
    """Looks until `holds` gives something true, and gives it; ends the test when that takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            found = holds()
            if found:
                return found
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
