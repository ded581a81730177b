"""Write a recording in another format, and lose nothing that was not given up by name.

What the target cannot hold shows by itself: the new file is read back under its temporary name, and is renamed
only if it gives the same events, of a sensor of the same shape. A recording goes through memory in pieces, unless it is
to be sorted or the target's writer needs all of it at once; it is read twice, to be written and to be compared.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.cli.recordings import InMemory
from spikelab.errors import FormatError, ShapeError, UnsupportedError, Violation, unknown_name
from spikelab.events.array import EVENT, Events, trusted
from spikelab.events.chunks import by_count, collect, shape_of
from spikelab.events.faults import Faults
from spikelab.events.files import FORMATS
from spikelab.events.source import Extras, Format, Source
from spikelab.files import whole_file

__all__ = ["DROPS", "Conversion", "drops", "target_format"]

DROPS = ("shape", "times", "polarity", "triggers", "imu", "frames")
"""What `--drop` can give up; `extras` are the last three."""
_EXTRAS = DROPS[3:]
_FIELDS = {"t": "times", "x": "columns", "y": "rows", "p": "polarity"}
_PIECE = 1 << 17
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

    def run(self, opened: Callable[[], Source], sort: bool, tell: Tell) -> dict[str, Any]:
        """Write the events of a source whole, or not at all.

        Args:
            opened: opens the recording, from its start each time.
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
        source = opened()
        left = _beside(source.extras(), self.target, self.dropped)
        if sort:
            tell("sorting", 0, None)
            ordered = InMemory(collect(source, sort))
            source, opened = ordered, lambda: ordered
        shape = source.shape or shape_of(opened())
        read = _Read(source, shape, "times" in self.dropped, tell)
        with whole_file(self.out) as temporary:
            events = read.pieces() if self.target.pieces else collect(read)
            try:
                self.target.write(events, temporary, **self.options)
            except (UnsupportedError, ShapeError) as error:
                start = "" if read.from_zero else "let times start at 0 with --drop times, or "
                raise UnsupportedError(
                    f"{self.out}: {self.target.title} cannot hold this recording; {start}take a part with "
                    f"`spikelab events cut`, or choose another format:\n{error}"
                ) from error
            if read.from_zero and read.first:
                left["times"] = f"t = 0 was {read.first} us"
            left |= self._compare(read, _Read(opened(), shape, read.from_zero, lambda *_: None), temporary, tell)
            size = temporary.stat().st_size
        width, height = shape if len(shape) == 2 else (shape[0], 1)
        origin = read.first if read.from_zero else 0
        some = read.count > 0
        return {
            "output": str(self.out),
            "output_format": self.target.name,
            "output_bytes": size,
            "count": read.count,
            "on_count": read.on_count,
            "width": width,
            "height": height,
            "t_first_us": read.first - origin if some else None,
            "t_last_us": read.last - origin if some else None,
            "duration_us": read.last - read.first if some else None,
            "dropped": left,
        }

    def _compare(self, read: _Read, again: _Read, written: Path, tell: Tell) -> dict[str, Any]:
        """Read the new file back; what differs from the recording, read `again`, was given up, or is refused."""
        left: dict[str, Any] = {}
        found = self.target.open(written, Faults(written)).shape
        if found != read.shape:
            said = "none" if found is None else "x".join(map(str, found))
            left["shape"] = f"{'x'.join(map(str, read.shape))} reads as {said}"
        lost = _differences(read.count, again, self.target.open(written, Faults(written), shape=read.shape), tell)
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


def _differences(count: int, recording: _Read, back: Source, tell: Tell) -> dict[str, str]:
    """What is not as it was, by name, each with its first place."""
    lost: dict[str, str] = {}
    at, blocks = 0, recording.blocks()
    part = np.empty(0, EVENT)
    try:
        for block in back.blocks():
            start = 0
            while start < len(block):
                part = part if len(part) else next(blocks, part)
                size = min(len(part), len(block) - start)
                if not size:
                    break
                one, other = part[:size], block[start : start + size]
                for field, name in _FIELDS.items():
                    if name not in lost and not np.array_equal(one[field], other[field]):
                        k = int(np.argmax(one[field] != other[field]))
                        lost[name] = f"{one[field][k]} in event {at + start + k}, read back as {other[field][k]}"
                part, start = part[size:], start + size
            at += len(block)
            tell("checking", min(at, count), count)
    except FormatError as error:
        return {"events": f"a file that does not read back ({error})"}
    if at != count:
        lost["events"] = f"{count}, read back as {at}"
    return lost


@dataclass(eq=False)
class _Read:
    """A source that is counted, and told of, while it is read once."""

    source: Source
    shape: tuple[int, ...]
    from_zero: bool
    """Whether to let times start at 0."""
    tell: Tell
    count: int = 0
    on_count: int = 0
    first: int = 0
    """Time of the first event in the source [us]."""
    last: int = 0

    def blocks(self) -> Iterator[NDArray[np.void]]:
        for block in self.source.blocks():
            if not len(block):
                continue
            self.first = self.first if self.count else int(block["t"][0])
            self.last = int(block["t"][-1])
            self.count += len(block)
            self.on_count += int(np.count_nonzero(block["p"]))
            if self.from_zero and self.first:
                block = block.copy()
                block["t"] -= self.first
            yield block
            self.tell("converting", self.count, None)

    def pieces(self) -> Iterator[Events]:
        """The events in pieces, at least one; large ones, as writers bound a pause by the number of events so far."""
        yield trusted(np.empty(0, EVENT), self.shape)
        yield from by_count(self, _PIECE)

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
