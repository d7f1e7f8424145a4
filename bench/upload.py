"""(b) The agent's uploader against `aws s3 cp --recursive`, to the same server."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from statistics import median

import tools
from procs import wait_for
from table import Line

SMALL_FILES, SMALL_BYTES, SMALL_IN_FOLDER = 100_000, 1000, 1000
LARGE_BYTES, LARGE_ROUNDS = 2_000_000_000, 3
PEAK_MAX_KIB = 64 * 1024
BUCKET = "mayfly"


class Server:
    """The embedded store, over a new folder unless there is one: no upload meets the files of another."""

    def __init__(self, bench, home: Path | None = None):
        self.bench, self.home, self.is_own = bench, home or bench.work / "store-home", home is None

    def __enter__(self):
        self._clear()
        command = [self.bench.release / "coordinator", "--home", self.home, "store", "serve", "--json"]
        self.process = self.bench.procs.start("store", command, stdout=subprocess.PIPE)
        told = json.loads(wait_for("the store", self.process.stdout.readline, process=self.process))
        self.env = {**os.environ} | {
            "AWS_ENDPOINT_URL": told["endpoint"],
            "AWS_ACCESS_KEY_ID": told["access_key"],
            "AWS_SECRET_ACCESS_KEY": told["secret_key"],
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MAYFLY_BUCKET": told["bucket"],
        }
        self.stored = Path(told["folder"])
        # What was written before is not to be paid by what is measured next.
        os.sync()
        return self

    def __exit__(self, *_):
        self.bench.procs.stop(self.process)
        self._clear()

    def _clear(self):
        if self.is_own:
            shutil.rmtree(self.home, ignore_errors=True)


def ours(bench, folder: Path, files: int, size: int):
    """Uploads with the agent's code; the peak is the uploader's own."""
    with Server(bench) as server:
        done = bench.procs.run("upload", [bench.release / "upload", folder, "x/"], server.env, stdout=subprocess.PIPE)
        told = json.loads(done.out)
        assert told["files"] == files and told["bytes"] == size, told
        check(server, folder)
        bench.detail_add("upload", folder=folder.name, side="ours", cpu_secs=done.cpu_secs, peak_kib=done.peak_kib, **told)
        return done


def theirs(bench, folder: Path):
    """The same with the AWS command line as it comes."""
    aws = tools.aws()
    with Server(bench) as server:
        command = [aws, "s3", "cp", "--recursive", "--only-show-errors", folder, f"s3://{BUCKET}/x/"]
        done = bench.procs.run("aws", command, server.env)
        check(server, folder)
        bench.detail_add("upload", folder=folder.name, side="aws", secs=done.secs, cpu_secs=done.cpu_secs, peak_kib=done.peak_kib)
        return done


def check(server, folder: Path):
    """Every file is in the store with its size; one of them with its bytes."""
    stored = server.stored / "x"
    count = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            there = stored / path.relative_to(folder)
            assert there.stat().st_size == path.stat().st_size, there
            count += 1
            if count == 1 and path.stat().st_size < 1 << 20:
                assert there.read_bytes() == path.read_bytes(), there


def write_small(folder: Path) -> int:
    """Makes a folder of many small files; how many."""
    for number in range(SMALL_FILES // SMALL_IN_FOLDER):
        below = folder / f"part-{number:03}"
        below.mkdir(parents=True)
        for index in range(SMALL_IN_FOLDER):
            (below / f"file-{index:04}.bin").write_bytes(os.urandom(SMALL_BYTES))
    return SMALL_FILES


def write_blocks(path: Path, size: int):
    """Makes a large file."""
    block = os.urandom(10_000_000)
    with open(path, "wb") as file:
        for _ in range(size // len(block)):
            file.write(block)


def small(bench):
    """Many small files: once each is a minute and more, and long enough to be steady."""
    folder = bench.work / "small"
    write_small(folder)
    first = ours(bench, folder, SMALL_FILES, SMALL_FILES * SMALL_BYTES)
    by_aws = theirs(bench, folder)
    second = ours(bench, folder, SMALL_FILES, SMALL_FILES * SMALL_BYTES)
    shutil.rmtree(folder)
    mine = [first, second]
    what = f"{SMALL_FILES:,} files of 1 KB / aws s3 cp"
    return _line("upload_small", what, sum(run.secs for run in mine) / 2, by_aws.secs, mine)


def large(bench):
    """One large file."""
    folder = bench.work / "large"
    folder.mkdir()
    write_blocks(folder / "one.bin", LARGE_BYTES)
    mine, by_aws = [], []
    for _ in range(LARGE_ROUNDS):
        mine.append(ours(bench, folder, 1, LARGE_BYTES))
        by_aws.append(theirs(bench, folder))
    shutil.rmtree(folder)
    seconds = [median(run.secs for run in side) for side in (mine, by_aws)]
    return _line("upload_large", "one file of 2 GB / aws s3 cp", *seconds, mine)


def _line(name, what, secs, secs_aws, mine):
    peak_kib = max(run.peak_kib for run in mine)
    good = "within" if peak_kib <= PEAK_MAX_KIB else "BEYOND"
    note = f"peak memory of ours {peak_kib / 1024:.1f} MiB, {good} the limit of 64 MiB"
    return Line(name, what, secs, secs_aws, "s", goal=0.5, also=peak_kib <= PEAK_MAX_KIB, note=note)
