"""Installs what we are compared with, once, into a cache: the AWS command line and the Consul agent.

`python3 bench/tools.py consul` prints where Consul is: the tests that need a real one get it from here.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from procs import BenchError

AWSCLI = "awscli==1.46.3"
CONSUL = "1.8.7"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCE = f"deb [signed-by={KEYRING}] http://deb.debian.org/debian bullseye main\n"


def cache() -> Path:
    """The bench's own corner of Mayfly's cache."""
    for name, below in (("MAYFLY_CACHE", ""), ("XDG_CACHE_HOME", "mayfly"), ("HOME", ".cache/mayfly")):
        if os.environ.get(name):
            return Path(os.environ[name]) / below / "bench"
    return Path(".mayfly/cache/bench").absolute()


def aws() -> Path:
    """The program `aws`."""
    venv = cache() / AWSCLI.replace("==", "-")
    program = venv / "bin/aws"
    if not (venv / "done").exists():
        shutil.rmtree(venv, ignore_errors=True)
        _run([sys.executable, "-m", "venv", venv])
        _run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", AWSCLI])
        (venv / "done").touch()
    return program


def consul() -> Path:
    """The program `consul` of Debian 11, unpacked and not installed. The system's own package sources stay untouched."""
    folder = cache() / f"consul-{CONSUL}"
    program = folder / "root/usr/bin/consul"
    if not program.exists():
        with _locked(cache() / "consul.lock"):
            if not program.exists():
                _unpack_consul(folder)
    return program


def _unpack_consul(folder: Path):
    for tool in ("apt-get", "dpkg-deb", "dpkg"):
        if not shutil.which(tool):
            raise BenchError(f"there is no {tool} here to fetch Debian's package consul {CONSUL} with")
    if not KEYRING.exists():
        raise BenchError(f"{KEYRING} is missing (package debian-archive-keyring)")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "cache/archives/partial").mkdir(parents=True)
    (folder / "sources.list").write_text(SOURCE)
    options = [
        f"Dir::Etc::SourceList={folder}/sources.list",
        "Dir::Etc::SourceParts=/nonexistent",
        f"Dir::State::Lists={folder}/lists",
        "Dir::State::Status=/dev/null",
        f"Dir::Cache={folder}/cache",
        "Acquire::Languages=none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    ]
    if os.geteuid() == 0:
        options.append("APT::Sandbox::User=root")  # its own user may not enter our folder
    apt = ["apt-get", "-q"] + [part for option in options for part in ("-o", option)]
    _run(apt + ["update"], cwd=folder)
    _run(apt + ["download", f"consul={CONSUL}*"], cwd=folder)
    package = next(folder.glob("consul_*.deb"), None)
    if package is None:
        raise BenchError(f"apt-get downloaded no package of consul {CONSUL}")
    _run(["dpkg-deb", "-x", package, folder / "part"])
    shutil.rmtree(folder / "lists", ignore_errors=True)
    (folder / "part").rename(folder / "root")


@contextlib.contextmanager
def _locked(path: Path):
    """One process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command, **kwargs):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **kwargs)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]} takes longer than ten minutes") from error
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-400:]}")


if __name__ == "__main__":
    if sys.argv[1:] != ["consul"]:
        sys.exit("usage: python3 bench/tools.py consul")
    try:
        print(consul())
    except BenchError as error:
        sys.exit(f"error: {error}")
