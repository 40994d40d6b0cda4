"""Starts servers, asks the kernel what they use, and drives them. `run`, `soak` and `flame` share it.

Everything listens on loopback, every phase is bounded, and only processes started here are ended.
"""
import contextlib
import datetime
import importlib.util
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(ROOT / "proxy" / "tests"))
from frame import free_port  # noqa: E402,F401
# What `cargo build --release` makes, of Portcullis and of the bare pingoras beside it.
BIN = ROOT / "target" / "release"
# Where packages go that measurements need.
TOOLS = ROOT / "target" / "load-tests-tools"
SERVER_CPU, LOAD_CPU = ("0", "1") if (os.cpu_count() or 1) > 1 else ("0", "0")


def say(text):
    print(text, flush=True)


def wait_for_port(port, process, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended early, status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


def family(pid):
    """A process and its descendants."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text().split())
            except OSError:
                pass
    return found


def cpu_seconds(pids):
    """What processes had of the processor, by the kernel's clock of each (`CPUCLOCK_SCHED` of Linux's clock ids)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += time.clock_gettime_ns((~pid << 3) | 2)
    return total / 1e9


# How long a window is, in seconds.
WINDOW = 0.05


def segments():
    """TCP segments sent on this machine since it started."""
    names, values = [line.split() for line in pathlib.Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:")]
    return int(values[names.index("OutSegs")])


class Windows:
    """What a server takes of the processor for a segment on the wire, in each window of 50 ms while it is driven. A second in which
    the machine's memory or cores are busy with something else holds windows in which they are not."""

    def __init__(self, served):
        self.pids, self.over = family(served.pid), threading.Event()
        self.seen, self.first = [], segments()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def moment(self):
        """Both counts of one moment: tried again when this thread had to wait between them."""
        for _ in range(5):
            before, sent = cpu_seconds(self.pids), segments()
            after = cpu_seconds(self.pids)
            if after - before < WINDOW / 100:
                break
        return after, sent

    def watch(self):
        os.sched_setaffinity(0, {int(LOAD_CPU)})
        last = self.moment()
        while not self.over.wait(WINDOW):
            now = self.moment()
            # Fewer requests say little, and what a process that ended had is missing.
            if now[1] - last[1] > 100 and now[0] > last[0]:
                self.seen.append((now[0] - last[0]) / (now[1] - last[1]))
            last = now

    def costs(self, requests):
        """CPU seconds per 100,000 requests in each window; the first and the last are not whole."""
        each = (segments() - self.first) / max(requests, 1)
        return [round(one * each * 1e5, 3) for one in self.seen[2:-1]]


def rss_mib(pid):
    """Proportional share of memory: what workers share with their master counts once."""
    total = 0
    for one in family(pid):
        try:
            text = pathlib.Path(f"/proc/{one}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
        except (OSError, AttributeError):
            pass
    return total / 1024


def counts(pid):
    """Open files and threads of a process."""
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


def status_mib(pid, key):
    """A figure of /proc/PID/status, such as VmHWM, in MiB."""
    return int(re.search(rf"^{key}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) / 1024


def metric(served, name):
    """A metric without labels, asked of the admin port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{served.admin}/metrics", timeout=20) as answer:
        return float(re.search(rf"^{name} (\S+)", answer.read().decode(), re.M).group(1))


def replace(path, text):
    """Puts a text in a file's place by renaming, as a deployment does."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def loads(served):
    """How often the server has said that it took a configuration up. Its metrics say so too, but with ten thousand policies a
    page of them is three megabytes: whoever asks often is the load."""
    return served.log_file.read_bytes().count(b"the configuration was reloaded")


def reload(served, folder, seconds=60):
    """Changes a policy file, asks for a reload, waits until it serves; how long that took."""
    before, began = loads(served), time.time()
    replace(folder / "policies" / "touched.toml", f'# {began}\n')
    os.kill(served.pid, signal.SIGHUP)
    while loads(served) == before:
        if time.time() > began + seconds:
            raise RuntimeError("the reload did not come")
        time.sleep(0.02)
    return time.time() - began


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", info)
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "cpu": model.group(1) if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory.group(1)) / 2**20) if memory else None,
        "kernel": platform.release(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "rustc": output(["rustc", "--version"]),
        "wrk": output(["wrk", "--version"]).split(" [")[0],
    }


def output(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return (done.stdout + done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "absent"


class Served:
    """A started server."""

    def __init__(self, work, command, port, cpu, env=None):
        self.port, self.tls_port, self.admin = port, None, None
        self.log_file = work / "log.txt"
        self.log = open(self.log_file, "ab")
        command = ["taskset", "-c", cpu, *map(str, command)]
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, cwd=work, env={**os.environ, **(env or {})}, start_new_session=True
        )
        wait_for_port(port, self.process)

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        """As a crash does it: nothing is closed in order. It led its own group, so no worker outlives it."""
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(5)
        self.log.close()
        end = time.time() + 5
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                    return
            if time.time() > end:
                raise RuntimeError(f"something still listens on {self.port}")
            time.sleep(0.01)

    def stop(self):
        for pid in reversed(family(self.pid)):
            try:
                os.kill(pid, signal.SIGTERM if pid != self.pid else signal.SIGINT)
            except OSError:
                pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in reversed(family(self.pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            self.process.wait(5)
        self.log.close()


WRK = """
local requests = {}
function init(args)
  for line in io.lines(os.getenv("LOAD_TOKENS")) do
    wrk.headers["Authorization"] = "Bearer " .. line
    requests[#requests + 1] = wrk.format("GET", os.getenv("LOAD_PATH"))
  end
end
local position = 0
function request()
  position = position % #requests + 1
  return requests[position]
end
function done(summary, latency, all)
  io.write(string.format('RESULT {"requests": %d, "micros": %d, "bad_status": %d, "socket_errors": %d, "p50_ms": %.3f, "p99_ms": %.3f}\\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


def wrk(work, row, served, seconds):
    script = work / "wrk.lua"
    script.write_text(WRK)
    scheme, port = ("https", served.tls_port) if row.tls else ("http", served.port)
    headers = [part for line in row.headers for part in ("-H", line)]
    if row.fresh:
        headers += ["-H", "Connection: close"]
    command = ["taskset", "-c", LOAD_CPU, "wrk", "-t1", f"-c{row.connections}", f"-d{seconds}s", "-s", str(script),
               "-H", f"Host: {row.host}", *headers, f"{scheme}://127.0.0.1:{port}"]
    env = {**os.environ, "LOAD_TOKENS": str(row.tokens), "LOAD_PATH": row.path}
    before, started = cpu_seconds(family(served.pid)), time.time()
    with Windows(served) as windows:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=seconds + 30)
    cpu = cpu_seconds(family(served.pid)) - before
    found = re.search(r"^RESULT (.*)$", done.stdout, re.M)
    if not found:
        raise RuntimeError(f"{row.name}: wrk said {done.stdout} {done.stderr}")
    seen = json.loads(found.group(1))
    # A closed connection after each answer is what `fresh` asks for, and wrk counts it as a read error.
    wrong = abs(seen["bad_status"] - (seen["requests"] if row.expect >= 400 else 0))
    return {
        "requests": seen["requests"], "rps": seen["requests"] / (seen["micros"] / 1e6), "wrong": wrong,
        "errors": 0 if row.fresh else seen["socket_errors"], "cpu_s_per_100k": cpu / max(seen["requests"], 1) * 1e5,
        "closed_p99_ms": seen["p99_ms"], "seconds": time.time() - started, "windows": windows.costs(seen["requests"]),
    }


def h2load(row, served, stop, paths=None):
    """Over HTTP/2 as one person, until `stop`: `-D SECONDS` or `-n REQUESTS`."""
    token = row.tokens.read_text().splitlines()[0]
    addresses = [f"https://127.0.0.1:{served.tls_port}{path}" for path in paths or [row.path]]
    command = ["taskset", "-c", LOAD_CPU, "h2load", "-t1", f"-c{row.connections}", "-m4", *stop, "-H", f"authorization: Bearer {token}",
               "-H", f":authority: {row.host}", *[part for line in row.headers for part in ("-H", line)], *addresses]
    before = cpu_seconds(family(served.pid))
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    cpu = cpu_seconds(family(served.pid)) - before
    total = re.search(r"finished in ([\d.]+)(m?s), ([\d.]+) req/s", done.stdout)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", done.stdout)
    if not total or not codes:
        raise RuntimeError(f"{row.name}: h2load said {done.stdout} {done.stderr}")
    good = int(codes.group(3 if row.expect >= 400 else 1))
    count = sum(int(codes.group(n)) for n in range(1, 5))
    seconds = float(total.group(1)) / (1000 if total.group(2) == "ms" else 1)
    return {"requests": count, "rps": count / seconds, "wrong": count - good, "errors": 0,
            "cpu_s_per_100k": cpu / max(count, 1) * 1e5, "closed_p99_ms": None, "seconds": seconds}


@contextlib.contextmanager
def driving(row, served, *, rate, seconds=0, script=None, unexpected=None):
    """`load drive` while it runs; what it yields is called for the result."""
    command = ["taskset", "-c", LOAD_CPU, str(BIN / "load"), "drive", "--address", f"127.0.0.1:{served.port}",
               "--connections", str(row.connections), "--rate", str(int(rate))]
    command += ["--seconds", str(seconds)] if seconds else ["--once"]
    if unexpected:
        command += ["--unexpected", str(unexpected)]
    if script:
        command += ["--script", str(script)]
    else:
        command += ["--host", row.host, "--path", row.path, "--tokens", str(row.tokens), "--expect", str(row.expect)]
        command += [part for line in [*row.headers, *(["Connection: close"] if row.fresh else [])] for part in ("--header", line)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def result():
        report, _ = process.communicate(timeout=seconds + 120)
        if process.returncode:
            raise RuntimeError(f"{row.name}: the generator ended with {process.returncode}")
        return json.loads(report)

    try:
        yield result
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def drive(row, served, **course):
    with driving(row, served, **course) as result:
        return result()


def peak(row, served, number):
    """One pass over a peak's requests, while one more person goes through the app over HTTP/2 and TLS."""
    script, count = row.peak(number)
    before, began = cpu_seconds(family(served.pid)), time.time()
    with driving(row, served, rate=0, script=script) as result:
        other = h2load(row, served, ["-n", str(count // 6)], paths=["/", "/assets/1.js", "/assets/2.js", "/api/items/1"])
        seen = result()
    took, cpu = time.time() - began, cpu_seconds(family(served.pid)) - before
    requests = seen["requests"] + other["requests"]
    return {"requests": requests, "rps": seen["rps"], "wrong": seen["wrong"] + other["wrong"], "errors": seen["errors"] + other["errors"],
            "cpu_s_per_100k": cpu / requests * 1e5, "closed_p99_ms": seen["p99_ms"], "seconds": took}


def closed(work, row, served, number, seconds):
    """As many requests as the server answers, each client waiting for its answer: for some seconds, or a peak's."""
    if row.peak:
        return peak(row, served, number)
    if row.h2:
        return h2load(row, served, ["-D", str(seconds)])
    return wrk(work, row, served, seconds)


def need_tools(*more):
    for tool in ("wrk", "nginx", "taskset", "openssl", *more):
        if not shutil.which(tool) and not pathlib.Path("/usr/sbin", tool).exists():
            sys.exit(f"{tool} is missing; on Debian: apt-get install wrk nginx haproxy apache2 libapache2-mod-auth-openidc nghttp2-client nghttp2-server linux-perf")


def packages(wanted):
    """Makes packages importable: names of modules, and of what PyPI has them in."""
    sys.path.append(str(TOOLS))
    missing = [package for module, package in wanted.items() if not importlib.util.find_spec(module)]
    if missing and subprocess.run(["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", TOOLS, *missing], timeout=300).returncode:
        sys.exit(f"{' and '.join(missing)} missing, and pip could not fetch it")


def build():
    say("building")
    subprocess.run(["sh", ".config/with-cmake", "cargo", "build", "--release", "--quiet", "-p", "portcullis", "-p", "portcullis-load-tests"], cwd=ROOT, check=True)


def workplace(name):
    """An empty folder for what servers read and write."""
    work = ROOT / "target" / "load-tests" / name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work
