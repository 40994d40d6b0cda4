"""The npm client before a registry that knows scoped packages by an encoded slash alone, as registries do."""
import json
import os
import subprocess

from stage import EVERYBODY, Stage, check, free_port, listens

SERVER = """
const http = require('http');
http.createServer((request, response) => {
  console.log(request.method, request.url);
  const name = { '/@scope%2fname': '@scope/name', '/@secret%2fname': '@secret/name' }[request.url];
  response.statusCode = name ? 200 : 404;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(name ? { name, 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': {
    name, version: '1.2.3', description: 'served as it was asked for',
    dist: { tarball: `http://${request.headers.host}/${name}/-/name-1.2.3.tgz`, shasum: 'x' } } } } : {}));
}).listen(Number(process.argv[2]), '127.0.0.1');
"""
APP = """
[[app]]
id = "registry"
hosts = ["localhost"]
upstreams = ["http://127.0.0.1:{port}"]
{line}
"""
BLOCK = """
[[policy]]
id = "no-secret"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { request = { paths = ["/@secret/**"] } }
"""


def view(line, name):
    """What `npm view` says of a package, and which requests the registry saw."""
    with Stage() as stage:
        app = free_port()
        script, log = stage.folder / "server.js", stage.folder / "registry.log"
        script.write_text(SERVER)
        with log.open("w") as out:
            stage.start(["node", script, app], stdout=out)
        listens(app)
        port = stage.portcullis(APP.replace("{port}", str(app)).replace("{line}", line), EVERYBODY + BLOCK)
        rc = stage.folder / "npmrc"
        rc.write_text(f"registry=http://localhost:{port}/\n//localhost:{port}/:_authToken={stage.token()}\n"
                      f"cache={stage.folder}/cache\nfetch-retries=0\nupdate-notifier=false\n")
        bare = {name: value for name, value in os.environ.items() if not name.lower().startswith("npm_config")}
        done = subprocess.run(["npm", "view", name, "--json", "--userconfig", rc], capture_output=True, text=True,
                              cwd=stage.folder, env={**bare, "no_proxy": "*", "NO_PROXY": "*"}, timeout=120)
        return done.returncode, done.stdout + done.stderr, log.read_text().split("\n")


def main():
    code, said, seen = view('allow-paths = ["encoded-slash"]', "@scope/name")
    check(code == 0 and json.loads(said)["version"] == "1.2.3", "npm view @scope/name answers 1.2.3")
    print(f"   the registry saw {seen}")
    check("GET /@scope%2fname" in seen, "the registry got the encoded slash as npm sent it")
    code, said, seen = view('allow-paths = ["encoded-slash"]', "@secret/name")
    print(f"   {said.strip().splitlines()[:3]}")
    check(code != 0 and "403" in said and seen == [""], "npm view @secret/name: 403, nothing reaches the registry")
    code, said, seen = view("", "@scope/name")
    check(code != 0 and "400" in said and seen == [""], "without the line: 400, nothing reaches the registry")


main()
