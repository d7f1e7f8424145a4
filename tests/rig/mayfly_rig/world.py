"""What everything in this process shares: one lock, one clock, the settings, and a version that grows with each change."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any


@dataclass
class Settings:
    """How long things take, and how many of the next answers are wrong. All of it may be set at any time."""

    # Before an instance runs.
    pending_secs: float = 0.2
    # Between the call that ends an instance and its end.
    shutting_down_secs: float = 0.3
    # Until DescribeInstances knows a new instance.
    describe_lag_secs: float = 0.0
    # Until DescribeAutoScalingGroups knows a new member.
    group_lag_secs: float = 0.0
    # Until a group tries again after a launch failed.
    retry_secs: float = 2.0
    # Until a group notices that a member ended.
    health_check_secs: float = 0.2
    # How long an instance that ended is still described.
    forget_secs: float = 3600.0
    # Until EC2 knows a new instance profile.
    profile_lag_secs: float = 0.0
    # Until a NAT gateway is there, and until one that is deleted is gone.
    nat_secs: float = 0.0
    # So many of the next DescribeInstances show nothing.
    flapping_describes: int = 0
    # So many of the next terminations of one instance are answered and not done; a group tries again after `retry_secs`.
    deaf_terminates: int = 0
    # How far the date of a request may be from AWS's clock; 0 for as far as it likes.
    date_slack_secs: float = 0.0
    # So many of the next instances come up without the tags that were asked for.
    untagged_launches: int = 0
    # Added to the second octet of each address: rigs that run at one time share no address.
    loopback_shift: int = 0

    def update(self, values: dict[str, Any]) -> None:
        """Sets the named values; refuses what it does not know, and then changes nothing."""
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"no setting {name!r}; there are {', '.join(kinds)}")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
                raise ValueError(f"setting {name!r} is a number from 0 on, not {value!r}")
        for name, value in values.items():
            setattr(self, name, kinds[name](value))

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class World:
    """The lock is held by every call that reads or writes EC2 and Auto Scaling: moto's models know no threads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.wake = threading.Event()
        self.version = 1
        self.settings = Settings()
        self.ahead_secs = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as this world has them."""
        return time.time() + self.ahead_secs

    def touch(self) -> None:
        """Something changed that a waiting client may want to see."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()
        self.wake.set()


def stamp(at: float) -> str:
    """As AWS writes it in XML."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def moment(at: float) -> datetime:
    """As moto's serializer wants it."""
    return datetime.fromtimestamp(at, UTC)


WORLD = World()
