"""A Spark session that clients elsewhere use with Spark Connect: `ADDRESS PORT`, with $MAYFLY_SESSION_TOKEN as its token.

It lasts until it is ended from outside."""

import os
import signal
import sys

from pyspark.sql import SparkSession

address, port = sys.argv[1:]
spark = (
    SparkSession.builder.config("spark.connect.grpc.binding.address", address)
    .config("spark.connect.grpc.binding.port", port)
    .config("spark.connect.authenticate.token", os.environ["MAYFLY_SESSION_TOKEN"])
    .getOrCreate()
)
# Spark's own plugin for this listens before there is a session for its clients.
service = spark._jvm.org.apache.spark.sql.connect.service.SparkConnectService
service.start(spark._jsc.sc())
print(f"Spark {spark.version} takes sessions", flush=True)
while True:
    signal.pause()
