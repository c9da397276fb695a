"""Five ways to read a store's Parquet files, none of which knows anything of `tsdb`.

Each reader is a function from files, taken as one table, to its float samples. What a column means is taken from the
format page: `timestamp`, `value`, `histogram` and `labels` are the table's own, every other column is a label. A label
whose name would clash is in a column of another name, and the field's metadata holds the true one; only Arrow-based
readers see metadata, so the mapping is made once and handed to all of them.

Files of one store differ in their columns. How each tool is told to take that is part of what is tested here.
"""

import os
from pathlib import Path
from typing import Callable, Iterable

import datafusion
import duckdb
import numpy
import pandas
import polars
import pyarrow
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet

from metrics import Labels, Samples

OWN_COLUMNS = {"timestamp", "value", "histogram", "labels"}


class Columns:
    """Which columns of the files hold labels, and of which names."""

    def __init__(self, files: list[Path]):
        self.schema = pyarrow.unify_schemas([pyarrow.parquet.read_schema(file) for file in files])
        self.names = self.schema.names
        self.label_of = {
            field.name: (field.metadata or {}).get(b"tsdb.label", field.name.encode()).decode()
            for field in self.schema
            if field.name not in OWN_COLUMNS
        }
        self.has_map = "labels" in self.names

    def label_columns(self) -> list[str]:
        return list(self.label_of)


def with_duckdb(files: list[Path]) -> Samples:
    columns = Columns(files)
    quoted = [f'"{column}"' for column in columns.label_columns()]
    chosen = ['epoch_ms("timestamp") AS ts', '"value"', *quoted, *(['"labels"'] if columns.has_map else [])]
    sql = f"SELECT {', '.join(chosen)} FROM read_parquet(?, union_by_name = true, hive_partitioning = false)"
    if "histogram" in columns.names:
        sql += " WHERE histogram IS NULL"
    with duckdb.connect() as connection:
        rows = connection.execute(sql, [[str(file) for file in files]]).fetchall()
    values = numpy.array([row[1] for row in rows], dtype="float64")
    maps = [row[-1] for row in rows] if columns.has_map else None
    by_column = {name: [row[2 + i] for row in rows] for i, name in enumerate(columns.label_columns())}
    return collect(columns, [row[0] for row in rows], values, by_column, maps)


def with_datafusion(files: list[Path]) -> Samples:
    columns = Columns(files)
    table = datafusion_table(files)
    if "histogram" in columns.names:
        table = table.filter(datafusion.col("histogram").is_null())
    return collect_arrow(columns, table.to_arrow_table())


def datafusion_table(files: list[Path]) -> datafusion.DataFrame:
    """One file, or the folder of several: DataFusion unites the columns of a folder's files by itself."""
    return datafusion.SessionContext().read_parquet(os.path.commonpath(files))


def with_pyarrow(files: list[Path]) -> Samples:
    columns = Columns(files)
    table = pyarrow.dataset.dataset([str(file) for file in files], schema=columns.schema).to_table()
    if "histogram" in columns.names:
        table = table.filter(pyarrow.compute.is_null(table["histogram"]))
    return collect_arrow(columns, table)


def with_pandas(files: list[Path]) -> Samples:
    columns = Columns(files)
    # Without partitioning: pandas would add the column of a path with `day=`.
    frame = pandas.read_parquet([str(file) for file in files], schema=columns.schema, partitioning=None)
    if "histogram" in columns.names:
        frame = frame[frame["histogram"].isna()]
    assert str(frame["timestamp"].dtype) == "datetime64[ms, UTC]"
    times = frame["timestamp"].astype("int64").tolist()
    by_column = {
        name: [None if pandas.isna(value) else value for value in frame[name]] for name in columns.label_columns()
    }
    maps = frame["labels"].tolist() if columns.has_map else None
    return collect(columns, times, frame["value"].to_numpy(), by_column, maps)


def with_polars(files: list[Path]) -> Samples:
    columns = Columns(files)
    each = [polars.scan_parquet(file, hive_partitioning=False) for file in files]
    frame = polars.concat(each, how="diagonal").collect()
    if "histogram" in columns.names:
        frame = frame.filter(polars.col("histogram").is_null())
    assert frame.schema["timestamp"] == polars.Datetime("ms", "UTC")
    assert frame["value"].null_count() == 0
    by_column = {name: frame[name].cast(polars.String).to_list() for name in columns.label_columns()}
    maps = frame["labels"].to_list() if columns.has_map else None
    return collect(columns, frame["timestamp"].cast(polars.Int64).to_list(), frame["value"].to_numpy(), by_column, maps)


Reader = Callable[[list[Path]], Samples]

READERS: dict[str, Reader] = {
    "datafusion": with_datafusion,
    "duckdb": with_duckdb,
    "pandas": with_pandas,
    "polars": with_polars,
    "pyarrow": with_pyarrow,
}


def read_all(reader: Reader, files: Iterable[Path]) -> Samples:
    """The samples of all files, each read alone. A sample may lie in one file only."""
    found: Samples = {}
    for file in files:
        for labels, points in reader([file]).items():
            series = found.setdefault(labels, {})
            assert not series.keys() & points.keys(), f"{labels} has a timestamp in two files"
            series.update(points)
    return found


def collect_arrow(columns: Columns, table: pyarrow.Table) -> Samples:
    assert table["timestamp"].type == pyarrow.timestamp("ms", tz="UTC")
    assert table["value"].null_count == 0
    times = table["timestamp"].cast(pyarrow.int64()).to_pylist()
    by_column = {name: table[name].to_pylist() for name in columns.label_columns()}
    maps = table["labels"].to_pylist() if columns.has_map else None
    return collect(columns, times, table["value"].to_numpy(), by_column, maps)


def collect(columns: Columns, times: list[int], values: numpy.ndarray, by_column: dict, maps: list | None) -> Samples:
    """Rows to samples. `maps` holds each row's map as a dictionary, a list of pairs, or a list of structs."""
    names = [columns.label_of[column] for column in by_column]
    found: Samples = {}
    all_bits = numpy.ascontiguousarray(values, dtype="float64").view("uint64").tolist()
    row_labels = zip(*by_column.values(), strict=True) if by_column else ([] for _ in times)
    for row, (ts, value_bits, cells) in enumerate(zip(times, all_bits, row_labels, strict=True)):
        pairs = [(name, cell) for name, cell in zip(names, cells, strict=True) if cell is not None]
        if maps is not None and maps[row] is not None:
            pairs.extend(map_pairs(maps[row]))
        labels: Labels = tuple(sorted(pairs))
        points = found.setdefault(labels, {})
        assert ts not in points, f"{labels} has two rows at {ts}"
        points[ts] = value_bits
    return found


def map_pairs(value) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return list(value.items())
    return [(pair["key"], pair["value"]) if isinstance(pair, dict) else (pair[0], pair[1]) for pair in value]
