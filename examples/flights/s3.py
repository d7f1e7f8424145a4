"""Reads CSV objects of an S3 store on the executors, with nothing but pyarrow."""

import os
import sys
from fnmatch import fnmatch
from urllib.parse import urlsplit

from pyarrow import csv, fs
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def connect():
    """The store of this run. Address, region and keys are in the environment, the same on every node."""
    where = {"region": os.environ["AWS_REGION"]}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):  # not set on AWS itself
        url = urlsplit(endpoint)
        where |= {"scheme": url.scheme, "endpoint_override": url.netloc}
    return fs.S3FileSystem(**where)


def find(folder, pattern):
    """The paths (bucket/key) of the objects in `folder`, an s3:// URL, whose names match; in order."""
    found = connect().get_file_info(fs.FileSelector(folder.removeprefix("s3://"), allow_not_found=True))
    paths = sorted(f.path for f in found if f.is_file and fnmatch(f.base_name, pattern))
    return paths or sys.exit(f"no object {folder}/{pattern}: was the data put into the store?")


def read_csv(spark, paths, schema, block_bytes=1 << 20):
    """A DataFrame of the columns in `schema` (DDL), one task per object. Objects are streamed: none need fit memory."""
    columns = to_arrow_schema(StructType.fromDDL(schema))

    def stream(batches):
        read = csv.ReadOptions(block_size=block_bytes)
        convert = csv.ConvertOptions(include_columns=columns.names, column_types=columns, strings_can_be_null=True)
        for batch in batches:
            for index in batch["id"].to_pylist():
                with connect().open_input_stream(paths[index]) as body:
                    yield from csv.open_csv(body, read_options=read, convert_options=convert)

    return spark.range(0, len(paths), 1, numPartitions=len(paths)).mapInArrow(stream, schema)
