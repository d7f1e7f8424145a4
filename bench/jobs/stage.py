"""Says what the inputs of this node are, and how much memory its agent has used at most."""

import json
import os
from pathlib import Path


def agent_peak_kib() -> int:
    """Of the agent, which is above its keeper, which is above this."""
    pid = os.getppid()
    while pid > 1:
        program, *args = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if Path(program).name == "agent" and args[0] != "keep":
            return int(status["VmHWM"].split()[0])
        pid = int(status["PPid"])
    raise SystemExit("there is no agent above this process")


sizes = [path.stat().st_size for path in Path(os.environ["MAYFLY_INPUTS"]).rglob("*") if path.is_file()]
print("BENCH", json.dumps({"files": len(sizes), "bytes": sum(sizes), "agent_peak_kib": agent_peak_kib()}))
