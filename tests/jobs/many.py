"""Writes many files, so that their upload takes a while."""

import sys

import gate

for number in range(int(sys.argv[1])):
    folder = gate.RESULTS / f"{number // 1000}"
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.txt").write_text(f"{number}\n" * 100)
print("written")
