"""The real `tsdb` binary and the files it writes."""

import json
import os
import subprocess
from pathlib import Path

from metrics import Labels, Samples, bits


def binary() -> Path:
    """The program under test: the environment says which."""
    path = os.environ.get("TSDB_BIN")
    if not path:
        raise RuntimeError("TSDB_BIN is not set: run the suite with `cargo xtask interop`")
    return Path(path)


class Store:
    """One data directory. Every call is a process of its own, so each one also restarts the store."""

    def __init__(self, data_dir: Path):
        self.data_dir = data_dir

    def run(self, *arguments: str | Path, stdin: bytes | None = None) -> bytes:
        return self.run_alone(*arguments, "--data-dir", self.data_dir, stdin=stdin)

    @staticmethod
    def run_alone(*arguments: str | Path, stdin: bytes | None = None) -> bytes:
        """A command that needs no store."""
        command = [binary(), *arguments]
        done = subprocess.run(command, input=stdin or b"", capture_output=True, timeout=300)
        if done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
        return done.stdout

    @staticmethod
    def fails(*arguments: str | Path) -> str:
        """What a command that must fail says about it."""
        done = subprocess.run([binary(), *arguments], capture_output=True, timeout=300)
        assert done.returncode == 1, done
        return done.stderr.decode()

    @classmethod
    def query_files(cls, selector: str, *files: Path, arguments: list[str] = []) -> list[dict]:
        """The series that `tsdb query` finds in files that are in no store."""
        named = [part for file in files for part in ("--file", file)]
        printed = cls.run_alone("query", selector, "--format", "jsonl", *named, *arguments)
        return [json.loads(line) for line in printed.decode("utf-8").splitlines()]

    def import_text(self, text: str, name: str = "metrics.txt", *arguments: str) -> dict:
        """Imports `text` from a file of that name and returns the summary."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        file = self.data_dir.parent / name
        file.write_text(text, encoding="utf-8", newline="")
        return json.loads(self.run("import", file, "--json", *arguments))

    def flush(self) -> None:
        self.run("flush")

    def status(self) -> dict:
        return json.loads(self.run("status", "--json"))

    def query_lines(self, selector: str, *arguments: str) -> list[dict]:
        """The series that `tsdb query` prints, in its order."""
        printed = self.run("query", selector, "--format", "jsonl", *arguments)
        return [json.loads(line) for line in printed.decode("utf-8").splitlines()]

    def query(self, selector: str = "{}", *arguments: str) -> Samples:
        """The float samples that `tsdb query` prints. No series and no timestamp may come twice."""
        return samples_of(self.query_lines(selector, *arguments))

    def cold_files(self) -> list[Path]:
        return sorted((self.data_dir / "cold" / "data").glob("**/*.parquet"))

    def cold_glob(self) -> str:
        """What a reader is pointed at to see all files."""
        return str(self.data_dir / "cold" / "data" / "**" / "*.parquet")


def samples_of(lines: list[dict]) -> Samples:
    """The float samples of series as `tsdb query` prints them."""
    found: Samples = {}
    for line in lines:
        labels: Labels = tuple(sorted(line["labels"].items()))
        assert labels not in found, f"series printed twice: {labels}"
        points = {ts: value_bits(value) for ts, value in line.get("samples", [])}
        assert len(points) == len(line.get("samples", [])), f"timestamp printed twice: {labels}"
        found[labels] = points
    return found


def value_bits(text: str) -> int:
    """The bits of a value as `query` prints it: a NaN other than the common one comes with its bits."""
    if text.startswith("NaN("):
        return int(text[4:-1], 16)
    return bits(float(text))


def assert_same(found: Samples, expected: Samples) -> None:
    """Compares sample by sample and names the first difference, which a diff of 100,000 lines would bury."""
    missing, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
    assert not missing, f"{len(missing)} series are missing, one of them {min(missing)}"
    assert not extra, f"{len(extra)} series too many, one of them {min(extra)}"
    for labels in sorted(expected):
        wanted, got = expected[labels], found[labels]
        if wanted != got:
            ts = min(ts for ts in wanted.keys() | got.keys() if wanted.get(ts) != got.get(ts))
            raise AssertionError(f"{labels} at {ts}: expected {shown(wanted.get(ts))}, found {shown(got.get(ts))}")


def shown(value_bits: int | None) -> str:
    return "nothing" if value_bits is None else f"{value_bits:#018x}"
