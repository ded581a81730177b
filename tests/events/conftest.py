"""Where the tests of events find recordings, and how they make AEDAT 4 files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spikelab.events import Events

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the recordings that are not in the repository."""
    if not (SHARED / "manifest.json").is_file():
        pytest.skip(f"the recordings are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def expected(shared: Path) -> dict[str, dict[str, Any]]:
    """What independent readers found in each recording."""
    manifest = json.loads((shared / "manifest.json").read_text())
    return {name: entry["expect"] for name, entry in manifest.items()}


@pytest.fixture(scope="session")
def fuzz() -> ModuleType:
    """`tests/fuzz/fuzz_events.py`: makes files and damages them."""
    spec = importlib.util.spec_from_file_location("fuzz_events", ROOT / "tests" / "fuzz" / "fuzz_events.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def camera() -> Events:
    """300 events of a camera of 34 x 34 pixels."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 100_000, 300))
    return Events.from_columns(t, *rng.integers(0, 34, (2, 300)), rng.integers(0, 2, 300), shape=(34, 34))


@pytest.fixture
def cochlea() -> Events:
    """200 events of 16 channels."""
    rng = np.random.default_rng(2)
    return Events.from_columns(np.sort(rng.integers(0, 60_000, 200)), rng.integers(0, 16, 200), shape=(16,))
