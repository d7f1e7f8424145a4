"""Measures Mayfly against what one would use without it, both sides in turn in one run.

usage: bench/run.py RELEASE_FOLDER [NAME…]

NAMES choose measurements: launch (with form), compute, driver, upload_small, upload_large, stage_small, stage_large, agent, sync; all of
them without one.
Writes target/bench.json ({name: {ours, theirs, ratio, unit}}) and, with every single figure, target/bench-details.json.
Exits with 1 when a measurement could not be made. That a goal is missed is told in the table and is no error.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import idle
import launch
import stage
import sync
import table
import upload
from mayfly import Mayfly
from procs import BenchError, Procs

NAMES = ["agent", "sync", "launch", "compute", "driver", "upload_large", "upload_small", "stage_large", "stage_small"]


class Bench:
    """What every measurement works with."""

    def __init__(self, release: Path, target: Path, work: Path, running: Procs):
        self.release, self.target, self.work, self.procs = release, target, work, running
        self.mayfly = Mayfly(release, work, running)
        self.details = {}
        self._spark = None

    def spark(self) -> launch.Spark:
        """Both sides of Spark, made ready once."""
        self._spark = self._spark or launch.Spark(self)
        return self._spark

    def say(self, text: str):
        """For whoever waits."""
        print(text, file=sys.stderr, flush=True)

    def detail(self, name: str, **figures):
        """Every single figure behind a line."""
        self.details[name] = figures

    def detail_add(self, name: str, **figures):
        """The same for a measurement with several rounds."""
        self.details.setdefault(name, []).append(figures)

    def measure(self, name: str) -> list[table.Line]:
        """The lines of one measurement."""
        lines = {
            "agent": lambda: idle.measure(self),
            "sync": lambda: sync.measure(self),
            "launch": lambda: self.spark().launch(),
            "compute": lambda: self.spark().compute(),
            "driver": lambda: self.spark().driver(),
            "upload_small": lambda: [upload.small(self)],
            "upload_large": lambda: [upload.large(self)],
            "stage_small": lambda: [stage.small(self)],
            "stage_large": lambda: [stage.large(self)],
        }
        return list(lines[name]())


def main(arguments) -> int:
    """Runs what is asked for."""
    release, names = Path(arguments[0]).absolute(), arguments[1:] or NAMES
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    # Both end the block below, so that nothing is left running.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))
    target = Path(__file__).absolute().parent.parent / "target"
    target.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=target))
    failures, lines = [], []
    try:
        with Procs(work / "logs") as running:
            bench = Bench(release, target, work, running)
            _measure(bench, names, lines, failures)
    finally:
        bench.mayfly.end_all()
        keep = bool(failures) or sys.exc_info()[0] is not None
        if keep:
            print(f"logs are in {work}/logs", file=sys.stderr)
        _remove(work, keep)
    print("\n".join(["", table.render(lines)] + [f"not measured: {text}" for text in failures]))
    return 1 if failures else 0


def _measure(bench, names, lines, failures):
    for name in names:
        began = time.monotonic()
        bench.say(f"measuring {name} …")
        try:
            lines += bench.measure(name)
        except (BenchError, AssertionError, OSError, KeyError, ValueError) as error:
            failures.append(f"{name}: {type(error).__name__}: {error}")
            bench.say(failures[-1])
        # What is measured stays when a later measurement is broken off.
        _write(bench, lines)
        bench.say(f"measured {name} in {time.monotonic() - began:.0f} s")


def _write(bench, lines):
    """What was measured; figures of another run of the bench stay when only some are measured now."""
    path = bench.target / "bench.json"
    figures = json.loads(path.read_text()) if path.exists() else {}
    figures |= {line.name: line.figures() for line in lines}
    path.write_text(json.dumps(figures, indent=2) + "\n")
    details = bench.target / "bench-details.json"
    known = json.loads(details.read_text()) if details.exists() else {}
    known |= bench.details | {"machine": {"cores": os.cpu_count(), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}}
    details.write_text(json.dumps(known, indent=2) + "\n")


def _remove(work: Path, keep_logs: bool):
    for part in work.iterdir():
        if not (keep_logs and part.name == "logs"):
            shutil.rmtree(part, ignore_errors=True)
    if not keep_logs:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if sys.argv[1:] else __doc__)
