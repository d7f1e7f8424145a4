"""What the rig knows of each instance beyond moto: when it changed, why, and what a bill would say."""

from __future__ import annotations

import base64
import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .world import WORLD, stamp

LIVING = ("pending", "running", "shutting-down", "stopping", "stopped")


@dataclass
class Machine:
    """One instance, from its launch on."""

    instance: Any
    type: str
    az: str
    market: str
    architecture: str
    image: str
    profile: str | None
    role: str | None
    launched: float
    ready_at: float
    since: float
    group: str | None = None
    running: float | None = None
    ending: float | None = None
    gone_at: float | None = None
    ended: float | None = None
    cause: str = ""
    cause_code: str = ""
    kill_at: float | None = None
    notice: dict[str, str] | None = None
    rebalance: str | None = None

    @property
    def id(self) -> str:
        """Its instance id."""
        return str(self.instance.id)

    @property
    def state(self) -> str:
        """As DescribeInstances calls it."""
        return str(self.instance.state)

    @property
    def tags(self) -> dict[str, str]:
        """All its tags."""
        return dict(self.instance.ec2_backend.tags.get(self.id, {}))

    def is_visible(self, now: float) -> bool:
        """Whether calls that name it find it: not yet, for the lag, and no more, an hour after its end."""
        settings = WORLD.settings
        if now < self.launched + settings.describe_lag_secs:
            return False
        return self.ended is None or now < self.ended + settings.forget_secs

    def shown(self) -> dict[str, Any]:
        """What its metadata and its booter need."""
        options = self.instance.metadata_options
        shows_tags = options.instance_metadata_tags == "enabled"
        user_data = self.instance.user_data
        return {
            "id": self.id,
            "state": self.state,
            "since": stamp(self.since),
            "region": self.instance.region_name,
            "az": self.az,
            "account": str(self.instance.owner_id),
            "private_address": self.instance.private_ip,
            "public_address": self.instance.public_ip,
            "type": self.type,
            "lifecycle": self.market,
            "image": self.image,
            "architecture": self.architecture,
            "launch_time": stamp(self.launched),
            "tags": self.tags if shows_tags else None,
            "user_data": decoded(user_data),
            "profile": self.profile,
            "role": self.role,
            "group": self.group,
            "http_tokens": options.http_tokens,
            "hop_limit": options.http_put_response_hop_limit,
            "shutdown_behavior": self.instance.instance_initiated_shutdown_behavior,
            "notice": self.notice,
            "rebalance": self.rebalance,
            "cause": self.cause,
            "ahead_secs": WORLD.ahead_secs,
        }

    def billed(self) -> dict[str, Any]:
        """One line of the bill: AWS bills from running to the call that ends it."""
        tags = self.tags
        to = self.ending if self.ending is not None else self.ended
        return {
            "id": self.id,
            "type": self.type,
            "lifecycle": self.market,
            "az": self.az,
            "region": self.instance.region_name,
            "run": tags.get("mayfly:run"),
            "role": tags.get("mayfly:role"),
            "group": self.group,
            "requested": stamp(self.launched),
            "from": stamp(self.running) if self.running is not None else None,
            "to": stamp(to) if to is not None else None,
            "ended": stamp(self.ended) if self.ended is not None else None,
            "seconds": round((to if to is not None else WORLD.now()) - self.running, 3) if self.running else 0.0,
            "cause": self.cause,
        }


def decoded(user_data: Any) -> str | None:
    """User data as the instance reads it."""
    if not user_data:
        return None
    return base64.b64decode(str(user_data)).decode("utf-8", "replace")


class Machines:
    """All of them, of every account and region, in the order of their launch."""

    def __init__(self) -> None:
        self._all: dict[str, Machine] = {}

    def add(self, machine: Machine) -> None:
        """One more."""
        self._all[machine.id] = machine
        WORLD.touch()

    def get(self, instance_id: str) -> Machine | None:
        """By its id."""
        return self._all.get(instance_id)

    def __iter__(self) -> Iterator[Machine]:
        return iter(list(self._all.values()))

    def of(self, backend: Any) -> list[Machine]:
        """Those of one account and region."""
        return [machine for machine in self if machine.instance.ec2_backend is backend]

    def living(self, pattern: str) -> int:
        """How many live whose pool matches: `type/az` on demand, `type/az/spot`."""
        return sum(
            1
            for machine in self
            if machine.state in LIVING and fnmatch.fnmatchcase(pool_key(machine.type, machine.az, machine.market), pattern)
        )


def pool_key(kind: str, az: str, market: str) -> str:
    """The name of a pool of capacity."""
    return f"{kind}/{az}/spot" if market == "spot" else f"{kind}/{az}"


MACHINES = Machines()
