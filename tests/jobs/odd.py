"""Leaves in the results what is no plain file, and plain files of odd names."""

import os
import socket

import gate

RESULTS = gate.RESULTS
for name in ["a b c.txt", "grüße-日本語-😀.txt", "..hidden", "...", "a..b", "-rf", "%2F", "a+b&c=d?e#f", "back\\slash", "x" * 255]:
    (RESULTS / name).write_text(f"this is {name[:20]}\n")
deep = RESULTS.joinpath(*["deep"] * 30)
deep.mkdir(parents=True)
(deep / "file.txt").write_text("deep\n")
(RESULTS / "empty.txt").touch()
(RESULTS / "empty-folder").mkdir()
(RESULTS / "inside.txt").write_text("linked to\n")

os.symlink("/etc/passwd", RESULTS / "link-to-file")
os.symlink("/etc", RESULTS / "link-to-folder")
os.symlink("inside.txt", RESULTS / "link-inside")
os.symlink("nowhere", RESULTS / "link-broken")
os.symlink("../..", RESULTS / "link-up")
os.mkfifo(RESULTS / "pipe")
with socket.socket(socket.AF_UNIX) as server:
    os.chdir(RESULTS)
    server.bind("socket")

(RESULTS / "table" / "_temporary" / "0").mkdir(parents=True)
(RESULTS / "table" / "_temporary" / "0" / "part-0").write_text("unfinished\n")
(RESULTS / "table" / "part-0.csv").write_text("1,2\n")
(RESULTS / "table" / ".part-0.csv.crc").write_text("crc")
print("left", len(os.listdir(RESULTS)), "names")
