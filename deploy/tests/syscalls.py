"""Does the systemd unit let the program do what it does? A real Portcullis serves, reloads, hands over to a successor (`systemctl
reload`) and ends under strace, notifying as under systemd; each system call that it made must be one that the unit's SystemCallFilter
allows.

usage: syscalls.py BINARY FOLDER
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

from stage import ABROAD, Client, Stage, free_port, get, is_healthy, wait_for

UNIT = pathlib.Path(__file__).resolve().parent.parent / "systemd/portcullis.service"


def members(group):
    told = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", group], capture_output=True, text=True, check=True)
    names = set()
    for line in told.stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            names |= members(word)
        elif word and not word.startswith("#"):
            names.add(word)
    return names


def allowed():
    names = set()
    for line in UNIT.read_text().splitlines():
        if line.startswith("SystemCallFilter="):
            value = line.partition("=")[2]
            for group in value.lstrip("~").split():
                these = members(group) if group.startswith("@") else {group}
                names = names - these if value.startswith("~") else names | these
    assert names, "the unit has no SystemCallFilter"
    return names


def main():
    binary, folder = sys.argv[1:3]
    with Stage(binary, folder) as stage:
        listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        config = stage.configuration(stage.folder / "etc", listen, admin)
        trace = stage.folder / "trace"
        bus = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bus.bind(str(stage.folder / "notify"))
        traced = stage.start(["strace", "-f", "-qq", "-o", str(trace), stage.binary, "run", "--config", str(config)],
                             env={**os.environ, "NOTIFY_SOCKET": str(stage.folder / "notify"), "WATCHDOG_USEC": "30000000"})
        wait_for("Portcullis to be ready", lambda: is_healthy(stage.binary, admin), process=traced)
        client = Client(listen)
        seen = [client.ask(stage.headers()), client.ask(stage.headers(address=ABROAD)), client.ask({"Host": "unknown.test"})]
        assert seen == [200, 403, 401], seen
        config.write_text(config.read_text() + "# changed\n")
        wait_for("a reload", lambda: re.search(r"^portcullis_configuration_generation 2$", get(f"http://{admin}/metrics"), re.M))
        children = pathlib.Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split()
        first = int(children[0])
        pid_file = pathlib.Path(re.search(r'^pid-file = "(.*)"', config.read_text(), re.M)[1])
        os.kill(first, signal.SIGUSR2)
        wait_for("the successor", lambda: int(pid_file.read_text()) != first and not pathlib.Path(f"/proc/{first}/exe").exists())
        assert Client(listen).ask(stage.headers()) == 200, "the successor does not serve"
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        wait_for("the end", lambda: traced.poll() is not None)
        # The first call of all is the execve by which systemd itself starts the program.
        made = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(errors="replace"), re.M))
    refused = made - allowed()
    if refused or len(made) < 30:
        sys.exit(f"the unit refuses {sorted(refused)} of {len(made)} system calls")
    print(f"{len(made)} different system calls, all of them allowed by the unit")


if __name__ == "__main__":
    main()
