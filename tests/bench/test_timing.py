"""The measuring itself: rounds alternate, figures are medians of their ratio; no test asserts seconds."""

from __future__ import annotations

import itertools
import json

from spikelab.bench.neuron import cases
from spikelab.bench.sparse import cases as sparse_cases
from spikelab.bench.timing import alternate


def test_rounds_alternate_and_are_all_counted() -> None:
    calls: list[str] = []
    case = alternate("a", "b", lambda: calls.append("ours"), lambda: calls.append("theirs"), {"n": 1}, rounds=5, warm=1)
    assert calls == ["ours", "theirs"] * 6
    assert case.rounds == 5
    line = json.loads(case.line())
    assert set(line) >= {"case", "reference", "ours_s", "reference_s", "ratio", "quartiles", "versions", "counts"}
    assert line["quartiles"][0] <= line["ratio"] <= line["quartiles"][1]


def test_every_neuron_case_runs_at_a_small_size() -> None:
    rows = list(cases(steps=5, samples=2, neurons=8, threads=1, rounds=3))
    assert [r.case.split(",")[0] for r in rows] == [
        "LIF forward+backward",
        "CubaLIF forward+backward",
        "LIF",
        "LIF forward+backward",
    ]
    assert all(r.ratio > 0 for r in rows)


def test_every_sparse_case_runs_at_a_small_size() -> None:
    ticks = itertools.count(0.0, 1.0)
    sizes = ((200, 30, 50), (100, 20, 20))
    rows = list(sparse_cases(sizes, (0.05, 0.3), threads=1, rounds=3, clock=lambda: next(ticks)))
    assert [r.case.split(",")[0] for r in rows] == [
        *["Linear 200 x 30 -> 50"] * 2,
        *["Linear 100 x 20 -> 20"] * 2,
    ]
    assert [r.counts.get("chosen") for r in rows] == [False] * 4
    assert all(r.ratio == 1 for r in rows)  # by a clock that ticks once a look
