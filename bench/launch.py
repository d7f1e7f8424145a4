"""(a) A whole launch, its forming, and a job that computes, against the same by hand with the same Spark."""

import time
from pathlib import Path
from statistics import median

from byhand import ByHand, check_sizes
from table import Line

ROUNDS = 3
COMPUTE_ROUNDS = 2
COMPUTE_ROWS = 120_000_000
COMPUTE_REPETITIONS = 6
DRIVER_COLUMNS = 60
DRIVER_ROWS = 100_000
DRIVER_REPETITIONS = 12
JOBS = Path(__file__).parent / "jobs"


class Spark:
    """Both sides, with their caches warm."""

    def __init__(self, bench):
        self.bench, self.mayfly = bench, bench.mayfly
        toolchain = self.mayfly.toolchain()
        self.sizes = check_sizes(self.mayfly.launch("launch", "sizes.py").printed)
        self.hand = ByHand(toolchain, self.sizes, bench.work / "byhand", bench.procs)
        self._by_hand()

    def _by_hand(self):
        began = time.monotonic()
        formed = self.hand.form()
        self.hand.submit(JOBS / "trivial.py")
        self.hand.stop()
        return time.monotonic() - began, formed

    def launch(self):
        """`launch` and `form`, interleaved."""
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(self.mayfly.launch("launch", "trivial.py"))
            theirs.append(self._by_hand())
        whole, whole_by_hand = [run.secs for run in ours], [secs for secs, _ in theirs]
        form, form_by_hand = [run.form_secs for run in ours], [formed for _, formed in theirs]
        from_start = median(run.form_from_start_secs for run in ours)
        self.bench.detail("launch", ours=whole, theirs=whole_by_hand, phases=[run.phases for run in ours], sizes=self.sizes)
        self.bench.detail("form", ours=form, theirs=form_by_hand, from_start_of_the_command=from_start)
        what = "launch of a trivial job on 1+2 nodes / by hand"
        yield Line("launch", what, median(whole), median(whole_by_hand), "s", goal=0.5)
        note = f"from the start of the command: {from_start:.2f} s"
        what = "from the first order to all Workers alive / by hand"
        yield Line("form", what, median(form), median(form_by_hand), "s", goal=0.3, note=note)

    def compute(self):
        """`compute`, on the executors: the job's own time only."""
        what = f"a job that computes, {COMPUTE_REPETITIONS} repetitions, its own time / by hand"
        yield self._repetitions("compute", what, "compute.py", COMPUTE_ROWS, COMPUTE_REPETITIONS)

    def driver(self):
        """`driver`, the same for work that the driver does itself."""
        what = f"a job whose driver computes, {DRIVER_REPETITIONS} repetitions, its own time / by hand"
        yield self._repetitions("driver", what, "driver.py", DRIVER_COLUMNS, DRIVER_ROWS, DRIVER_REPETITIONS)

    def _repetitions(self, name, what, job, *args):
        args = tuple(str(argument) for argument in args)
        ours, theirs = [], []
        for _ in range(COMPUTE_ROUNDS):
            ours += [self.mayfly.launch("launch", job, *args).printed["secs"]]
            self.hand.form()
            theirs += [self.hand.submit(JOBS / job, *args)["secs"]]
            self.hand.stop()
        self.bench.detail(name, ours=ours, theirs=theirs)
        # Noise only ever adds time, and the compilers' work is in every first repetition: each repetition's best round.
        best = [sum(min(times) for times in zip(*side)) for side in (ours, theirs)]
        return Line(name, what, best[0], best[1], "s", goal=1.02)
