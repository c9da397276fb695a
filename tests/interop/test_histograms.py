"""Native histograms, and values that text has no word for, by way of jsonl: in our query, in SQL, in every reader."""

import json
from pathlib import Path

import datafusion
import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

import metrics
from conftest import Filled
from readers import READERS, datafusion_table, read_all
from store import Store, assert_same, value_bits

STALE = "NaN(0x7ff0000000000002)"


def integer(step: int) -> dict:
    """Exponential buckets on both sides of zero, with counts that a double cannot hold."""
    return {
        "is_float": False,
        "reset_hint": 0,
        "schema": 3,
        "zero_threshold": "0.001",
        "zero_count": 1,
        "count": 2**53 + 1 + 12 + step,
        "sum": "18.25",
        "positive_spans": [[-2, 2], [3, 1]],
        "negative_spans": [[0, 1]],
        "positive_counts": [2**53 + 1, 3 + step, 5],
        "negative_counts": [3],
    }


def floating(step: int) -> dict:
    return {
        "is_float": True,
        "reset_hint": 3,
        "schema": 0,
        "zero_threshold": "0.5",
        "zero_count": "0.5",
        "count": str(3.75 + step),
        "sum": "-1.5",
        "positive_spans": [[0, 2]],
        "negative_spans": [],
        "positive_counts": ["1.25", str(2 + step)],
        "negative_counts": [],
    }


def custom_buckets(step: int) -> dict:
    return {
        "is_float": False,
        "reset_hint": 2,
        "schema": -53,
        "zero_threshold": "0",
        "zero_count": 0,
        "count": 10 + step,
        "sum": "7.5",
        "positive_spans": [[0, 3]],
        "negative_spans": [],
        "positive_counts": [4, 4, 2 + step],
        "negative_counts": [],
        "custom_values": ["0.1", "0.5"],
    }


def stale() -> dict:
    """How Prometheus ends a series of histograms: the sum is the staleness marker."""
    return {**integer(0), "zero_count": 0, "count": 0, "sum": STALE, "positive_spans": [], "negative_spans": [],
            "positive_counts": [], "negative_counts": [], "schema": 0, "zero_threshold": "0"}  # fmt: skip


def lines() -> list[dict]:
    """The series as jsonl objects, in label order. The last one turns from floats to histograms."""
    times = [metrics.START_MS + i * metrics.STEP_MS for i in range(240)]
    series = []
    for name, make in (("custom", custom_buckets), ("floating", floating), ("integer", integer)):
        histograms = [[ts, make(step)] for step, ts in enumerate(times)]
        series.append({"labels": {"__name__": "latency", "kind": name}, "samples": [], "histograms": histograms})
    series[-1]["histograms"].append([times[-1] + metrics.STEP_MS, stale()])
    series.append(
        {
            "labels": {"__name__": "latency", "kind": "turns"},
            "samples": [[ts, "1.5"] for ts in times[:100]],
            "histograms": [[ts, integer(step)] for step, ts in enumerate(times[100:])],
        }
    )
    return series


def text_of(series: list[dict]) -> str:
    return "".join(json.dumps(line) + "\n" for line in series)


@pytest.fixture(scope="module")
def histograms(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    store = Store(tmp_path_factory.mktemp("histograms") / "data")
    store.import_text(text_of(lines()), "histograms.jsonl")
    store.flush()
    return Filled(store, {})


def as_struct(histogram: dict) -> dict:
    """The row of the `histogram` column that a jsonl object stands for; floats as bits, so that NaNs compare."""
    form, other = ("float", "int") if histogram["is_float"] else ("int", "float")
    number = value_bits if histogram["is_float"] else int
    custom = histogram.get("custom_values")
    struct = {
        "is_float": histogram["is_float"],
        "reset_hint": histogram["reset_hint"],
        "schema": histogram["schema"],
        "zero_threshold": value_bits(histogram["zero_threshold"]),
        f"zero_count_{form}": number(histogram["zero_count"]),
        f"zero_count_{other}": None,
        f"count_{form}": number(histogram["count"]),
        f"count_{other}": None,
        "sum": value_bits(histogram["sum"]),
        "custom_values": None if custom is None else [value_bits(bound) for bound in custom],
    }
    for side in ("positive", "negative"):
        struct[f"{side}_spans"] = [tuple(span) for span in histogram[f"{side}_spans"]]
        struct[f"{side}_counts_{form}"] = [number(count) for count in histogram[f"{side}_counts"]]
        struct[f"{side}_counts_{other}"] = None
    return struct


def comparable(struct: dict) -> dict:
    """A row as a reader returns it, in the form of `as_struct`."""

    def plain(value):
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, float):
            return metrics.bits(value)
        if isinstance(value, dict):
            return value["offset"], value["length"]
        if hasattr(value, "__iter__"):
            return [plain(item.item() if hasattr(item, "item") else item) for item in value]
        return int(value)

    return {name: plain(value) for name, value in struct.items()}


def expected_rows() -> dict[tuple[str, int], dict]:
    return {
        (line["labels"]["kind"], ts): as_struct(histogram) for line in lines() for ts, histogram in line["histograms"]
    }


def rows_with_duckdb(file: Path) -> list[tuple]:
    with duckdb.connect() as connection:
        sql = 'SELECT kind, epoch_ms("timestamp"), histogram FROM read_parquet(?) WHERE histogram IS NOT NULL'
        return connection.execute(sql, [str(file)]).fetchall()


