"""Deterministic metrics for the suite: what goes into a store, as text and as the samples that must come out.

The values and label values are chosen to be awkward where formats differ: NaN, infinities, negative zero,
subnormals, integers past 2^53, escapes, other alphabets, names that collide with columns. The time range crosses
a midnight, so that more than one partition comes out, and one family lies before 1970.
"""

import math
import random
import struct
from dataclasses import dataclass, field

# 2026-01-01T23:30:00Z: half an hour before a day's end.
START_MS = 1_767_310_200_000
STEP_MS = 15_000
SCRAPES = 240

# A label set as a sorted tuple of pairs, and for each the bits of the values by timestamp.
Labels = tuple[tuple[str, str], ...]
Samples = dict[Labels, dict[int, int]]


@dataclass
class Series:
    name: str
    labels: dict[str, str]
    points: list[tuple[int, float]] = field(default_factory=list)

    def identity(self) -> Labels:
        """The label set as the store keeps it: with the name, sorted, without empty values."""
        pairs = {"__name__": self.name, **self.labels}
        return tuple(sorted((name, value) for name, value in pairs.items() if value))


@dataclass
class Family:
    """One metric family. The series of a group advance together, as the buckets of one histogram do."""

    name: str
    kind: str
    groups: list[list[Series]]


def bits(value: float) -> int:
    """The 64 bits of a double."""
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def samples(families: list[Family], keep=lambda index: True) -> Samples:
    """What a store must hold after taking the points whose index `keep` accepts."""
    found: Samples = {}
    for family in families:
        for group in family.groups:
            for series in group:
                points = {ts: bits(value) for index, (ts, value) in enumerate(series.points) if keep(index)}
                if points:
                    found[series.identity()] = points
    return found


def openmetrics(families: list[Family], keep=lambda index: True) -> str:
    """The families in OpenMetrics text, timestamps in seconds."""
    lines = []
    for family in families:
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines.append(f"# HELP {family.name} Made up, with a \\\\ and a line\\nbreak.")
        for group in family.groups:
            for index in range(max(len(series.points) for series in group)):
                for series in group:
                    if index < len(series.points) and keep(index):
                        ts, value = series.points[index]
                        lines.append(f"{series_text(series)} {number_text(value)} {seconds_text(ts)}")
    lines.append("# EOF")
    return "\n".join(lines) + "\n"


def prometheus(families: list[Family]) -> str:
    """The families in the Prometheus text format, timestamps in milliseconds, lines in order of time."""
    lines = []
    for family in families:
        lines.append(f"# TYPE {family.name} {'untyped' if family.kind == 'unknown' else family.kind}")
        for group in family.groups:
            for series in group:
                lines.extend(f"{series_text(series)}\t{number_text(value)} {ts}" for ts, value in series.points)
    return "\n".join(lines) + "\n"


def series_text(series: Series) -> str:
    if not series.labels:
        return series.name
    return f"{series.name}{{{','.join(f'{name}={quoted(value)}' for name, value in series.labels.items())}}}"


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def number_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value.is_integer() and 1 <= abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def seconds_text(ts_ms: int) -> str:
    """Milliseconds as decimal seconds, exactly and without needless digits."""
    sign = "-" if ts_ms < 0 else ""
    whole, fraction = divmod(abs(ts_ms), 1000)
    return f"{sign}{whole}" + (f".{fraction:03}".rstrip("0") if fraction else "")


def mixed() -> list[Family]:
    """About 100,000 samples of every kind the text formats carry."""
    rng = random.Random(20260101)
    return [
        counters(rng),
        gauges(rng),
        ratios(rng),
        classic_histogram(rng),
        awkward_values(),
        awkward_labels(rng),
        colliding_names(rng),
        unusual_times(),
    ]


def scrape_times(rng: random.Random) -> list[int]:
    """The scrapes of one target: an offset of its own, and a few milliseconds of jitter on some targets."""
    offset = rng.randrange(STEP_MS)
    jitter = rng.choice([0, 0, 7])
    return [START_MS + offset + i * STEP_MS + rng.randint(0, jitter) for i in range(SCRAPES)]


def counters(rng: random.Random) -> Family:
    groups = []
    for instance in range(12):
        times = scrape_times(rng)
        for cpu in range(2):
            for mode in ("idle", "user", "system", "iowait", "softirq"):
                labels = {"instance": f"10.0.0.{instance}:9100", "job": "node", "cpu": str(cpu), "mode": mode}
                total, points = rng.randrange(10**6), []
                for ts in times:
                    total += rng.randrange(1500)
                    points.append((ts, total / 100))
                groups.append([Series("node_cpu_seconds_total", labels, points)])
    return Family("node_cpu_seconds", "counter", groups)


