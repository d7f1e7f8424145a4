"""The second step of `on-time`: draws what the first one found."""

import os
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

RESULTS = Path(os.environ["MAYFLY_RESULTS"])

hours = pd.read_csv(RESULTS / "by_hour.csv").dropna(subset="share_late")
figure = Figure(figsize=(8, 4), layout="constrained")
axes = figure.add_subplot(xlabel="should leave at", ylabel="arrive late", title="Late out of New York, 2013")
axes.bar(hours["hour"], 100 * hours["share_late"])
axes.yaxis.set_major_formatter("{x:.0f} %")
axes.set_xticks(hours["hour"])
figure.savefig(RESULTS / "by_hour.png")

best, last = hours.loc[hours["share_late"].idxmin()], hours.iloc[-1]
print(f"Best leave at {best['hour']:.0f}: {best['share_late']:.0%} are late; at {last['hour']:.0f}: {last['share_late']:.0%}")
