"""Clients as they are: `curl --http2` and Java offer an upgrade, `ab` speaks HTTP/1.0, git prints what it receives."""
# needs: apt:curl apt:git apt:apache2-utils
import http.server
import os
import re
import shutil
import subprocess
import threading

from stage import EVERYBODY, Stage, check, nobody_in, wiki

BLOCK = nobody_in("no-secrets", "/secret.git")
JAVA = """
import java.net.URI;
import java.net.http.*;

public class Ask {
  public static void main(String[] args) throws Exception {
    // It speaks HTTP/2 if it can, and offers h2c on plain connections.
    var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();
    var request = HttpRequest.newBuilder(URI.create(args[0])).header("Authorization", "Bearer " + args[1])
        .POST(HttpRequest.BodyPublishers.ofString("a body")).build();
    var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
    System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
  }
}
"""


class App(http.server.BaseHTTPRequestHandler):
    """Answers in chunks, with the names of the fields that it received."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        text = " ".join(sorted(name.lower() for name in self.headers)).encode()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text))

    do_POST = do_GET

    def log_message(self, *_):
        pass


def main():
    with Stage() as stage:
        app = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
        app.daemon_threads = True
        threading.Thread(target=app.serve_forever, daemon=True).start()
        apps = wiki(app.server_address[1], ("wiki.test", "localhost"))
        port = stage.portcullis(apps, EVERYBODY + BLOCK)
        token = stage.token()
        bearer = f"Authorization: Bearer {token}"

        def run(*command, **more):
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **more)
            shown = " ".join(str(part) for part in command).replace(token, "TOKEN")
            print(f"$ {shown}\n{done.stdout}{done.stderr}".rstrip(), flush=True)
            return done

        url = f"http://localhost:{port}"
        done = run("curl", "-sS", "--http2", "-w", " %{http_code} %{http_version}", "-H", bearer, f"{url}/")
        check(done.stdout.endswith(" 200 1.1") and "upgrade" not in done.stdout and "http2-settings" not in done.stdout,
              "curl --http2 offers h2c, and is answered over HTTP/1.1")
        if shutil.which("javac"):
            (stage.folder / "Ask.java").write_text(JAVA)
            done = run("java", stage.folder / "Ask.java", f"{url}/", token)
            check(done.stdout.startswith("200 HTTP_1_1 ") and "upgrade" not in done.stdout,
                  "Java's HttpClient offers h2c with a body, and is answered over HTTP/1.1")
        else:
            print("skipped: there is no javac here")
        done = run("curl", "-sS", "--http1.0", "-i", "-H", bearer, f"{url}/")
        check("transfer-encoding" not in done.stdout.split("\r\n\r\n")[0].lower() and "connection: close" in done.stdout.lower(),
              "curl --http1.0: no chunks, and the connection ends")
        for keep in ([], ["-k"]):
            done = run("ab", "-q", "-n", "200", "-c", "4", *keep, "-H", bearer, "-H", f"Host: localhost:{port}",
                       f"http://127.0.0.1:{port}/")
            check(re.search(r"Complete requests:\s+200\b", done.stdout) and re.search(r"Failed requests:\s+0\b", done.stdout)
                  and "Non-2xx" not in done.stdout, f"ab {' '.join(keep)}: 200 of 200, none waits for an idle connection")
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(stage.folder)}
        done = run("git", "-c", f"http.extraHeader={bearer}", "clone", f"{url}/secret.git", stage.folder / "copy", env=quiet)
        check(done.returncode != 0 and "remote:" in done.stderr and "53003" in done.stderr,
              "git clone prints why it was refused, and the code")


main()
