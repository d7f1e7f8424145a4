"""Checks the results of an example against an answer computed here, on one machine, without Spark.

    check.py flights RESULTS_DIR DATA_DIR     DATA_DIR: what flights/fetch.py made
    check.py log-reg-iris RESULTS_DIR
    check.py word-count|word-count-built RESULTS_DIR
    check.py delays-dask|delays-ray|delays-mpi RESULTS_DIR DATA_DIR
    check.py iris-r RESULTS_DIR
    check.py on-time-sql|on-time-notebook|on-time RESULTS_DIR DATA_DIR

RESULTS_DIR is the union of what every node wrote. Prints one line; exit code 0 when everything agrees, 1 with the
first difference otherwise. Needs numpy, pandas and pyarrow.
"""

import csv
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

EXAMPLES = Path(__file__).resolve().parent.parent
FLIGHTS = 336_776


class Different(Exception):
    """What differs, in one sentence."""


def label(key):
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def same(what, ours, expected):
    if ours != expected:
        raise Different(f"{what}: {ours!r} in the results, {expected!r} expected")


def same_keys(what, ours, expected):
    missing, extra = sorted(set(expected) - set(ours)), sorted(set(ours) - set(expected))
    if missing or extra:
        raise Different(f"{what}: {len(missing)} missing {missing[:3]}, {len(extra)} too many {extra[:3]}")


def close(what, ours, expected, rtol=0.0, atol=0.0):
    """Equal within tolerance, with missing values in the same places. `ours` and `expected` are indexed alike."""
    wrong = ~np.isclose(ours.to_numpy(float), expected.to_numpy(float), rtol=rtol, atol=atol, equal_nan=True)
    if wrong.any():
        where = ours.index[wrong][0]
        raise Different(f"{what} of {label(where)}: {ours[where]} in the results, {expected[where]} expected")


def parts(folder, pattern, read):
    """All part files of a Spark result as one frame. `_SUCCESS` must be there: without it the job did not finish it."""
    if not (folder / "_SUCCESS").exists():
        raise Different(f"no {folder / '_SUCCESS'}")
    files = sorted(folder.glob(pattern))
    if not files:
        raise Different(f"no {pattern} in {folder}")
    return pd.concat([read(file) for file in files], ignore_index=True)


def indexed(frame, keys):
    """By `keys`, sorted; a key that appears twice is a difference (a part written or collected twice)."""
    frame = frame.set_index(keys).sort_index()
    if frame.index.has_duplicates:
        raise Different(f"{label(frame.index[frame.index.duplicated()][0])} appears more than once")
    return frame


def flights(results, data):
    raw = pd.concat([pd.read_csv(file) for file in sorted(Path(data).glob("part-*.csv"))], ignore_index=True)
    same("flights in the input", len(raw), FLIGHTS)
    arrived = raw.dropna(subset="arr_delay")
    keys = ["carrier", "month"]
    by, by_arrived = raw.groupby(keys), arrived.groupby(keys)
    expected = pd.DataFrame(
        {
            "flights": by.size(),
            "arrived": by["arr_delay"].count(),
            "mean_dep_delay": by["dep_delay"].mean(),
            "mean_arr_delay": by["arr_delay"].mean(),
            "median_arr_delay": by["arr_delay"].median(),
            "share_late": by_arrived["arr_delay"].agg(lambda delay: (delay > 15).mean()),
        }
    ).sort_index()
    names = pd.read_csv(Path(data, "airlines.csv")).set_index("carrier")["name"]

    ours = indexed(parts(results / "delay_by_carrier_month", "*.parquet", pd.read_parquet), keys)
    same("columns", sorted(ours.columns), sorted([*expected.columns, "airline"]))
    same_keys("carrier-months", ours.index, expected.index)
    close("flights", ours["flights"], expected["flights"])
    close("arrived", ours["arrived"], expected["arrived"])
    for column in ["mean_dep_delay", "mean_arr_delay", "median_arr_delay", "share_late"]:
        close(column, ours[column], expected[column], rtol=1e-9)
    same("airlines", list(ours["airline"]), [names[carrier] for carrier, _ in ours.index])
    same("flights in all", int(ours["flights"].sum()), FLIGHTS)

    whole_picture(results / "delay.png", 20_000)
    return f"{len(ours)} carrier-months of {FLIGHTS:,} flights agree, and there is a chart"


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def regression(x, labels, penalty, rounds=100):
    """Multinomial logistic regression by Newton's method: a way to the optimum that Spark's (L-BFGS) does not share.

    Minimises mean cross-entropy + penalty/2 * |weights|^2 over features scaled to unit deviation; intercepts are free.
    Returns the function from features to probabilities.
    """
    mean, scale, classes = x.mean(axis=0), x.std(axis=0, ddof=1), int(labels.max()) + 1
    prepare = lambda rows: np.column_stack([(rows - mean) / scale, np.ones(len(rows))])
    design, truth = prepare(x), np.eye(classes)[labels]
    width = design.shape[1]
    ridge = np.tile(np.r_[np.full(width - 1, penalty), 0.0], classes)
    weights = np.zeros(classes * width)
    for _ in range(rounds):
        p = softmax(design @ weights.reshape(classes, width).T)
        gradient = ((p - truth).T @ design / len(x)).ravel() + ridge * weights
        curvature = np.einsum("nc,cd->ncd", p, np.eye(classes)) - np.einsum("nc,nd->ncd", p, p)
        hessian = np.einsum("ncd,ni,nj->cidj", curvature, design, design).reshape(len(weights), -1) / len(x)
        # The intercepts have one direction that changes nothing, hence least squares and not an inverse.
        step = np.linalg.lstsq(hessian + np.diag(ridge), gradient, rcond=1e-12)[0]
        weights -= step
        if np.abs(step).max() < 1e-10:
            return lambda rows: softmax(prepare(rows) @ weights.reshape(classes, width).T)
    raise Different("the reference regression does not converge")


