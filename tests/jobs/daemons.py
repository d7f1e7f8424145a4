"""Ignores SIGTERM, leaves daemons behind that write into the results for ever, and ends well."""

import os
import signal
import sys
import time

import gate


def daemon(name, leave_session):
    """Forks twice; the grandchild belongs to nobody."""
    if os.fork():
        os.wait()
        return
    if leave_session:
        os.setsid()
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for number in (0, 1, 2):
        os.close(number)
    with open(gate.RESULTS / f"{name}.txt", "a", buffering=1) as result, open(gate.FOLDER / name, "a", buffering=1) as told:
        count = 0
        while True:
            count += 1
            result.write(f"{count}\n")
            told.write(f"{count}\n")
            time.sleep(0.001)


signal.signal(signal.SIGTERM, signal.SIG_IGN)
daemon("same-session", False)
daemon("own-session", True)
while not all((gate.RESULTS / f"{name}.txt").exists() for name in ("same-session", "own-session")):
    time.sleep(0.01)
print("daemons run", flush=True)
sys.exit(0)