def gauges(rng: random.Random) -> Family:
    groups = []
    for instance in range(40):
        level, points = 20.0, []
        for ts in scrape_times(rng):
            level = round(level + rng.uniform(-1, 1), 2)
            points.append((ts, level))
        labels = {"instance": f"10.0.0.{instance}:9100", "job": "node", "sensor": f"temp{instance % 3}"}
        groups.append([Series("node_hwmon_temp_celsius", labels, points)])
    return Family("node_hwmon_temp_celsius", "gauge", groups)


def ratios(rng: random.Random) -> Family:
    """Doubles with all their digits."""
    groups = []
    for shard in range(30):
        points = [(ts, rng.random()) for ts in scrape_times(rng)]
        groups.append([Series("cache_hit_ratio", {"shard": str(shard), "job": "cache"}, points)])
    return Family("cache_hit_ratio", "gauge", groups)


def classic_histogram(rng: random.Random) -> Family:
    bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"]
    name = "http_request_duration_seconds"
    groups = []
    for instance in range(5):
        for handler in ("/", "/api/v1/items", "/login"):
            labels = {"instance": f"10.0.1.{instance}:8080", "job": "api", "handler": handler}
            buckets = [Series(f"{name}_bucket", {**labels, "le": bound}) for bound in bounds]
            count, total = Series(f"{name}_count", labels), Series(f"{name}_sum", labels)
            counts, seconds = [0] * len(bounds), 0.0
            for ts in scrape_times(rng):
                added = 0
                for i in range(len(bounds)):
                    added += rng.randrange(4)
                    counts[i] += added
                    buckets[i].points.append((ts, float(counts[i])))
                seconds += added * rng.random()
                count.points.append((ts, float(counts[-1])))
                total.points.append((ts, seconds))
            groups.append([*buckets, count, total])
    return Family(name, "histogram", groups)


def awkward_values() -> Family:
    values = [
        0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -5e-324, 2.2250738585072014e-308,
        1.7976931348623157e308, -1.7976931348623157e308, 0.1, 1 / 3, 9007199254740993.0, 2.0**63, 1e15, 1e16, 1e21,
        1e-7, 123456789.123456789, -1.0,
    ]  # fmt: skip
    groups = []
    for shift in range(len(values)):
        rotated = values[shift:] + values[:shift]
        points = [(START_MS + i * STEP_MS, value) for i, value in enumerate(rotated)]
        groups.append([Series("awkward_value", {"shift": str(shift)}, points)])
    return Family("awkward_value", "unknown", groups)


def awkward_labels(rng: random.Random) -> Family:
    values = [
        'say "hello"', "back\\slash", "two\nlines", "C:\\dir\\n", "a,b}c{d=e", "# no comment", " spaces ", "\ttab",
        "größe", "温度", "температура", "🌡️", "e\u0301", "\u202eleft", "x" * 2000, "0", "true", "null", "NaN",
        "2026-01-01", "", "a'b", "100%", "*?.[x]",
    ]  # fmt: skip
    groups = []
    for number, value in enumerate(values):
        points = [(ts, float(number)) for ts in scrape_times(rng)[:50]]
        groups.append([Series("awkward_label", {"number": str(number), "text": value}, points)])
    groups.append([Series("awkward_label", {}, [(START_MS, 1.0)])])
    return Family("awkward_label", "gauge", groups)


def colliding_names(rng: random.Random) -> Family:
    """Label names that a table has already, or that differ in case only, or that sort before `__name__`."""
    groups = []
    for number, name in enumerate(["value", "timestamp", "labels", "day", "histogram", "Job", "JOB", "label_job", "Zone"]):
        points = [(ts, float(number)) for ts in scrape_times(rng)[:20]]
        groups.append([Series("colliding_name", {name: f"is {name}", "job": "collide"}, points)])
    return Family("colliding_name", "gauge", groups)


def unusual_times() -> Family:
    """Before 1970, at zero, between two seconds."""
    times = [-86_400_500, -86_400_000, -1_500, -1000, -1, 0, 1, 999, 1_000, 1_500, 86_399_999, 86_400_000]
    points = [(ts, float(index)) for index, ts in enumerate(times)]
    return Family("unusual_time", "gauge", [[Series("unusual_time", {"job": "past"}, points)]])
