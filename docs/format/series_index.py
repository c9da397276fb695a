#!/usr/bin/env python3
"""Reads the series index of a cold file, knowing nothing but `series-index.md` beside it.

    python series_index.py FILE [MATCHER ...] [--start MS] [--end MS] [--samples]

A matcher is `name=value`, `name!=value`, `name=~pattern` or `name!~pattern`. Lists the series that satisfy all of them,
each with its rows; with `--samples` also what is in these rows. Needs the packages `pyarrow` (for the file's metadata,
ZSTD and the samples) and `xxhash`.

This is for reading along with the page: it asks the blocks one by one, keeps all of them, and tests a pattern on every
value, in Python's dialect.
"""

import argparse
import re
import struct
import sys
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Callable, Iterator

import pyarrow
import pyarrow.parquet
import xxhash

KEY = b"tsdb.series_index"
SERIES_PER_BLOCK = 1024


class Damaged(Exception):
    """The file is ours, but its bytes are not what was written."""


class Cursor:
    """Reads numbers from raw bytes, one after another."""

    def __init__(self, raw: bytes):
        self.raw = raw
        self.at = 0

    def take(self, length: int) -> bytes:
        if self.at + length > len(self.raw):
            raise Damaged(f"{length} bytes wanted at {self.at} of {len(self.raw)}")
        self.at += length
        return self.raw[self.at - length : self.at]

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def string(self) -> bytes:
        return self.take(self.varint())

    def column(self, length: int) -> list[int]:
        minimum, width = self.varint(), self.take(1)[0]
        numbers = [minimum] * length
        for plane in range(width):
            for i, byte in enumerate(self.take(length)):
                numbers[i] += byte << (8 * plane)
        return [number & 0xFFFF_FFFF_FFFF_FFFF for number in numbers]

    def at_end(self) -> bool:
        return self.at == len(self.raw)


def decompress(frame: bytes, raw_length: int) -> bytes:
    return pyarrow.Codec("zstd").decompress(frame, raw_length, asbytes=True)


def content_length(frame: bytes) -> int:
    """What a ZSTD frame states about the length of its content (RFC 8878, 3.1.1.1)."""
    descriptor = frame[4]
    single_segment = descriptor >> 5 & 1
    dictionary_bytes = (0, 1, 2, 4)[descriptor & 3]
    length_bytes = (single_segment, 2, 4, 8)[descriptor >> 6]
    at = 5 + (1 - single_segment) + dictionary_bytes
    length = int.from_bytes(frame[at : at + length_bytes], "little")
    return length + 256 if length_bytes == 2 else length


@dataclass
class Block:
    """Where a block lies in the file."""

    offset: int
    stored_length: int
    raw_length: int
    hash: int


@dataclass
class Own:
    """A value block of one label."""

    block: int
    first_value: int
    separator: bytes


@dataclass
class Label:
    number: int
    name: str
    values: int
    series: int
    shared: int | None
    has_texts: bool = False
    own: list[Own] = field(default_factory=list)


@dataclass
class Series:
    """A series of the file."""

    ordinal: int
    labels: dict[str, str]
    first_row: int
    rows: int
    start_ms: int
    end_ms: int
    has_floats: bool
    has_histograms: bool


