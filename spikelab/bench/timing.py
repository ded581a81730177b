"""Alternating timings of ours against a reference in one run: medians, quartiles, one JSON line per case."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Case", "alternate", "versions"]


@dataclass(frozen=True)
class Case:
    """One comparison.

    Args:
        case: what was timed.
        reference: peer or physical bound.
        ours_s: [s] median of ours.
        reference_s: [s] median of the reference.
        ratio: ours over reference, median of the rounds; below 1 is faster.
        quartiles: of the ratio.
        rounds: number of rounds.
        versions: of what matters.
        counts: sizes.
    """

    case: str
    reference: str
    ours_s: float
    reference_s: float
    ratio: float
    quartiles: tuple[float, float]
    rounds: int
    versions: Mapping[str, str]
    counts: Mapping[str, Any]

    def line(self) -> str:
        """The case as one JSON line."""
        return json.dumps(asdict(self))


def alternate(
    case: str,
    reference: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    counts: Mapping[str, Any],
    *,
    rounds: int = 15,
    warm: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> Case:
    """Time two functions in turn.

    Args:
        case: what is timed.
        reference: name of the reference.
        ours: one step of ours.
        theirs: one step of the reference.
        counts: sizes to report.
        rounds: timed rounds, each one of both.
        warm: rounds before, not timed.
        clock: [s] what tells the time.
    """
    for _ in range(warm):
        ours()
        theirs()
    times = np.zeros((rounds, 2))
    for k in range(rounds):
        for column, function in enumerate((ours, theirs)):
            began = clock()
            function()
            times[k, column] = clock() - began
    ratios = times[:, 0] / times[:, 1]
    low, middle, high = (float(v) for v in np.percentile(ratios, (25, 50, 75)))
    mine, other = (float(v) for v in np.median(times, axis=0))
    return Case(case, reference, mine, other, middle, (low, high), rounds, versions(), dict(counts))


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the speed."""
    found = {"python": platform.python_version()}
    for package in ("torch", "numba", "numpy"):
        found[package] = importlib.metadata.version(package)
    return found
