"""`spikelab bench accuracy`: parts are made one at a time, and only those that are asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spikelab.bench.accuracy import _splits
from spikelab.errors import UnsupportedError

PLAN = SimpleNamespace(dt="1 ms", steps=5, late="drop")


class Counted:
    """Frames that count how often a part is taken."""

    def __init__(self) -> None:
        self.metadata = {"index": np.arange(20), "speaker": np.arange(20) % 3}
        self.taken = 0

    def subset(self, mask: Any) -> int:
        """How many there are."""
        self.taken += 1
        return int(np.count_nonzero(mask))


def test_a_fold_is_made_when_its_turn_comes() -> None:
    everything = Counted()
    found = SimpleNamespace(all_frames=lambda **_: everything)
    parts = _splits(found, PLAN, "folds", ())
    assert next(parts) == (0, 16, 4) and everything.taken == 2
    assert [number for number, _, _ in parts] == [1, 2, 3, 4]
    assert list(_splits(found, PLAN, "speakers", (2,))) == [(2, 14, 6)] and everything.taken == 12


def test_an_unknown_number_is_refused_before_any_part_is_made() -> None:
    everything = Counted()
    found = SimpleNamespace(all_frames=lambda **_: everything, frames=lambda **_: pytest.fail("made"))
    for split, known in (("folds", "0, 1, 2, 3, 4"), ("speakers", "0, 1, 2"), ("seeds", "0, 1, 2")):
        with pytest.raises(UnsupportedError, match=f"{split}: number 7: unknown; known are {known}"):
            next(_splits(found, PLAN, split, (0, 7)))
    with pytest.raises(UnsupportedError, match="split 'thirds': unknown"):
        next(_splits(found, PLAN, "thirds", ()))
    assert not everything.taken
