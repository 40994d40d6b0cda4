"""What no validator of others knows: whether the files of `deploy/` fit each other and the program.

usage: files.py BINARY FOLDER   (needs PyYAML)
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
problems = []


def must(holds, what):
    if not holds:
        problems.append(what)


def documents(path):
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def configurations(binary):
    """Every shipped configuration is fit to serve, once the files are there that a deployment brings."""
    folder = pathlib.Path(sys.argv[2])
    # A pair: `check` looks whether certificate and key belong together.
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=test -addext".split()
    pair = ["-keyout", folder / "key.pem", "-out", folder / "chain.pem"]
    subprocess.run([*make, "subjectAltName=DNS:wiki.example.com", *pair], check=True, capture_output=True)
    for main in sorted(DEPLOY.glob("**/portcullis.toml")):
        text = main.read_text()
        # Paths of the container; certificates come from a secret.
        text = text.replace("/etc/portcullis-policies/", f"{DEPLOY}/kubernetes/policies/")
        text = text.replace("/etc/portcullis-tls/tls.crt", str(folder / "chain.pem"))
        text = text.replace("/etc/portcullis-tls/tls.key", str(folder / "key.pem"))
        text = text.replace("/var/log/portcullis/", f"{folder}/")
        text = text.replace('"policies/', f'"{main.parent}/policies/')
        copy = folder / "portcullis.toml"
        copy.write_text(text)
        told = subprocess.run([binary, "check", "--config", str(copy)], capture_output=True, text=True)
        must(told.returncode == 0, f"{main}: {told.stdout}{told.stderr}")


def known_metrics():
    page = (DEPLOY.parent / "proxy/README.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", page, re.M)
    known = {}
    for name, kind, labels in rows:
        labels = set(filter(None, labels.strip().split(", "))) | {"job", "instance"}
        names = [name] if kind != "histogram" else [name + end for end in ("_bucket", "_sum", "_count")]
        known |= {name: labels | ({"le"} if name.endswith("_bucket") else set()) for name in names}
    return known


def queries():
    for path in sorted((DEPLOY / "prometheus").glob("*.yaml")):
        for group in documents(path)[0].get("groups", []):
            for rule in group["rules"]:
                yield f"{path.name}: {rule.get('record') or rule.get('alert')}", rule["expr"]
    board = json.loads((DEPLOY / "grafana/portcullis.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield f"panel `{panel['title']}`", target["expr"]


def names_and_labels():
    """Queries ask for metrics that there are, by labels that they have."""
    known, used = known_metrics(), set()
    must(len(known) > 40, "proxy/README.md has no table of metrics")
    for where, text in queries():
        for before, name, after, matchers in re.findall(
                r"([a-z_]+:)?\b((?:portcullis|process)_[a-z0-9_]+)(:[a-z0-9_]+)?(?:\{([^}]*)\})?", text):
            if before or after:
                continue
            must(name in known, f"{where}: there is no metric `{name}`")
            used.add(name)
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
                must(label in known.get(name, {label}), f"{where}: `{name}` has no label `{label}`")
    return len(used)


def dashboard():
    board = json.loads((DEPLOY / "grafana/portcullis.json").read_text())
    ids = [panel["id"] for panel in board["panels"]]
    must(len(ids) == len(set(ids)), "dashboard: an id is used twice")
    cells = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        must(not own & cells, f"dashboard: `{panel['title']}` overlaps another panel")
        must(place["x"] + place["w"] <= 24, f"dashboard: `{panel['title']}` is wider than the screen")
        must(panel["type"] == "row" or panel.get("targets"), f"dashboard: `{panel['title']}` asks for nothing")
        cells |= own
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) - {"__rate_interval"}
    must(used <= variables, f"dashboard: no variable {used - variables}")


def runbook():
    """Every alert is explained to the person on call."""
    page = (DEPLOY / "README.md").read_text()
    for group in documents(DEPLOY / "prometheus/alerts.yaml")[0]["groups"]:
        for rule in group["rules"]:
            must(f"`{rule['alert']}`" in page, f"deploy/README.md does not explain `{rule['alert']}`")


def operator_rules():
    """The Prometheus operator's resource holds the very rules of deploy/prometheus."""
    path = DEPLOY / "kubernetes/prometheusrule.yaml"
    groups = [group for name in ("recording", "alerts") for group in documents(DEPLOY / f"prometheus/{name}.yaml")[0]["groups"]]
    made = yaml.safe_dump({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
        "metadata": {"name": "portcullis", "namespace": "portcullis"}, "spec": {"groups": groups},
    }, sort_keys=False, width=120)
    made = "# Made from deploy/prometheus by deploy/tests/files.py: UPDATE_EXPECT=1 bash deploy/check\n" + made
    if os.environ.get("UPDATE_EXPECT"):
        path.write_text(made)
    must(path.exists() and path.read_text() == made, f"{path} is stale: UPDATE_EXPECT=1 bash deploy/check")


