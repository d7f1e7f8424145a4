"""Writes a table on the executors of two nodes that share no disk, and a plain file on each of them."""

import os
from pathlib import Path

import cluster
import gate

spark = cluster.session(2)


def plain():
    node = os.environ["MAYFLY_NODE"]
    Path(os.environ["MAYFLY_RESULTS"], f"from-{node}.txt").write_text(node)
    return node


print("nodes", sorted(cluster.on_each(spark, 2, plain)), flush=True)
table = spark.range(0, 100_000, 1, numPartitions=8).selectExpr("id", "id % 97 as rest")
table.write.parquet(f"file://{gate.RESULTS}/table")
gate.say(f"written-{gate.ATTEMPT}")
if gate.ATTEMPT == 1:
    gate.wait("go")
spark.stop()
