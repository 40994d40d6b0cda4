"""Three replicas behind one address share nothing, so nothing is lost with one of them.

The shipped configurations of nginx and HAProxy stand before three real Portcullis processes that read their files the way
Kubernetes mounts a ConfigMap. Under load the ConfigMap is swapped (all three must decide by it, and no request may fail),
and one replica is killed (no request may fail).

usage: replicas.py BINARY FOLDER
"""

import os
import pathlib
import re
import signal
import sys
import time

from stage import POLICIES, Client, Crowd, Stage, end, free_port, get, is_healthy, wait_for

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
EVERYBODY = """
[[policy]]
id = "closed"
name = "Closed for the day"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
"""


class ConfigMap:
    """A folder as the kubelet lays it: NAME -> ..data/NAME, ..data -> ..VERSION; an update turns ..data at once."""

    def __init__(self, folder):
        self.folder, self.version = folder, 0
        folder.mkdir(parents=True)

    def lay(self, files):
        self.version += 1
        fresh = self.folder / f"..{self.version}"
        fresh.mkdir()
        for name, text in files.items():
            (fresh / name).write_text(text)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        (self.folder / "..data_tmp").symlink_to(fresh.name)
        os.replace(self.folder / "..data_tmp", self.folder / "..data")
        for old in self.folder.glob(f"..{self.version - 2}/*"):
            old.unlink()


def metric(admin, series):
    found = re.search(rf"^{re.escape(series)} (\S+)$", get(f"http://{admin}/metrics"), re.M)
    return float(found[1]) if found else 0.0


def balanced(stage, name, replicas, public):
    shipped = (DEPLOY / f"balancer/{ {'nginx': 'nginx.conf', 'haproxy': 'haproxy.cfg'}[name] }").read_text()
    text = shipped.replace("0.0.0.0:80", public)
    for number, (listen, admin) in enumerate(replicas):
        text = text.replace(f"10.0.0.1{number + 1}:8080 port 9090", f"{listen} port {admin.rsplit(':', 1)[1]}")
        text = text.replace(f"10.0.0.1{number + 1}:8080", listen)
    assert "10.0.0." not in text
    config = stage.folder / f"{name}.conf"
    if name == "nginx":
        config.write_text(f"pid {stage.folder}/nginx.pid;\nerror_log {stage.folder}/nginx.log;\n" + text)
        command = ["nginx", "-c", str(config), "-g", "daemon off;"]
    else:
        config.write_text(text)
        command = ["haproxy", "-db", "-f", str(config)]
    process = stage.start(command)
    wait_for(name, lambda: Client(public).ask(stage.headers()) == 200, process=process)
    return process


def check(what, seen, allowed):
    wrong = {status: count for status, count in seen.items() if status not in allowed}
    if wrong or not seen:
        sys.exit(f"{what}: {wrong or 'no'} answers that should not be, of {seen}")
    print(f"{what}: {seen}, none failed")


def main():
    binary, folder = sys.argv[1:3]
    with Stage(binary, folder) as stage:
        replicas, running = [], []
        for number in range(3):
            listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
            written = stage.configuration(stage.folder / f"written-{number}", listen, admin)
            own = ConfigMap(stage.folder / f"etc-{number}")
            # Each pod has its own main file here only because all three share one machine's ports.
            policies = stage.folder / "policies"
            own.lay({"portcullis.toml": written.read_text().replace('"policies/*.toml"', f'"{policies}/*.toml"')})
            replicas.append((listen, admin))
        policies = ConfigMap(stage.folder / "policies")
        policies.lay({"policies.toml": POLICIES})
        configs = [stage.folder / f"etc-{number}/portcullis.toml" for number in range(3)]
        for config, (_, admin) in zip(configs, replicas):
            running.append(stage.portcullis(config, admin))

        for name in ("nginx", "haproxy"):
            public = f"127.0.0.1:{free_port()}"
            balancer = balanced(stage, name, replicas, public)

            crowd = Crowd(public, [stage.headers(), stage.headers("blocked-device")], pause=0, threads=4)
            generations = [metric(admin, "portcullis_configuration_generation") for _, admin in replicas]
            policies.lay({"policies.toml": POLICIES + EVERYBODY})
            started = time.monotonic()
            wait_for("all replicas to serve the new policies", lambda: all(
                Client(listen).ask(stage.headers()) == 403 for listen, _ in replicas))
            took = time.monotonic() - started
            policies.lay({"policies.toml": POLICIES})
            wait_for("all replicas to serve the former policies again", lambda: all(
                Client(listen).ask(stage.headers()) == 200 for listen, _ in replicas))
            check(f"{name}: ConfigMap swapped twice under load, all three decide by it after {took:.1f} s",
                  crowd.stop(), {200, 403})
            for (_, admin), before in zip(replicas, generations):
                assert metric(admin, "portcullis_configuration_generation") == before + 2

            crowd = Crowd(public, [stage.headers()], pause=0, threads=4)
            time.sleep(0.5)
            running[1].send_signal(signal.SIGKILL)
            running[1].wait()
            time.sleep(2)
            seen = crowd.stop()
            # What the killed one was in the middle of answering, at most one of each client, cannot be asked again.
            cut = seen.pop(0, 0)
            assert cut <= len(crowd.clients), f"{name}: {cut} answers cut short"
            check(f"{name}: one of three killed under load, {cut} in the middle of an answer", seen, {200})
            running[1] = stage.portcullis(configs[1], replicas[1][1])
            assert is_healthy(stage.binary, replicas[1][1])
            end(balancer)


if __name__ == "__main__":
    main()
