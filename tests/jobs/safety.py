"""Keeps a task on each core of the executors until the test says `go`, and prints what nobody should read."""

import pathlib
import time

from pyspark.sql import SparkSession

import gate

spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
conf = context.getConf()
FOLDER, TASKS = str(gate.FOLDER), 2


def hold(task):
    folder = pathlib.Path(FOLDER)
    (folder / f"task-{task}").touch()
    while not (folder / "go").exists():
        time.sleep(0.05)
    return task


print("THE SECRET IS", conf.get("spark.authenticate.secret"), flush=True)
print("EXECUTORS OF", conf.get("spark.executor.memory"), conf.get("spark.executor.cores"), flush=True)
gate.say("app", context.applicationId)
print("SUM", context.parallelize(range(TASKS), TASKS).map(hold).sum(), flush=True)
