"""Where a group launches: pure decisions over pools of capacity."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Pool:
    """What one instance may be made of: a type in a subnet, bought in one market, from one template."""

    type: str
    az: str
    subnet: str | None
    market: str
    template: tuple[str, str]

    @property
    def key(self) -> tuple[str, str, str]:
        """What capacity is counted by."""
        return (self.type, self.az, self.market)


@dataclass
class Plan:
    """What to launch, and why not more."""

    launches: Counter[Pool] = field(default_factory=Counter)
    failures: list[tuple[str, Any]] = field(default_factory=list)


def split(desired: int, base: int, percent: int) -> dict[str, int]:
    """On-demand and spot instances of a mixed group, as AWS rounds them: on-demand first."""
    above = max(0, desired - base)
    on_demand = min(desired, base) + math.ceil(above * percent / 100)
    return {"on-demand": on_demand, "spot": desired - on_demand}


def plan(
    wanted: dict[str, int],
    zones: list[tuple[str, str | None]],
    choices: Callable[[str, str, str | None], list[Pool]],
    members: Counter[str],
    problem: Callable[[tuple[str, str, str], Counter[tuple[str, str, str]]], Any],
) -> Plan:
    """Spreads what is wanted over the zones, and goes to the next type, then the next zone, where there is no room.

    `choices` lists the pools of a market in a zone, best first; `members` counts what lives by zone; `problem` says why a
    pool takes no more after what is planned. A pool that has failed is not asked again.
    """
    result = Plan()
    counts = Counter(members)
    planned: Counter[tuple[str, str, str]] = Counter()
    full: dict[tuple[str, str, str], Any] = {}
    for market, count in wanted.items():
        for _ in range(count):
            order = sorted(range(len(zones)), key=lambda index: (counts[zones[index][0]], index))
            pools = [pool for index in order for pool in choices(market, *zones[index])]
            taken = next((pool for pool in pools if _has_room(pool, full, planned, problem)), None)
            if taken is None:
                causes = [full[pool.key] for pool in pools if pool.key in full]
                result.failures.append((market, causes[0] if causes else None))
                break
            planned[taken.key] += 1
            counts[taken.az] += 1
            result.launches[taken] += 1
    return result


def _has_room(
    pool: Pool,
    full: dict[tuple[str, str, str], Any],
    planned: Counter[tuple[str, str, str]],
    problem: Callable[[tuple[str, str, str], Counter[tuple[str, str, str]]], Any],
) -> bool:
    if pool.key not in full:
        found = problem(pool.key, planned)
        if found is None:
            return True
        full[pool.key] = found
    return False