def log_reg_iris(results):
    raw = pd.read_csv(EXAMPLES / "log-reg-iris" / "iris.csv")
    raw.index = pd.RangeIndex(1, len(raw) + 1, name="row")
    features, species = list(raw.columns[:4]), sorted(raw["species"].unique())
    ours = indexed(parts(results / "predictions", "*.csv", pd.read_csv), "row")
    metrics = json.loads((results / "metrics.json").read_text())

    same("flowers", metrics["trained_on"] + metrics["tested_on"], 150)
    same("predictions", len(ours), metrics["tested_on"])
    if not 30 <= len(ours) <= 60:
        raise Different(f"{len(ours)} flowers tested, about 45 of 150 expected")
    same("rows that are not in the data", sorted(set(ours.index) - set(raw.index)), [])
    test, train = raw.loc[ours.index], raw.drop(ours.index)
    same("measurements and species", ours[[*features, "species"]].equals(test[[*features, "species"]]), True)

    p = ours[[f"p_{name}" for name in species]]
    close("sum of probabilities", p.sum(axis=1), pd.Series(1.0, p.index), atol=1e-12)
    same("most probable species", list(ours["predicted"]), [species[i] for i in p.to_numpy().argmax(axis=1)])
    right = int((ours["predicted"] == test["species"]).sum())
    same("right", metrics["right"], right)
    same("accuracy", metrics["accuracy"], right / len(ours))
    if right / len(ours) < 0.9:
        raise Different(f"accuracy {right / len(ours):.3f}: iris is easier than that")

    labels = np.array([species.index(name) for name in train["species"]])
    reference = regression(train[features].to_numpy(), labels, penalty=0.01)(test[features].to_numpy())
    for column, name in enumerate(species):
        close(f"probability of {name}", p[f"p_{name}"], pd.Series(reference[:, column], p.index), atol=1e-4)
    return f"{right} of {len(ours)} right, probabilities agree with a regression fitted here on the other {len(train)}"


def word_count(results):
    text = (EXAMPLES / "word-count" / "alice.txt").read_text("ascii")
    expected = Counter(re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower()))
    # Words such as "null" and "nan" are words here, not missing values.
    read = lambda file: pd.read_csv(file, keep_default_na=False)
    ours = indexed(parts(results / "counts", "*.csv", read), "word")["count"].to_dict()
    same_keys("words", ours, expected)
    for word, times in expected.items():
        same(f"count of {word!r}", ours[word], times)
    return f"{len(ours):,} different words, {sum(ours.values()):,} in all, agree"


def delays(results, data):
    raw = pd.concat([pd.read_csv(file) for file in sorted(Path(data).glob("part-*.csv"))], ignore_index=True)
    keys = ["carrier", "month"]
    by = raw.groupby(keys)["arr_delay"]
    ours = indexed(pd.read_csv(results / "delays.csv"), keys)
    same_keys("carrier-months", ours.index, by.size().index)
    close("flights", ours["flights"], by.size())
    close("arrived", ours["arrived"], by.count())
    close("mean_arr_delay", ours["mean_arr_delay"], by.mean(), rtol=1e-9)
    same("flights in all", int(ours["flights"].sum()), FLIGHTS)
    return f"{len(ours)} carrier-months of {FLIGHTS:,} flights agree"


