"""Parquet that other tools wrote, without any of our conventions, queried by us with matchers."""

import datetime
import json
import math
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

import metrics
from store import Store, assert_same, samples_of

HOSTS = ["web-1", "web-2", "db-1", None]


def table() -> pyarrow.Table:
    """Sorted by time, as a script that logs would write; microseconds; one column that is no label."""
    rows = [(i, host) for i in range(500) for host in HOSTS]
    micros = [(metrics.START_MS + i * metrics.STEP_MS) * 1000 for i, _ in rows]
    values = [i / 7 if host else -0.0 for i, host in rows]
    values[5] = float("nan")
    return pyarrow.table(
        {
            "host": pyarrow.array([host for _, host in rows]),
            "timestamp": pyarrow.array(micros, pyarrow.timestamp("us", tz="Europe/Berlin")),
            "value": pyarrow.array(values, pyarrow.float64()),
            "Zone": pyarrow.array(["eu" if i % 2 else "us" for i, _ in rows]).dictionary_encode(),
            "attempt": pyarrow.array([i for i, _ in rows], pyarrow.int32()),
        }
    )


def expected(write) -> metrics.Samples:
    found: metrics.Samples = {}
    for row in table().to_pylist():
        # pandas writes a NaN as null, and a row without a value is no sample.
        if write is with_pandas and math.isnan(row["value"]):
            continue
        pairs = {"host": row["host"] or "", "Zone": row["Zone"]}
        labels = tuple(sorted((name, value) for name, value in pairs.items() if value))
        ts = int(row["timestamp"].astimezone(datetime.UTC).timestamp() * 1000)
        found.setdefault(labels, {})[ts] = metrics.bits(row["value"])
    return found


def with_pyarrow(file: Path) -> None:
    pyarrow.parquet.write_table(
        table(), file, row_group_size=300, write_page_index=True, data_page_size=512, compression="gzip"
    )


def with_pyarrow_of_old(file: Path) -> None:
    """Without statistics or page index, with 96-bit timestamps, data pages of version 2."""
    pyarrow.parquet.write_table(
        table(), file, use_deprecated_int96_timestamps=True, write_statistics=False, data_page_version="2.0",
        use_dictionary=False, compression="brotli",
    )  # fmt: skip


def with_duckdb(file: Path) -> None:
    with duckdb.connect() as connection:
        connection.register("samples", table())
        connection.execute(f"COPY samples TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 300)")


def with_polars(file: Path) -> None:
    polars.from_arrow(table()).write_parquet(file, row_group_size=300, data_page_size=512)


def with_pandas(file: Path) -> None:
    table().to_pandas().to_parquet(file)


@pytest.mark.parametrize("write", [with_pyarrow, with_pyarrow_of_old, with_duckdb, with_polars, with_pandas])
def test_selectors(tmp_path: Path, write):
    file = tmp_path / "foreign.parquet"
    write(file)
    for selector, is_match in [
        ("{}", lambda l: True),
        ('{host="web-2"}', lambda l: l.get("host") == "web-2"),
        ('{host=~"web-.*",Zone!="us"}', lambda l: l.get("host", "").startswith("web-") and l["Zone"] != "us"),
        ('{host=""}', lambda l: "host" not in l),
        ('{host!~"db.*|"}', lambda l: l.get("host", "").startswith("web")),
        ('{absent=""}', lambda l: True),
        ('{absent="x"}', lambda l: False),
    ]:
        found = samples_of(Store.query_files(selector, file))
        assert_same(found, {labels: points for labels, points in expected(write).items() if is_match(dict(labels))})

    start, end = metrics.START_MS + 30_000, metrics.START_MS + 60_000
    bounds = ["--start", metrics.seconds_text(start), "--end", metrics.seconds_text(end)]
    clipped = {
        labels: kept
        for labels, points in expected(write).items()
        if (kept := {ts: value for ts, value in points.items() if start <= ts <= end})
    }
    assert_same(samples_of(Store.query_files("{}", file, arguments=bounds)), clipped)

    inspected = json.loads(Store.run_alone("inspect", file, "--json"))
    assert (inspected["origin"], inspected["rows"]) == ("foreign", 2000)


def backwards_with_pyarrow(ours: Path, file: Path) -> None:
    whole = pyarrow.parquet.ParquetFile(ours).read()
    pyarrow.parquet.write_table(whole.take(list(range(whole.num_rows))[::-1]), file)


def by_time_with_duckdb(ours: Path, file: Path) -> None:
    with duckdb.connect() as connection:
        sql = f"SELECT * FROM read_parquet('{ours}', hive_partitioning = false) ORDER BY \"timestamp\""
        connection.execute(f"COPY ({sql}) TO '{file}' (FORMAT parquet)")


def by_value_with_polars(ours: Path, file: Path) -> None:
    polars.read_parquet(ours).sort("value").write_parquet(file)


def by_time_with_pandas(ours: Path, file: Path) -> None:
    pandas.read_parquet(ours, partitioning=None).sort_values("timestamp").to_parquet(file)


REWRITES = [backwards_with_pyarrow, by_time_with_duckdb, by_value_with_polars, by_time_with_pandas]


def without_nan(samples: metrics.Samples) -> metrics.Samples:
    """What pandas leaves: it writes a NaN as null."""
    nan = metrics.bits(math.nan)
    kept = {labels: {ts: value for ts, value in points.items() if value != nan} for labels, points in samples.items()}
    return {labels: points for labels, points in kept.items() if points}


@pytest.mark.parametrize("rewrite", REWRITES)
def test_our_file_rewritten_by_other_tools(tmp_path: Path, empty: Store, rewrite):
    """They copy our metadata, or not, and put the rows into another order: the answer is the same."""
    families = [metrics.awkward_values(), metrics.colliding_names(metrics.random.Random(1))]
    empty.import_text(metrics.openmetrics(families))
    empty.flush()
    (ours,) = empty.cold_files()
    file = tmp_path / "again.parquet"
    rewrite(ours, file)
    selector, expected = "{}", metrics.samples(families)
    if rewrite is not backwards_with_pyarrow:
        # The others do not keep the fields' metadata: a label in a column of another name then has that name.
        selector, expected = '{__name__="awkward_value"}', metrics.samples([metrics.awkward_values()])
    if rewrite is by_time_with_pandas:
        expected = without_nan(expected)
    assert_same(samples_of(Store.query_files(selector, file)), expected)


def test_what_no_sample_can_hold_is_refused_with_its_place(tmp_path: Path):
    file = tmp_path / "foreign.parquet"
    times = pandas.to_datetime(["2026-01-01T00:00:00.0005Z"])
    pandas.DataFrame({"timestamp": times, "value": [1.0]}).to_parquet(file)
    assert "between two milliseconds" in Store.fails("query", "{}", "--file", file)
    pandas.DataFrame({"timestamp": [1], "value": ["x"]}).to_parquet(file)
    assert "column `value` has type" in Store.fails("query", "{}", "--file", file)
    pandas.DataFrame({"time": [1], "value": [1.0]}).to_parquet(file)
    assert "column `timestamp` is missing" in Store.fails("query", "{}", "--file", file)
