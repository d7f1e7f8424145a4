"""Squares, by Ray's workers. Its first attempt then waits for ever; the next one ends."""

import os

import gate
import ray


@ray.remote(scheduling_strategy="SPREAD")
def square(number):
    return number * number, os.environ["MAYFLY_NODE"]


ray.init(log_to_driver=False)
found = ray.get([square.remote(number) for number in range(20)])
assert [square for square, _ in found] == [number * number for number in range(20)], found
gate.end(sorted({node for _, node in found}))
