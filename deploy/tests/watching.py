"""Is what we watch with worth its alarms? A real Prometheus scrapes a real Portcullis under real traffic.

Every query of the dashboard and every recording rule must give data, and of every alert each series that it asks for
must be there. Then three incidents are staged: an attack, a bad policy, a dead key server. Each must fire its own alerts,
and none of the other two kinds. All times of the rules are shortened by SPEED, so that an hour passes in half a minute.

usage: watching.py BINARY FOLDER [PLOT.svg]
"""

import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

from stage import ABROAD, HOME, Crowd, Stage, free_port, get, wait_for

SPEED = 120
DEPLOY = pathlib.Path(__file__).resolve().parent.parent
MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
EVERYONE = """
[[policy]]
id = "a-slip-of-the-keyboard"
name = "Meant for abroad, written for everybody"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
"""


def shortened(text):
    text = re.sub(r"(?<![A-Za-z0-9_])(\d+)([smhd])\b",
                  lambda found: f"{int(found[1]) * MILLISECONDS[found[2]] // SPEED}ms", text)
    return text.replace("3600", str(3600 // SPEED))


class Prometheus:
    def __init__(self, stage, target):
        folder = stage.folder / "prometheus"
        folder.mkdir()
        for name in ("recording.yaml", "alerts.yaml"):
            (folder / name).write_text(shortened((DEPLOY / "prometheus" / name).read_text()))
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
            "rule_files": ["recording.yaml", "alerts.yaml"],
            "scrape_configs": [{"job_name": "portcullis", "static_configs": [{"targets": [target]}]}],
        }))
        self.base = f"http://127.0.0.1:{free_port()}"
        stage.start(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                     "--enable-feature=exemplar-storage", f"--web.listen-address={self.base[7:]}", "--log.level=error"])
        wait_for("Prometheus", lambda: get(f"{self.base}/-/ready"))

    def ask(self, path, **parameters):
        return json.loads(get(f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))["data"]

    def query(self, text):
        return self.ask("query", query=text)["result"]

    def firing(self):
        return {(alert["labels"]["alertname"], alert["labels"].get("incident", ""))
                for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}


