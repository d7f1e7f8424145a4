"""Faults on demand, by service and action, each a bounded number of times; and the log of all calls."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, fields
from typing import Any

from .wire import Call

KEPT_CALLS = 100_000
SERVER_ERROR = 500


@dataclass
class Fault:
    """What goes wrong with the next calls that match."""

    # Regular expressions; both must match somewhere in the name.
    service: str = ""
    action: str = ""
    # So often; a fault with a `rate` has no count.
    times: int = 1
    # Before anything else.
    latency_secs: float = 0.0
    # The call is done, and then the fault happens to its reply.
    applied: bool = False
    # The connection is reset.
    reset: bool = False
    # An error instead of the reply.
    status: int = 0
    code: str = "InternalError"
    message: str = "injected by the rig"
    # Let so many calls through each second, after a burst; the others meet the fault.
    rate: float = 0.0
    burst: float = 1.0

    def __post_init__(self) -> None:
        for pattern in (self.service, self.action):
            re.compile(pattern)
        if self.rate < 0 or self.burst < 1 or self.times < 0 or self.latency_secs < 0:
            raise ValueError("times, latency_secs and rate are from 0 on, burst from 1 on")
        self._tokens = self.burst
        self._filled = time.monotonic()

    def matches(self, call: Call) -> bool:
        """Whether it is meant for this call."""
        return bool(re.search(self.service, call.service) and re.search(self.action, call.action))

    def strikes(self) -> bool:
        """Counts this call; whether the fault happens to it."""
        if self.rate == 0:
            self.times -= 1
            return self.times >= 0
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens < 1:
            return True
        self._tokens -= 1
        return False


def fault(values: Any) -> Fault:
    """A fault out of JSON; unknown keys are refused."""
    known = {field.name for field in fields(Fault)}
    if not isinstance(values, dict) or set(values) - known:
        raise ValueError(f"a fault has the keys {', '.join(sorted(known))}")
    return Fault(**values)


class Faults:
    """All faults that are set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Fault] = []

    def add(self, one: Fault) -> None:
        """Sets one more."""
        with self._lock:
            self._all.append(one)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._all.clear()

    def take(self, call: Call) -> Fault | None:
        """The first that happens to this call."""
        with self._lock:
            struck = next((one for one in self._all if one.matches(call) and one.strikes()), None)
            self._all = [one for one in self._all if one.rate > 0 or one.times > 0]
            return struck


class Calls:
    """Every call to AWS, with the status that it got."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[dict[str, Any]] = deque(maxlen=KEPT_CALLS)
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0

    def add(self, call: Call, status: int, began: float, took: float) -> None:
        """One more; `took` is moto's own share."""
        with self._lock:
            self._counts[call.name] += 1
            self._seconds += took
            self._calls.append(
                {
                    "at": round(began, 3),
                    "service": call.service,
                    "action": call.action,
                    "key": call.key,
                    "status": status,
                    "took": round(took, 4),
                }
            )

    def shown(self) -> dict[str, Any]:
        """As JSON: counts by action, what failed with 500, seconds that moto took, and each call."""
        with self._lock:
            calls = list(self._calls)
            broken = [call for call in calls if call["status"] == SERVER_ERROR]
            return {"counts": dict(self._counts), "server_errors": broken, "seconds": round(self._seconds, 3), "calls": calls}

    def clear(self) -> None:
        """From nothing again."""
        with self._lock:
            self._calls.clear()
            self._counts.clear()
            self._seconds = 0.0


FAULTS = Faults()
CALLS = Calls()
