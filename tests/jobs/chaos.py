"""Says that it has begun, writes small files and a large one, and ends; in its first attempt it may be told to wait first."""

import os
import sys
import time

import gate

millis, megabytes, *rest = sys.argv[1:]
gate.say(f"began-{gate.ATTEMPT}-{os.getpid()}", os.environ["MAYFLY_NODE"])
print("working in attempt", gate.ATTEMPT, flush=True)
if "waits" in rest and gate.ATTEMPT == 1:
    gate.wait("go")
for number in range(3):
    time.sleep(int(millis) / 3000)
    (gate.RESULTS / f"small-{number}.txt").write_text(f"{number}\n" * 100)
if int(megabytes):
    with open(gate.RESULTS / "large.bin", "wb") as file:
        for number in range(int(megabytes)):
            file.write(number.to_bytes(4, "big") * (1 << 18))
eaten = []
while "eats" in rest:
    eaten.append(b"x" * (16 << 20))
