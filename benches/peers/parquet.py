"""What pyarrow and DuckDB take for the rows of a cold file: median CPU seconds, as JSON on standard output.

    python parquet.py FILE LABELS

LABELS is a JSON object: the labels of one series in the file. CPU time of the whole process, one thread each;
pyarrow writes with the settings that our writer has.
"""

import json
import statistics
import sys
import time

import duckdb
import pyarrow
import pyarrow.parquet

ROUNDS = 9
OUR_ROWS_PER_PAGE = 4096


def cpu_seconds(work) -> float:
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main(file: str, labels: dict[str, str]) -> dict[str, float]:
    pyarrow.set_cpu_count(1)
    table = pyarrow.parquet.read_table(file, use_threads=False)
    sizes = {}

    def write(rows_per_page: int | None):
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(
            table,
            sink,
            row_group_size=524_288,
            compression="zstd",
            compression_level=3,
            use_dictionary=[name for name in table.column_names if name != "timestamp"],
            column_encoding={"timestamp": "DELTA_BINARY_PACKED"},
            max_rows_per_page=rows_per_page,
            write_page_index=True,
        )
        sizes[rows_per_page] = sink.getvalue().size

    def read():
        pyarrow.parquet.read_table(file, use_threads=False)

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    where = " AND ".join(f'"{name}" = ?' for name in labels)
    one = f'SELECT "timestamp", "value" FROM read_parquet(?) WHERE {where}'

    return {
        "pyarrow_write_s": cpu_seconds(lambda: write(OUR_ROWS_PER_PAGE)),
        "pyarrow_own_pages_write_s": cpu_seconds(lambda: write(None)),
        "pyarrow_bytes": sizes[OUR_ROWS_PER_PAGE],
        "pyarrow_read_s": cpu_seconds(read),
        "duckdb_sum_s": cpu_seconds(lambda: connection.execute("SELECT sum(value) FROM read_parquet(?)", [file]).fetchall()),
        "duckdb_one_s": cpu_seconds(lambda: connection.execute(one, [file, *labels.values()]).fetchall()),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))))