def panels():
    """Every query of the dashboard as Grafana would send it: title, query."""
    for panel in json.loads((DEPLOY / "grafana/portcullis.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"].replace("$app", ".*").replace("$__rate_interval", "5m")
            yield panel["title"], shortened(text)


def selectors(text):
    """The series that a query asks for, with their matchers."""
    return set(re.findall(r"\b(?:[a-z_]+:)?portcullis_[a-z0-9_]+(?::[a-z0-9_]+)?(?:\{[^}]*\})?|\bup\{[^}]*\}", text))


# The stage has no provider: what is counted of signing in appears with one, and with what fails there.
SIGNING_IN = re.compile(r"portcullis_(?:sign_ins?|sessions?|logouts)_")


# For how many seconds a query is asked again that gives nothing, and all of them together: a scrape that took longer than its time
# ends all series for a moment, and on a busy machine many do.
PATIENCE, PATIENCE_OF_ALL = 15, 120


def everything_gives_data(prometheus):
    empty, asked, left_out = [], 0, 0
    end_of_all = time.monotonic() + PATIENCE_OF_ALL

    def must(what, text):
        nonlocal asked, left_out
        if SIGNING_IN.search(text):
            left_out += 1
            return
        asked += 1
        end = min(time.monotonic() + PATIENCE, end_of_all)
        while True:
            found = prometheus.query(text)
            if found and any(sample["value"][1] != "NaN" for sample in found):
                return
            if time.monotonic() > end:
                empty.append(f"{what}: {text}")
                return
            time.sleep(0.1)

    for title, text in panels():
        must(f"panel `{title}`", text)
    for group in prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                empty.append(f"rule `{rule['name']}` is {rule['health']}: {rule.get('lastError')}")
            if rule["type"] == "recording":
                must(f"rule `{rule['name']}`", rule["query"])
            else:
                wanted = selectors(rule["query"])
                assert wanted, rule["query"]
                for selector in wanted:
                    must(f"alert `{rule['name']}`", f"count({selector})")
    exemplars = prometheus.ask("query_exemplars", query="portcullis_request_duration_seconds_bucket",
                               start=time.time() - 60, end=time.time())
    asked += 1
    if not any("request_id" in found["labels"] for series in exemplars for found in series["exemplars"]):
        empty.append("no exemplar carries a request id")
    if empty:
        sys.exit("no data for\n  " + "\n  ".join(empty))
    print(f"{asked} queries of dashboard, rules and alerts: each gives data; {left_out} about signing in were not asked")


def incident(prometheus, kind, wanted, begin, mend):
    """Stages an incident; gives what fired when everything was back in order."""
    before = prometheus.firing()
    begin()
    fired, started = {}, time.monotonic()

    def all_wanted():
        for alert in prometheus.firing() - before:
            fired.setdefault(alert, time.monotonic() - started)
        return wanted <= {name for name, _ in fired}

    wait_for(lambda: f"{sorted(wanted)} to fire; so far: {sorted(fired)}", all_wanted, seconds=60)
    mend()
    wait_for(f"{kind} to be over", lambda: all_wanted() and not any(
        name in wanted for name, _ in prometheus.firing()), seconds=90)
    others = {name for name, of in fired if of in {"attack", "policy", "keys"} - {kind}}
    if others:
        sys.exit(f"the {kind} incident also fired {sorted(others)}")
    told = ", ".join(f"{name} after {took:.1f} s" for (name, _), took in sorted(fired.items(), key=lambda item: item[1]))
    print(f"incident `{kind}`, times of rules divided by {SPEED}: {told}")


def plot(prometheus, path, begun):
    """The dashboard's queries over the whole time, one small picture each."""
    width, height, columns, parts, shown = 300, 120, 4, [], 0
    colours = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b"]
    now = time.time()
    for title, text in panels():
        series = prometheus.ask("query_range", query=text, start=begun, end=now, step=0.5)["result"]
        points = [[(float(at), float(value)) for at, value in line["values"] if value not in ("NaN", "+Inf")]
                  for line in series]
        points = sorted(filter(None, points), key=lambda line: -max(value for _, value in line))[:len(colours)]
        highest = max((value for line in points for _, value in line), default=0) or 1
        left, top = shown % columns * (width + 20) + 10, shown // columns * (height + 45) + 30
        parts.append(f'<text x="{left}" y="{top - 6}" font-size="11">{title[:44]} (max {highest:.3g})</text>'
                     f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#bbb"/>')
        for number, line in enumerate(points):
            dots = " ".join(f"{left + (at - begun) / (now - begun) * width:.1f},{top + height - value / highest * height:.1f}"
                            for at, value in line)
            parts.append(f'<polyline points="{dots}" fill="none" stroke="{colours[number]}"/>')
        shown += 1
    rows = -(-shown // columns)
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" width="{columns * (width + 20)}" '
                    f'height="{rows * (height + 45) + 20}"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>')
    print(f"{shown} queries plotted to {path}")


def main():
    binary, folder = sys.argv[1:3]
    with Stage(binary, folder) as stage:
        public, tls, admin = (f"127.0.0.1:{free_port()}" for _ in range(3))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=wiki.localhost", "-days", "90", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/chain.pem"],
                       check=True, capture_output=True)
        # By its name, so that look-ups are counted.
        broken = f'\n[[app]]\nid = "gone"\nname = "An app that is gone"\nhosts = ["gone.localhost"]\nupstreams = ["http://localhost:{free_port()}"]\n'
        secured = f', {{ address = "{tls}", tls = {{ certificate = "{folder}/chain.pem", key = "{folder}/key.pem" }} }}'
        config = stage.configuration(stage.folder / "etc", public, admin, more=broken, server=secured)
        stage.portcullis(config, admin)

        page = get(f"http://{admin}/metrics")
        checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
        if checked.returncode or checked.stderr.strip():
            sys.exit(f"promtool check metrics: {checked.stdout}{checked.stderr}")
        print(f"promtool check metrics: clean, {sum(not line.startswith('#') for line in page.splitlines())} series")

        prometheus, begun = Prometheus(stage, admin), time.time()
        usual = [stage.headers()] * 16 + [
            stage.newcomer,
            stage.headers(address=HOME), stage.headers(address=ABROAD), stage.headers("blocked-device"),
            {"Host": "wiki.localhost"}, stage.headers() | {"Host": "gone.localhost"}]
        people = Crowd(public, usual, pause=0.01, threads=2)
        stage.callback(people.stop)
        time.sleep(3600 / SPEED + 900 / SPEED + 3)
        everything_gives_data(prometheus)

        crowd = []
        forged = stage.tokens["allowed"][:-8] + "AAAAAAAA"
        incident(prometheus, "attack", {"PortcullisHostileRequests"},
                 lambda: crowd.append(Crowd(public, [stage.headers(forged, ABROAD), {"Host": "unknown.test"}], 0.005, 2)),
                 lambda: crowd.pop().stop())
        slip = config.parent / "policies/slip.toml"
        incident(prometheus, "policy", {"PortcullisBlockRateHigh", "PortcullisPolicyBlocksMost", "PortcullisEverythingDenied"},
                 lambda: slip.write_text(EVERYONE), slip.unlink)
        incident(prometheus, "keys", {"PortcullisKeysNotRefreshed", "PortcullisKeysUnusable"}, stage.kill_key_server, stage.revive_key_server)
        if len(sys.argv) > 3:
            plot(prometheus, pathlib.Path(sys.argv[3]), begun)


if __name__ == "__main__":
    main()
