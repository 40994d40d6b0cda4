"""What the users of real clients see of a refusal: git, curl, wget, HTTPie, Python, npm, pip, Skopeo, kubectl, Terraform, gRPC.

Each is refused by a policy, with a good token, and prints the code and the reference, or as much of them as it prints of any
answer. A client that is not here is named, and skipped.
"""
# needs: apt:curl apt:git apt:wget apt:httpie apt:git-lfs apt:skopeo deb:kubernetes-client pip:grpcio==1.85.3 pip:requests==2.34.2
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading

from stage import EVERYBODY, PACKAGES, Stage, check, nobody_in

REFERENCE = r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}"
CALLED = rf"53003; reference {REFERENCE}"
GRPC = """
import sys
import grpc

address, chain, *calls = sys.argv[1:]
credentials = grpc.ssl_channel_credentials(open(chain, "rb").read())
for method, token in zip(calls[::2], calls[1::2]):
    with grpc.secure_channel(address, credentials) as channel:
        call = channel.unary_unary(method)
        try:
            call(b"", metadata=[("authorization", "Bearer " + token)] if token else [], timeout=20)
        except grpc.RpcError as error:
            print(error.code().name, "|", error.details())
"""


# As much of a Kubernetes API as kubectl asks for before it asks for pods.
PODS = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]}
KUBERNETES = {
    "/k8s/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/k8s/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/k8s/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [PODS]},
}


class App(http.server.BaseHTTPRequestHandler):
    """Whoever gets here was let in."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = json.dumps(KUBERNETES.get(self.path.split("?")[0], "ok")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_HEAD = answer

    def log_message(self, *_):
        pass


def app(name, port, host, more=""):
    return f"""
