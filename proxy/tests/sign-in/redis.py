"""Sessions in Redis or Valkey: the contract of every store, and two replicas on one server that is killed, stopped and cut off.

The tests are those of `session::store::redis` in the library; this starts them with a real server. Without one it says
that they are skipped.

# needs: apt:redis-server
"""

import os
import pathlib
import shutil
import subprocess
import sys


ROOT = pathlib.Path(__file__).resolve().parents[3]


def main() -> int:
    server = shutil.which("valkey-server") or shutil.which("redis-server")
    if server is None:
        print("skipped: neither valkey-server nor redis-server is installed (apt-get install redis-server)")
        return 0
    command = ["sh", ".config/with-cmake", "cargo", "test", "-p", "portcullis", "--lib", "--", "session::store::redis", "--nocapture"]
    ended = subprocess.run(command, cwd=ROOT, env={**os.environ, "PORTCULLIS_TEST_REDIS": server}, stdout=subprocess.PIPE, text=True)
    print(ended.stdout)
    if ended.returncode == 0 and ("skipped" in ended.stdout or "running 0 tests" in ended.stdout):
        print("the server was not used", file=sys.stderr)
        return 1
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
