"""Sessions in Redis or Valkey: the contract of every store, and two replicas on one server that is killed, stopped and cut off.

The tests are those of `session::store::redis` in the library; this starts them with a real server. Without one it says
that they are skipped. usage: redis.py (in the workspace)
"""

import os
import shutil
import subprocess
import sys


def main() -> int:
    server = shutil.which("valkey-server") or shutil.which("redis-server")
    if server is None:
        print("skipped: neither valkey-server nor redis-server is installed (apt-get install redis-server)")
        return 0
    command = ["cargo", "test", "-p", "portcullis", "--lib", "--", "session::store::redis", "--nocapture"]
    ended = subprocess.run(command, env={**os.environ, "PORTCULLIS_TEST_REDIS": server}, stdout=subprocess.PIPE, text=True)
    print(ended.stdout)
    if ended.returncode == 0 and ("skipped" in ended.stdout or "running 0 tests" in ended.stdout):
        print("the server was not used", file=sys.stderr)
        return 1
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
