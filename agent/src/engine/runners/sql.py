"""Runs the statements of a file: `spark|duckdb FILE [NAME=VALUE…]`, with `:NAME` (DuckDB: `$NAME`) for the values, and for
the variables of the environment that begin with MAYFLY_.

Each result set is printed and saved in $MAYFLY_RESULTS under the name of a comment before its statement, `-- name: top10`
(`-- name: top10 csv` for CSV), else `FILE-1`, `FILE-2`, …"""

import os
import re
import sys

NAME = re.compile(r"^\s*--\s*name:\s*([A-Za-z0-9_-]+)(?:\s+(parquet|csv))?\s*$", re.MULTILINE)
PIECE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|;|[^;'\"`/-]+|.", re.DOTALL)
SHOWN = 20


def statements(text):
    """Cut at each `;` that is not quoted or in a comment; with the line that each begins in, after its comments."""
    one, line, begins = "", 1, None
    for piece in PIECE.findall(text) + [";"]:
        if piece == ";":
            if begins is not None:
                yield begins, one.strip()
            one, begins = "", None
        else:
            one += piece
            if begins is None and piece.strip() and not piece.startswith(("--", "/*")):
                begins = line + piece[: len(piece) - len(piece.lstrip())].count("\n")
        line += piece.count("\n")


def fail(error, file, line):
    """Raises it as if the statement had: its traceback ends in the job's own file, where people look."""
    code = compile("\n" * (line - 1) + "raise error.with_traceback(None) from None", file, "exec")
    exec(code, {"error": error})


def unquoted(statement):
    """Without its comments and what is quoted: there, `$` means nothing."""
    return "".join(piece for piece in PIECE.findall(statement) if not piece.startswith(("--", "/*", "'", '"', "`")))


def value(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


class Spark:
    def __init__(self):
        from pyspark.sql import SparkSession

        self.session = SparkSession.builder.getOrCreate()

    def run(self, statement, values):
        frame = self.session.sql(statement, args=values)
        return frame if frame.columns else None

    def show(self, frame):
        frame.show(SHOWN, truncate=False)

    def save(self, frame, place, kind):
        writer = frame.write.mode("overwrite")
        if kind == "csv":
            writer = writer.option("header", True)
        writer.format(kind).save(f"file://{place}")


class DuckDB:
    def __init__(self):
        import duckdb

        self.connection = duckdb.connect()

    def run(self, statement, values):
        said = unquoted(statement)
        used = {name: one for name, one in values.items() if re.search(rf"\${name}\b", said)}
        relation = self.connection.sql(statement, params=used) if used else self.connection.sql(statement)
        # A relation is also what a CREATE TABLE AS gives: how many rows it has.
        asks = self.connection.extract_statements(statement)[0].type.name.startswith("SELECT")
        return relation.to_arrow_table() if asks and relation is not None else None

    def show(self, table):
        print(table.slice(0, SHOWN).to_pandas().to_string(index=False))

    def save(self, table, place, kind):
        if kind == "csv":
            import pyarrow.csv

            pyarrow.csv.write_csv(table, f"{place}.csv")
        else:
            import pyarrow.parquet

            pyarrow.parquet.write_table(table, f"{place}.parquet")


def main(engine, file, *given):
    values = {name: text for name, text in os.environ.items() if name.startswith("MAYFLY_")}
    for pair in given:
        name, sign, text = pair.partition("=")
        if not sign or not name.isidentifier():
            sys.exit(f"{pair!r} is not NAME=VALUE")
        values[name] = value(text)
    runs = {"spark": Spark, "duckdb": DuckDB}[engine]()
    stem = os.path.splitext(os.path.basename(file))[0]
    results = os.environ["MAYFLY_RESULTS"]
    count = 0
    with open(file, encoding="utf-8") as text:
        for line, statement in statements(text.read()):
            try:
                found = runs.run(statement, values)
            except Exception as error:
                fail(error, file, line)
            if found is None:
                continue
            count += 1
            named = NAME.search(statement)
            name, kind = (named[1], named[2] or "parquet") if named else (f"{stem}-{count}", "parquet")
            print(f"-- {name}", flush=True)
            runs.show(found)
            runs.save(found, os.path.join(results, name), kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
