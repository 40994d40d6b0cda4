"""The peak workload, the start of a working day: people arrive, each with a token that nobody has seen, and open several apps.

Each person's visit is pages with bursts of assets (half of them unchanged since yesterday: 304), calls to an API,
some with a body. Two issuers sign, RS256 and ES256. Some people are in a forbidden place, some have a device that
does not comply, some come with an expired token or with none. What each request must be answered is known, since
the policy that refuses is the only one of its kind. The same seed makes the same requests.
"""
import json
import os
import random
import subprocess

PARTNERS = "https://partners.load.example"
# Who comes: algorithm, share of the people, life of the token in seconds, claims of their own.
STRAY = {"device_compliant": False, "device_trust_type": "Workplace"}
PEOPLE = {
    "staff": ("rs256", 0.62, 86_400, {}),
    "partners": ("es256", 0.31, 86_400, {}),
    "stray": ("rs256", 0.04, 86_400, STRAY),
    "expired": ("es256", 0.03, -3_600, {}),
}
POLICY = """[[policy]]
id = "managed-devices-outside"
users = { include = ["all"], exclude = ["group:emergency-access"] }
apps = { include = ["all"] }
grant = { operator = "and", controls = ["compliant-device"] }
[policy.conditions]
locations = { include = ["all"], exclude = ["all-trusted"] }
"""
OFFICE, HOME, EMBARGO = "203.0.113", "192.0.2", "198.51.100"
AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0",
]
ASSETS = 12


class Issuers:
    """The two issuers' keys; `kid` names the present ones."""

    def __init__(self, cx, folder, kid="load-1"):
        self.cx, self.folder, self.kid = cx, folder, kid
        for algorithm in ("rs256", "es256"):
            self.order(algorithm, folder / kid / algorithm, 1, 0, 60, {})

    def order(self, algorithm, out, count, first, life, claims, key=None):
        issuer = [] if algorithm == "rs256" else ["--issuer", PARTNERS]
        subprocess.run([self.cx.bin / "load", "tokens", "--algorithm", algorithm, "--count", str(count), "--first", str(first), "--life", str(life), *issuer,
                        "--claims", json.dumps(claims), "--kid", self.kid, "--out", out, *(["--key", key] if key else [])], check=True)

    def jwks(self, algorithm):
        return json.loads((self.folder / self.kid / algorithm / "jwks.json").read_text())

    def tokens(self, name, count, first):
        algorithm, _, life, claims = PEOPLE[name]
        out = self.folder / self.kid / name
        self.order(algorithm, out, count, first, life, claims, self.folder / self.kid / algorithm)
        return (out / "tokens.txt").read_text().splitlines()


def request(token, place, agent, host, path, accept, *, etag=None, body=None):
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: {host}", f"User-Agent: {agent}", f"Accept: {accept}", "Accept-Language: en", f"X-Forwarded-For: {place}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if etag:
        lines.append(f"If-None-Match: {etag}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines) + "\r\n\r\n" + (body or "")


def visit(choice, kind, token, etags):
    """One person's requests in their order, each with what the origin answers and whether a refusal stops it."""
    agent = choice.choice(AGENTS)
    net = HOME if kind == "stray" else choice.choices([OFFICE, HOME, EMBARGO], [70, 27, 3])[0]
    place = f"{net}.{choice.randrange(1, 255)}"
    refused = 401 if kind == "expired" else 403 if kind == "stray" or net == EMBARGO else None
    found = []

    def ask(*args, answer=200, **more):
        anonymous = choice.random() < 0.02
        found.append((request(None if anonymous else token, place, agent, *args, **more), answer, 401 if anonymous else refused))

    for _ in range(choice.randrange(1, 4)):
        host = f"app-{choice.randrange(8):03}.load.example"
        ask(host, "/", "text/html,application/xhtml+xml")
        for number in choice.sample(range(ASSETS), choice.randrange(4, ASSETS)):
            known = choice.random() < 0.5
            ask(host, f"/assets/{number}.js", "*/*", answer=304 if known else 200, etag=etags[number] if known else None)
        for number in range(choice.randrange(3, 9)):
            body = json.dumps({"note": "x" * choice.randrange(100, 900)}) if choice.random() < 0.2 else None
            ask(host, f"/api/items/{choice.randrange(1_000)}", "application/json", body=body)
    return found


def write(path, issuers, etags, seed, people, judged, retired=()):
    """Writes a peak's requests; how many. Without `judged`, what is expected is what the origin answers.

    `retired` tokens, of keys that were withdrawn, come too.
    """
    choice, timeline = random.Random(seed), []
    come, first = [("expired", token) for token in retired], seed * people
    for kind, (_, share, _, _) in PEOPLE.items():
        come += [(kind, token) for token in issuers.tokens(kind, round(people * share), first)]
        first += round(people * share)
    for kind, token in come:
        arrives = choice.random() * people
        for step, (text, answer, refused) in enumerate(visit(choice, kind, token, etags)):
            arrives += choice.random() * 4
            expect = refused if judged and refused else answer
            timeline.append((arrives, step, json.dumps({"request": text, "expect": expect, "fresh": step == 0})))
    timeline.sort()
    path.write_text("".join(line + "\n" for _, _, line in timeline))
    return len(timeline)


def files(folder):
    """The origin's assets; the ETag that nginx gives to each."""
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    etags = []
    for number in range(ASSETS):
        path = folder / "assets" / f"{number}.js"
        path.write_text(f"// {number}\n" * 200 * (number + 1))
        os.utime(path, (1_760_000_000, 1_760_000_000))
        etags.append(f'"{1_760_000_000:x}-{path.stat().st_size:x}"')
    return etags
