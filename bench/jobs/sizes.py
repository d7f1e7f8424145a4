"""Prints the sizes that this job was given, so that the other side gets the same."""

import json

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
conf = spark.sparkContext.getConf()
names = ["spark.driver.memory", "spark.executor.memory", "spark.executor.cores"]
print("BENCH", json.dumps({name: conf.get(name) for name in names}))
spark.stop()
