"""Keeps every executor busy with code that Spark compiles: sums over functions of a long range, and an aggregation with
a shuffle. Prints the seconds of each repetition, without the start of the session."""

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

rows, repetitions = int(sys.argv[1]), int(sys.argv[2])
spark = SparkSession.builder.config("spark.sql.shuffle.partitions", "4").getOrCreate()


def once():
    numbers = spark.range(0, rows, 1, 8)
    waves = numbers.select(
        f.sum(f.sin("id") * f.sqrt(f.col("id") + 1)).alias("waves"),
        f.sum(f.xxhash64("id") % 1000).alias("hashes"),
        f.avg(f.log1p(f.col("id") % 977)).alias("logs"),
    ).collect()
    groups = (
        numbers.groupBy((f.col("id") % 1009).alias("group"))
        .agg(f.sum(f.cos("id")).alias("total"), f.max(f.hash("id")).alias("top"))
        .agg(f.count("*"), f.sum("total"))
        .collect()
    )
    return waves, groups


times = []
for _ in range(repetitions):
    began = time.monotonic()
    once()
    times.append(round(time.monotonic() - began, 4))
print("BENCH", json.dumps({"secs": times}))
spark.stop()
