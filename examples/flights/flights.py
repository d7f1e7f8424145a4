"""How late were the flights out of New York in 2013? By carrier and month, with a chart."""

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

import chart
import s3

DATA = os.environ["MAYFLY_STORE"] + "/data/flights"
RESULTS = os.environ["MAYFLY_RESULTS"]

spark = SparkSession.builder.appName("flights").getOrCreate()

flights = s3.read_csv(
    spark, s3.find(DATA, "part-*.csv"), "month int, carrier string, dep_delay double, arr_delay double"
)
airlines = s3.read_csv(spark, s3.find(DATA, "airlines.csv"), "carrier string, name string")

# Minutes. `arr_delay` is null for a flight that was cancelled or diverted; averages and shares leave those out.
measures = [
    f.count("*").alias("flights"),
    f.count("arr_delay").alias("arrived"),
    f.avg("dep_delay").alias("mean_dep_delay"),
    f.avg("arr_delay").alias("mean_arr_delay"),
    f.median("arr_delay").alias("median_arr_delay"),
    f.avg((f.col("arr_delay") > 15).cast("double")).alias("share_late"),  # more than 15 minutes
]

delays = (
    flights.groupBy("carrier", "month")
    .agg(*measures)
    .join(f.broadcast(airlines.withColumnRenamed("name", "airline")), "carrier", "left")
    .repartition(spark.sparkContext.defaultParallelism)  # every core of every node writes a part
    .cache()
)
delays.write.parquet(f"file://{RESULTS}/delay_by_carrier_month")

rows = delays.orderBy("carrier", "month").collect()
chart.heatmap(rows, f"{RESULTS}/delay.png")

print(f"{'airline':<28}{'flights':>9}{'mean delay':>12}{'late':>7}   worst month")
for line in chart.summary(rows):
    print(
        f"{line.airline:<28}{line.flights:>9,}{line.mean:>8.1f} min{line.late:>7.0%}"
        f"   {chart.MONTHS[line.worst.month - 1]} ({line.worst.mean_arr_delay:+.1f} min)"
    )
print(f"{sum(row.flights for row in rows):,} flights, {len(rows)} carrier-months")

spark.stop()
