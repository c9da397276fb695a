"""What the tests share: stores that are costly to make, made once."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import metrics
from store import Store


@dataclass
class Filled:
    """A store, and the samples that were put into it."""

    store: Store
    expected: metrics.Samples


@pytest.fixture(scope="session")
def flushed(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Everything imported and flushed: all data is in Parquet."""
    families = metrics.mixed()
    store = Store(tmp_path_factory.mktemp("flushed") / "data")
    store.import_text(metrics.openmetrics(families))
    store.flush()
    return Filled(store, metrics.samples(families))


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    """A data directory that does not exist yet."""
    return Store(tmp_path / "data")
