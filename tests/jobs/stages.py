"""Prints, and computes in two stages. The tasks of the first one wait for the test, but for one."""

import operator

import cluster
import gate


def task(number):
    """One of those that are counted while they are done."""
    if number > 0:
        gate.wait(f"task-{number}")
    return number % 2, number


spark = cluster.session(1)
for line in range(30):
    print(f"line {line} of attempt {gate.ATTEMPT}", flush=True)
numbers = spark.sparkContext.parallelize(range(4), 4)
sums = numbers.map(task).reduceByKey(operator.add, 2).collectAsMap()
assert sums == {0: 2, 1: 4}, sums
print(f"line 30 of attempt {gate.ATTEMPT}")
spark.stop()
