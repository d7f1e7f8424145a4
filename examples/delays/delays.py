"""How late each carrier's flights were in each month of 2013: the part that does not care what runs it.

Sums can be added up, whoever computed them, so that each object of the input is one piece of work.
"""

import csv
import os
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.csv
from pyarrow import fs

FLIGHTS = 336_776


def store():
    """The store of this run; its address and keys are in the environment of every node."""
    where = {"region": os.environ["AWS_REGION"]}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):  # not set on AWS itself
        url = urlsplit(endpoint)
        where |= {"scheme": url.scheme, "endpoint_override": url.netloc}
    return fs.S3FileSystem(**where)


def pieces():
    """The objects of the input, in order."""
    folder = os.environ["MAYFLY_STORE"].removeprefix("s3://") + "/data/flights"
    found = store().get_file_info(fs.FileSelector(folder, allow_not_found=True))
    paths = sorted(f.path for f in found if f.base_name.startswith("part-"))
    if not paths:
        raise SystemExit(f"no object s3://{folder}/part-*: was the data put into the store?")
    return paths


def sums(path):
    """Flights, arrivals and minutes late of one object, by carrier and month."""
    columns = pyarrow.csv.ConvertOptions(include_columns=["carrier", "month", "arr_delay"])
    with store().open_input_stream(path) as body:
        frame = pyarrow.csv.read_csv(body, convert_options=columns).to_pandas()
    grouped = frame.groupby(["carrier", "month"])["arr_delay"].agg(["size", "count", "sum"])
    return {key: tuple(map(float, row)) for key, row in zip(grouped.index, grouped.to_numpy())}


def add(one, other):
    """Both together."""
    return {
        key: tuple(a + b for a, b in zip(one.get(key, (0, 0, 0)), other.get(key, (0, 0, 0))))
        for key in one.keys() | other.keys()
    }


def write(total, nodes):
    """The table, as the run's result, and where it was computed."""
    with Path(os.environ["MAYFLY_RESULTS"], "delays.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["carrier", "month", "flights", "arrived", "mean_arr_delay"])
        for (carrier, month), (flights, arrived, late) in sorted(total.items()):
            table.writerow([carrier, month, int(flights), int(arrived), late / arrived if arrived else ""])
    flights = int(sum(row[0] for row in total.values()))
    print(f"{flights:,} flights, {len(total)} carrier-months, computed on {', '.join(sorted(nodes))}")
    assert flights == FLIGHTS