class SeriesIndex:
    """The index of an open file; `None` from `open` where there is none."""

    @classmethod
    def open(cls, file) -> "SeriesIndex | None":
        value = (pyarrow.parquet.read_metadata(file).metadata or {}).get(KEY)
        if value is None:
            return None
        fields = value.decode().split(" ")
        version, offset, length, directory_length = (int(number) for number in fields[:4])
        if version != 1:
            raise Damaged(f"version {version} of the series index")
        file.seek(offset + length - directory_length)
        directory = file.read(directory_length)
        if xxhash.xxh3_64_intdigest(directory) != int(fields[4], 16):
            file.seek(offset)
            if file.read(4) == b"TSIX":
                raise Damaged("the directory of the series index has another checksum")
            return None  # Another tool has copied the metadata.
        return cls(file, offset, directory)

    def __init__(self, file, offset: int, directory: bytes):
        self.file = file
        self.decoded: dict[int, object] = {}
        cursor = Cursor(decompress(directory, content_length(directory)))
        self.series = cursor.varint()
        self.start_ms = cursor.zigzag()
        self.end_ms = self.start_ms + cursor.varint()
        self.own_blocks, self.shared_blocks, self.row_groups, labels = (cursor.varint() for _ in range(4))
        series_blocks = -(-self.series // SERIES_PER_BLOCK)
        self.label_bloom_block = self.own_blocks
        self.first_series = self.own_blocks + 1
        self.first_shared = self.first_series + series_blocks
        self.labels: dict[str, Label] = {}
        next_own = 0
        for number in range(labels):
            label = Label(number, cursor.string().decode(), cursor.varint(), cursor.varint(), None)
            shared = cursor.varint()
            label.shared = self.first_shared + shared - 1 if shared else None
            first_value = 1
            own_blocks, label.has_texts = cursor.varint(), cursor.take(1) == b"\1"
            for _ in range(own_blocks):
                values = cursor.varint()
                label.own.append(Own(next_own, first_value, cursor.string()))
                first_value += values
                next_own += 1
            self.labels[label.name] = label
        self.label_names = list(self.labels)
        self.series_rows = starts(cursor.column(series_blocks))
        self.row_group_rows = starts(cursor.column(self.row_groups))
        blocks = self.first_shared + self.shared_blocks + self.row_groups
        stored, raw = cursor.column(blocks), cursor.column(blocks)
        self.blocks = []
        offset += 8
        for stored_length, raw_length in zip(stored, raw):
            self.blocks.append(Block(offset, stored_length, raw_length, cursor.u64()))
            offset += stored_length

    def read(self, number: int) -> Cursor:
        """The raw bytes of a block."""
        block = self.blocks[number]
        self.file.seek(block.offset)
        stored = self.file.read(block.stored_length)
        if xxhash.xxh3_64_intdigest(stored) != block.hash:
            raise Damaged(f"block {number} at byte {block.offset} has another checksum")
        return Cursor(decompress(stored, block.raw_length))

    def decode(self, number: int, decoder: Callable[[Cursor], object]):
        if number not in self.decoded:
            self.decoded[number] = decoder(self.read(number))
        return self.decoded[number]

    def sections(self, block: int) -> dict[int, "Section"]:
        """The sections of a value block by label number."""

        def decoder(cursor: Cursor):
            sections = {}
            while not cursor.at_end():
                label = cursor.varint()
                sections[label] = Section(cursor)
            return sections

        return self.decode(block, decoder)

    # Selecting.

    def select(self, matchers: list["Matcher"]) -> list[int]:
        """The ordinals of the series that satisfy all matchers."""
        selected = set(range(self.series))
        for matcher in matchers:
            selected &= self.satisfying(matcher)
        return sorted(selected)

    def satisfying(self, matcher: "Matcher") -> set[int]:
        label = self.labels.get(matcher.name)
        everything = set(range(self.series))
        if label is None:
            return everything if matcher.test("") else set()
        if matcher.operator == "=" and matcher.value:
            return self.with_value(label, matcher.value.encode())
        if matcher.operator == "!=" and matcher.value:
            return everything - self.with_value(label, matcher.value.encode())
        satisfying = set() if not matcher.test("") else everything - self.having(label)
        for section in self.sections_of(label):
            for i, value in enumerate(section.values):
                if matcher.test(value.decode()):
                    satisfying |= section.ordinals(i)
        return satisfying

    def with_value(self, label: Label, value: bytes) -> set[int]:
        """The series with one value, from one block."""
        if label.own:
            separators = [own.separator for own in label.own]
            block = label.own[max(bisect_right(separators, value) - 1, 0)].block
        else:
            block = label.shared
        section = self.sections(block)[label.number]
        return section.ordinals(section.values.index(value)) if value in section.values else set()

    def having(self, label: Label) -> set[int]:
        """The series that have a label."""
        if label.series == self.series:
            return set(range(self.series))
        if label.own:
            return self.sections(label.shared)[label.number].ordinals(0)
        section = self.sections(label.shared)[label.number]
        return set().union(*(section.ordinals(i) for i in range(len(section.values))))

    def sections_of(self, label: Label) -> Iterator["Section"]:
        """All values of a label."""
        for block in [own.block for own in label.own] or [label.shared]:
            yield self.sections(block)[label.number]

    # What is known of series.

    def describe(self, ordinal: int) -> Series:
        block, row = divmod(ordinal, SERIES_PER_BLOCK)
        columns = self.decode(self.first_series + block, SeriesColumns)
        labels = {}
        for label, numbers in columns.labels:
            if numbers[row] > 0:
                name = self.label_names[label]
                labels[name] = self.value(self.labels[name], numbers[row])
        start_ms = self.start_ms + columns.first[row]
        return Series(
            ordinal,
            labels,
            self.series_rows[block] + sum(columns.rows[:row]),
            columns.rows[row],
            start_ms,
            start_ms + columns.span[row],
            bool(columns.kinds[row] & 1),
            bool(columns.kinds[row] & 2),
        )

    def value(self, label: Label, number: int) -> str:
        if label.own and not label.has_texts:
            own = label.own[bisect_right([own.first_value for own in label.own], number) - 1]
            block = own.block
        else:
            block = label.shared
        section = self.sections(block)[label.number]
        return section.values[number - section.first_value].decode()

    def label_bloom(self) -> "LabelBloom":
        return self.decode(self.label_bloom_block, LabelBloom)

    def page_table(self, row_group: int) -> "PageTable":
        return self.decode(self.first_shared + self.shared_blocks + row_group, PageTable)


class Section:
    """The values of one label in a value block, with the series that have them."""

    def __init__(self, cursor: Cursor):
        self.first_value, entries = cursor.varint(), cursor.varint()
        shared, own, tails = (cursor.column(entries) for _ in range(3))
        self.values: list[bytes] = []
        value = b""
        for shared_length, own_length in zip(shared, own):
            value = value[:shared_length] + cursor.take(own_length)
            self.values.append(value)
        self.first = cursor.column(entries)
        self.tails = [cursor.take(length) for length in tails]

    def ordinals(self, entry: int) -> set[int]:
        first, tail = self.first[entry], self.tails[entry]
        if not tail:
            return {first}
        if tail[0] == 1:
            return set(roaring(tail[1:]))
        cursor, ordinals = Cursor(tail[1:]), set()
        while True:
            end = first + cursor.varint() + 1
            ordinals.update(range(first, end))
            if cursor.at_end():
                return ordinals
            first = end + cursor.varint() + 1


class LabelBloom:
    """Which pairs of label and value there are, about."""

    SALT = (0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31)

    def __init__(self, cursor: Cursor):
        version = int.from_bytes(cursor.take(4), "little")
        if version != 1:
            raise Damaged(f"version {version} of the label bloom")
        self.left_out = {cursor.string().decode() for _ in range(cursor.varint())}
        self.filter = cursor.take(len(cursor.raw) - cursor.at)

    def may_have(self, name: str, value: str) -> bool:
        """False is right, True mostly."""
        if name in self.left_out:
            return True
        seed = xxhash.xxh3_64_intdigest(name.encode())
        high, low = divmod(xxhash.xxh3_64_intdigest(value.encode(), seed), 1 << 32)
        block = high * (len(self.filter) // 32) >> 32
        words = struct.unpack_from("<8I", self.filter, 32 * block)
        return all(word >> ((low * salt & 0xFFFF_FFFF) >> 27) & 1 for word, salt in zip(words, self.SALT))


class SeriesColumns:
    """A series block."""

    def __init__(self, cursor: Cursor):
        series, labels = cursor.varint(), cursor.varint()
        self.rows, self.first, self.span, self.kinds = (cursor.column(series) for _ in range(4))
        self.labels = [(cursor.varint(), cursor.column(series)) for _ in range(labels)]


@dataclass
class Page:
    offset: int
    length: int
    first_row: int | None  # None for a dictionary page.
    hash: int = 0


class PageTable:
    """The pages of a row group, by leaf column."""

    def __init__(self, cursor: Cursor):
        self.rows = cursor.varint()
        self.columns: list[list[Page]] = []
        end = 0
        for _ in range(cursor.varint()):
            pages, dictionary, row = [], None, 0
            data_pages, dictionary = cursor.varint(), cursor.take(1)[0]
            for number in range(dictionary + data_pages):
                offset, length = end + cursor.zigzag(), cursor.varint()
                end = offset + length
                is_data = number >= dictionary
                pages.append(Page(offset, length, row if is_data else None))
                row += cursor.varint() if is_data else 0
            self.columns.append(pages)
        for page in (page for pages in self.columns for page in pages):
            page.hash = cursor.u64()


def starts(lengths: list[int]) -> list[int]:
    """The running sums, from 0 on."""
    sums = [0]
    for length in lengths:
        sums.append(sums[-1] + length)
    return sums


def roaring(data: bytes) -> Iterator[int]:
    """The numbers of a 32-bit Roaring bitmap in the portable format."""
    (cookie,) = struct.unpack_from("<I", data)
    if cookie & 0xFFFF == 12347:
        containers, at = (cookie >> 16) + 1, 4 + ((cookie >> 16) + 8) // 8
        is_run = [data[4 + i // 8] >> (i % 8) & 1 for i in range(containers)]
    else:
        (containers,), at = struct.unpack_from("<I", data, 4), 8
        is_run = [0] * containers
    heads = [struct.unpack_from("<HH", data, at + 4 * i) for i in range(containers)]
    at += 4 * containers
    if not any(is_run) or containers >= 4:
        at += 4 * containers  # The containers' offsets, which a reader of all does not need.
    for run, (key, cardinality) in zip(is_run, heads):
        high = key << 16
        if run:
            (runs,) = struct.unpack_from("<H", data, at)
            for start, length in struct.iter_unpack("<HH", data[at + 2 : at + 2 + 4 * runs]):
                yield from range(high + start, high + start + length + 1)
            at += 2 + 4 * runs
        elif cardinality + 1 <= 4096:
            yield from (high + low for (low,) in struct.iter_unpack("<H", data[at : at + 2 * (cardinality + 1)]))
            at += 2 * (cardinality + 1)
        else:
            words = data[at : at + 8192]
            yield from (high + low for low in range(65536) if words[low // 8] >> (low % 8) & 1)
            at += 8192


@dataclass
class Matcher:
    """A missing label has the empty value."""

    name: str
    operator: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Matcher":
        parts = re.fullmatch(r"(.+?)(=~|!~|!=|=)(.*)", text, re.DOTALL)
        if parts is None:
            raise ValueError(f"no matcher: {text}")
        return cls(*parts.groups())

    def test(self, value: str) -> bool:
        if self.operator in ("=~", "!~"):
            return (re.fullmatch(self.value, value, re.DOTALL) is not None) == (self.operator == "=~")
        return (value == self.value) == (self.operator == "=")


def samples(file, index: SeriesIndex, series: Series) -> Iterator[tuple[int, float | dict | None]]:
    """Timestamp and value, a number or a histogram, of each row of a series."""
    parquet = pyarrow.parquet.ParquetFile(file)
    columns = [name for name in ("timestamp", "value", "histogram") if name in parquet.schema_arrow.names]
    first, end = series.first_row, series.first_row + series.rows
    for row_group in range(index.row_groups):
        start = index.row_group_rows[row_group]
        low, high = max(first, start), min(end, index.row_group_rows[row_group + 1])
        if low < high:
            table = parquet.read_row_group(row_group, columns=columns).slice(low - start, high - low)
            histograms = table["histogram"].to_pylist() if "histogram" in columns else [None] * len(table)
            times = table["timestamp"].cast(pyarrow.int64()).to_pylist()
            for time, value, histogram in zip(times, table["value"].to_pylist(), histograms):
                yield time, value if histogram is None else histogram


def main() -> int:
    parser = argparse.ArgumentParser(description="Series of a cold file, from its series index.")
    parser.add_argument("file")
    parser.add_argument("matchers", nargs="*", type=Matcher.parse, metavar="matcher")
    parser.add_argument("--start", type=int, default=-(1 << 63), metavar="MS")
    parser.add_argument("--end", type=int, default=1 << 63, metavar="MS")
    parser.add_argument("--samples", action="store_true", help="list the samples, too")
    arguments = parser.parse_args()
    with open(arguments.file, "rb") as file:
        index = SeriesIndex.open(file)
        if index is None:
            print(f"{arguments.file} has no series index", file=sys.stderr)
            return 1
        for ordinal in index.select(arguments.matchers):
            series = index.describe(ordinal)
            if series.end_ms < arguments.start or series.start_ms > arguments.end:
                continue
            print(series.labels, f"rows {series.first_row} to {series.first_row + series.rows - 1}", sep="\t")
            if arguments.samples:
                for time, value in samples(file, index, series):
                    if arguments.start <= time <= arguments.end:
                        print("", time, value, sep="\t")
    return 0


if __name__ == "__main__":
    sys.exit(main())
