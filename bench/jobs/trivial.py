"""The least a Spark job can do; its time is the cluster's."""

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("count:", spark.range(1000).count())
spark.stop()
