"""Squares, by Dask's workers. Its first attempt then waits for ever; the next one ends."""

import os

import gate
from dask.distributed import Client


def square(number):
    return number * number, os.environ["MAYFLY_NODE"]


with Client() as client:
    found = client.gather(client.map(square, range(50)))
    assert [square for square, _ in found] == [number * number for number in range(50)], found
    gate.end(sorted({node for _, node in found}))
