"""Work that waits: on a machine with few cores its tasks show how they divide among workers, as real ones do among machines."""

import sys
import time

import cluster


def waits(spark, secs):
    """A stage with a task for each of these times."""
    times = list(secs)

    def wait(n):
        time.sleep(times[n])
        return n % 4, 1

    return spark.sparkContext.parallelize(range(len(times)), len(times)).map(wait)


kind, workers = sys.argv[1], int(sys.argv[2])
spark = cluster.session(workers)
match kind:
    case "even":
        waits(spark, [2.0] * 64).count()
    case "skewed":
        waits(spark, [24.0] + [2.0] * 52).count()
    case "staged":
        waits(spark, [1.0] * 80).groupByKey(8).map(lambda _: time.sleep(8)).count()
        time.sleep(8)
        waits(spark, [3.0] * 24).count()
    case other:
        sys.exit(f"waits.py does not know {other}")
spark.stop()
