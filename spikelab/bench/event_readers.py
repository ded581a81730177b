"""Readers of event files in turn, each in a process of its own that stays: speed, and memory above the start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.bench.lines import Case, Line, Missing, versions
from spikelab.bench.peers import reading
from spikelab.bench.timing import Settings, rest

__all__ = ["FEW", "OURS", "Rate", "Reader", "race"]

OURS: Final = "spikelab"
"""Name of our own reader."""
FEW: Final = 3
"""Rounds of a reader that is more than `SLOW` times slower than the fastest peer."""
SLOW: Final = 3.0


@dataclass(frozen=True)
class Rate(Case):
    """One comparison of readers; `counts` has the events, and of both the rate and the memory above the start."""

    def text(self) -> str:
        """Both rates, their ratio, and the memory."""
        low, high = self.quartiles
        ours, theirs = (
            f"{self.counts[f'{who}_mev_per_s']:.1f} Mev/s ({self.counts[f'{who}_extra_bytes_per_event']:.1f} B/event)"
            for who in ("ours", "reference")
        )
        times = f"{1 / self.ratio:.2f} times as fast ({1 / high:.2f} to {1 / low:.2f})"
        return f"{self.case}: {ours}; {self.reference}: {theirs}; {times}"


class Reader:
    """A process that reads a file as often as it is told.

    Args:
        name: key of `reading.READERS`.
        path: the file.
        small: a small file of the same kind.
        python: the interpreter that has it.
        label: name in the lines; None is `name`.
    """

    def __init__(
        self, name: str, path: Path, small: Path, python: str = sys.executable, label: str | None = None
    ) -> None:
        self.name, self.path, self.small, self.label = name, path, small, label or name
        command = [python, reading.__file__, name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        hello = self._answer()
        self.missing: str | None = hello.get("error")
        self.version: str = hello.get("version", "")

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def first(self) -> dict[str, Any]:
        """Read the small file, for what happens once only, such as compiling; then as `read`."""
        self._read(self.small)
        return self._read(self.path)

    def read(self) -> dict[str, Any]:
        """Read the file: what `reading.answer` says, or `error`."""
        return self._read(self.path)

    def _read(self, path: Path) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{path}\n")
            self._process.stdin.flush()
        except OSError as error:
            return {"error": f"the process has ended ({error.strerror})"}
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"error": f"the process ended with {self._process.wait()}"}
        found: dict[str, Any] = json.loads(line)
        return found


def race(case: str, ours: Reader, peers: Sequence[Reader], settings: Settings) -> Iterator[Line]:
    """Let our reader and each peer read in turn.

    The first reading of each is not timed: it says how far the memory of the process rises.

    Args:
        case: what is read.
        ours: our reader.
        peers: the others.
        settings: rounds.

    Yields:
        A line per peer.
    """
    readers, first = [ours], [ours.first()]
    if "error" in first[0]:
        yield Missing(case, ours.label, f"does not read the file: {first[0]['error']}")
        return
    for peer in peers:
        if peer.missing:
            yield Missing(case, peer.label, f"{peer.missing}; make bench-events-peers")
            continue
        found = peer.first()
        if "error" in found:
            yield Missing(case, peer.label, f"does not read the file: {found['error']}")
        else:
            readers.append(peer)
            first.append(found)
    if len(readers) > 1:
        times = _in_turn(readers, settings.rounds)
        sizes = {"events": first[0]["events"], "bytes": ours.path.stat().st_size}
        for peer, seconds, found in zip(readers[1:], times[1:], first[1:], strict=True):
            yield _rate(case, peer, times[0], seconds, sizes, (first[0], found))


def _in_turn(readers: Sequence[Reader], rounds: int) -> list[NDArray[np.float64]]:
    """[rounds] seconds of each reader; those that are slow anyway sit out after a few rounds."""
    times: list[list[float]] = [[] for _ in readers]
    for _ in range(rounds):
        fastest = min((float(np.median(t)) for t in times[1:] if t), default=np.inf)
        for reader, taken in zip(readers, times, strict=True):
            if reader is not readers[0] and len(taken) >= FEW and float(np.median(taken)) > SLOW * fastest:
                continue
            rest()
            taken.append(reader.read()["seconds"])
    return [np.array(taken) for taken in times]


def _rate(
    case: str,
    reader: Reader,
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    sizes: Mapping[str, Any],
    first: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Rate:
    def quartiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
        low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
        return low, middle, high

    ours = ours[: len(theirs)]
    (a, mine, b), (c, other, d), (low, ratio, high) = map(quartiles, (ours, theirs, ours / theirs))
    counts: dict[str, Any] = dict(sizes)
    for who, seconds, found in (("ours", mine, first[0]), ("reference", other, first[1])):
        counts[f"{who}_mev_per_s"] = found["events"] / seconds * 1e-6
        counts[f"{who}_extra_bytes_per_event"] = found["extra_bytes"] / max(found["events"], 1)
    if first[0]["events"] != first[1]["events"]:
        counts["reference_events"] = first[1]["events"]
    known = {**versions(), reader.name: reader.version}
    return Rate(case, reader.label, mine, other, ratio, (low, high), (a, b), (c, d), len(ours), known, counts)
