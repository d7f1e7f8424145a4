"""A Spark session whose executors are all there."""

import time

from pyspark import BarrierTaskContext
from pyspark.sql import SparkSession


def session(executors):
    """The session, once this many executors have registered."""
    spark = SparkSession.builder.getOrCreate()
    known = spark.sparkContext._jsc.sc()
    while known.getExecutorMemoryStatus().size() < executors + 1:  # the driver counts too
        time.sleep(0.05)
    return spark


def on_each(spark, executors, task):
    """Runs `task` once on every executor (of one core), at the same time; returns what each said."""

    def run(_):
        BarrierTaskContext.get().barrier()
        yield task()

    return spark.sparkContext.parallelize(range(executors), executors).barrier().mapPartitions(run).collect()
