"""Data on both sides of the flush, the two interleaved in time, with a restart between any two steps."""

import metrics
from readers import READERS, read_all
from store import Store, assert_same


def test_unflushed_data_survives_a_restart(empty: Store):
    families = metrics.mixed()
    summary = empty.import_text(metrics.openmetrics(families))
    expected = metrics.samples(families)
    assert summary["samples"] == sum(map(len, expected.values()))
    assert empty.cold_files() == []
    assert_same(empty.query(), expected)


def test_halves_interleaved_in_time(empty: Store):
    families = metrics.mixed()
    expected = metrics.samples(families)

    def is_even(index: int) -> bool:
        return index % 2 == 0

    empty.import_text(metrics.openmetrics(families, is_even))
    empty.flush()
    empty.import_text(metrics.openmetrics(families, lambda index: not is_even(index)))

    assert_same(empty.query(), expected)
    status = empty.status()
    in_parquet = sum(map(len, metrics.samples(families, is_even).values()))
    assert status["cold"]["samples"] == in_parquet
    assert status["head"]["samples"] + status["blocks"]["samples"] == sum(map(len, expected.values())) - in_parquet
    assert_same(read_all(READERS["pyarrow"], empty.cold_files()), metrics.samples(families, is_even))

    empty.flush()
    assert_same(empty.query(), expected)
    for reader in READERS.values():
        assert_same(read_all(reader, empty.cold_files()), expected)


def test_the_last_write_wins_across_tiers(empty: Store):
    text = "m{{a=\"x\"}} {} 1767310200\n# EOF\n"
    empty.import_text("# TYPE m gauge\n" + text.format("1"))
    empty.flush()
    empty.import_text("# TYPE m gauge\n" + text.format("2"))
    expected = {(("__name__", "m"), ("a", "x")): {1_767_310_200_000: metrics.bits(2.0)}}
    assert_same(empty.query(), expected)
    empty.flush()
    assert_same(empty.query(), expected)


def test_the_same_data_twice_is_the_same_data(empty: Store):
    families = [metrics.awkward_values()]
    for _ in range(2):
        empty.import_text(metrics.openmetrics(families))
        empty.flush()
    assert_same(empty.query(), metrics.samples(families))


def test_prometheus_text_in_milliseconds(empty: Store):
    families = [metrics.awkward_values(), metrics.unusual_times()]
    # Said outright: the first timestamp lies so near to 1970 that it could be seconds.
    empty.import_text(metrics.prometheus(families), "metrics.prom", "--format", "prometheus")
    assert_same(empty.query(), metrics.samples(families))


def test_standard_input(empty: Store):
    families = [metrics.awkward_values()]
    empty.run("import", "-", stdin=metrics.openmetrics(families).encode())
    assert_same(empty.query(), metrics.samples(families))


def test_what_query_prints_can_be_imported(empty: Store, tmp_path_factory):
    families = [metrics.awkward_values(), metrics.unusual_times()]
    empty.import_text(metrics.openmetrics(families))
    printed = empty.run("query", "{}", "--format", "jsonl").decode()
    copy = Store(tmp_path_factory.mktemp("copy") / "data")
    copy.import_text(printed, "metrics.jsonl")
    assert_same(copy.query(), metrics.samples(families))
