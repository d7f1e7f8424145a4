"""Writes a plain file on an executor. Its first attempt then waits for the test."""

import os
import time
from pathlib import Path

import cluster
import gate

spark = cluster.session(1)
attempt = gate.ATTEMPT


def write():
    Path(os.environ["MAYFLY_RESULTS"], f"plain-{attempt}.txt").write_text("the only copy")


cluster.on_each(spark, 1, write)
if attempt == 1:
    time.sleep(3)  # a node says what it holds with its next report, not at once
    gate.say("plain-1")
    gate.wait("go")
# Not stopped in order: the executor of the first attempt may be gone.
os._exit(0)
