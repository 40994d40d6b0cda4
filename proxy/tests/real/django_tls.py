"""Django with `SECURE_SSL_REDIRECT` behind an nginx that ends TLS (the shipped file) and Portcullis: no redirect loop, and
its own links name the address that the user sees."""
# needs: apt:nginx apt:curl pip:django==5.2.19 pip:gunicorn==23.0.0
import pathlib
import subprocess
import sys

from stage import EVERYBODY, ROOT, Stage, check, free_port, listens, wait_for, wiki

SITE = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.shortcuts import redirect
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["wiki.test"], ROOT_URLCONF=__name__, SECRET_KEY="x" * 50, APPEND_SLASH=True,
    SECURE_SSL_REDIRECT=True, SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"), SECURE_HSTS_SECONDS=60,
    USE_X_FORWARDED_HOST=True, USE_X_FORWARDED_PORT=False,
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
)


def page(request):
    return JsonResponse({"secure": request.is_secure(), "link": request.build_absolute_uri("/mail/1"),
                         "host": request.META["HTTP_HOST"], "address": request.META["HTTP_X_FORWARDED_FOR"]})


urlpatterns = [path("", page), path("page/", page), path("old", lambda request: redirect("/page/"))]
application = get_wsgi_application()
"""


def main():
    with Stage() as stage:
        app, public = free_port(), free_port()
        (stage.folder / "site_of_test.py").write_text(SITE)
        gunicorn = pathlib.Path(sys.executable).parent / "gunicorn"
        stage.start([gunicorn, "--bind", f"127.0.0.1:{app}", "--chdir", stage.folder, "site_of_test:application"],
                    stderr=subprocess.DEVNULL)
        listens(app)
        port = stage.portcullis(wiki(app), EVERYBODY,
                                more='[trusted-proxies]\nnetworks = ["127.0.0.0/8"]\n')
        chain, key = stage.certificate(["wiki.test"])
        text = (ROOT / "deploy/balancer/nginx.conf").read_text()
        for number in range(1, 4):
            text = text.replace(f"10.0.0.1{number}:8080", f"127.0.0.1:{port}")
        text = text.replace("listen 0.0.0.0:80;",
                            f"listen 127.0.0.1:{public} ssl; ssl_certificate {chain}; ssl_certificate_key {key};")
        config = stage.folder / "nginx.conf"
        config.write_text(f"pid {stage.folder}/nginx.pid;\nerror_log {stage.folder}/nginx.log;\n{text}")
        stage.start(["/usr/sbin/nginx", "-c", config, "-g", "daemon off;"])
        listens(public)

        token = ["-H", f"Authorization: Bearer {stage.token()}"]

        def curl(url, *more):
            done = subprocess.run(
                ["curl", "-sS", "-L", "--max-redirs", "3", "-w", "\n%{http_code} %{num_redirects} %{url_effective}", "--cacert",
                 chain, "--connect-to", f"wiki.test::127.0.0.1:{public}", *token, *more, url],
                capture_output=True, text=True)
            print(f"$ curl -L {' '.join(more)} {url}\n{done.stdout}{done.stderr}", flush=True)
            body, _, last = done.stdout.rpartition("\n")
            return done.returncode, last.split(" "), body

        base = f"https://wiki.test:{public}"
        wait_for("Django behind nginx", lambda: curl(f"{base}/")[1][0] == "200", seconds=20, every=0.5)
        _, facts, body = curl(f"{base}/")
        check(facts[:2] == ["200", "0"] and '"secure": true' in body, "no redirect, and Django takes the request for a secure one")
        check(f'"link": "{base}/mail/1"' in body, "its links name scheme, host and port as the user sees them")
        _, facts, _ = curl(f"{base}/old")
        check(facts == ["200", "1", f"{base}/page/"], "its own redirect leads to the page")
        _, facts, body = curl(f"{base}/page/", "-H", "X-Forwarded-Proto: http", "-H", "X-Forwarded-Port: 1", "-H",
                             f"Host: WIKI.test:{public}")
        check(facts[:2] == ["200", "0"] and f"{base}/mail/1" in body, "what a client says of itself changes nothing")
        done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", *token, "-H",
                               "Host: wiki.test:1", "-H", "X-Forwarded-Proto: http", f"http://127.0.0.1:{port}/"],
                              capture_output=True, text=True)
        print(done.stdout)
        # This peer is a trusted proxy too: Django redirects, once, to the host that was judged.
        check(done.stdout == "301 https://wiki.test/", "without TLS Django redirects to the judged host, and not to the port asked for")


main()
