"""Prices that look like real ones: dollars an hour in us-east-1, by family, for `large`; other sizes in proportion."""

from __future__ import annotations

from .capacity import vcpus

LARGE = {
    "c5": 0.085, "c6a": 0.0765, "c6g": 0.068, "c6i": 0.085, "c7g": 0.0725, "c7i": 0.08925, "c8g": 0.07976,
    "m5": 0.096, "m6a": 0.0864, "m6g": 0.077, "m6i": 0.096, "m7a": 0.11592, "m7g": 0.0816, "m7i": 0.1008, "m8g": 0.08976,
    "r5": 0.126, "r6g": 0.1008, "r6i": 0.126, "r7g": 0.1071, "r7i": 0.1323, "r8g": 0.11782,
    "t3": 0.0832, "t3a": 0.0752, "t4g": 0.0672,
}  # fmt: skip
OTHER = 0.1
SIZES = {"nano": 1 / 16, "micro": 1 / 8, "small": 1 / 4, "medium": 1 / 2}
LARGE_VCPUS = 2
SPOT_SHARE = 0.38
# Zones differ a little, as they do.
ZONE_STEP = 0.013


class Prices:
    """What things cost; a test may set any of them, as `type` or `type/az` for spot."""

    def __init__(self) -> None:
        self.set_on_demand: dict[str, float] = {}
        self.set_spot: dict[str, float] = {}

    def on_demand(self, kind: str) -> float:
        """Of a type, for an hour."""
        if kind in self.set_on_demand:
            return self.set_on_demand[kind]
        family, _, size = kind.partition(".")
        share = SIZES.get(size, vcpus(kind) / LARGE_VCPUS)
        if family.startswith("t") and size in SIZES:
            share = SIZES[size]
        return round(LARGE.get(family, OTHER) * share, 5)

    def spot(self, kind: str, az: str) -> float:
        """Of a type in a zone, for an hour."""
        for key in (f"{kind}/{az}", kind):
            if key in self.set_spot:
                return self.set_spot[key]
        step = 1 + ZONE_STEP * (ord(az[-1]) - ord("a"))
        return round(self.on_demand(kind) * SPOT_SHARE * step, 4)


PRICES = Prices()
