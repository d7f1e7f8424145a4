"""The same cluster as by hand: `spark-class` Master, two Workers, `spark-submit`, stop."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from mayfly import printed
from procs import BenchError, Procs, wait_for

HOST = "127.0.0.1"
WORKERS = 2
PACKAGE = "org.apache.spark.deploy"


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


class ByHand:
    """One cluster: from its Master's start to its stop."""

    def __init__(self, toolchain: dict, sizes: dict, work: Path, running: Procs):
        self.spark = Path(toolchain["spark_home"])
        self.sizes, self.work, self.procs = sizes, work, running
        java, python = Path(toolchain["java"]), toolchain["python"]
        keep = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
        self.env = {name: os.environ[name] for name in keep if name in os.environ}
        self.env |= {
            "JAVA_HOME": str(java.parent.parent),
            "SPARK_HOME": str(self.spark),
            "SPARK_LOCAL_IP": HOST,
            "SPARK_LOCAL_DIRS": str(work / "local"),
            "PYSPARK_PYTHON": python,
            "PYSPARK_DRIVER_PYTHON": python,
        }
        self.daemons = []

    def form(self) -> float:
        """Starts the Master, then both Workers; returns the seconds until the Master says that both are alive."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        port, ui = free_port(), free_port()
        self.master = f"spark://{HOST}:{port}"
        began = time.monotonic()
        master = self._daemon("master", "Master", "--host", HOST, "--port", port, "--webui-port", ui)
        wait_for("the Master by hand", lambda: _listens(port), process=master)
        memory = self.sizes["spark.executor.memory"]
        for number in range(WORKERS):
            folder = self.work / f"worker-{number}"
            self._daemon(
                "worker", "Worker", "--host", HOST, "--webui-port", 0, "--cores", 1, "--memory", memory, "--work-dir", folder, self.master
            )
        wait_for("the Workers by hand", lambda: _alive(ui) == WORKERS, process=master)
        return time.monotonic() - began

    def _daemon(self, name, kind, *args):
        command = [self.spark / "bin/spark-class", f"{PACKAGE}.{name}.{kind}", *args]
        process = self.procs.start(f"byhand-{name}", command, self.env, cwd=self.work)
        self.daemons.append(process)
        return process

    def submit(self, job: Path, *args) -> dict:
        """Runs a job and returns what it printed."""
        command = [self.spark / "bin/spark-submit", "--master", self.master]
        command += ["--driver-memory", self.sizes["spark.driver.memory"]]
        command += ["--executor-memory", self.sizes["spark.executor.memory"]]
        command += ["--executor-cores", self.sizes["spark.executor.cores"]]
        done = self.procs.run(
            "byhand-submit", [*command, job, *args], self.env, cwd=self.work, stdout=subprocess.PIPE
        )
        return printed(done.out.splitlines())

    def stop(self):
        """Stops Workers and Master and waits until they are gone."""
        for process in reversed(self.daemons):
            self.procs.stop(process)
        self.daemons.clear()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
        return True
    except OSError:
        return False


def _alive(ui: int) -> int:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{ui}/json/", timeout=2) as reply:
            workers = json.load(reply)["workers"]
    except (OSError, ValueError):
        return 0
    return sum(worker["state"] == "ALIVE" for worker in workers)


def check_sizes(sizes: dict) -> dict:
    """The sizes of our side; without them the comparison would not be one."""
    if any(not sizes.get(key) for key in ("spark.driver.memory", "spark.executor.memory", "spark.executor.cores")):
        raise BenchError(f"our job does not say its sizes: {sizes}")
    return sizes