def rows_with_datafusion(file: Path) -> list[tuple]:
    # The dictionary of another batch is another one: as plain strings they are one column.
    kind = datafusion.col("kind").cast(pyarrow.string()).alias("kind")
    chosen = datafusion_table([file]).select(kind, datafusion.col("timestamp"), datafusion.col("histogram"))
    return rows_of_arrow(chosen.to_arrow_table())


def rows_with_pyarrow(file: Path) -> list[tuple]:
    return rows_of_arrow(pyarrow.parquet.ParquetFile(file).read())


def rows_of_arrow(table: pyarrow.Table) -> list[tuple]:
    times = table["timestamp"].cast("int64").to_pylist()
    return [row for row in zip(table["kind"].to_pylist(), times, table["histogram"].to_pylist()) if row[2]]


def rows_with_pandas(file: Path) -> list[tuple]:
    # With its default types pandas turns integers beside nulls to doubles, and counts past 2^53 change.
    with open(file, "rb") as opened:
        frame = pandas.read_parquet(opened, dtype_backend="pyarrow")
    frame = frame[frame["histogram"].notna()]
    times = frame["timestamp"].astype("int64").tolist()
    return list(zip(frame["kind"].astype("str").tolist(), times, frame["histogram"].tolist()))


def rows_with_polars(file: Path) -> list[tuple]:
    frame = polars.read_parquet(file, hive_partitioning=False).filter(polars.col("histogram").is_not_null())
    times = frame["timestamp"].cast(polars.Int64).to_list()
    return list(zip(frame["kind"].cast(polars.String).to_list(), times, frame["histogram"].to_list()))


ROWS_WITH = [rows_with_datafusion, rows_with_duckdb, rows_with_pandas, rows_with_polars, rows_with_pyarrow]


@pytest.mark.parametrize("rows_with", ROWS_WITH)
def test_reader_sees_every_field(histograms: Filled, rows_with):
    assert_same_histograms(rows_with, histograms.store.cold_files())


def assert_same_histograms(rows_with, files: list[Path]) -> None:
    """That `rows_with` finds the histograms of `lines()` in the files, each field bit for bit."""
    found = {}
    for file in files:
        if "histogram" in pyarrow.parquet.read_schema(file).names:
            found.update({(kind, int(ts)): comparable(struct) for kind, ts, struct in rows_with(file)})
    expected = expected_rows()
    assert found.keys() == expected.keys()
    for key, struct in expected.items():
        assert found[key] == struct, key


@pytest.mark.parametrize("reader", READERS)
def test_floats_beside_histograms(histograms: Filled, reader: str):
    """A row is a float or a histogram: the readers of floats find those, and nothing where a histogram is."""
    turns = (("__name__", "latency"), ("kind", "turns"))
    expected = {turns: {ts: metrics.bits(1.5) for ts, _ in lines()[-1]["samples"]}}
    assert_same(read_all(READERS[reader], histograms.store.cold_files()), expected)


def test_query_returns_what_went_in(histograms: Filled):
    assert histograms.store.query_lines("latency") == lines()


def test_unflushed_histograms_survive_a_restart(empty: Store):
    empty.import_text(text_of(lines()), "histograms.jsonl")
    assert empty.query_lines("latency") == lines()


def test_histograms_in_duckdb_sql(histograms: Filled):
    table = f"read_parquet('{histograms.store.cold_glob()}', union_by_name = true)"
    with duckdb.connect() as connection:
        count, top, bucket = connection.execute(
            f"""SELECT max(histogram.count_int), max(histogram.sum), max(histogram.positive_counts_int[1])
                FROM {table} WHERE kind = 'integer' AND NOT isnan(histogram.sum)"""
        ).fetchone()
        observed = connection.execute(
            f"SELECT max(histogram.count_float), list_sum(any_value(histogram.custom_values)) FROM {table} "
            "WHERE kind IN ('floating', 'custom')"
        ).fetchone()
    assert (count, top, bucket) == (2**53 + 13 + 239, 18.25, 2**53 + 1)
    assert observed == (3.75 + 239, 0.6)


def test_histograms_in_datafusion_sql(histograms: Filled):
    context = datafusion.SessionContext()
    context.register_parquet("samples", histograms.store.data_dir / "cold" / "data")
    # A field of a struct inside an aggregate goes by its brackets; the table's name is no part of it.
    found = context.sql(
        """SELECT max(histogram['count_int']) AS count, max(histogram['sum']) AS top,
                  max(histogram['positive_counts_int'][1]) AS bucket
           FROM samples WHERE kind = 'integer' AND NOT isnan(histogram['sum'])"""
    )
    assert found.to_pylist() == [{"count": 2**53 + 13 + 239, "top": 18.25, "bucket": 2**53 + 1}]


def test_nan_payloads_survive(empty: Store):
    odd = [STALE, "NaN(0x7ff8000000000001)", "NaN(0xfff8000000000000)", "NaN(0x7ff800000000beef)", "NaN", "-0"]
    samples = [[metrics.START_MS + i * metrics.STEP_MS, value] for i, value in enumerate(odd)]
    empty.import_text(text_of([{"labels": {"__name__": "odd"}, "samples": samples}]), "odd.jsonl")
    expected = {(("__name__", "odd"),): {ts: value_bits(value) for ts, value in samples}}
    assert_same(empty.query(), expected)
    empty.flush()
    assert_same(empty.query(), expected)
    for reader in READERS.values():
        assert_same(read_all(reader, empty.cold_files()), expected)
