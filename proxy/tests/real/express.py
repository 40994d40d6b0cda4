"""Stock Express, whose router ignores letter case and a slash at the end: no spelling of a page gets past its rules."""
# needs: npm:express@5.3.0
import contextlib
import http.client
import json
import os

from stage import EVERYBODY, NODE, Stage, check, free_port, listens

SERVER = """
const express = require('express');
const app = express();
const page = (name) => (request, response) => response.json({ page: name, url: request.originalUrl });
app.get('/admin', page('admin'));
app.get('/admin/users', page('admin/users'));
app.get('/team', page('team'));
app.get('/pay', page('pay'));
app.get('/public', page('public'));
app.listen(Number(process.argv[2]), '127.0.0.1');
"""
APPS = """
[[app]]
id = "site"
hosts = ["site.test"]
upstreams = ["http://127.0.0.1:{port}"]
contexts = [{ path = "/pay", context = "c1" }]

[[app]]
id = "team"
hosts = ["site.test"]
path = "/team"
assigned = { groups = ["team"] }
upstreams = ["http://127.0.0.1:{port}"]
"""
POLICIES = EVERYBODY + """
[[policy]]
id = "no-admin"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { request = { paths = ["/admin/**"] } }

[[policy]]
id = "pay"
users = { include = ["all"] }
authentication-contexts = ["c1"]
grant = { controls = ["strength:strong"] }
"""
STRONG = """
[[strength]]
name = "strong"
combinations = [["fido"]]
"""


def spellings(path):
    """What Express serves as the same page, by its documentation and its router, and what others do."""
    plain = [path, path.upper(), path.title(), path + "/", path.upper() + "/", path.swapcase()]
    odd = ["/" + path, path + "//", path.replace("/", "//"), path + "%20", path + ".", path + ";x", path + "::$DATA",
           "/x/.." + path, "/." + path, path.replace("a", "%61"), path.replace("/", "%2F"), path + "%2F", path + "\\",
           path + "%00", path + "~1", "/(S(x))" + path, path + "%E2%80%8B", path + "%C2%A0", path + "?x", path + "/?x"]
    return plain + odd


def main():
    with Stage() as stage:
        app = free_port()
        script = stage.folder / "server.js"
        script.write_text(SERVER)
        stage.start(["node", script, app], env={**os.environ, "NODE_PATH": str(NODE)})
        listens(app)
        port = stage.portcullis(APPS.replace("{port}", str(app)), POLICIES, more=STRONG)
        token = stage.token()

        def ask(to, path):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", to, timeout=10)) as connection:
                connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
                connection.putheader("Host", "site.test")
                connection.putheader("Authorization", f"Bearer {token}")
                connection.endheaders()
                answer = connection.getresponse()
                body = answer.read()
                return answer.status, body

        for path, status in [("/admin", 403), ("/admin/users", 403), ("/team", 403), ("/pay", 401)]:
            same, other = [], []
            for spelling in spellings(path):
                direct, body = ask(app, spelling)
                is_page = direct == 200 and json.loads(body)["page"] == path[1:]
                (same if is_page else other).append((spelling, ask(port, spelling)[0]))
            print(f"   {path}: Express itself serves {[spelling for spelling, _ in same]}")
            print(f"   {path} through Portcullis: {same + other}")
            check(len(same) >= 6, f"{path}: Express serves six spellings and more as one page")
            check(all(found in (status, 400) for _, found in same), f"{path}: each is {status} or 400")
            check(all(found != 200 for _, found in other), f"{path}: no other spelling gets a page")
        for path in ["/public", "/PUBLIC/", "/Public"]:
            found, body = ask(port, path)
            check(found == 200 and json.loads(body)["url"] == path, f"{path}: passes, and Express receives {path}")


main()
