"""One line for each figure: ours, theirs, the ratio, the goal."""

from dataclasses import dataclass


@dataclass
class Line:
    """A figure. `theirs` is None where there is nothing to compare with, `goal` is the largest ratio that is good, and
    `limit` the largest value of ours."""

    name: str
    what: str
    ours: float | None
    theirs: float | None
    unit: str
    goal: float | None = None
    limit: float | None = None
    baseline: float | None = None
    also: bool = True  # what must hold beside the goal
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by theirs; by the baseline where there is no such program as ours."""
        against = self.theirs if self.theirs else self.baseline
        return self.ours / against if self.ours is not None and against else None

    def met(self) -> bool | None:
        """Whether every goal is met; None when there is none or no figure."""
        if self.ours is None or (self.goal is None and self.limit is None):
            return None
        if self.limit is not None:
            return self.ours <= self.limit and self.also
        return None if self.ratio is None else self.ratio <= self.goal and self.also

    def goal_text(self) -> str:
        """The goal for people."""
        if self.limit is not None:
            return f"<= {self.limit:g} {self.unit}"
        return f"<= {self.goal:g} x" if self.goal is not None else ""

    def figures(self) -> dict:
        """What is written to bench.json."""
        return {"ours": _short(self.ours), "theirs": _short(self.theirs), "ratio": _short(self.ratio), "unit": self.unit}


def _short(value):
    return None if value is None else float(f"{value:.4g}")


def _cell(value, unit=""):
    return "-" if value is None else f"{value:.3g} {unit}".strip() if value < 1000 else f"{value:.0f} {unit}".strip()


def render(lines: list[Line]) -> str:
    """The table as text."""
    rows = [("name", "what", "ours", "theirs", "ratio", "goal", "met")]
    for line in lines:
        met = {True: "yes", False: "NO", None: ""}[line.met()]
        ratio = "-" if line.ratio is None else f"{line.ratio:.3f}"
        rows.append(
            (line.name, line.what, _cell(line.ours, line.unit), _cell(line.theirs, line.unit), ratio, line.goal_text(), met)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = {0, 1, 5, 6}

    def row_text(row):
        cells = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        )
        return "  ".join(cells).rstrip()

    text = [row_text(rows[0]), "  ".join("-" * width for width in widths)] + [row_text(row) for row in rows[1:]]
    notes = [f"  {line.name}: {line.note}" for line in lines if line.note]
    return "\n".join(text + [""] + notes)
