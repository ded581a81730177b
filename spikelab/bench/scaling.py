"""Four times the steps: four times the time, where the backward is not quadratic in T."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from spikelab.bench.lines import Line
from spikelab.bench.timing import Reference, Settings, Step, compare

__all__ = ["names", "scaling"]


def names(case: str, steps: int) -> tuple[str, str]:
    """Case and reference for T = `steps`.

    Example:
        >>> names("LIF", 100)
        ('LIF, T=400', 'itself, T=100')
    """
    return f"{case}, T={4 * steps}", f"itself, T={steps}"


def scaling(
    case: str, steps: int, build: Callable[[int], Step], counts: Mapping[str, Any], settings: Settings
) -> Iterator[Line]:
    """Measure four times the steps against the steps.

    Args:
        case: what is timed.
        steps: T of the reference.
        build: makes a step of ours for T steps.
        counts: sizes to report.
        settings: rounds, threads, choice.
    """
    longest, shorter = names(case, steps)
    reference = Reference(shorter, lambda: build(steps))
    longer = {**counts, "steps": 4 * steps}
    yield from compare(longest, lambda: build(4 * steps), [reference], longer, settings)
