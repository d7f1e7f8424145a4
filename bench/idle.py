"""(c) An idle agent against an idle Consul agent, at the same time."""

import json
import time
import urllib.request

import procs
import tools
from byhand import free_port
from mayfly import follow
from procs import BenchError, wait_for
from table import Line

SETTLE_SECS, WINDOW_SECS = 10, 60
MEMORY_MAX_MB, CPU_MAX_PERCENT = 20.0, 0.5
HOST = "127.0.0.1"


def measure(bench):
    """`agent_memory` and `agent_cpu`: a worker's agent while its job sleeps, and a Consul client in a cluster of two."""
    client = _consul(bench)
    job_secs = SETTLE_SECS + WINDOW_SECS + 20
    events = bench.work / "idle.events"
    with open(events, "wb") as out:
        command = bench.mayfly.command("sleep.py", str(job_secs))
        launch = bench.procs.start("idle", command, bench.mayfly.env, stdout=out)
    run = follow(launch, events)
    agents = _agents_of(run, "worker-1")
    time.sleep(SETTLE_SECS)
    before = _cpu(agents, client)
    began = time.monotonic()
    time.sleep(WINDOW_SECS)
    secs = time.monotonic() - began
    cpu = [100 * (after - first) / secs for after, first in zip(_cpu(agents, client), before)]
    memory = _memory_mb(agents)
    by_consul = procs.status_kib(client.pid, "VmRSS") / 1024 if client else None
    bench.detail("agent", processes=[" ".join(command[:2]) for command in agents.values()], cpu_percent=cpu, memory=memory)
    bench.procs.stop(launch, grace_secs=60)
    note = f"agent {memory['agent']:.1f} MiB, its keepers {memory['keepers']:.1f} MiB more"
    yield Line("agent_memory", "idle agent, resident / Consul 1.8.7 client", memory["all"], by_consul, "MiB", limit=MEMORY_MAX_MB, note=note)
    consul_cpu = cpu[1] if client else None
    yield Line("agent_cpu", "idle agent, share of a core / Consul 1.8.7 client", cpu[0], consul_cpu, "%", limit=CPU_MAX_PERCENT)


def _consul(bench):
    """A Consul client that has joined a server; None, with a word, where there is no Consul."""
    try:
        program = tools.consul()
    except BenchError as error:
        bench.say(f"without Consul: {error}")
        return None
    lan = free_port()
    common = ["-bind", HOST, "-dns-port", "-1", "-grpc-port", "-1", "-log-level", "warn"]
    server = ["-dev", "-server-port", free_port(), "-serf-lan-port", lan, "-serf-wan-port", "-1", "-http-port", free_port()]
    bench.procs.start("consul-server", [program, "agent", "-node", "server", *common, *server])
    http = free_port()
    client = ["-data-dir", bench.work / "consul", "-serf-lan-port", free_port(), "-http-port", http, "-retry-join", f"{HOST}:{lan}"]
    process = bench.procs.start("consul-client", [program, "agent", "-node", "client", *common, "-retry-interval", "1s", *client])
    wait_for("the Consul client", lambda: _joined(http), process=process)
    return process


def _joined(http: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{http}/v1/agent/members", timeout=2) as reply:
            return sum(member["Status"] == 1 for member in json.load(reply)) == 2
    except (OSError, ValueError):
        return False


def _agents_of(run: str, node: str) -> dict:
    """The agent of a node and the keepers of its programs."""
    mine = {}
    for pid, command in procs.of_run([run]).items():
        if command[0].rsplit("/", 1)[-1] != "agent":
            continue
        environment = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
        if f"MAYFLY_NODE={node}".encode() in environment:
            mine[pid] = command
    if not any(command[1:2] == ["run"] for command in mine.values()):
        raise BenchError(f"{node} has no agent: {mine}")
    return mine


def _cpu(agents, client):
    ours = sum(procs.cpu_secs(pid) for pid in agents)
    return [ours, procs.cpu_secs(client.pid)] if client else [ours]


def _memory_mb(agents) -> dict:
    """Resident memory of the agent; of its keepers, which run the same file, what is theirs alone."""
    agent = sum(procs.status_kib(pid, "VmRSS") for pid, command in agents.items() if command[1] == "run")
    keepers = sum(procs.status_kib(pid, "RssAnon") for pid, command in agents.items() if command[1] != "run")
    return {"agent": agent / 1024, "keepers": keepers / 1024, "all": (agent + keepers) / 1024}
