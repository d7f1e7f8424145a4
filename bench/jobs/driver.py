"""Keeps the driver busy and the executors idle: plans of many columns and joins, which Catalyst analyses, optimises and compiles,
and rows that the driver decodes. Prints the seconds of each repetition, without the start of the session."""

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

columns, rows, repetitions = (int(argument) for argument in sys.argv[1:4])
spark = SparkSession.builder.config("spark.sql.shuffle.partitions", "4").getOrCreate()


def plan(seed):
    wide = spark.range(1000).select(
        "id", *(((f.col("id") * (seed + column)) % 97 + f.lit(column)).alias(f"c{column}") for column in range(columns))
    )
    for step in range(4):
        wide = wide.filter(f.col(f"c{step}") > step).select(
            "id", *(f.when(f.col(f"c{column}") > step, f.col(f"c{column}") + 1).otherwise(0).alias(f"c{column}") for column in range(columns))
        )
    joined = wide.join(wide.select("id", f.col("c0").alias("other")), "id").groupBy("other").agg(f.sum("c1"), f.max("c2"))
    return len(joined._jdf.queryExecution().executedPlan().toString())


def decode():
    return len(spark.range(rows).select("id", f.col("id").cast("string"), f.struct("id"))._jdf.collect())


times = []
for repetition in range(repetitions):
    began = time.monotonic()
    for seed in range(3):
        plan(repetition * 10 + seed + 1)
    decode()
    times.append(round(time.monotonic() - began, 4))
print("BENCH", json.dumps({"secs": times}))
spark.stop()
