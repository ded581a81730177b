"""Write a recording in another format, and lose nothing that was not given up by name.

What the target cannot hold shows by itself: the new file is read back under its temporary name, and is renamed
only if it gives the same events, of a sensor of the same shape.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError, UnsupportedError, Violation, unknown_name
from spikelab.events.array import Events, trusted
from spikelab.events.chunks import collect
from spikelab.events.faults import Faults
from spikelab.events.files import FORMATS
from spikelab.events.source import Extras, Format, Source
from spikelab.files import whole_file

__all__ = ["DROPS", "Conversion", "drops", "target_format"]

DROPS = ("shape", "times", "polarity", "triggers", "imu", "frames")
"""What `--drop` can give up; `extras` are the last three."""
_EXTRAS = DROPS[3:]
_FIELDS = {"t": "times", "x": "columns", "y": "rows", "p": "polarity"}
Tell = Callable[[str, int, int | None], None]
"""`tell(what, done, total)` shows progress in events."""


def drops(texts: Sequence[str]) -> frozenset[str]:
    """What the user gives up.

    Raises:
        UnsupportedError: an unknown name.

    Example:
        >>> sorted(drops(["extras", "shape"]))
        ['frames', 'imu', 'shape', 'triggers']
    """
    names = {name.strip() for text in texts for name in text.split(",")}
    for name in names:
        if name not in (*DROPS, "extras"):
            raise unknown_name("--drop", name, (*DROPS, "extras"))
    return frozenset(names - {"extras"} | (set(_EXTRAS) if "extras" in names else set()))


def target_format(path: Path, to: str | None) -> Format:
    """Format to write, by its name or the end of the file's.

    Raises:
        UnsupportedError: none, or one that cannot be written.
    """
    able = {name: one for name, one in FORMATS.items() if one.write is not None}
    if to is not None:
        if to not in able:
            raise unknown_name("--to", to, able)
        return able[to]
    for one in able.values():
        if path.suffix.lower() in one.suffixes:
            return one
    known = ", ".join(f"{one.suffixes[0]} ({one.title})" for one in able.values())
    raise UnsupportedError(
        f"{path}: found a name that ends in {path.suffix!r}; expected {known}; or choose with --to {next(iter(able))}"
    )


@dataclass(frozen=True)
class Conversion:
    """What to write, where."""

    out: Path
    """File to make."""
    target: Format
    """Its format."""
    dropped: frozenset[str]
    """What is given up, of `DROPS`."""
    options: dict[str, Any]
    """Options of the target's `write`."""

    def run(self, source: Source, sort: bool, tell: Tell) -> dict[str, Any]:
        """Write the events of a source whole, or not at all.

        Args:
            source: the recording.
            sort: whether its times may run backwards.
            tell: shows progress.

        Returns:
            What was written, and `dropped`, what was left out.

        Raises:
            UnsupportedError: the target cannot hold something that was not given up; nothing is written.
            FormatError: damage in the source, or a place that cannot be written to.
        """
        known = [n for n in inspect.signature(self.target.write).parameters if n not in ("events", "path")]
        for name in self.options:
            if name not in known:
                raise unknown_name(f"--write: option of {self.target.title}", name, known)
        left = _beside(source.extras(), self.target, self.dropped)
        events = collect(_Told(source, lambda done: tell("reading", done, None)), sort)
        if "times" in self.dropped and len(events) and int(events.t[0]):
            left["times"] = f"t = 0 was {int(events.t[0])} us"
            events = _from_zero(events)
        with whole_file(self.out) as temporary:
            tell("writing", len(events), None)
            try:
                self.target.write(events, temporary, **self.options)
            except (UnsupportedError, ShapeError) as error:
                raise UnsupportedError(
                    f"{self.out}: {self.target.title} cannot hold this recording; let times start at 0 with --drop "
                    f"times, or take a part with `spikelab events cut`:\n{error}"
                ) from error
            left |= self._compare(events, temporary, tell)
            size = temporary.stat().st_size
        width, height = events.shape if len(events.shape) == 2 else (events.shape[0], 1)
        some = len(events) > 0
        return {
            "output": str(self.out),
            "output_format": self.target.name,
            "output_bytes": size,
            "count": len(events),
            "on_count": int(np.count_nonzero(events.p)),
            "width": width,
            "height": height,
            "t_first_us": int(events.t[0]) if some else None,
            "t_last_us": int(events.t[-1]) if some else None,
            "duration_us": events.duration_us if some else None,
            "dropped": left,
        }

    def _compare(self, events: Events, written: Path, tell: Tell) -> dict[str, Any]:
        """Read the new file back; what differs was given up, or is refused."""
        left: dict[str, Any] = {}
        found = self.target.open(written, Faults(written)).shape
        if found != events.shape:
            said = "none" if found is None else "x".join(map(str, found))
            left["shape"] = f"{'x'.join(map(str, events.shape))} reads as {said}"
        lost = _differences(events, self.target.open(written, Faults(written), shape=events.shape), tell)
        if "polarity" in lost:
            left["polarity"] = lost.pop("polarity")
        if refused := lost | {name: what for name, what in left.items() if name not in self.dropped}:
            raise UnsupportedError(
                f"{self.out}: {self.target.title} does not hold all of this recording; nothing was written:",
                [
                    Violation(
                        "nothing_is_lost",
                        name,
                        what,
                        "the same when it is read back",
                        f"consent with --drop {name}" if name in left else "choose another format",
                    )
                    for name, what in refused.items()
                ],
            )
        return left


def _differences(events: Events, back: Source, tell: Tell) -> dict[str, str]:
    """What is not as it was, by name, each with its first place."""
    lost: dict[str, str] = {}
    at = 0
    try:
        for block in back.blocks():
            part = events.array[at : at + len(block)]
            for field, name in _FIELDS.items() if len(part) == len(block) else ():
                if name not in lost and not np.array_equal(part[field], block[field]):
                    k = int(np.argmax(part[field] != block[field]))
                    lost[name] = f"{part[field][k]} in event {at + k}, read back as {block[field][k]}"
            at += len(block)
            tell("checking", min(at, len(events)), len(events))
    except FormatError as error:
        return {"events": f"a file that does not read back ({error})"}
    if at != len(events):
        lost["events"] = f"{len(events)}, read back as {at}"
    return lost


@dataclass(frozen=True, eq=False)
class _Told:
    """A source that says how far it was read."""

    source: Source
    tell: Callable[[int], None]

    @property
    def shape(self) -> tuple[int, ...] | None:
        return self.source.shape

    def blocks(self) -> Iterator[NDArray[np.void]]:
        done = 0
        for block in self.source.blocks():
            yield block
            done += len(block)
            self.tell(done)

    def extras(self) -> Extras:
        return self.source.extras()


def _beside(extras: Extras, target: Format, dropped: frozenset[str]) -> dict[str, Any]:
    """Numbers of triggers, IMU samples and frames that stay behind."""
    found = dict(zip(_EXTRAS, (len(extras.triggers), len(extras.imu), len(extras.frame_times)), strict=True))
    found = {name: number for name, number in found.items() if number}
    if missing := [name for name in found if name not in dropped]:
        raise UnsupportedError(
            f"{target.title} is written without what lies beside the events:",
            [
                Violation(
                    "nothing_is_lost", "recording", f"{found[name]} {name}", "none", f"consent with --drop {name}"
                )
                for name in missing
            ],
        )
    return found


def _from_zero(events: Events) -> Events:
    array = events.array.copy()
    array["t"] -= array["t"][0]
    return trusted(array, events.shape)
