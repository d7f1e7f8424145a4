"""For machines whose Spark is a stand-in: closes a result, says so, and goes on until the test says `go`."""

import sys
import time

import gate

own, *rest = sys.argv[1:]
(gate.RESULTS / "early.txt").write_text(f"attempt {gate.ATTEMPT}\n")
print("working in attempt", gate.ATTEMPT, flush=True)
gate.say(f"works{own}-{gate.ATTEMPT}")
while "chatty" in rest and not (gate.FOLDER / f"go{own}").exists():
    print("still working", flush=True)
    time.sleep(0.2)
gate.wait(f"go{own}")
(gate.RESULTS / "late.txt").write_text(f"attempt {gate.ATTEMPT}\n")
