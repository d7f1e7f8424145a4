"""(e) Inputs that are brought to a node before its job, against `aws s3 sync` from the same store."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import mayfly
import tools
from table import Line
from upload import BUCKET, Server, write_blocks, write_small

LARGE_FILES, LARGE_BYTES = 5, 2_000_000_000
PEAK_MAX_KIB = 128 * 1024


def small(bench):
    """Many small files."""
    folder = bench.work / "stage-small"
    count = write_small(folder)
    return _both(bench, "stage_small", f"inputs: {count:,} files of 1 KB / aws s3 sync", folder)


def large(bench):
    """A few large ones."""
    folder = bench.work / "stage-large"
    folder.mkdir()
    for number in range(LARGE_FILES):
        write_blocks(folder / f"{number}.bin", LARGE_BYTES)
    return _both(bench, "stage_large", f"inputs: {LARGE_FILES} files of {LARGE_BYTES // 10**9} GB / aws s3 sync", folder)


def _both(bench, name: str, what: str, folder: Path):
    home = bench.work / f"{name}-home"
    bench.procs.run("put", [bench.release / "coordinator", "--home", home, "data", "put", folder, name])
    shutil.rmtree(folder)
    os.sync()
    secs, told = _ours(bench, name, home)
    by_aws = _theirs(bench, name, home)
    shutil.rmtree(home)
    bench.detail(name, ours=secs, theirs=by_aws.secs, aws_peak_kib=by_aws.peak_kib, **told)
    peak = told["agent_peak_kib"]
    note = f"peak memory of ours {peak / 1024:.1f} MiB, of theirs {by_aws.peak_kib / 1024:.1f} MiB"
    return Line(name, what, secs, by_aws.secs, "s", goal=1.0, also=peak <= PEAK_MAX_KIB, note=note)


def _ours(bench, name: str, home: Path):
    """Of a launch, all that it takes to form one machine: bringing the inputs, and little else."""
    file = bench.work / f"{name}.yml"
    code = {"repo": str(bench.mayfly.repo), "entry": "stage.py"}
    job = {"engine": "single", "code": code, "inputs": [{"from": f"data/{name}", "to": "in"}], "limits": {"form": "30m"}}
    file.write_text(json.dumps({name.replace("_", "-"): job}))
    command = [bench.release / "coordinator", "--home", home, "launch", "--json", "--yes", file]
    launch = mayfly.Launch(home, 0, bench.procs.run(name, command, stdout=subprocess.PIPE))
    shutil.rmtree(home / "nodes", ignore_errors=True)
    return launch.phases["forming"], launch.printed


def _theirs(bench, name: str, home: Path):
    with Server(bench, home) as server:
        target = bench.work / "synced"
        command = [tools.aws(), "s3", "sync", "--only-show-errors", f"s3://{BUCKET}/data/{name}", target]
        done = bench.procs.run("aws", command, server.env)
        shutil.rmtree(target)
        return done
