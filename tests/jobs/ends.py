"""Ends as its argument says."""

import sys

import gate

print("the first line")
(gate.RESULTS / "before.txt").write_text("written before the end")
match sys.argv[1]:
    case "exit-3":
        print("there is nothing to count", file=sys.stderr, flush=True)
        sys.exit(3)
    case "raise":
        raise ValueError("the month 13 does not exist")
    case "fine":
        pass
    case other:
        sys.exit(f"ends.py does not know {other}")
