"""Prints when it is told to, works with Spark when it is told to, and leaves results of every kind that a page shows."""

import struct
import time
import zlib

import gate
from pyspark.sql import SparkSession



def part(kind, body):
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png():
    """A square of one colour."""
    rows = (b"\0" + b"\x20\x70\xa8" * 16) * 16
    head = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


spark = SparkSession.builder.getOrCreate()
print("\x1b[31mready\x1b[0m <b>not bold</b> in attempt", gate.ATTEMPT, flush=True)
gate.say("ready")
gate.wait("speak")
print("spoken at", time.time(), flush=True)
gate.say("spoke")
gate.wait("work")
rows = spark.range(0, 400_000, numPartitions=8).repartition(40).selectExpr("id % 97 as k", "id")
groups = rows.groupBy("k").count().collect()
print(len(groups), "groups", flush=True)
gate.say("worked")
gate.wait("end")
(gate.RESULTS / "table.csv").write_text("name,value\n<script>alert(1)</script>,1\n\"a, b\",2\n")
(gate.RESULTS / "note.txt").write_text("plain words\n")
(gate.RESULTS / "page.html").write_text("<script>document.title='taken over'</script>")
(gate.RESULTS / "dot.png").write_bytes(png())
spark.stop()
