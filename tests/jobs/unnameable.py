"""Leaves a result whose name cannot be a key."""

import gate

(gate.RESULTS / "two\nlines.txt").write_text("x")
(gate.RESULTS / "fine.txt").write_text("x")
