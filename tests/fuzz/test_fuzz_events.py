"""A short part of `fuzz_events.py`: a few thousand damaged files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def test_damaged_files_give_valid_events_or_a_documented_error(tmp_path: Path) -> None:
    path = Path(__file__).with_name("fuzz_events.py")
    spec = importlib.util.spec_from_file_location("fuzz_events", path)
    assert spec is not None and spec.loader is not None
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    if not hasattr(fuzz.signal, "SIGALRM"):
        pytest.skip("hangs are found with an alarm, which this system lacks")
    results = fuzz.run(300, 1, tmp_path / "work", tmp_path)
    assert len(results) == 9
    for name, found in results.items():
        assert sum(found.values()) == 300, name
        assert found["FormatError"] > 75, name
