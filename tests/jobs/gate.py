"""Where a job meets the test: a folder that both see, with a file for each thing that is said."""

import os
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["GATE"])
RESULTS = Path(os.environ["MAYFLY_RESULTS"])
ATTEMPT = int(os.environ["MAYFLY_ATTEMPT"])


def say(name, text=""):
    """Leaves word for the test; whole or not at all."""
    part = FOLDER / f".{name}.part"
    part.write_text(str(text))
    part.rename(FOLDER / name)


def wait(name, secs=400):
    """Waits for the test's word, not for ever."""
    end = time.monotonic() + secs
    while not (FOLDER / name).exists():
        if time.monotonic() > end:
            sys.exit(f"nobody said {name}")
        time.sleep(0.02)


def end(nodes):
    """Writes where the work was done and says so; the first attempt then waits for ever, so that it can be killed."""
    (RESULTS / f"attempt-{ATTEMPT}.txt").write_text("\n".join(nodes))
    print("done by", ", ".join(nodes), "in attempt", ATTEMPT, flush=True)
    say(f"attempt-{ATTEMPT}", "\n".join(nodes))
    if ATTEMPT == 1:
        wait("never")
