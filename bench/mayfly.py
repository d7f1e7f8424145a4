"""Our side of a measurement: `coordinator launch` with a folder of jobs, and what its records say."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path

import procs
from procs import BenchError, Procs, wait_for

LEFT_LIMIT_SECS = 25


class Mayfly:
    """The two programs with a home of their own."""

    def __init__(self, release: Path, work: Path, running: Procs):
        self.coordinator, self.agent = release / "coordinator", release / "agent"
        self.home, self.repo, self.procs = work / "home", work / "repo", running
        shutil.copytree(Path(__file__).parent / "jobs", self.repo)
        for command in (
            ["git", "init", "-q"],
            ["git", "add", "."],
            ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "Jobs of the bench"],
        ):
            subprocess.run(command, cwd=self.repo, check=True)
        self.env = {**os.environ, "MAYFLY_HOME": str(self.home)}

    def toolchain(self) -> dict:
        """Where Spark, Java and Python are; what is missing is installed."""
        done = self.procs.run("toolchain", [self.agent, "toolchain", "--json"], self.env, stdout=subprocess.PIPE)
        return json.loads(done.out.splitlines()[-1])

    def command(self, job: str, *args) -> list:
        """A launch of one of the bench's jobs on one master and two workers."""
        command = [self.coordinator, "launch", "--json", "--yes", "--repo", self.repo, "--entry", job, "--workers", "2"]
        command += ["--set", "workers.cores=1", "--set", "workers.memory=1GiB"]
        command += ["--set", "master.cores=1", "--set", "master.memory=1GiB"]
        return command + [part for arg in args for part in ("--arg", arg)]

    def launch(self, name: str, job: str, *args) -> "Launch":
        """Runs a job to its receipt, and looks whether anything is left."""
        began = time.time()
        done = self.procs.run(name, self.command(job, *args), self.env, stdout=subprocess.PIPE)
        launch = Launch(self.home, began, done)
        if left := procs.of_run([launch.run]):
            raise BenchError(f"processes of {launch.run} are left: {left}")
        return launch

    def runs(self) -> list[str]:
        """Every run this home ever had."""
        return [folder.name for folder in (self.home / "nodes").glob("*-*")]

    def end_all(self):
        """Kills what runs of this home have left: only after a measurement broke off is there anything."""
        deadline = time.monotonic() + LEFT_LIMIT_SECS
        while left := procs.of_run(self.runs()):
            if time.monotonic() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)


class Launch:
    """What a launch took and printed."""

    def __init__(self, home: Path, began: float, done):
        events = [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]
        receipts = [event["receipt"] for event in events if event.get("event") == "receipt"]
        if not receipts:
            raise BenchError(f"launch printed no receipt: {done.out[-300:]}")
        self.secs, self.receipt, self.run = done.secs, receipts[-1], receipts[-1]["run"]
        lines = [line for event in events if event.get("event") == "log" for line in event["lines"]]
        self.printed = printed(lines)
        record = json.loads((home / f"store/mayfly/runs/{self.run}/run.json").read_text())
        began_at = {mark["phase"]: _unix(mark["began"]) for mark in record["phases"]}
        # From the order for machines to the moment that the Master counts all Workers as alive.
        self.form_secs = began_at["working"] - began_at["arming"]
        self.form_from_start_secs = began_at["working"] - began
        self.phases = {phase["phase"]: round(phase["secs"], 2) for phase in self.receipt["phases"]}


def printed(lines) -> dict:
    """What a job of the bench printed for us."""
    found = [line for line in lines if line.startswith("BENCH ")]
    return json.loads(found[-1].removeprefix("BENCH ")) if found else {}


def _unix(text: str) -> float:
    """Seconds of an RFC 3339 time; Python 3.10 takes six digits of a second at most, and no Z."""
    return datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", _six, text).replace("Z", "+00:00")).timestamp()


def _six(match) -> str:
    return match.group(1).ljust(7, "0")


def follow(process, out: Path, limit_secs=180):
    """Waits until a job has printed its BENCH line into the file of the launch's events; returns the run's id."""

    def begun():
        events = [json.loads(line) for line in out.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        lines = [line for event in events if event.get("event") == "log" for line in event["lines"]]
        return next((event["run"] for event in events if event.get("run")), None) if _says_bench(lines) else None

    return wait_for("the start of the job", begun, limit_secs, poll_secs=0.5, process=process)


def _says_bench(lines) -> bool:
    return any(line.startswith("BENCH ") for line in lines)
