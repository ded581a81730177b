from __future__ import annotations

import numpy as np
import pytest

from spikelab.bench.event_transforms import cases
from spikelab.bench.lines import Case
from spikelab.bench.timing import Settings
from spikelab.events import Events


def test_every_case_gives_what_tonic_gives() -> None:
    pytest.importorskip("tonic")
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 400_000, 3_000))
    events = Events.from_columns(t, *rng.integers(0, 20, (2, 3_000)), rng.integers(0, 2, 3_000), shape=(20, 20))
    lines = list(cases(Settings(rounds=1, warm=0, threads=1), events))
    assert all(isinstance(line, Case) for line in lines)
    against_tonic = [line for line in lines if isinstance(line, Case) and line.reference == "tonic"]
    assert len(against_tonic) == 8
    assert all(line.counts["same"] and line.counts["events"] == 3_000 for line in against_tonic)
    assert len({line.case for line in lines}) == 8 and len(lines) == 13
