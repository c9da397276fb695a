"""What DuckDB takes to sum everything in cold files by a label and by minute: median milliseconds, as JSON on standard output.

    python aggregate.py FILES LABEL

FILES is a pattern. Metadata of files is kept between queries. With as many threads as DuckDB likes, and with one.
"""

import json
import statistics
import sys
import time

import duckdb

ROUNDS = 11


def main(files: str, label: str) -> dict[str, float]:
    connection = duckdb.connect()
    connection.execute("SET enable_object_cache = true")
    sql = f"""
        SELECT "{label}", epoch_ms("timestamp") // 60000 AS minute, sum("value")
        FROM read_parquet(?) GROUP BY ALL
    """

    def measured() -> tuple[float, float]:
        wall, cpu = [], []
        for _ in range(ROUNDS):
            started, started_cpu = time.perf_counter(), time.process_time()
            rows = connection.execute(sql, [files]).fetchnumpy()
            wall.append(1e3 * (time.perf_counter() - started))
            cpu.append(1e3 * (time.process_time() - started_cpu))
            assert len(rows["minute"]) > 0
        return statistics.median(wall), statistics.median(cpu)

    measured()
    wall, cpu = measured()
    connection.execute("SET threads = 1")
    one_wall, one_cpu = measured()
    return {"wall_ms": wall, "cpu_ms": cpu, "one_thread_wall_ms": one_wall, "one_thread_cpu_ms": one_cpu}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2])))
