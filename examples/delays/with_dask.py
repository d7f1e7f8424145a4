"""The delays, with Dask: an object is a task."""

import os
from functools import reduce

import delays
from dask.distributed import Client


def work(path):
    return delays.sums(path), os.environ["MAYFLY_NODE"]


with Client() as client:
    found = client.gather(client.map(work, delays.pieces()))
delays.write(reduce(delays.add, (sums for sums, _ in found)), {node for _, node in found})
