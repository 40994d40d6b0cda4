"""curl, as people use it to look: let in with a token; without one, and by a block, it learns what to do."""
# needs: apt:curl apt:openssl
import json
import subprocess

from stage import EVERYBODY, Stage, check, free_port, listens, nobody_in, wiki

BLOCK = nobody_in("no-admin", "/admin")


def main():
    with Stage() as stage:
        app = free_port()
        stage.start(["python3", "-m", "http.server", app, "--bind", "127.0.0.1", "--directory", stage.folder / "policies"],
                    stderr=subprocess.DEVNULL)
        listens(app)
        port = stage.portcullis(wiki(app), EVERYBODY + BLOCK)

        def curl(path, *more):
            done = subprocess.run(["curl", "-sS", "-i", "--path-as-is", "-H", "Host: wiki.test", *more, f"http://127.0.0.1:{port}{path}"],
                                  capture_output=True, check=True)
            head, _, body = done.stdout.decode().partition("\r\n\r\n")
            return int(head.split(" ")[1]), head, body

        token = ["-H", f"Authorization: Bearer {stage.token()}"]
        status, _, body = curl("/policies.toml", *token)
        check((status, body) == (200, (stage.folder / "policies/policies.toml").read_text()), "a token and a second factor: the app's page")
        status, head, _ = curl("/policies.toml")
        check(status == 401 and "www-authenticate: bearer" in head.lower(), "no token: 401 and how to present one")
        status, _, body = curl("/admin/x", *token, "-H", "Accept: application/json")
        check((status, json.loads(body)["code"]) == (403, 53003), "a block: 403 and 53003")


main()
