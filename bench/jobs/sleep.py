"""Does nothing for so many seconds."""

import sys
import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("BENCH {}", flush=True)
time.sleep(float(sys.argv[1]))
spark.stop()
