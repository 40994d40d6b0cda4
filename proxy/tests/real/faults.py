"""What a user sees while something breaks: upstreams, names, descriptors, the disk, the clock, one fault at a time under steady load.

Requests come at a fixed rate, whether earlier ones are answered or not: GETs and POSTs with a token, and as many as a tenth without one,
which must all be refused, whatever else happens. Each row of the table says what came back, how soon, and what memory the process has then.
Where three servers stand behind an app and one of them fails, no GET may be lost. What this machine cannot do is said and left out.

usage: faults.py [--report-only] [--seconds 2] [--rate 200] [WORD...]   (only faults whose name has one of these words)
"""
# needs: apt:gcc apt:openssl
import argparse
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from stage import EVERYBODY, Stage, binary, free_port, listens, wait_for

HERE = pathlib.Path(__file__).resolve()
# Longer than any request waits.
PATIENCE = 12.0
GROWTH_MIB = 40


# --- a server, as a process of its own so that it can be killed: `faults.py --serve PORT KIND`
async def serve(port, kind):
    async def handle(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if found := re.search(rb"\r\ncontent-length: (\d+)", head, re.I):
                    await reader.readexactly(int(found[1]))
                if kind == "ok":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
                elif kind == "slow":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
                    for _ in range(30):
                        await asyncio.sleep(0.05)
                        writer.write(b"s")
                elif kind == "silent":
                    await asyncio.sleep(3600)
                elif kind == "endless":
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while True:
                        writer.write(b"4000\r\n" + b"e" * 0x4000 + b"\r\n")
                        await writer.drain()
                elif kind == "garbage":
                    writer.write(b"\x15\x03\x01 this is no HTTP\r\n\r\n")
                elif kind == "half":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nhalf")
                    await writer.drain()
                    writer.close()
                    return
                elif kind == "empty":
                    writer.close()
                    return
                elif kind == "resets":
                    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.close()
                    return
                await writer.drain()
    server = await asyncio.start_server(handle, "127.0.0.1", port, backlog=1024, reuse_address=True)
    await server.serve_forever()


# --- the load, as a process of its own: `faults.py --load PORT HOST TOKEN RATE SECONDS`
async def load(port, host, token, rate, seconds):
    free, samples, tasks = [], [], set()

    async def ask(kind):
        reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        bearer = "" if kind == "intruder" else f"Authorization: Bearer {token}\r\n"
        method, body = ("POST", "abc") if kind == "POST" else ("GET", "")
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        try:
            writer.write(f"{method} / HTTP/1.1\r\nHost: {host}\r\n{bearer}{length}\r\n{body}".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            if found := re.search(rb"content-length: (\d+)", head, re.I):
                await reader.readexactly(int(found[1]))
                if b"connection: close" not in head.lower():
                    free.append((reader, writer))
                    return status
            else:
                # Without end: looked at for a second.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        while await reader.read(65_536):
                            pass
            writer.close()
            return status
        except BaseException:
            writer.close()
            raise

    async def one(kind):
        begun = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                outcome = await ask(kind)
        except TimeoutError:
            outcome = "no answer"
        except (OSError, asyncio.IncompleteReadError) as why:
            outcome = type(why).__name__
        samples.append((kind, outcome, time.monotonic() - begun))

    begun, number = time.monotonic(), 0
    while (due := begun + number / rate) < begun + seconds:
        await asyncio.sleep(max(0, due - time.monotonic()))
        kind = "intruder" if number % 10 == 9 else "POST" if number % 10 == 4 else "GET"
        task = asyncio.create_task(one(kind))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
    await asyncio.gather(*tasks)
    print(json.dumps(samples))


class Servers:
    """The servers behind one app."""

    def __init__(self, stage, name, *kinds, more=""):
        self.stage, self.name, self.kinds, self.more = stage, name, kinds, more
        self.ports, self.processes = [free_port() for _ in kinds], [None] * len(kinds)
        for number in range(len(kinds)):
            self.begin(number)

    def table(self):
        urls = ", ".join(f'"http://127.0.0.1:{port}"' for port in self.ports)
        return f'\n[[app]]\nid = "{self.name}"\nhosts = ["{self.name}.test"]\nupstreams = [{urls}]\n{self.more}\n'

    def begin(self, number):
        kind = self.kinds[number]
        if kind == "dead":
            return
        if kind == "hole":
            # A queue that is full: the kernel drops who knocks.
            listener = socket.socket()
            listener.bind(("127.0.0.1", self.ports[number]))
            listener.listen(0)
            self.stage.callback(listener.close)
            for _ in range(3):
                knocker = socket.socket()
                knocker.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    knocker.connect(("127.0.0.1", self.ports[number]))
                self.stage.callback(knocker.close)
            return
        self.processes[number] = self.stage.start([sys.executable, HERE, "--serve", self.ports[number], kind])
        listens(self.ports[number])

    def kill(self, number):
        self.processes[number].send_signal(signal.SIGKILL)
        self.processes[number].wait()


class Names(threading.Thread):
    """A server of names that says 127.0.0.1 for `app.names.test`, for a second each, until it is told to fall silent or to deny it."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.mode, self.asked = "answers", 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, 53))
        self.start()

    def run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(2048)
            except OSError:
                return
            self.asked += 1
            if self.mode == "silent":
                continue
            end = data.index(b"\0", 12) + 5
            question, kind = data[12:end], struct.unpack(">H", data[end - 4:end - 2])[0]
            is_ours = b"\x05names\x04test" in question and self.mode == "answers"
            answers = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if is_ours and kind == 1 else b""
            flags = 0x8580 if is_ours else 0x8583
            self.sock.sendto(data[:2] + struct.pack(">HHHHH", flags, 1, 1 if answers else 0, 0, 0) + question + answers, peer)


class Table:
    """Runs the faults, and judges and prints their rows."""

    def __init__(self, options):
        self.options, self.failed = options, []
        print(f"{'fault':<44} {'GET':>5} {'lost':>5} {'POST':>5} {'lost':>5}  {'what came back':<34} {'p50 ms':>7} {'p99 ms':>7} {'let in':>6} {'MiB':>5}")

    def wants(self, name):
        return not self.options.words or any(word in name for word in self.options.words)

    def row(self, name, world, port, host, meanwhile=lambda: None, lost_may=lambda get, lost: lost == 0, posts_may=None, refused_may=False, seconds=None):
        """One fault: the load, what is done meanwhile, and what must hold. `refused_may`: our 401 is no loss here."""
        before = world.resident()
        process = subprocess.Popen([sys.executable, HERE, "--load", str(port), host, world.bearer, str(self.options.rate), str(seconds or self.options.seconds)], stdout=subprocess.PIPE, text=True)
        try:
            meanwhile()
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        samples = json.loads(out)
        lost, counts = collections.Counter(), collections.Counter(kind for kind, *_ in samples)
        back = collections.Counter()
        for kind, outcome, took in samples:
            if kind == "intruder":
                continue
            back[str(outcome)] += 1
            if outcome != 200 and not (refused_may and outcome in (401, 403, 429)):
                lost[kind] += 1
        let_in = sum(1 for kind, outcome, _ in samples if kind == "intruder" and outcome == 200)
        times = sorted(took for kind, outcome, took in samples if kind != "intruder")
        p50, p99 = times[len(times) // 2] * 1000, times[min(len(times) - 1, len(times) * 99 // 100)] * 1000
        after = world.resident() if world.process.poll() is None else 0
        print(f"{name:<44} {counts['GET']:>5} {lost['GET']:>5} {counts['POST']:>5} {lost['POST']:>5}  {', '.join(f'{what}: {count}' for what, count in sorted(back.items())):<34} {p50:7.1f} {p99:7.1f} {let_in:>6} {after:5.0f}", flush=True)
        if let_in:
            self.failed.append(f"{name}: {let_in} were let in without a token")
        if not lost_may(counts["GET"], lost["GET"]):
            self.failed.append(f"{name}: {lost['GET']} of {counts['GET']} GETs were lost")
        if posts_may and not posts_may(counts["POST"], lost["POST"]):
            self.failed.append(f"{name}: {lost['POST']} of {counts['POST']} POSTs were lost")
        if world.process.poll() is not None:
            self.failed.append(f"{name}: Portcullis ended, status {world.process.returncode}")
            sys.exit(f"FAILED: {self.failed[-1]}")
        if after - before > GROWTH_MIB:
            self.failed.append(f"{name}: the process grew by {after - before:.0f} MiB")
        return samples

    def heals(self, name, world, port, host, seconds=10):
        """The app is served as before within so many seconds."""
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            if status(port, host, world.bearer) == 200 and all(status(port, host, world.bearer) == 200 for _ in range(5)):
                return
            time.sleep(0.1)
        self.failed.append(f"{name}: not served as before within {seconds} s")


def status(port, host, bearer):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\nConnection: close\r\n\r\n".encode())
        data = sock.recv(4096)
        return int(data[9:12]) if data.startswith(b"HTTP/1.1 ") else 0
    return 0


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def any_lost(get, lost):
    return True


def upstreams(table):
    with Stage() as world:
        world.bearer = world.token()
        apps = {one.name: one for one in (
            Servers(world, "calm", "ok"), Servers(world, "one", "ok"), Servers(world, "dead", "ok", "ok", "dead"), Servers(world, "killed", "ok", "ok", "ok"), Servers(world, "hole", "ok", "ok", "hole"),
            Servers(world, "slow", "ok", "ok", "slow"), Servers(world, "silent", "ok", "ok", "silent", more='timeouts = { first-byte = "2s" }'), Servers(world, "endless", "endless"), Servers(world, "garbage", "ok", "ok", "garbage"),
            Servers(world, "resets", "ok", "ok", "resets"), Servers(world, "half", "ok", "ok", "half"), Servers(world, "empty", "ok", "ok", "empty"))}
        port = world.portcullis("".join(one.table() for one in apps.values()), EVERYBODY)
        table.row("none", world, port, "calm.test", posts_may=lambda post, lost: lost == 0)

        def kill_in_turn(servers, numbers, pause):
            def work():
                end, at = time.monotonic() + table.options.seconds - pause, 0
                while time.monotonic() < end:
                    time.sleep(pause / 2)
                    servers.kill(numbers[at % len(numbers)])
                    time.sleep(pause / 2)
                    servers.begin(numbers[at % len(numbers)])
                    at += 1
            return work

        if table.wants(name := "its only server is killed again and again"):
            table.row(name, world, port, "one.test", kill_in_turn(apps["one"], [0], 1.0), any_lost)
            table.heals(name, world, port, "one.test")
        if table.wants(name := "one of three is dead"):
            table.row(name, world, port, "dead.test", posts_may=lambda post, lost: lost == 0)
        if table.wants(name := "one of three is killed, each in turn"):
            table.row(name, world, port, "killed.test", kill_in_turn(apps["killed"], [0, 1, 2], 0.8))
        if table.wants(name := "one of three is a black hole"):
            table.row(name, world, port, "hole.test", posts_may=lambda post, lost: lost == 0)
        if table.wants(name := "one of three answers in 1.5 s"):
            table.row(name, world, port, "slow.test", posts_may=lambda post, lost: lost == 0)
        # Where a server answers badly, three in a row do before it is left out, and one that tries it again may be lost, too:
        # what came to it meanwhile is under way.
        few = 3 + 1 + 4
        if table.wants(name := "one of three takes requests and is silent"):
            # All that fell to it until the first of them was given up: a third, for as long as `first-byte`.
            silent = table.options.rate / 3 * 2
            table.row(name, world, port, "silent.test", lost_may=lambda get, lost: lost <= silent + few, posts_may=lambda post, lost: lost <= silent / 9 + few, seconds=6)
        if table.wants(name := "one of three resets each connection"):
            table.row(name, world, port, "resets.test", posts_may=lambda post, lost: lost <= few)
        if table.wants(name := "one of three speaks no HTTP"):
            table.row(name, world, port, "garbage.test", lost_may=lambda get, lost: lost <= few, posts_may=lambda post, lost: lost <= few)
        if table.wants(name := "one of three breaks its answers off"):
            table.row(name, world, port, "half.test", lost_may=lambda get, lost: lost <= few, posts_may=lambda post, lost: lost <= few)
        if table.wants(name := "one of three closes without a word"):
            table.row(name, world, port, "empty.test", posts_may=lambda post, lost: lost <= few)
        if table.wants(name := "answers without end"):
            table.row(name, world, port, "endless.test", posts_may=lambda post, lost: lost == 0, seconds=1)


def no_names(table):
    """The name of an app's server is asked of a server of names of our own, in a mount namespace of its own."""
    if not table.wants("names"):
        return
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        print("skipped: a server of names that falls silent (no mount namespaces here)")
        return
    try:
        names = Names("127.0.0.153")
    except OSError as why:
        print(f"skipped: a server of names that falls silent ({why})")
        return
    with Stage() as world:
        world.bearer = world.token()
        servers = Servers(world, "named", "ok")
        resolv, hosts = world.folder / "resolv.conf", world.folder / "hosts"
        resolv.write_text("nameserver 127.0.0.153\noptions timeout:1 attempts:1\n")
        hosts.write_text("127.0.0.1 localhost\n")
        wrapper = world.folder / "portcullis"
        wrapper.write_text(f'#!/bin/sh\nexec unshare -m sh -c \'mount --bind {resolv} /etc/resolv.conf && mount --bind {hosts} /etc/hosts && exec "$@"\' sh {binary()} "$@"\n')
        wrapper.chmod(0o755)
        port = world.portcullis(servers.table().replace("127.0.0.1", "app.names.test"), EVERYBODY, program=wrapper)

        def silence():
            time.sleep(1)
            names.mode = "silent"

        def denial():
            names.mode = "denies"

        table.row("the server of names falls silent", world, port, "named.test", silence, posts_may=lambda post, lost: lost == 0)
        table.row("the server of names denies the name", world, port, "named.test", denial, posts_may=lambda post, lost: lost == 0)
        names.mode = "answers"
        table.heals("names", world, port, "named.test")
        names.sock.close()


def no_descriptors(table):
    if not table.wants(name := "no descriptors are left for 1.5 s"):
        return
    with Stage() as world:
        world.bearer = world.token()
        servers = Servers(world, "files", "ok")
        port = world.portcullis(servers.table(), EVERYBODY)

        def exhaust():
            time.sleep(1)
            limits = resource.prlimit(world.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(world.process.pid, resource.RLIMIT_NOFILE, (descriptors(world.process), limits[1]))
            # Who comes now waits in the kernel's queue.
            knocking = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
            time.sleep(1.5)
            resource.prlimit(world.process.pid, resource.RLIMIT_NOFILE, limits)
            for one in knocking:
                one.close()

        table.row(name, world, port, "files.test", exhaust, lost_may=lambda get, lost: lost <= get * 0.5)
        table.heals(name, world, port, "files.test")


def no_space(table):
    if not table.wants(name := "no space for the decision log"):
        return
    with Stage() as world:
        world.bearer = world.token()
        servers = Servers(world, "space", "ok")
        full = pathlib.Path(world.enter_context(tempfile.TemporaryDirectory()))
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", full], capture_output=True).returncode == 0:
            world.callback(lambda: subprocess.run(["umount", "-l", full]))
            log = full / "decisions.ndjson"
        else:
            log = pathlib.Path("/dev/full")
        port = world.portcullis(servers.table(), EVERYBODY, log=f', grants-one-in = 1, access = {{ file = "{log.parent / "access.log" if log.parent == full else log}" }}')
        # The log itself too: its path is in the file already.
        text = world.config.read_text().replace(f"{world.folder}/decisions.ndjson", str(log))
        world.config.write_text(text)
        world.process.send_signal(signal.SIGINT)
        world.process.wait(10)
        world.process = world.start([binary(), "run", "--config", world.config])
        wait_for("Portcullis to be ready", world.is_ready)
        table.row(name, world, port, "space.test", posts_may=lambda post, lost: lost == 0)
        if log.parent == full and not any(os.statvfs(full).f_bavail * 4096 < 8192 for _ in (1,)):
            table.failed.append(f"{name}: the disk was not full: {os.statvfs(full).f_bavail} blocks are free")


# The clock of one process, so many seconds away from the machine's; they stand in a file. What the kernel maps into each process to
# tell the time (the vDSO) is written over, as a program may ask it without its C library. What measures durations goes on as it does.
CLOCK = r"""
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile long *shift;
static long shifted(clockid_t clock, struct timespec *out) {
  long back;
  __asm__ volatile("syscall" : "=a"(back) : "a"(SYS_clock_gettime), "D"(clock), "S"(out) : "rcx", "r11", "memory");
  if (!back && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += *shift;
  return back;
}
__attribute__((constructor)) static void begin(void) {
  shift = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, open(getenv("CLOCK_SHIFT"), O_RDONLY), 0);
  char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
  Elf64_Ehdr *head = (Elf64_Ehdr *)vdso;
  Elf64_Shdr *sections = (Elf64_Shdr *)(vdso + head->e_shoff);
  for (int i = 0; i < head->e_shnum; i++) {
    if (sections[i].sh_type != SHT_DYNSYM) continue;
    Elf64_Sym *symbols = (Elf64_Sym *)(vdso + sections[i].sh_offset);
    char *names = vdso + sections[sections[i].sh_link].sh_offset;
    for (unsigned j = 0; j < sections[i].sh_size / sizeof *symbols; j++) {
      if (strcmp(names + symbols[j].st_name, "__vdso_clock_gettime")) continue;
      unsigned char *code = (unsigned char *)vdso + symbols[j].st_value, jump[12] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0};
      void *target = shifted;
      memcpy(jump + 2, &target, 8);
      if (mprotect((void *)((unsigned long)code & ~4095UL), 8192, PROT_READ | PROT_WRITE | PROT_EXEC) && mprotect((void *)((unsigned long)code & ~4095UL), 4096, PROT_READ | PROT_WRITE | PROT_EXEC)) _exit(99);
      memcpy(code, jump, sizeof jump);
      return;
    }
  }
  _exit(98);
}
"""


def another_time(table):
    if not table.wants("clock"):
        return
    if os.uname().machine != "x86_64":
        print("skipped: a clock that jumps (written for x86-64 alone)")
        return
    with Stage() as world:
        world.bearer = world.token()
        servers = Servers(world, "clock", "ok")
        library, shift = world.folder / "clock.so", world.folder / "shift"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-o", library, "-"], input=CLOCK, text=True, check=True)
        file = world.enter_context(shift.open("w+b", buffering=0))

        def set_clock(seconds):
            os.pwrite(file.fileno(), struct.pack("=q", seconds), 0)

        set_clock(0)
        wrapper = world.folder / "portcullis"
        wrapper.write_text(f"#!/bin/sh\nCLOCK_SHIFT={shift} LD_PRELOAD={library} exec {binary()} \"$@\"\n")
        wrapper.chmod(0o755)
        port = world.portcullis(servers.table(), EVERYBODY, program=wrapper)

        def jump(to):
            def work():
                time.sleep(table.options.seconds / 2)
                set_clock(to)
            return work

        def judged(name, samples):
            """After the jump nobody's token is good: after a second no request was let in any more."""
            got = [outcome for kind, outcome, _ in samples if kind != "intruder"]
            late = got[len(got) * 8 // 10:]
            if any(one == 200 for one in late):
                table.failed.append(f"{name}: {late.count(200)} of the last {len(late)} were let in with a token that is not good then")

        for name, to in (("the clock jumps two hours ahead", 7200), ("the clock jumps two hours back", -7200)):
            judged(name, table.row(name, world, port, "clock.test", jump(to), refused_may=True))
            set_clock(0)
            table.heals(name, world, port, "clock.test", 15)


def main():
    if "--serve" in sys.argv:
        return asyncio.run(serve(int(sys.argv[2]), sys.argv[3]))
    if "--load" in sys.argv:
        port, host, token, rate, seconds = sys.argv[2:]
        return asyncio.run(load(int(port), host, token, float(rate), float(seconds)))
    options = argparse.ArgumentParser()
    options.add_argument("words", nargs="*")
    options.add_argument("--report-only", action="store_true")
    options.add_argument("--seconds", type=float, default=2)
    options.add_argument("--rate", type=float, default=200)
    table = Table(options.parse_args())
    for fault in (upstreams, no_names, no_descriptors, no_space, another_time):
        fault(table)
    for line in table.failed:
        print(f"FAILED: {line}")
    if table.failed and not table.options.report_only:
        sys.exit(1)


main()
