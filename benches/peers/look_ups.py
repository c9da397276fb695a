"""What DuckDB and Polars take to answer from cold files: median wall milliseconds, as JSON on standard output.

    python look_ups.py FILES QUESTION

FILES is a file or a pattern for files. QUESTION is a JSON object: `equal`, a list of objects of labels and values that a
series has; `pattern`, an object of labels and patterns for whole values; `values`, the label whose values are listed, or
null. Both tools keep what they keep of a file between queries. `first_ms` is what the first query of the process took.
"""

import json
import statistics
import sys
import time

import duckdb
import polars


def wall_ms(work) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def measure(question: dict, one, pattern, values) -> dict[str, float]:
    """The times of a tool's answers, given how it gives them."""
    found = {"first_ms": wall_ms(lambda: one(question["equal"][0]))}
    found["one_ms"] = statistics.median([wall_ms(lambda labels=labels: one(labels)) for labels in question["equal"]])
    found["pattern_ms"] = statistics.median([wall_ms(lambda: pattern(question["pattern"])) for _ in range(11)])
    if name := question.get("values"):
        found["values_ms"] = statistics.median([wall_ms(lambda: values(name)) for _ in range(11)])
    return found


def by_duckdb(files: str, question: dict) -> dict[str, float]:
    connection = duckdb.connect()
    connection.execute("SET enable_object_cache = true")

    def select(test: str, labels: dict[str, str]):
        where = " AND ".join(test.format(f'"{name}"') for name in labels)
        sql = f'SELECT "timestamp", "value" FROM read_parquet(?) WHERE {where}'
        rows = connection.execute(sql, [files, *labels.values()]).fetchnumpy()
        assert len(rows["value"]) > 0

    def values(name: str):
        assert connection.execute(f'SELECT DISTINCT "{name}" FROM read_parquet(?)', [files]).fetchall()

    return measure(
        question,
        lambda labels: select("{} = ?", labels),
        lambda labels: select("regexp_full_match({}, ?)", labels),
        values,
    )


def by_polars(files: str, question: dict) -> dict[str, float]:
    def select(test, labels: dict[str, str]):
        where = [test(polars.col(name).cast(polars.String), value) for name, value in labels.items()]
        rows = polars.scan_parquet(files).filter(*where).select("timestamp", "value").collect()
        assert len(rows) > 0

    def is_equal(column, value):
        return column == value

    def matches(column, pattern):
        return column.str.contains(f"^(?:{pattern})$")

    def values(name: str):
        assert len(polars.scan_parquet(files).select(polars.col(name).unique()).collect()) > 0

    return measure(question, lambda labels: select(is_equal, labels), lambda labels: select(matches, labels), values)


def main(files: str, question: dict) -> dict[str, dict[str, float]]:
    return {"duckdb": by_duckdb(files, question), "polars": by_polars(files, question)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))))
