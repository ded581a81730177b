"""Ours and its references in turn, in one run: medians and quartiles of the times and of their ratio.

One round is one step of ours and one of each reference. Between two steps nothing runs for a while:
the threads of OpenMP keep a core busy for up to 10 ms after their work is done, and would slow down
whoever comes next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikelab.bench.lines import Case, Line, Missing, installed, versions
from spikelab.errors import UnsupportedError

__all__ = ["Evict", "Reference", "Settings", "Step", "alternate", "compare", "rest"]

Step = Callable[[], Any]
"""One step that is timed."""


@dataclass(frozen=True)
class Reference:
    """What ours is measured against.

    Args:
        name: peer or bound, and the way in which it is used.
        build: makes its step; imports what it needs.
        needs: distributions that must be there; their versions are reported.
    """

    name: str
    build: Callable[[], Step]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How a benchmark is run.

    Args:
        rounds: timed rounds, each one of ours and of every reference.
        warm: rounds before, not timed.
        threads: of torch, of the kernels and of the peers.
        only: words; cases and references that have one of them in their name are run. All, if empty.
    """

    rounds: int = 15
    warm: int = 2
    threads: int = 2
    only: tuple[str, ...] = ()

    def wants(self, case: str, reference: str) -> bool:
        """Whether a pair is asked for.

        Example:
            >>> Settings(only=("spyx",)).wants("LIF", "spyx (scan)"), Settings(only=("spyx",)).wants("LIF", "norse")
            (True, False)
        """
        name = f"{case}: {reference}".lower()
        return not self.only or any(word.lower() in name for word in self.only)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Torch on this number of threads for a while."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def rest() -> None:
    """Wait until the threads of the step before are asleep."""
    time.sleep(0.02)


@dataclass
class Evict:
    """Rest, and fill the caches with something else, so that the next step finds nothing of its own in them."""

    buffer: NDArray[np.float32] = field(default_factory=lambda: np.zeros(2 * _last_cache() // 4, np.float32))

    def __call__(self) -> None:
        """Touch all of the buffer."""
        rest()
        self.buffer += 1.0


def _last_cache() -> int:
    """[B] the largest cache that the system tells of; 64 MiB if it does not."""
    found = [64 << 20]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        size = path.read_text(encoding="ascii").strip()
        if size.endswith("K") and size[:-1].isdecimal():
            found.append(int(size[:-1]) << 10)
    return max(found)


def alternate(
    steps: Sequence[Step], *, rounds: int = 15, warm: int = 2, between: Callable[[], None] = rest
) -> NDArray[np.float64]:
    """Time functions in turn.

    Args:
        steps: N functions.
        rounds: timed rounds, each one call of every function.
        warm: rounds before, not timed.
        between: called before each call, not timed.

    Returns:
        [rounds, N] seconds.
    """
    times = np.zeros((warm + rounds, len(steps)))
    for k in range(warm + rounds):
        for column, step in enumerate(steps):
            between()
            began = time.perf_counter()
            step()
            times[k, column] = time.perf_counter() - began
    return times[warm:]


def compare(
    case: str,
    ours: Callable[[], Step],
    references: Sequence[Reference],
    counts: Mapping[str, Any],
    settings: Settings,
    *,
    between: Callable[[], None] = rest,
) -> Iterator[Line]:
    """Measure ours against those references that are asked for and are there.

    Args:
        case: what is timed.
        ours: makes the step of ours.
        references: what it is compared with, all in the same run.
        counts: sizes to report.
        settings: rounds, threads, choice.
        between: called before each step, not timed.

    Yields:
        One line per reference.
    """
    chosen, steps = [], []
    for reference in references:
        if not settings.wants(case, reference.name):
            continue
        lacking = [package for package in reference.needs if not installed(package)]
        if lacking:
            yield Missing(case, reference.name, f"not installed: {', '.join(lacking)}; make bench-peers")
            continue
        try:
            steps.append(reference.build())
        except (ImportError, UnsupportedError) as error:
            yield Missing(case, reference.name, f"does not run here: {error}")
        else:
            chosen.append(reference)
    if not chosen:
        return
    times = alternate([ours(), *steps], rounds=settings.rounds, warm=settings.warm, between=between)
    for column, reference in enumerate(chosen, 1):
        yield _case(case, reference, times[:, 0], times[:, column], {**counts, "threads": settings.threads})


def _case(
    case: str, reference: Reference, ours: NDArray[np.float64], theirs: NDArray[np.float64], counts: dict[str, Any]
) -> Case:
    def quartiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
        low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
        return low, middle, high

    (a, mine, b), (c, other, d), (low, ratio, high) = map(quartiles, (ours, theirs, ours / theirs))
    known = versions(*reference.needs)
    return Case(case, reference.name, mine, other, ratio, (low, high), (a, b), (c, d), len(ours), known, counts)
