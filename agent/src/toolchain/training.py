"""Makes driver and executor load the classes that jobs commonly need, so that the archive holds them."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

spark = SparkSession.builder.getOrCreate()
folder = sys.argv[1]
rows = spark.range(0, 2000, 1, 4).withColumn("key", f.col("id") % 7).withColumn("text", f.col("id").cast("string"))
rows.write.mode("overwrite").parquet(f"file://{folder}/rows")
rows.write.mode("overwrite").option("header", True).csv(f"file://{folder}/csv")
read = spark.read.parquet(f"file://{folder}/rows")
means = read.groupBy("key").agg(f.avg("id").alias("mean"), f.count("*").alias("n"))
read.join(means, "key").orderBy("id").limit(5).collect()
spark.read.option("header", True).option("inferSchema", True).csv(f"file://{folder}/csv").count()
spark.sparkContext.parallelize(range(100), 2).map(lambda x: (x % 3, x)).reduceByKey(lambda a, b: a + b).collect()
read.select(f.udf(lambda x: x + 1, "long")("id")).agg({"*": "count"}).collect()
means.toPandas()
spark.stop()
