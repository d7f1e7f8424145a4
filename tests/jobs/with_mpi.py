"""A sum over all ranks. Its first attempt then waits for ever; the next one ends."""

import os

import gate
from mpi4py import MPI

ranks = MPI.COMM_WORLD
assert ranks.allreduce(ranks.rank) == sum(range(ranks.size))
nodes = ranks.gather(os.environ["MAYFLY_NODE"])
if ranks.rank == 0:
    gate.end(sorted(set(nodes)))
ranks.Barrier()
