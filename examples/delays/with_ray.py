"""The delays, with Ray: an object is a task."""

import os
from functools import reduce

import delays
import ray


@ray.remote(scheduling_strategy="SPREAD")
def work(path):
    return delays.sums(path), os.environ["MAYFLY_NODE"]


ray.init(log_to_driver=False)
found = ray.get([work.remote(path) for path in delays.pieces()])
delays.write(reduce(delays.add, (sums for sums, _ in found)), {node for _, node in found})
