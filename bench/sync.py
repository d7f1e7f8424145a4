"""(d) One coordinator with a thousand agents: the real server and wire, agents that only talk."""

import json
import resource
import subprocess
import time

import procs
from procs import BenchError, tail, wait_for
from table import Line

NODES, INTERVAL_SECS, WINDOW_SECS = 1000, 2, 60


def measure(bench):
    """`sync`: p99 of Sync, from the moment that a report is due to its answer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < NODES + 100:
        raise BenchError(f"{most} open files are allowed, {NODES} connections need more: ulimit -Hn")
    program, folder = bench.release / "fake-agents", bench.work / "sync"
    folder.mkdir()
    # Its standard input stays open: it serves until that ends.
    serve = [program, "coordinator", folder, NODES, INTERVAL_SECS]
    coordinator = bench.procs.start("sync-coordinator", serve, stdin=subprocess.PIPE)
    order = folder / "order.json"
    wait_for("the coordinator's order", order.exists, process=coordinator)
    empty_kib = procs.status_kib(coordinator.pid, "VmRSS")
    agents = bench.procs.start("sync-agents", [program, "agents", order, NODES, WINDOW_SECS], stdout=subprocess.PIPE)
    enrolled = _line(agents, "counting")
    began, cpu = time.monotonic(), procs.cpu_secs(coordinator.pid)
    _line(agents, "counted")
    percent = 100 * (procs.cpu_secs(coordinator.pid) - cpu) / (time.monotonic() - began)
    full_kib = procs.status_kib(coordinator.pid, "VmRSS")
    seen = _line(agents, "syncs")
    bench.procs.stop(agents)
    bench.procs.stop(coordinator)
    each_kib = (full_kib - empty_kib) / NODES
    bench.detail(
        "sync", **seen, coordinator_cpu_percent=percent, kib_for_each_agent=each_kib, resident_kib=full_kib, **enrolled
    )
    if seen["errors"]:
        raise BenchError(f"{seen['errors']} reports failed, such as: {seen['last_error']}")
    note = (
        f"p50 {seen['p50_ms']:.1f} ms of {seen['syncs']:,} reports; coordinator {percent:.1f} % of a core, "
        f"{full_kib / 1024:.0f} MiB in all, {each_kib:.0f} KiB for each agent"
    )
    what = f"p99 of Sync, {NODES:,} agents each {INTERVAL_SECS} s / that interval"
    yield Line("sync", what, seen["p99_ms"], None, "ms", baseline=INTERVAL_SECS * 1000.0, note=note)


def _line(agents, key: str) -> dict:
    for text in agents.stdout:
        if key in (told := json.loads(text)):
            return told
    raise BenchError(f"the fake agents ended before they said {key}: {tail(agents.log)}")