def late_by(data, key):
    """Flights, arrivals, mean delay and share late of what `key` makes of a row: in plain Python, row by row."""
    found = defaultdict(lambda: [0, 0, 0, 0])
    for file in sorted(Path(data).glob("part-*.csv")):
        with file.open(newline="") as rows:
            for row in csv.DictReader(rows):
                sums = found[key(row)]
                sums[0] += 1
                if row["arr_delay"] != "NA":
                    delay = int(row["arr_delay"])
                    sums[1:] = sums[1] + 1, sums[2] + delay, sums[3] + (delay > 15)
    columns = ["flights", "arrived", "mean_arr_delay", "share_late"]
    rows = [(n, m, total / m if m else np.nan, late / m if m else np.nan) for n, m, total, late in found.values()]
    return pd.DataFrame(rows, index=pd.Index(list(found)), columns=columns).sort_index()


def agree(ours, expected):
    same_keys("rows", ours.index, expected.index)
    expected = expected.loc[ours.index]
    for column in ours.columns:
        close(column, ours[column], expected[column], rtol=1e-9)


def whole_picture(file, least):
    """A PNG from its first byte to its last, and more bytes than `least`: an empty chart has fewer."""
    picture = file.read_bytes()
    if not (picture.startswith(b"\x89PNG\r\n\x1a\n") and picture.endswith(b"IEND\xaeB`\x82") and len(picture) > least):
        raise Different(f"{file.name} is not a whole PNG picture ({len(picture)} bytes)")


def on_time_sql(results, data):
    ours = indexed(parts(results / "by_hour", "*.csv", pd.read_csv), "hour")
    agree(ours, late_by(data, lambda row: int(row["hour"])))
    names = pd.read_csv(Path(data, "airlines.csv")).set_index("carrier")["name"]
    routes = late_by(data, lambda row: (names[row["carrier"]], row["origin"], row["dest"]))
    worst = routes[routes["arrived"] >= 100].nlargest(10, "mean_arr_delay")[["arrived", "mean_arr_delay"]]
    found = parts(results / "worst_routes", "*.parquet", pd.read_parquet)
    agree(indexed(found, ["airline", "origin", "dest"]), worst)
    return f"{len(ours)} hours and the {len(worst)} worst of {len(routes)} routes agree"


def on_time_notebook(results, data):
    days = late_by(data, lambda row: (row["carrier"], int(row["month"]), int(row["day"]))).loc["DL"]
    agree(indexed(pd.read_csv(results / "days.csv"), ["month", "day"]), days)
    cells = json.loads((results / "calendar.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    same("pictures", sum("image/png" in output.get("data", {}) for output in outputs), 1)
    told = "".join(text for output in outputs for text in output.get("text", []))
    same("what it says", told, f"{days['flights'].sum():,} flights of Delta Air Lines Inc.\n")
    return f"{len(days)} days agree, and the notebook has its picture"


def on_time(results, data):
    ours = indexed(pd.read_csv(results / "by_hour.csv"), "hour")
    agree(ours, late_by(data, lambda row: int(row["hour"])))
    whole_picture(results / "by_hour.png", 10_000)
    return f"{len(ours)} hours agree, and there is a chart of them"


def iris_r(results):
    raw = pd.read_csv(EXAMPLES / "log-reg-iris" / "iris.csv").melt("species", var_name="measure")
    by = raw.groupby(["species", "measure"])["value"]
    ours = indexed(pd.read_csv(results / "measures.csv"), ["species", "measure"])
    same_keys("measures", ours.index, by.size().index)
    close("mean", ours["mean"], by.mean(), rtol=1e-12)
    close("deviation", ours["sd"], by.std(), rtol=1e-12)
    close("flowers", ours["n"], by.size())
    if not (results / "petals.pdf").read_bytes().startswith(b"%PDF-"):
        raise Different("petals.pdf is no PDF")
    return f"{len(ours)} means and deviations agree, and there is a picture"


CHECKS = {
    "flights": (flights, 2),
    "log-reg-iris": (log_reg_iris, 1),
    "word-count": (word_count, 1),
    "word-count-built": (word_count, 1),
    "delays-dask": (delays, 2),
    "delays-ray": (delays, 2),
    "delays-mpi": (delays, 2),
    "iris-r": (iris_r, 1),
    "on-time-sql": (on_time_sql, 2),
    "on-time-notebook": (on_time_notebook, 2),
    "on-time": (on_time, 2),
}


def main(arguments):
    check, count = CHECKS.get(arguments[0] if arguments else "", (None, 0))
    if check is None or len(arguments) != 1 + count:
        sys.exit(__doc__)
    try:
        print(f"OK {arguments[0]}: {check(*map(Path, arguments[1:]))}")
    except (Different, OSError, KeyError) as error:
        sys.exit(f"WRONG {arguments[0]}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
