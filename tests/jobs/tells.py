"""Prints numbered lines in bursts, each when the test asks for it, and ends with an exit code."""

import sys

import gate

bursts, lines, code = map(int, sys.argv[1:])
number = 0
for burst in range(bursts):
    gate.wait(f"tell-{burst}-{gate.ATTEMPT}")
    for _ in range(lines):
        print(f"line {number} of attempt {gate.ATTEMPT}")
        number += 1
    sys.stdout.flush()
    gate.say(f"told-{burst}-{gate.ATTEMPT}")
gate.wait("end")
(gate.RESULTS / "told.txt").write_text(str(number))
sys.exit(code)
