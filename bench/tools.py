"""Installs what we are compared with, or tested with, once, into a cache: the AWS command line, Consul, Prometheus.

`python3 bench/tools.py consul` prints where the program is, `… prometheus` the folder of `prometheus` and `promtool`,
`… chromium` that of `chromium` and `chromedriver`, `… rig` a Python that has what the EC2 rig of the tests runs on,
`… spark-client` one that speaks Spark Connect, `… sshd` a folder with `sshd` and what it is linked with: the tests that need real ones get them from here.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from procs import BenchError

AWSCLI = "awscli==1.46.3"
SPARK_CLIENT = "pyspark-client==4.0.4"
CONSUL = "1.8.7"
SSHD = "1:9.2p1"
LIBWRAP = "7.6"
PROMETHEUS = "2.42.0"
# Debian 12 has no Consul, and its Prometheus cannot ask one; that of Debian 11 can.
PROMETHEUS_CONSUL = "2.24.1"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def cache() -> Path:
    """The bench's own corner of Mayfly's cache."""
    for name, below in (("MAYFLY_CACHE", ""), ("XDG_CACHE_HOME", "mayfly"), ("HOME", ".cache/mayfly")):
        if os.environ.get(name):
            return Path(os.environ[name]) / below / "bench"
    return Path(".mayfly/cache/bench").absolute()


def aws() -> Path:
    """The program `aws`."""
    return _venv(AWSCLI.replace("==", "-"), [AWSCLI]) / "bin/aws"


def rig() -> Path:
    """A Python with what `tests/rig` runs on; another list of requirements is another environment."""
    wanted = Path(__file__).resolve().parent.parent / "tests/rig/requirements.txt"
    return _venv(f"rig-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}", ["-r", wanted]) / "bin/python"


def spark_client() -> Path:
    """A Python that speaks Spark Connect, and has no Spark."""
    return _venv(SPARK_CLIENT.replace("==", "-"), [SPARK_CLIENT]) / "bin/python"


def _venv(name: str, wanted: list) -> Path:
    """An environment of Python packages."""
    venv = cache() / name
    with _locked(cache() / f"{name}.lock"):
        if not (venv / "done").exists():
            shutil.rmtree(venv, ignore_errors=True)
            _run([sys.executable, "-m", "venv", venv])
            _run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
            (venv / "done").touch()
    return venv


def consul() -> Path:
    """The program `consul` of Debian 11."""
    return _debian("bullseye", "consul", CONSUL, ["consul"]) / "consul"


def prometheus() -> Path:
    """The folder with `prometheus` and `promtool` of Debian 12."""
    return _debian("bookworm", "prometheus", PROMETHEUS, ["prometheus", "promtool"])


def prometheus_consul() -> Path:
    """The same of Debian 11, where Prometheus is built with Consul's discovery."""
    return _debian("bullseye", "prometheus", PROMETHEUS_CONSUL, ["prometheus", "promtool"])


def sshd() -> Path:
    """The folder with `sshd` of Debian 12, and beside it the one library that no other program there needs."""
    folder = _debian("bookworm", "openssh-server", SSHD, ["sshd"], "usr/sbin")
    library = "libwrap.so.0"
    with _locked(cache() / "sshd.lock"):
        if not (folder / library).exists():
            where = next(_debian("bookworm", "libwrap0", LIBWRAP, [], "usr/lib").glob(f"*/{library}"))
            shutil.copy(where, folder / "part")
            (folder / "part").rename(folder / library)
    return folder


def chromium() -> Path:
    """The folder of the programs `chromium` and `chromedriver`: the system's, which root installs where they are missing."""
    for _ in range(2):
        found = [shutil.which(name) for name in ("chromium", "chromedriver")]
        if all(found) and Path(found[0]).parent == Path(found[1]).parent:
            return Path(found[0]).parent
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise BenchError("chromium and chromedriver are missing: apt-get install chromium chromium-driver")
        with _locked(cache() / "chromium.lock"):
            _run(["apt-get", "-q", "update"])
            packages = ["chromium", "chromium-driver", "fonts-dejavu-core"]
            _run(["apt-get", "-q", "-y", "--no-install-recommends", "install"] + packages)
    raise BenchError("chromium and chromedriver are not where apt-get puts programs")


def _debian(suite: str, package: str, version: str, programs: list, where: str = "usr/bin") -> Path:
    """The folder with programs of a Debian package, or with all that it has there: unpacked and not installed. The system's
    own sources stay untouched."""
    folder = cache() / f"{package}-{version.replace(':', '-')}"
    unpacked = folder / "root" / where
    if not unpacked.exists():
        with _locked(cache() / f"{package}.lock"):
            if not unpacked.exists():
                _unpack(folder, suite, package, version, [f"./{where}/{name}" for name in programs] or [f"./{where}"])
    return unpacked


def _unpack(folder: Path, suite: str, package: str, version: str, members: list):
    for tool in ("apt-get", "dpkg-deb", "dpkg", "tar"):
        if not shutil.which(tool):
            raise BenchError(f"there is no {tool} here to fetch Debian's package {package} {version} with")
    if not KEYRING.exists():
        raise BenchError(f"{KEYRING} is missing (package debian-archive-keyring)")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "cache/archives/partial").mkdir(parents=True)
    (folder / "part").mkdir()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n")
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
    _run(apt + ["download", f"{package}={version}*"], cwd=folder)
    archive = next(folder.glob(f"{package}_*.deb"), None)
    if archive is None:
        raise BenchError(f"apt-get downloaded no package of {package} {version}")
    _run(["dpkg-deb", "--fsys-tarfile", archive], stdout=folder / "files.tar")
    _run(["tar", "-x", "-f", folder / "files.tar", "-C", folder / "part"] + members)
    for name in ("lists", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for leftover in (archive, folder / "files.tar"):
        leftover.unlink()
    (folder / "part").rename(folder / "root")


@contextlib.contextmanager
def _locked(path: Path):
    """One process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command, stdout=os.devnull, **kwargs):
    command = [str(part) for part in command]
    try:
        with open(stdout, "wb") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, timeout=600, **kwargs)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]} takes longer than ten minutes") from error
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} failed: {done.stderr.decode(errors='replace').strip()[-400:]}")


if __name__ == "__main__":
    known = {"consul": consul, "prometheus": prometheus, "prometheus-consul": prometheus_consul, "rig": rig}
    known |= {"chromium": chromium, "spark-client": spark_client, "sshd": sshd}
    if len(sys.argv) != 2 or sys.argv[1] not in known:
        sys.exit(f"usage: python3 bench/tools.py {'|'.join(known)}")
    try:
        print(known[sys.argv[1]]())
    except BenchError as error:
        sys.exit(f"error: {error}")
