"""The same samples in every label layout, codec and encoding, and over a folder of files with different columns."""

import os
import subprocess
from pathlib import Path

import datafusion
import duckdb
import polars
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest

import metrics
from readers import READERS, Columns
from store import Store, assert_same, samples_of
from test_foreign import REWRITES, by_time_with_pandas, without_nan
from test_histograms import ROWS_WITH, assert_same_histograms, lines, text_of

SHAPES = ["columns-zstd", "map-snappy", "hybrid-lz4", "hybrid-none", "byte-stream-split", "compat"]


def families() -> list[metrics.Family]:
    rng = metrics.random.Random(20260102)
    return [
        metrics.awkward_values(),
        metrics.awkward_labels(rng),
        metrics.colliding_names(rng),
        metrics.unusual_times(),
    ]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the program writes."""
    program = os.environ.get("TSDB_LAYOUTS")
    if not program:
        raise RuntimeError("TSDB_LAYOUTS is not set: run the suite with `cargo xtask interop`")
    out = tmp_path_factory.mktemp("layouts")
    store = Store(out / "data")
    store.import_text(metrics.openmetrics(families()))
    store.import_text(text_of(lines()), "histograms.jsonl")
    subprocess.run([program, store.data_dir, out], check=True, timeout=300)
    return out


@pytest.fixture(scope="module")
def expected() -> metrics.Samples:
    """The floats; a series of histograms alone is none of theirs."""
    turns = (("__name__", "latency"), ("kind", "turns"))
    return {**metrics.samples(families()), turns: {ts: metrics.bits(1.5) for ts, _ in lines()[-1]["samples"]}}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reader", READERS)
def test_floats(layouts: Path, expected: metrics.Samples, shape: str, reader: str):
    assert_same(READERS[reader]([layouts / f"{shape}.parquet"]), expected)


# The others have `kind` in the map.
@pytest.mark.parametrize("shape", ["columns-zstd", "hybrid-none", "byte-stream-split"])
@pytest.mark.parametrize("rows_with", ROWS_WITH)
def test_histograms(layouts: Path, shape: str, rows_with):
    assert_same_histograms(rows_with, [layouts / f"{shape}.parquet"])


@pytest.mark.parametrize("shape", SHAPES)
def test_our_own_query(layouts: Path, expected: metrics.Samples, shape: str):
    printed = Store.query_files("{}", layouts / f"{shape}.parquet")
    assert_same({labels: points for labels, points in samples_of(printed).items() if points}, expected)
    assert [line for line in printed if line["labels"]["__name__"] == "latency"] == lines()


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_of_files_with_different_columns_is_one_table(
    layouts: Path, expected: metrics.Samples, reader: str
):
    files = sorted((layouts / "evolving").glob("*.parquet"))
    columns = [set(Columns([file]).names) for file in files]
    assert len(files) == 3 and columns[0] < columns[1] and "labels" in columns[1] and "labels" not in columns[2]
    assert_same(READERS[reader](files), expected)


def test_our_own_query_of_such_a_folder(layouts: Path, expected: metrics.Samples):
    printed = Store.query_files("{}", *sorted((layouts / "evolving").glob("*.parquet")))
    assert_same({labels: points for labels, points in samples_of(printed).items() if points}, expected)
    only = Store.query_files('{kind="turns"}', *sorted((layouts / "evolving").glob("*.parquet")))
    assert only == [lines()[-1]]


def test_a_label_that_was_promoted_later_in_sql(layouts: Path, expected: metrics.Samples):
    """As the format page says: in older files the label is in the map."""
    rows = sum(len(points) for labels, points in expected.items() if dict(labels).get("shift") == "3")
    where = "coalesce(shift, labels['shift']) = '3'"
    with duckdb.connect() as connection:
        table = f"read_parquet('{layouts}/evolving/*.parquet', union_by_name = true)"
        assert connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone() == (rows,)
    context = datafusion.SessionContext()
    context.register_parquet("samples", layouts / "evolving")
    # DataFusion's map gives a list of values for a key.
    where = "coalesce(shift, map_extract(labels, 'shift')[1]) = '3'"
    assert context.sql(f"SELECT count(*) AS n FROM samples WHERE {where}").to_pylist() == [{"n": rows}]


def as_a_list_with_polars(ours: Path, file: Path) -> None:
    """As Polars writes a map that it does not know for one."""
    labels = pyarrow.parquet.ParquetFile(ours).read()
    pairs = pyarrow.struct([("key", pyarrow.string()), ("value", pyarrow.string())])
    column = labels.schema.get_field_index("labels")
    as_list = pyarrow.array(labels["labels"].to_pylist(), pyarrow.map_(pyarrow.string(), pyarrow.string()))
    as_list = pyarrow.ListArray.from_arrays(
        as_list.offsets, pyarrow.StructArray.from_arrays([as_list.keys, as_list.items], fields=list(pairs))
    )
    polars.from_arrow(labels.set_column(column, "labels", as_list)).write_parquet(file)


@pytest.mark.parametrize("rewrite", [*REWRITES, as_a_list_with_polars])
def test_a_map_rewritten_by_other_tools(layouts: Path, expected: metrics.Samples, tmp_path: Path, rewrite):
    """A map comes back as a map, or as a list of pairs in one of two shapes; all names and histograms survive."""
    ours, file = layouts / "map-snappy.parquet", tmp_path / "again.parquet"
    if rewrite is by_time_with_pandas:
        # It makes doubles of the integers of histograms: only floats come through.
        ours = tmp_path / "floats.parquet"
        table = pyarrow.parquet.ParquetFile(layouts / "map-snappy.parquet").read()
        floats = table.filter(pyarrow.compute.is_null(table["histogram"])).drop_columns(["histogram"])
        pyarrow.parquet.write_table(floats, ours)
    rewrite(ours, file)
    printed = Store.query_files("{}", file)
    found = {labels: points for labels, points in samples_of(printed).items() if points}
    assert_same(found, without_nan(expected) if rewrite is by_time_with_pandas else expected)
    if rewrite is not by_time_with_pandas:
        assert [line for line in printed if line["labels"]["__name__"] == "latency"] == lines()
    selected = Store.query_files('{__name__="awkward_label",number="3"}', file)
    assert [line["labels"]["number"] for line in selected] == ["3"]
