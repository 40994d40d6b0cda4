"""curl, killed in the middle: what is reported of a client that leaves, and logs that are moved while they are written."""
# needs: apt:curl
import http.client
import http.server
import pathlib
import re
import subprocess
import threading
import urllib.request

from stage import EVERYBODY, Stage, binary, check, free_port, listens, wait_for

APP = """
[[app]]
id = "files"
hosts = ["files.test"]
upstreams = ["http://127.0.0.1:{app}"]
"""
LENGTH = 1 << 30


class App(http.server.BaseHTTPRequestHandler):
    """`/slow` never answers, `/large` has a GiB, anything else is short."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/slow"):
            self.rfile.read(1)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(LENGTH if self.path.startswith("/large") else 5))
        self.end_headers()
        if not self.path.startswith("/large"):
            self.wfile.write(b"short")
            return
        try:
            for _ in range(LENGTH >> 20):
                self.wfile.write(b"x" * (1 << 20))
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


def main():
    with Stage() as stage:
        app = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), App)
        app.daemon_threads = True
        threading.Thread(target=app.serve_forever, daemon=True).start()
        listens(app.server_port)
        log, access = stage.folder / "all.ndjson", stage.folder / "access.log"
        port = stage.portcullis(APP.replace("{app}", str(app.server_port)), EVERYBODY)
        # The stage's own line of the log is replaced, and the program begun anew with it.
        stage.process.terminate()
        stage.process.wait()
        text = re.sub(r"decision-log = .*", f'decision-log = {{ file = "{log}", grants-one-in = 1, access = {{ file = "{access}", format = "combined" }} }}',
                      stage.config.read_text())
        stage.config.write_text(text)
        stage.process = stage.start([binary(), "run", "--config", stage.config])
        wait_for("Portcullis to be ready", stage.is_ready)
        token = stage.token()

        def metric(series):
            page = urllib.request.urlopen(f"http://{stage.admin}/metrics").read().decode()
            found = re.search("^" + re.escape(series) + r" (\S+)$", page, re.M)
            return float(found[1]) if found else 0

        def aborted(at):
            return metric(f'portcullis_client_aborts_total{{app="files",stage="{at}"}}')

        def curl(path):
            return subprocess.Popen(["curl", "-s", "-o", stage.folder / "got", "-H", "Host: files.test", "-H",
                                     f"Authorization: Bearer {token}", f"http://127.0.0.1:{port}{path}"])

        client = curl("/large?token=s3cret")
        wait_for("the download to begin", lambda: (stage.folder / "got").exists() and (stage.folder / "got").stat().st_size)
        client.kill()
        wait_for("the download to be counted as left", lambda: aborted("during-answer") == 1)
        client = curl("/slow")
        wait_for("the request to be in progress", lambda: metric("portcullis_requests_in_flight") == 1)
        client.kill()
        wait_for("the request to be counted as left", lambda: aborted("before-answer") == 1)
        outcomes = {word: metric(f'portcullis_requests_total{{app="files",outcome="{word}"}}')
                    for word in ("granted", "rejected", "failed", "aborted")}
        check(outcomes == {"granted": 0, "rejected": 0, "failed": 0, "aborted": 2}, "clients that leave are counted as that, and as nothing else")
        wait_for("both lines", lambda: access.exists() and len(access.read_text().splitlines()) == 2)
        lines = access.read_text()
        check('"GET /large HTTP/1.1" 200 ' in lines and '"GET /slow HTTP/1.1" 499 0 ' in lines and "s3cret" not in lines,
              "the access log has what was sent, and 499 where nothing was")

        stop, asked = threading.Event(), [0] * 4

        def load(client):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            while not stop.is_set():
                connection.request("GET", "/short", headers={"Host": "files.test", "Authorization": f"Bearer {token}"})
                connection.getresponse().read()
                asked[client] += 1

        threads = [threading.Thread(target=load, args=(client,)) for client in range(4)]
        for thread in threads:
            thread.start()
        for number in range(5):
            for path in (log, access):
                # As logrotate does, under load.
                wait_for(f"{path.name} to be begun anew", lambda path=path: path.exists() and path.stat().st_size)
                path.rename(f"{path}.{number}")
        stop.set()
        for thread in threads:
            thread.join()
        total = sum(asked) + 2

        def lines_in(path):
            parts = [part for part in pathlib.Path(stage.folder).iterdir() if part.name.startswith(path.name)]
            return sum(len(part.read_text().splitlines()) for part in parts)

        wait_for("every line", lambda: lines_in(log) == total and lines_in(access) == total)
        check(metric('portcullis_decision_log_entries_total{result="written"}') == total, f"{total} lines in six files each, none lost, none twice")


main()
