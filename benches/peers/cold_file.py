"""What DuckDB and Polars take to find series in a cold file: median wall milliseconds, as JSON on standard output.

    python cold_file.py FILE QUESTION

QUESTION is a JSON object: `equal`, a list of objects of labels and values that a series has, and `pattern`, an object of
labels and patterns for whole values. Both tools keep what they keep of a file between queries.
"""

import json
import statistics
import sys
import time

import duckdb
import polars


def median_ms(works) -> float:
    works[0]()
    times = []
    for work in works:
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main(file: str, question: dict) -> dict[str, dict[str, float]]:
    connection = duckdb.connect()
    connection.execute("SET enable_object_cache = true")

    def by_duckdb(test: str, labels: dict[str, str]):
        where = " AND ".join(test.format(f'"{name}"') for name in labels)
        sql = f'SELECT "timestamp", "value" FROM read_parquet(?) WHERE {where}'
        rows = connection.execute(sql, [file, *labels.values()]).fetchnumpy()
        assert len(rows["value"]) > 0

    def by_polars(test, labels: dict[str, str]):
        where = [test(polars.col(name).cast(polars.String), value) for name, value in labels.items()]
        rows = polars.scan_parquet(file).filter(*where).select("timestamp", "value").collect()
        assert len(rows) > 0

    def is_equal(column, value):
        return column == value

    def matches(column, pattern):
        return column.str.contains(f"^(?:{pattern})$")

    pattern = question["pattern"]
    rounds = range(11)
    return {
        "duckdb": {
            "one_ms": median_ms([lambda labels=labels: by_duckdb("{} = ?", labels) for labels in question["equal"]]),
            "pattern_ms": median_ms([lambda: by_duckdb("regexp_full_match({}, ?)", pattern) for _ in rounds]),
        },
        "polars": {
            "one_ms": median_ms([lambda labels=labels: by_polars(is_equal, labels) for labels in question["equal"]]),
            "pattern_ms": median_ms([lambda: by_polars(matches, pattern) for _ in rounds]),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))))
