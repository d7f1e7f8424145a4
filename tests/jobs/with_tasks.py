"""Squares, by Celery's workers. Its first attempt then waits for ever; the next one ends."""

import gate
import tasks

found = [tasks.square.delay(number) for number in range(50)]
found = [one.get(timeout=60) for one in found]
assert [square for square, _ in found] == [number * number for number in range(50)], found
gate.end(sorted({node for _, node in found}))