def compose():
    folder = DEPLOY / "compose"
    for name, service in documents(folder / "compose.yaml")[0]["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            must(not source.startswith(".") or (folder / source).exists(), f"compose: {name} mounts {source}, which is not there")


def kubernetes():
    folder = DEPLOY / "kubernetes"
    listed = documents(folder / "kustomization.yaml")[0]
    there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    must(set(listed["resources"]) == there, f"kustomization: {set(listed['resources']) ^ there} is listed or there, not both")
    everything = [found for name in listed["resources"] for found in documents(folder / name)]
    by_kind = {}
    for found in everything:
        by_kind.setdefault(found["kind"], []).append(found)
        if found["kind"] != "Namespace":
            must(found["metadata"].get("namespace") == listed["namespace"], f"{found['kind']}: another namespace")
    for wanted in ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", "ServiceMonitor", "PrometheusRule"):
        must(wanted in by_kind, f"kubernetes: no {wanted}")
    deployment = by_kind["Deployment"][0]
    pod = deployment["spec"]["template"]
    labels, ports = pod["metadata"]["labels"], {}
    for container in pod["spec"]["containers"]:
        ports |= {port["name"]: port["containerPort"] for port in container["ports"]}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        must(mounted == {volume["name"] for volume in pod["spec"]["volumes"]}, "deployment: volumes and mounts differ")

    def selects(selector, what):
        must(selector and selector.items() <= labels.items(), f"{what} selects no pod")

    selects(deployment["spec"]["selector"]["matchLabels"], "the deployment")
    selects(by_kind["PodDisruptionBudget"][0]["spec"]["selector"]["matchLabels"], "the disruption budget")
    selects(by_kind["NetworkPolicy"][0]["spec"]["podSelector"]["matchLabels"], "the network policy")
    for service in by_kind["Service"]:
        selects(service["spec"]["selector"], service["metadata"]["name"])
        for port in service["spec"]["ports"]:
            must(port["targetPort"] in ports, f"{service['metadata']['name']}: no port `{port['targetPort']}`")
    monitored = by_kind["ServiceMonitor"][0]["spec"]
    admin = [service for service in by_kind["Service"]
             if monitored["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()]
    must(len(admin) == 1, "the service monitor selects not one service")
    for service in admin:
        must(service["metadata"]["labels"].get(monitored["jobLabel"]) == "portcullis", "the job would not be called `portcullis`")
        named = {port["name"] for port in service["spec"]["ports"]}
        must({endpoint["port"] for endpoint in monitored["endpoints"]} <= named, "the service monitor asks for a port that is not there")
    main = (folder / "config/portcullis.toml").read_text()
    for name in ("https", "admin"):
        must(f":{ports.get(name)}\"" in main, f"portcullis.toml does not listen on the {name} port {ports.get(name)}")
    budget, least = by_kind["PodDisruptionBudget"][0]["spec"]["minAvailable"], deployment["spec"]["replicas"]
    must(budget < least, "the disruption budget would never let a node be drained")
    made = {generator["name"]: generator["files"] for generator in listed["configMapGenerator"]}
    for volume in pod["spec"]["volumes"]:
        if "configMap" in volume:
            files = made.get(volume["configMap"]["name"], [])
            must(files and all((folder / file).exists() for file in files), f"config map {volume['configMap']['name']} is not made")


def seconds(text, key, absent):
    """A duration of `[server]`, in seconds."""
    found = re.search(rf'^{key} = "(\d+)(s|m)"', text, re.M)
    return int(found[1]) * (60 if found[2] == "m" else 1) if found else absent


def stopping():
    """Whoever ends the program waits longer than it takes to end."""
    def needed(path):
        text = path.read_text()
        return seconds(text, "pre-stop-delay", 0) + seconds(text, "grace", 30)

    pod = documents(DEPLOY / "kubernetes/deployment.yaml")[0]["spec"]["template"]["spec"]
    service = documents(DEPLOY / "compose/compose.yaml")[0]["services"]["portcullis"]
    unit = (DEPLOY / "systemd/portcullis.service").read_text()
    for what, waits, needs in (
        ("Kubernetes: terminationGracePeriodSeconds", pod["terminationGracePeriodSeconds"], needed(DEPLOY / "kubernetes/config/portcullis.toml")),
        ("compose: stop_grace_period", int(service["stop_grace_period"].removesuffix("s")), needed(DEPLOY / "compose/portcullis/portcullis.toml")),
        ("systemd: TimeoutStopSec", int(re.search(r"^TimeoutStopSec=(\d+)", unit, re.M)[1]), needed(DEPLOY / "etc/portcullis.toml")),
    ):
        must(waits >= needs + 5, f"{what} is {waits} s, and the program may take {needs}")
    probe = pod["containers"][0]["readinessProbe"]
    unready = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    delay = seconds((DEPLOY / "kubernetes/config/portcullis.toml").read_text(), "pre-stop-delay", 0)
    must(unready < delay, f"Kubernetes: not ready is seen after {unready} s, and connections are refused after {delay}")


def state():
    """The unit has the folder in which the documentation puts the journal of sign-outs."""
    unit = (DEPLOY / "systemd/portcullis.service").read_text()
    folder = re.search(r"^StateDirectory=(\S+)", unit, re.M)
    must(folder, "systemd: no StateDirectory for the journal of sign-outs")
    journals = {
        path: set(re.findall(r'journal = \\?"([^"\\]+)\\?"', (DEPLOY.parent / path).read_text()))
        for path in ("proxy/SIGN-IN.md", "config/src/lower/session.rs")
    }
    wanted = {f"/var/lib/{folder[1]}/sign-outs.journal"} if folder else set()
    for path, named in journals.items():
        must(named == wanted, f"{path} names {named} as the journal, not {wanted}")


def main():
    configurations(sys.argv[1])
    used = names_and_labels()
    dashboard()
    runbook()
    operator_rules()
    compose()
    kubernetes()
    stopping()
    state()
    if problems:
        sys.exit("\n".join(problems))
    print(f"the files fit each other; queries use {used} metrics, all of them known")


if __name__ == "__main__":
    main()
