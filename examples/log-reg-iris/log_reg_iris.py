"""Tells three species of iris apart by their measurements, with logistic regression."""

import csv
import json
import os
from pathlib import Path

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import StringIndexer, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

RESULTS = os.environ["MAYFLY_RESULTS"]
FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]  # cm
SPECIES = ["setosa", "versicolor", "virginica"]  # alphabetical, as the indexer below numbers them
SEED = 1936  # the year of Fisher's paper

spark = SparkSession.builder.appName("log-reg-iris").getOrCreate()
cores = spark.sparkContext.defaultParallelism

# The file is in the repository, which only the driver's machine has a clone of: the rows travel, not the path.
with Path(__file__).with_name("iris.csv").open(newline="") as file:
    rows = [
        (number, *(float(row[name]) for name in FEATURES), row["species"])
        for number, row in enumerate(csv.DictReader(file), start=1)
    ]
iris = spark.createDataFrame(rows, ["row", *FEATURES, "species"])

# One partition while splitting, so that the seed alone decides it and not the size of the cluster.
train, test = (part.repartition(cores).cache() for part in iris.coalesce(1).randomSplit([0.7, 0.3], SEED))

model = Pipeline(
    stages=[
        StringIndexer(inputCol="species", outputCol="label", stringOrderType="alphabetAsc"),
        VectorAssembler(inputCols=FEATURES, outputCol="features"),
        # Without some regularisation the weights would grow for ever: setosa is perfectly separable.
        LogisticRegression(regParam=0.01),
    ]
).fit(train)

probability = vector_to_array("probability")
predictions = (
    model.transform(test)
    .withColumn("predicted", f.element_at(f.lit(SPECIES), f.col("prediction").cast("int") + 1))
    .select("row", *FEATURES, "species", "predicted", *(probability[i].alias(f"p_{s}") for i, s in enumerate(SPECIES)))
    .cache()
)
predictions.write.csv(f"file://{RESULTS}/predictions", header=True)

tested = predictions.count()
right = predictions.where("species = predicted").count()
metrics = {"trained_on": train.count(), "tested_on": tested, "right": right, "accuracy": right / tested}
Path(RESULTS, "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")

predictions.where("species != predicted").orderBy("row").show()
print(f"accuracy {right / tested:.3f}: {right} of {tested} flowers told right, trained on {metrics['trained_on']}")

spark.stop()