[[app]]
id = "{name}"
name = "{name.title()}"
hosts = ["{host}"]
upstreams = ["http://127.0.0.1:{port}"]
{more}
"""


def main():
    with Stage() as stage:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        # A host for each kind: what stands in `clients` shows where a client does not say who it is.
        apps = app("wiki", port, "localhost") + app("builds", port, "127.0.0.1", 'clients = "npm"')
        policies = EVERYBODY + nobody_in("no-secrets", "/secret").replace('["wiki"]', '["all"]').replace(
            '"/secret/**"', '"/secret/**", "/v2/**", "/api/**", "/apis/**", "/k8s/api/v1/namespaces/**", "/secret.Service/**", "/secret.git/**"')
        entry = stage.portcullis(apps, policies, tls=["localhost"])
        token, stale = stage.token(), stage.token(amr=["pwd"])
        bearer = f"Authorization: Bearer {token}"
        url = f"http://localhost:{entry}"
        quiet = {name: value for name, value in os.environ.items() if not re.match(r"(?i)(npm_config|https?_proxy|pip_)", name)}
        quiet |= {"no_proxy": "*", "NO_PROXY": "*", "LC_ALL": "C.UTF-8", "HOME": str(stage.folder), "GIT_TERMINAL_PROMPT": "0",
                  "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                  "GIT_COMMITTER_EMAIL": "a@b", "CHECKPOINT_DISABLE": "1"}
        table = []

        def run(*command, cwd=None):
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=90, env=quiet,
                                  cwd=cwd or stage.folder, stdin=subprocess.DEVNULL)
            shown = " ".join(str(part) for part in command).replace(token, "TOKEN")[:160]
            said = (done.stdout + done.stderr).replace(token, "TOKEN").rstrip()
            print(f"$ {shown}\n{said}", flush=True)
            return done.returncode, said

        def version(*command):
            done = subprocess.run(command, capture_output=True, text=True, env=quiet)
            found = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
            return found.group() if found else "?"

        def prints(name, said, pattern, what):
            check(re.search(pattern, said), f"{name}: {what}")
            line = next(line for line in said.splitlines() if re.search(pattern.split(".*")[-1], line))
            table.append((name, line.strip()))

        def is_here(program):
            if shutil.which(program):
                return True
            print(f"skipped: there is no {program} here", flush=True)
            return False

        # Git prints what is text; a push is refused at its first request, as a clone is.
        git = f"git {version('git', '--version')}"
        said = run("git", "-c", f"http.extraHeader={bearer}", "clone", f"{url}/secret.git", stage.folder / "copy")[1]
        prints(f"{git} clone", said, rf"remote: .*{REFERENCE}", "the text is printed as `remote:`")
        check("53003" in said and "<html" not in said, "with the code, and no page")
        work = stage.folder / "work"
        run("git", "init", "-q", work)
        run("git", "commit", "-q", "--allow-empty", "-m", "one", cwd=work)
        for verb in (["push", f"{url}/secret.git", "HEAD:main"], ["fetch", f"{url}/secret.git"]):
            said = run("git", "-c", f"http.extraHeader={bearer}", *verb, cwd=work)[1]
            check(re.search(rf"remote: .*{REFERENCE}", said) and "53003" in said, f"git {verb[0]}: the same")
        if is_here("git-lfs"):
            (work / "large.bin").write_bytes(b"x" * 1000)
            run("git", "lfs", "install", "--local", cwd=work)
            run("git", "lfs", "track", "*.bin", cwd=work)
            run("git", "add", "-A", cwd=work)
            run("git", "commit", "-q", "-m", "large", cwd=work)
            run("git", "remote", "add", "origin", f"{url}/secret.git", cwd=work)
            said = run("git", "-c", f"http.extraHeader={bearer}", "lfs", "push", "--all", "origin", cwd=work)[1]
            prints(f"git-lfs {version('git-lfs', 'version')} push", said, CALLED, "prints the message with code and reference")

        # Command lines that name nothing get text, whatever their method and their credential are.
        curl = version("curl", "--version")
        for more in ([], ["-d", "a=b"], ["-X", "DELETE"]):
            said = run("curl", "-sS", "-H", bearer, *more, f"{url}/secret/x")[1]
            check(not said.startswith("{") and "53003" in said and re.search(REFERENCE, said), f"curl {' '.join(more)}: text")
        table.append((f"curl {curl}", said.splitlines()[0]))
        said = run("curl", "-sS", "-H", bearer, "-H", "Accept: application/json", f"{url}/secret/x")[1]
        check(json.loads(said)["code"] == 53003, "curl that asks for JSON: problem details")
        said = run("wget", "-nv", "-O", "-", "--header", bearer, f"{url}/secret/x")[1]
        prints(f"wget {version('wget', '--version')}", said, rf"ERROR 403: Forbidden; {CALLED}", "the status line says the code")
        if is_here("http"):
            said = run("http", "--ignore-stdin", f"{url}/secret/x", bearer.replace(": ", ":"))[1]
            prints(f"HTTPie {version('http', '--version')}", said, rf".*{REFERENCE}", "text")
            check("53003" in said and not said.lstrip().startswith("{"), "HTTPie: and no JSON")

        # A library is a program: problem details, whose fields it can read.
        asks = ("import sys, requests; answer = requests.get(sys.argv[1], headers={'Authorization': 'Bearer ' + sys.argv[2]}); "
                "print(answer.status_code, answer.headers['Content-Type'], answer.json()['title'], answer.json()['code'])")
        said = run(sys.executable, "-c", asks, f"{url}/secret/x", token)[1]
        prints("Python requests", said, r"403 application/problem\+json .* 53003", "problem details")

        if is_here("npm"):
            rc = stage.folder / "npmrc"
            for host in ("localhost", "127.0.0.1"):
                for who, shows in ((token, rf"403 Forbidden - GET .*{CALLED}"), ("bad", r"notice .*Unauthorized; \d+; reference ")):
                    rc.write_text(f"registry=http://{host}:{entry}/secret/\n//{host}:{entry}/secret/:_authToken={who}\n"
                                  f"cache={stage.folder}/cache\nfetch-retries=0\nupdate-notifier=false\n")
                    said = run("npm", "view", "left-pad", "--userconfig", rc)[1]
                    prints(f"npm {version('npm', '--version')} view", said, shows, "shows the sentence" if who == token else "and of a 401 a notice")
        pip = [sys.executable, "-m", "pip"]
        said = run(*pip, "download", "--no-input", "--no-cache-dir", "--retries", "0", "--no-deps",
                   f"http://localhost:{entry}/secret/left-pad-1.0.zip")[1]
        # Its credentials are of another kind: it is nobody, and is told so.
        prints(f"pip {version(*pip, '--version')} download", said, r"401 .*Unauthorized; 50058; reference ", "the status line says the code")

        if is_here("skopeo"):
            said = run("skopeo", "inspect", "--tls-verify=false", "--registry-token", token, f"docker://localhost:{entry}/secret/image:1")[1]
            prints(f"Skopeo {version('skopeo', '--version')} inspect", said, rf"(?i)denied.*{CALLED}", "shows code and message")
            said = run("skopeo", "inspect", "--tls-verify=false", f"docker://localhost:{entry}/secret/image:1")[1]
            check("unauthorized" in said.lower() or "challenge" in said.lower(), "and without a token that it needs one")
        # Two of them: an old one, and the machine's own. Over TLS, for they send tokens over nothing else.
        kubectls = [str(PACKAGES / "deb" / "usr" / "bin" / "kubectl"), shutil.which("kubectl")]
        for kubectl in dict.fromkeys(program for program in kubectls if program and is_here(program)):
            name = f"kubectl {version(kubectl, 'version', '--client')} get pods"
            # The old one asks what there is, and says of any refusal that there are no pods.
            discovery = [("", "shows why where it asks what there is")] if kubectl != kubectls[0] else []
            for path, what in (*discovery, ("/k8s", "shows the message of the Status")):
                said = run(kubectl, "get", "pods", "--server", f"https://localhost:{stage.tls}{path}", "--token", token,
                           "--certificate-authority", stage.folder / "chain.pem", "--request-timeout", "20s",
                           "--cache-dir", stage.folder / f"kube{len(path)}")[1]
                prints(name, said, rf"Error from server \(Forbidden\): You.*{CALLED}", what)
        if is_here("terraform"):
            (stage.folder / "tf").mkdir()
            (stage.folder / "tf" / "main.tf").write_text(f'terraform {{\n  backend "http" {{ address = "{url}/secret/state" }}\n}}\n')
            said = run("terraform", "-chdir=" + str(stage.folder / "tf"), "init", "-no-color", "-input=false")[1]
            prints(f"Terraform {version('terraform', 'version')} init", said, r"HTTP remote state endpoint (requires auth|invalid auth)",
                   "shows nothing of any body, but which status it is")

        # Trailers in the only head, which ends the stream: anything else is UNKNOWN to gRPC.
        script = stage.folder / "call.py"
        script.write_text(GRPC)
        said = run(sys.executable, script, f"localhost:{stage.tls}", stage.folder / "chain.pem", "/secret.Service/Method", token,
                   "/open.Service/Method", stale, "/secret.Service/Method", "")[1]
        lines = said.splitlines()
        prints("grpcio unary call", lines[0], rf"PERMISSION_DENIED \| .*{CALLED}", "7, with code and reference")
        check(re.match(rf"UNAUTHENTICATED \| .*\d+; reference {REFERENCE}", lines[1]), "16, where a stronger sign-in is wanted")
        check(re.match(rf"UNAUTHENTICATED \| .*50058; reference {REFERENCE}", lines[2]), "16, where there is no token")
        print("\n".join(f"| {name} | `{line}` |" for name, line in table), flush=True)


main()
