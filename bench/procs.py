"""Starts programs and leaves none behind, whatever happens to this one."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class BenchError(Exception):
    """A measurement that cannot be made, in one sentence."""


def _die_with_parent():
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Procs:
    """Every program started through it is stopped when the block ends."""

    def __init__(self, logs: Path):
        self.logs = logs
        self._running: list[subprocess.Popen] = []
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self._running:
            self.stop(self._running[-1])

    def start(self, name: str, command, env=None, **kwargs) -> subprocess.Popen:
        """Starts a program in a process group of its own; its output goes to the log `name` unless said otherwise."""
        with open(self.logs / f"{name}.log", "ab") as log:
            kwargs.setdefault("stdout", log)
            kwargs.setdefault("stderr", log)
            kwargs.setdefault("stdin", subprocess.DEVNULL)
            # Without this, PDEATHSIG would not be set before exec.
            process = subprocess.Popen(
                [str(part) for part in command], env=env, start_new_session=True, preexec_fn=_die_with_parent, **kwargs
            )
        process.log = self.logs / f"{name}.log"
        self._running.append(process)
        return process

    def run(self, name: str, command, env=None, limit_secs=900, **kwargs) -> "Finished":
        """Runs a program to its end and says what it took; fails when the program does."""
        began = time.monotonic()
        process = self.start(name, command, env, **kwargs)
        out = process.stdout.read() if process.stdout else b""
        usage = self._wait4(process, began + limit_secs)
        secs = time.monotonic() - began
        self._running.remove(process)
        if process.returncode != 0:
            raise BenchError(f"{name} failed with {process.returncode}: {tail(process.log)}")
        return Finished(secs, usage.ru_maxrss, usage.ru_utime + usage.ru_stime, out.decode())

    def _wait4(self, process, deadline):
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return usage
            if time.monotonic() > deadline:
                raise BenchError(f"{process.args[0]} takes too long: {tail(process.log)}")
            time.sleep(0.002)

    def stop(self, process, grace_secs=15):
        """TERM, grace, KILL, for the whole process group."""
        if process in self._running:
            self._running.remove(process)
        for number, wait_secs in ((signal.SIGTERM, grace_secs), (signal.SIGKILL, 10)):
            _signal_group(process.pid, number)
            deadline = time.monotonic() + wait_secs
            while time.monotonic() < deadline:
                process.poll()
                if process.returncode is not None and not _group_alive(process.pid):
                    _close(process)
                    return
                time.sleep(0.02)
        _close(process)


class Finished:
    """What a program took."""

    def __init__(self, secs, peak_kib, cpu_secs, out):
        self.secs, self.peak_kib, self.cpu_secs, self.out = secs, peak_kib, cpu_secs, out


def _close(process):
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


def _signal_group(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _group_alive(group) -> bool:
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False


def tail(log: Path, lines=5) -> str:
    """The last lines of a log."""
    text = log.read_text(errors="replace").splitlines() if log.exists() else []
    return " | ".join(text[-lines:])


def wait_for(what: str, test, limit_secs=60.0, poll_secs=0.02, process=None):
    """Waits until `test` returns something true, and returns it."""
    deadline = time.monotonic() + limit_secs
    while time.monotonic() < deadline:
        if found := test():
            return found
        if process is not None and process.poll() is not None:
            raise BenchError(f"{what}: the program ended before: {tail(process.log)}")
        time.sleep(poll_secs)
    raise BenchError(f"{what}: not within {limit_secs:.0f} s")


# --- what /proc says -------------------------------------------------------------------------------------------------


def status_kib(pid: int, key: str) -> int:
    """A value of /proc/PID/status, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def cpu_secs(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def of_run(runs) -> dict[int, list[str]]:
    """Processes with one of these runs in their environment: pid and command line."""
    wanted = {f"MAYFLY_RUN={run}".encode() for run in runs}
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if wanted & set((folder / "environ").read_bytes().split(b"\0")):
                command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                found[int(folder.name)] = command[:-1]
        except OSError:
            continue
    return {pid: command for pid, command in found.items() if command}
