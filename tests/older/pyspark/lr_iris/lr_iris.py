"""The job of the older system's block `log-reg-iris`: logistic regression on the iris data set."""

import csv
import os
from pathlib import Path

from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StringIndexer, VectorAssembler
from pyspark.sql import SparkSession

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]

spark = SparkSession.builder.appName("iris").getOrCreate()

# The repository is cloned on the driver's machine alone: the rows travel.
with Path(__file__).with_name("iris.csv").open(newline="") as file:
    rows = [(*(float(row[name]) for name in FEATURES), row["species"]) for row in csv.DictReader(file)]
iris = spark.createDataFrame(rows, [*FEATURES, "species"])

iris = StringIndexer(inputCol="species", outputCol="label").fit(iris).transform(iris)
iris = VectorAssembler(inputCols=FEATURES, outputCol="features").transform(iris)
train, test = iris.coalesce(1).randomSplit([0.7, 0.3], seed=7)

model = LogisticRegression(regParam=0.01, maxIter=10).fit(train)
predictions = model.transform(test).select("species", "label", "prediction").cache()
predictions.write.csv(f"file://{os.environ['MAYFLY_RESULTS']}/predictions", header=True)

accuracy = MulticlassClassificationEvaluator(metricName="accuracy").evaluate(predictions)
print(f"accuracy {accuracy:.3f} of {predictions.count()}")

spark.stop()
