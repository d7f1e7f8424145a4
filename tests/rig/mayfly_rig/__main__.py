"""`python -m mayfly_rig`: prints `{"port": …}` when it listens on 127.0.0.1, and ends when its input ends."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from typing import IO, Any


def main() -> None:
    """Serves until standard input is closed, or the parent is gone."""
    parser = argparse.ArgumentParser(prog="mayfly_rig", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--settings", type=json.loads, default={}, help="settings to begin with, as a JSON object")
    parser.add_argument("--factory", metavar="SOCKET", help="make a rig for each connection to this socket (factory.py)")
    arguments = parser.parse_args()
    # 1,301 images that nobody here starts would make each start slower; tests register their own.
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    if arguments.factory:
        from .factory import make_rigs

        make_rigs(arguments.factory, run)
    else:
        run(arguments.port, arguments.settings, sys.stdin.buffer, sys.stdout)


def run(port: int, settings: dict[str, Any], orders: IO[bytes], told: IO[str]) -> None:
    """Says on `told` where it serves, and serves until `orders` ends or the parent is gone."""
    from .server import serve

    server = serve(port, settings)
    print(json.dumps({"port": server.port, "url": f"http://127.0.0.1:{server.port}"}), file=told, flush=True)
    parent = os.getppid()
    ended = threading.Event()

    def read() -> None:
        while orders.read(4096):
            pass
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    while not ended.wait(1.0):
        if os.getppid() != parent:
            break
    server.server_close()
    # Threads that still answer somebody must not hold the process.
    os._exit(0)


if __name__ == "__main__":
    main()
