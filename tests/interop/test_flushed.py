"""All data in Parquet: every reader sees exactly what went in, and so does our own query."""

import duckdb
import pyarrow.parquet
import pytest

import metrics
from conftest import Filled
from readers import READERS, Columns, read_all
from store import assert_same


def test_data_is_in_parquet_only(flushed: Filled):
    count = sum(map(len, flushed.expected.values()))
    status = flushed.store.status()
    assert status["cold"]["samples"] == status["samples"] == count
    assert status["series"] == len(flushed.expected)
    assert status["head"]["samples"] == 0
    assert status["blocks"]["count"] == 0
    assert not list(flushed.store.data_dir.glob("blocks/*.block"))


def test_query_returns_what_went_in(flushed: Filled):
    assert_same(flushed.store.query(), flushed.expected)


def test_query_comes_in_label_order(flushed: Filled):
    found = [tuple(sorted(line["labels"].items())) for line in flushed.store.query_lines("{}")]
    # Byte order, as Prometheus compares; Python's is that of code points, which UTF-8 preserves.
    assert found == sorted(found)


@pytest.mark.parametrize("reader", READERS)
def test_reader_sees_what_went_in(flushed: Filled, reader: str):
    files = flushed.store.cold_files()
    assert files
    assert_same(read_all(READERS[reader], files), flushed.expected)


def test_rows_are_sorted_by_series_then_time(flushed: Filled):
    for file in flushed.store.cold_files():
        table = pyarrow.parquet.ParquetFile(file).read()
        columns = Columns([file])
        by_label = sorted((label, table[column].to_pylist()) for column, label in columns.label_of.items())
        maps = table["labels"].to_pylist() if columns.has_map else [[]] * table.num_rows
        times = table["timestamp"].cast("int64").to_pylist()
        keys = []
        for row in range(table.num_rows):
            pairs = [(label, cells[row]) for label, cells in by_label if cells[row] is not None]
            keys.append((sorted([*pairs, *(maps[row] or [])]), times[row]))
        assert keys == sorted(keys), file


def test_one_query_over_all_files_of_a_store(flushed: Filled):
    """The line that the README shows: a folder of files as one table, pruned by day."""
    table = f"read_parquet('{flushed.store.cold_glob()}', union_by_name = true, hive_partitioning = true)"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        count, series = connection.execute(
            f"SELECT count(*), count(DISTINCT instance) FROM {table} WHERE __name__ = 'node_hwmon_temp_celsius'"
        ).fetchone()
        misplaced = connection.execute(f'SELECT count(*) FROM {table} WHERE day <> "timestamp"::DATE').fetchone()[0]
        days = connection.execute(f"SELECT DISTINCT day::VARCHAR FROM {table} ORDER BY 1").fetchall()
    assert (count, series) == (40 * metrics.SCRAPES, 40)
    assert misplaced == 0
    assert [day for (day,) in days] == ["1969-12-30", "1969-12-31", "1970-01-01", "1970-01-02", "2026-01-01", "2026-01-02"]


@pytest.mark.parametrize(
    ("selector", "is_match"),
    [
        ('node_hwmon_temp_celsius{sensor="temp1"}', lambda l: l.get("sensor") == "temp1"),
        ('{__name__=~"http_.+_bucket",le!="+Inf"}', lambda l: l["__name__"].endswith("_bucket") and l["le"] != "+Inf"),
        ('awkward_label{text="温度"}', lambda l: l.get("text") == "温度"),
        ('awkward_label{text=""}', lambda l: l["__name__"] == "awkward_label" and "text" not in l),
        ('{day="is day"}', lambda l: l.get("day") == "is day"),
        ('{Job=~"is.*"}', lambda l: "Job" in l),
        ('{job!~"node|api|cache|collide|past|"}', lambda l: False),
    ],
)
def test_selectors(flushed: Filled, selector: str, is_match):
    expected = {labels: points for labels, points in flushed.expected.items() if is_match(dict(labels))}
    assert_same(flushed.store.query(selector), expected)


def test_time_bounds_are_inclusive(flushed: Filled):
    start, end = metrics.START_MS + 60_000, metrics.START_MS + 2_400_000
    expected = {}
    for labels, points in flushed.expected.items():
        if kept := {ts: value for ts, value in points.items() if start <= ts <= end}:
            expected[labels] = kept
    bounds = ["--start", metrics.seconds_text(start), "--end", metrics.seconds_text(end)]
    assert_same(flushed.store.query("{}", *bounds), expected)
