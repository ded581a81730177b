"""What a benchmark says: one line per case and reference, as JSON or for people."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Case", "Line", "Missing", "Size", "installed", "versions"]


@dataclass(frozen=True)
class Line:
    """What every line says.

    Args:
        case: what was measured.
        reference: peer or physical bound.
    """

    case: str
    reference: str

    def line(self) -> str:
        """The case as one JSON line."""
        return json.dumps(asdict(self))

    def text(self) -> str:
        """The case for people."""
        raise NotImplementedError


@dataclass(frozen=True)
class Case(Line):
    """One comparison of times.

    Args:
        ours_s: [s] median of ours.
        reference_s: [s] median of the reference.
        ratio: ours over reference, median of the rounds; below 1 is faster.
        quartiles: of the ratio.
        ours_quartiles: [s] of ours.
        reference_quartiles: [s] of the reference.
        rounds: number of rounds.
        versions: of what matters.
        counts: sizes.
    """

    ours_s: float
    reference_s: float
    ratio: float
    quartiles: tuple[float, float]
    ours_quartiles: tuple[float, float]
    reference_quartiles: tuple[float, float]
    rounds: int
    versions: Mapping[str, str]
    counts: Mapping[str, Any]

    def text(self) -> str:
        """Both times and their ratio."""
        low, high = self.quartiles
        times = f"{1e3 * self.ours_s:.1f} ms; {self.reference}: {1e3 * self.reference_s:.1f} ms"
        return f"{self.case}: {times}; ratio {self.ratio:.3f} ({low:.3f} to {high:.3f})"


@dataclass(frozen=True)
class Size(Line):
    """One comparison of memory.

    Args:
        ours_bytes: [B] of ours.
        reference_bytes: [B] of the reference.
        ratio: ours over reference; None where the reference takes nothing.
        versions: of what matters.
        counts: sizes.
    """

    ours_bytes: int
    reference_bytes: int
    ratio: float | None
    versions: Mapping[str, str]
    counts: Mapping[str, Any]

    @classmethod
    def of(cls, case: str, reference: str, ours: int, theirs: int, counts: Mapping[str, Any]) -> Size:
        """The line for two numbers of bytes."""
        return cls(case, reference, ours, theirs, ours / theirs if theirs else None, versions(), dict(counts))

    def text(self) -> str:
        """Both sizes and their ratio."""
        ratio = "" if self.ratio is None else f"; ratio {self.ratio:.3f}"
        sizes = f"{self.ours_bytes / 1e6:.2f} MB; {self.reference}: {self.reference_bytes / 1e6:.2f} MB"
        return f"{self.case}: {sizes}{ratio}"


@dataclass(frozen=True)
class Missing(Line):
    """A reference that cannot be measured here.

    Args:
        missing: why not.
    """

    missing: str

    def text(self) -> str:
        """Which one, and why."""
        return f"{self.case}; {self.reference}: {self.missing}"


def installed(package: str) -> bool:
    """Whether a distribution is there."""
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of the packages that decide the speed, and of those named, where they are installed.

    Example:
        >>> "torch" in versions(), "no-such-package" in versions("no-such-package")
        (True, False)
    """
    found = {"python": platform.python_version()}
    for package in ("torch", "numba", "numpy", *packages):
        if installed(package):
            found[package] = importlib.metadata.version(package)
    return found
