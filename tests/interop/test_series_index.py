"""The series index, read by the program in `docs/format/` that was written from the format's page alone."""

import shutil
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
import xxhash

import metrics
from conftest import Filled
from readers import read_all, READERS
from store import Store, assert_same

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "format"))

import series_index
from series_index import Matcher, SeriesIndex

SERIES = 40_000


def request_line(number: int) -> str:
    mixed = number * 0x9E3779B97F4A7C15 % 2**64
    region = ["eu", "us"][number % 2]
    zone = f',zone="z{number % 7}"' if number % 3 else ""
    labels = f'path="/v1/{"x" * 90}/{mixed % 997}",region="{region}",request_id="{mixed:016x}",worker="w{mixed % 307:03}"{zone}'
    return f"request_ms{{{labels}}} {number % 100} 1767225600.{number % 1000:03}\n"


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with blocks of every kind: one label with a value for each series, one whose sets fill blocks."""
    store = Store(tmp_path_factory.mktemp("requests") / "data")
    lines = sorted(request_line(number) for number in range(SERIES))
    store.import_text("# TYPE request_ms gauge\n" + "".join(lines) + "# EOF\n")
    store.flush()
    (file,) = store.cold_files()
    return file


@pytest.fixture(scope="module")
def files(flushed: Filled, requests: Path) -> list[Path]:
    return [*flushed.store.cold_files(), requests]


def opened(path: Path) -> SeriesIndex:
    index = SeriesIndex.open(open(path, "rb"))
    assert index is not None, path
    return index


@pytest.fixture(scope="module")
def labels_of(requests: Path) -> list[dict[str, str]]:
    """The labels of each series of that file."""
    index = opened(requests)
    return [index.describe(ordinal).labels for ordinal in range(index.series)]


def test_labels_and_rows_are_those_of_the_columns(files: list[Path]):
    for path in files:
        index = opened(path)
        found: metrics.Samples = {}
        rows = pyarrow.parquet.read_table(path, columns=["timestamp", "value"])
        times, values = rows["timestamp"].cast("int64").to_pylist(), rows["value"].to_pylist()
        next_row = 0
        for ordinal in range(index.series):
            series = index.describe(ordinal)
            assert series.first_row == next_row
            next_row += series.rows
            of_series = slice(series.first_row, next_row)
            assert (min(times[of_series]), max(times[of_series])) == (series.start_ms, series.end_ms)
            pairs = zip(times[of_series], values[of_series])
            found[tuple(sorted(series.labels.items()))] = {ts: metrics.bits(value) for ts, value in pairs}
        assert next_row == len(times)
        assert_same(found, read_all(READERS["pyarrow"], [path]))


@pytest.mark.parametrize(
    "matchers",
    [
        [],
        ["region=eu"],
        ["region!=eu"],
        ["zone=z3", "region=us"],
        ["zone="],
        ["zone!="],
        ["zone=~z[12]|"],
        ["zone!~z[12]"],
        ["request_id=~00.*"],
        ["request_id=~.*ff"],
        ["request_id=0000000000000000", "region=eu"],
        ["path=~.*/9.*", "zone!=z5"],
        ["worker=~w1.*", "region=eu"],
        ["worker!=w007"],
        ["nothing="],
        ["nothing=~.+"],
    ],
)
def test_matchers_select_what_the_labels_say(requests: Path, labels_of: list[dict], matchers: list[str]):
    index = opened(requests)
    parsed = [Matcher.parse(matcher) for matcher in matchers]

    def satisfies(labels: dict[str, str]) -> bool:
        return all(matcher.test(labels.get(matcher.name, "")) for matcher in parsed)

    assert index.select(parsed) == [ordinal for ordinal, labels in enumerate(labels_of) if satisfies(labels)]


def test_the_file_has_blocks_of_every_kind(requests: Path):
    index = opened(requests)
    assert index.series == SERIES and index.own_blocks > 3 and index.shared_blocks > 0
    assert len(index.labels["request_id"].own) > 1 and not index.labels["request_id"].has_texts
    assert index.labels["worker"].own and index.labels["worker"].has_texts
    assert index.labels["region"].values == 2 and index.labels["zone"].series < SERIES


def test_the_label_bloom_has_every_pair_and_few_others(requests: Path, labels_of: list[dict]):
    bloom = opened(requests).label_bloom()
    assert not bloom.left_out
    assert all(bloom.may_have(name, value) for labels in labels_of for name, value in labels.items())
    others = [("request_id", f"none-{i}") for i in range(5_000)] + [("none", str(i)) for i in range(5_000)]
    # 4 in 1,000 are expected.
    assert sum(bloom.may_have(*pair) for pair in others) < 100


def test_pages_match_their_checksums(files: list[Path]):
    for path in files:
        index, content = opened(path), path.read_bytes()
        metadata = pyarrow.parquet.read_metadata(path)
        for group in range(index.row_groups):
            table = index.page_table(group)
            assert table.rows == metadata.row_group(group).num_rows
            for number, pages in enumerate(table.columns):
                chunk = metadata.row_group(group).column(number)
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                for page in pages:
                    assert page.offset == start
                    start += page.length
                    assert xxhash.xxh3_64_intdigest(content[page.offset : start]) == page.hash
                assert start == (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size


def test_the_program_prints_series_and_samples(requests: Path, capsys: pytest.CaptureFixture, monkeypatch):
    labels = next(iter(read_all(READERS["pyarrow"], [requests]).items()))
    request_id = dict(labels[0])["request_id"]
    monkeypatch.setattr(sys, "argv", ["series_index.py", str(requests), f"request_id={request_id}", "--samples"])
    assert series_index.main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert request_id in printed[0] and [line.split("\t")[1] for line in printed[1:]] == [str(ts) for ts in labels[1]]


def test_a_copy_by_another_tool_has_no_index(requests: Path, tmp_path: Path):
    copy = tmp_path / "copy.parquet"
    table = pyarrow.parquet.read_table(requests)
    # With the pointer in its metadata, as tools do that keep what they do not know.
    metadata = pyarrow.parquet.read_metadata(requests).metadata
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), series_index.KEY: metadata[series_index.KEY]})
    pyarrow.parquet.write_table(table, copy)
    assert SeriesIndex.open(open(copy, "rb")) is None
    (found,) = Store.query_files('{request_id=~"00.*",region="eu"}', copy)[:1]
    assert found["labels"]["region"] == "eu"


def test_damage_is_seen(requests: Path, tmp_path: Path):
    damaged = tmp_path / "damaged.parquet"
    shutil.copy(requests, damaged)
    index = opened(requests)
    block = index.blocks[index.labels["worker"].own[0].block]
    with open(damaged, "r+b") as file:
        file.seek(block.offset + block.stored_length // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(series_index.Damaged):
        opened(damaged).select([Matcher.parse("worker=w000")])
    message = Store.fails("query", '{worker="w000"}', "--file", damaged)
    assert "series index" in message and str(damaged) in message
