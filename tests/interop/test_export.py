"""`tsdb export`: the answer of a query as a table, from both tiers at once, read by other tools bit for bit."""

import io
import json
from pathlib import Path

import polars
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest

import metrics
from conftest import Filled
from readers import READERS, Columns, collect_arrow
from store import Store, assert_same, samples_of
from test_histograms import comparable, expected_rows, lines, rows_of_arrow, rows_with_duckdb, text_of


@pytest.fixture(scope="module")
def two_tiers(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Half of the samples in Parquet, half of them not, interleaved in time."""
    families = metrics.mixed()
    store = Store(tmp_path_factory.mktemp("two-tiers") / "data")
    store.import_text(metrics.openmetrics(families, lambda index: index % 2 == 0))
    store.flush()
    store.import_text(metrics.openmetrics(families, lambda index: index % 2 == 1))
    return Filled(store, metrics.samples(families))


# A column for each label; columns for two, and a map; a map alone, which no option asks for but a label that no series has.
COLUMNS = {"all": [], "some": ["--columns", "__name__,job"], "map": ["--columns", "no_such_label"]}


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("reader", READERS)
def test_parquet(two_tiers: Filled, tmp_path: Path, reader: str, columns: str):
    file = tmp_path / "all.parquet"
    summary = json.loads(two_tiers.store.run("export", "{}", "--json", "-o", file, *COLUMNS[columns]))
    assert summary["samples"] == sum(map(len, two_tiers.expected.values()))
    assert_same(READERS[reader]([file]), two_tiers.expected)


def test_a_selector_and_times_bound_it(two_tiers: Filled, tmp_path: Path):
    start, end = metrics.START_MS + 60_000, metrics.START_MS + 2_400_000
    bounds = ["--start", metrics.seconds_text(start), "--end", metrics.seconds_text(end)]
    file = tmp_path / "api.parquet"
    two_tiers.store.run("export", '{job="api"}', *bounds, "-o", file, "--no-histograms")
    expected = {}
    for labels, points in two_tiers.expected.items():
        kept = {ts: value for ts, value in points.items() if start <= ts <= end}
        if kept and dict(labels).get("job") == "api":
            expected[labels] = kept
    assert "histogram" not in pyarrow.parquet.read_schema(file).names
    assert_same(READERS["duckdb"]([file]), expected)


def test_arrow_stream(two_tiers: Filled, tmp_path: Path):
    file = tmp_path / "all.parquet"
    two_tiers.store.run("export", "{}", "-o", file, "--no-histograms")
    columns = Columns([file])
    stream = two_tiers.store.run("export", "{}", "-o", "-", "--no-histograms")
    table = pyarrow.ipc.open_stream(stream).read_all()
    assert table.schema.names == columns.names
    assert_same(collect_arrow(columns, table), two_tiers.expected)
    frame = polars.read_ipc_stream(io.BytesIO(stream))
    by_polars = frame.select(polars.col(polars.Categorical).cast(polars.String), polars.exclude(polars.Categorical))
    assert_same(collect_arrow(columns, by_polars.to_arrow()), two_tiers.expected)


def test_our_query_reads_it_back(two_tiers: Filled, tmp_path: Path):
    file = tmp_path / "all.parquet"
    two_tiers.store.run("export", "{}", "-o", file)
    assert_same(samples_of(Store.query_files("{}", file)), two_tiers.expected)


def test_histograms(empty: Store, tmp_path: Path):
    empty.import_text(text_of(lines()), "histograms.jsonl")
    file = tmp_path / "latency.parquet"
    empty.run("export", "latency", "-o", file)
    expected = expected_rows()
    stream = pyarrow.ipc.open_stream(empty.run("export", "latency", "-o", "-")).read_all()
    by_arrow = rows_of_arrow(stream)
    for rows in (rows_with_duckdb(file), rows_of_arrow(pyarrow.parquet.read_table(file)), by_arrow):
        found = {(kind, ts): comparable(struct) for kind, ts, struct in rows}
        assert len(rows) == len(found)
        assert found == expected
    assert Store.query_files("latency", file) == empty.query_lines("latency")
