"""Prints numbered lines as fast as they are taken, for so many seconds; then says how many and waits for `go`."""

import os
import sys
import time

import gate

LINE, BATCH = "x" * 90, 2_000
until = time.monotonic() + float(sys.argv[1])
count = 0
out = os.fdopen(1, "wb", buffering=0)
while time.monotonic() < until:
    out.write(b"".join(b"%d %s\n" % (number, LINE.encode()) for number in range(count, count + BATCH)))
    count += BATCH
gate.say("flooded", count)
while not (gate.FOLDER / "go").exists():
    time.sleep(0.05)
