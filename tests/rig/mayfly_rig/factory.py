"""Many rigs out of one process: to load moto takes more than a second of processor time, to fork what is loaded takes none."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import IO, Any

# What a rig needs is loaded before the first one is asked for.
from . import server as _server  # noqa: F401

Run = Callable[[int, dict[str, Any], IO[bytes], IO[str]], None]


def make_rigs(path: str, run: Run) -> None:
    """Makes a rig for each connection to the socket at `path`, until standard input is closed.

    A connection begins with a line, `{"settings": {…}, "log": path}`; the answer is what a rig prints. The rig ends with its
    connection.
    """
    # Nobody waits for rigs that have ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(64)
        print(json.dumps({"socket": path}), flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin.buffer], [], [])
            if sys.stdin.buffer in ready:
                return
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    _be_a_rig(connection, run)


def _be_a_rig(connection: socket.socket, run: Run) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    orders, told = connection.makefile("rb"), connection.makefile("w")
    order = json.loads(orders.readline())
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for new, old in [(nothing, 0), (log, 1), (log, 2)]:
        os.dup2(new, old)
    try:
        run(0, order["settings"], orders, told)
    finally:
        os._exit(1)
