"""Leaves one name with different content on two nodes."""

import os
from pathlib import Path

import cluster

spark = cluster.session(2)


def write():
    folder = Path(os.environ["MAYFLY_RESULTS"], "stats")
    folder.mkdir(exist_ok=True)
    (folder / "summary.txt").write_text(f"as {os.environ['MAYFLY_NODE']} sees it\n")
    return os.environ["MAYFLY_NODE"]


print("nodes", sorted(cluster.on_each(spark, 2, write)), flush=True)
spark.stop()
