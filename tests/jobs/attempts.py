"""Writes on the driver and on every executor. Its first attempt then waits for ever; the next one ends, with the exit
code that it is given."""

import os
import sys
from pathlib import Path

import cluster
import gate

spark = cluster.session(1)
attempt = gate.ATTEMPT


def write():
    name = f"executor-of-attempt-{attempt}.txt"
    Path(os.environ["MAYFLY_RESULTS"], name).write_text(os.environ["MAYFLY_NODE"])
    return name


print("wrote", cluster.on_each(spark, 1, write), "in attempt", attempt, flush=True)
(gate.RESULTS / f"driver-of-attempt-{attempt}.txt").write_text("driver")
gate.say(f"attempt-{attempt}", os.environ["MAYFLY_NODE"])
if attempt == 1:
    gate.wait("never")
spark.stop()
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
