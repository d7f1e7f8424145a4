"""How much there is to launch: capacity of pools, quotas of vCPUs, and errors on demand."""

from __future__ import annotations

import fnmatch
from collections import Counter
from dataclasses import dataclass
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

from .errors import LaunchError, launch_error
from .machines import LIVING, MACHINES, pool_key

ON_DEMAND_QUOTA = "L-1216C47A"
SPOT_QUOTA = "L-34B43A08"


@dataclass
class ErrorRule:
    """The next launches into a pool fail so."""

    match: str
    code: str
    message: str | None
    times: int


class Capacity:
    """Limits that a test may set; without them there is no end of capacity."""

    def __init__(self) -> None:
        self.limits: dict[str, int] = {}
        self.quotas: dict[str, float] = {ON_DEMAND_QUOTA: 10_000.0, SPOT_QUOTA: 10_000.0}
        self.rules: list[ErrorRule] = []

    def problem(self, pool: tuple[str, str, str], planned: Counter[tuple[str, str, str]]) -> LaunchError | None:
        """Why one more of (type, zone, market) cannot be launched, after those that are planned already."""
        kind, az, market = pool
        key = pool_key(kind, az, market)
        for rule in self.rules:
            if rule.times > 0 and fnmatch.fnmatchcase(key, rule.match):
                rule.times -= 1
                return launch_error(rule.code, rule.message, type=kind, az=az, market=market)
        if not offered(kind, az):
            return launch_error("Unsupported", type=kind, az=az)
        return self._over_quota(kind, market, planned) or self._over_limit(key, pool, planned)

    def _over_quota(self, kind: str, market: str, planned: Counter[tuple[str, str, str]]) -> LaunchError | None:
        quota = self.quotas[SPOT_QUOTA if market == "spot" else ON_DEMAND_QUOTA]
        used = sum(vcpus(machine.type) for machine in MACHINES if machine.state in LIVING and machine.market == market)
        used += sum(vcpus(other) * count for (other, _, of), count in planned.items() if of == market)
        if used + vcpus(kind) <= quota:
            return None
        if market == "spot":
            return launch_error("MaxSpotInstanceCountExceeded")
        return launch_error("VcpuLimitExceeded", limit=int(quota))

    def _over_limit(self, key: str, pool: tuple[str, str, str], planned: Counter[tuple[str, str, str]]) -> LaunchError | None:
        for pattern, limit in self.limits.items():
            if not fnmatch.fnmatchcase(key, pattern):
                continue
            soon = sum(count for other, count in planned.items() if fnmatch.fnmatchcase(pool_key(*other), pattern))
            if MACHINES.living(pattern) + soon >= limit:
                return launch_error("InsufficientInstanceCapacity", type=pool[0], az=pool[1], market=pool[2])
        return None


def vcpus(kind: str) -> int:
    """Of an instance type; 2 for one that moto does not know."""
    info: dict[str, Any] = INSTANCE_TYPES.get(kind, {})
    return int(info.get("VCpuInfo", {}).get("DefaultVCpus", 2))


def architectures(kind: str) -> list[str]:
    """That a type can run."""
    info: dict[str, Any] = INSTANCE_TYPES.get(kind, {})
    return list(info.get("ProcessorInfo", {}).get("SupportedArchitectures", []))


_OFFERED: dict[str, set[tuple[str, str]]] = {}


def offered(kind: str, az: str) -> bool:
    """Whether a type exists in a zone, by moto's copy of AWS's list."""
    region = az.rstrip("abcdefghijklmnopqrstuvwxyz")
    if region not in _OFFERED:
        rows = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
        _OFFERED[region] = {(row["InstanceType"], row["Location"]) for row in rows}
    return not _OFFERED[region] or (kind, az) in _OFFERED[region]


CAPACITY = Capacity()
