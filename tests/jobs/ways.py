"""Fails, in the way that its argument names: `coordinator why` shall name the cause."""

import argparse
import glob
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pyspark
from pyspark.sql import SparkSession


def session():
    return SparkSession.builder.getOrCreate()


def on_executor(function, rows=1):
    """Runs a function of Python on an executor, and brings what it returns."""
    return session().sparkContext.parallelize(range(rows), rows).map(function).collect()


def query(text):
    session().sql(text).collect()


def raise_():
    months = {"Jan": 1}

    def number(month):
        if month not in months:
            raise ValueError(f"the month {month} does not exist")
        return months[month]

    number("Foo")


def module():
    import no_such_module  # noqa: F401


def module_on_executor():
    def task(_):
        import no_such_module

        return no_such_module.__name__

    on_executor(task)


def udf():
    from pyspark.sql.functions import udf as udf_of

    spark = session()
    ratio = udf_of(lambda n: 1 // n, "int")
    spark.range(3).select(ratio("id")).collect()


def task_raises():
    def task(n):
        raise KeyError(f"no carrier for {n}")

    on_executor(task)


def csv_missing():
    session().read.csv("file:///nowhere/flights.csv").show()


def open_missing():
    with open("/nowhere/settings.json") as file:
        file.read()


def column():
    session().range(3).select("delay").show()


def table():
    query("SELECT * FROM flights")


def sql():
    query("SELEC 1")


def cast():
    query("SELECT CAST('n/a' AS INT)")


def types():
    query("SELECT 1 + array(1)")


def aggregate():
    query("SELECT id, count(*) FROM range(3)")


def overwrite():
    session().range(1).write.parquet(f"file://{os.environ['GATE']}")


def source():
    session().read.format("com.example.excel").load("x.xlsx")


def not_parquet():
    path = os.path.join(os.environ["GATE"], "table.parquet")
    with open(path, "w") as file:
        file.write("carrier,delay\n" * 100)
    session().read.schema("carrier string").parquet(f"file://{path}").collect()


def result_size():
    # What compresses to little is little.
    session().range(0, 40_000, 1, 4).selectExpr("sha2(cast(id AS string), 512)").collect()


def driver_heap():
    session().sparkContext._jvm.java.nio.ByteBuffer.allocate(2_000_000_000)


def driver_python():
    bytearray(1 << 60)


def executor_heap():
    rows = session().range(0, 4000, 1, 1).selectExpr("repeat(cast(id AS string), 100000) AS text")
    rows.selectExpr("collect_list(text) AS texts").selectExpr("size(texts)").collect()


def jvm():
    """The process of the executor: the parent of the parent of a Python worker."""
    with open(f"/proc/{os.getppid()}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


def executor_killed():
    on_executor(lambda _: os.kill(jvm(), signal.SIGKILL) or time.sleep(60))


def executor_ends():
    on_executor(lambda _: os.kill(jvm(), signal.SIGTERM) or time.sleep(60))


def worker_crashes():
    on_executor(lambda _: os._exit(1))


def shuffle_disk():
    """A shuffle on a disk of 8 MiB, where this user may mount one; else a full device that a task writes to."""

    def shrink(_):
        folders = glob.glob(os.path.join(os.environ["SPARK_LOCAL_DIRS"], "**", "blockmgr-*"), recursive=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs"]
        return bool(folders) and all(
            subprocess.run([*command, folder], capture_output=True, check=False).returncode == 0 for folder in folders
        )

    def write(_):
        with open("/dev/full", "w") as file:
            file.write("x")

    if not all(on_executor(shrink)):
        on_executor(write)
    session().range(0, 2_000_000, 1, 2).selectExpr("sha2(cast(id AS string), 512) AS text").repartition(2, "text").count()


def store(secret):
    from pyarrow import fs

    return fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=secret,
        endpoint_override=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"],
    )


def bucket():
    return os.environ["MAYFLY_STORE"].removeprefix("s3://").split("/")[0]


def denied():
    store("wrong").open_input_file(f"{bucket()}/data/flights.csv").read()


def denied_on_executor():
    where = bucket()
    on_executor(lambda _: store("wrong").open_input_file(f"{where}/data/flights.csv").read())


def no_bucket():
    with store(os.environ["AWS_SECRET_ACCESS_KEY"]).open_output_stream("no-such-bucket/part-0") as part:
        part.write(b"x")


def pickle():
    lock = threading.Lock()
    on_executor(lambda n: lock.locked() and n)


def context():
    spark = session()
    on_executor(lambda n: spark.range(n).count())


def python_version():
    spark = session()
    # What a driver of another version tells to the workers.
    spark.sparkContext.pythonVer = "3.7"
    on_executor(lambda n: n)


def nobody_listens():
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    socket.create_connection(("127.0.0.1", port))


def recursion():
    def depth(n):
        return depth(n + 1)

    depth(0)


def java():
    session().sparkContext._jvm.java.util.Objects.requireNonNull(None)


def broadcast():
    from pyspark.sql.functions import broadcast as small
    from pyspark.sql.functions import udf as udf_of

    spark = session()
    slow = udf_of(lambda n: time.sleep(30) or n, "long")
    spark.range(3).join(small(spark.range(1).select(slow("id").alias("id"))), "id").collect()


def exit_3():
    print("there is nothing to count", file=sys.stderr, flush=True)
    sys.exit(3)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--month", required=True)
    parser.parse_args([])


def killed():
    os.kill(os.getppid(), signal.SIGKILL)


def sleeps():
    print("waiting for a file that never comes", flush=True)
    time.sleep(600)


def skew():
    on_executor(lambda n: time.sleep(600 if n == 7 else 0.2), rows=8)


def starved():
    # What the job file asks for is checked before anything starts; this is not.
    SparkSession.builder.config("spark.executor.memory", "8g").getOrCreate()
    on_executor(lambda n: n)


print("pyspark", pyspark.__version__, flush=True)
{name.rstrip("_"): way for name, way in list(globals().items()) if callable(way)}[sys.argv[1]]()
