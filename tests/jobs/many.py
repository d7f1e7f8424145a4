"""Writes many files, so that their upload takes a while; with a second argument, a file of so many MB too."""

import sys

import gate

for number in range(int(sys.argv[1])):
    folder = gate.RESULTS / f"{number // 1000}"
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.txt").write_text(f"{number}\n" * 100)
if len(sys.argv) > 2:
    with open(gate.RESULTS / "large.bin", "wb") as file:
        for number in range(int(sys.argv[2])):
            file.write(number.to_bytes(4, "big") * (1 << 18))
print("written")
