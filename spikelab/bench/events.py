"""`spikelab bench events`: event files of every format against the fastest readers, and a file larger than memory.

One recording, repeated to 10 million events and written in every format. Each reader is a process that stays: a round
is one reading by each of them, from the page cache to one array in memory.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from spikelab.bench import event_transforms
from spikelab.bench.event_readers import OURS, Reader, race
from spikelab.bench.event_recordings import FILES, RECORDING, EventFile, repeated, write_long_evt3
from spikelab.bench.event_stream import CASE, REFERENCE, streamed
from spikelab.bench.lines import Line, Missing
from spikelab.bench.timing import Settings
from spikelab.errors import UnsupportedError
from spikelab.events import Events

__all__ = ["cases"]

_SMALL = 20_000
_TRANSFORMED = 1_000_000
"""Events of the file that is read before."""
_BESIDE = "EVT2"
"""What formats that no peer reads are compared with: our own reader, on the same events in this format."""


def cases(
    settings: Settings,
    *,
    python: str = sys.executable,
    recording: Path = RECORDING,
    count: int = 10_000_000,
    long_bytes: int = 2_000_000_000,
    folder: Path | None = None,
) -> Iterator[Line]:
    """Measure the readers.

    Args:
        settings: rounds, choice.
        python: interpreter of the peers' environment.
        recording: what is repeated.
        count: events of each file.
        long_bytes: [B] size of the EVT3 file that is streamed.
        folder: where the files are made for a while; None takes the system's place for such.

    Raises:
        UnsupportedError: the recording is none of a camera.
        FormatError: the recording cannot be read, or there is no place for the files.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield from _files(settings, python, recording, count, Path(name))
        yield from event_transforms.cases(settings, repeated(recording, min(count, _TRANSFORMED)))
        if long_bytes and settings.wants(CASE, REFERENCE):
            path, small = Path(name) / "long.evt3.raw", Path(name) / "short.evt3.raw"
            few = write_long_evt3(recording, small, 1, min(count, _SMALL))
            yield streamed(path, write_long_evt3(recording, path, long_bytes, count), (small, few))


def _files(settings: Settings, python: str, recording: Path, count: int, folder: Path) -> Iterator[Line]:
    chosen = [(one, peers) for one in FILES if (peers := _peers(one, settings))]
    events = repeated(recording, count) if chosen else None
    beside: tuple[Path, Path] | None = None
    for one, peers in chosen:
        assert events is not None
        case = f"read {one.title}"
        try:
            pair = _made(one, events, folder)
            if peers == (_BESIDE,) and beside is None:
                beside = _made(next(one for one in FILES if one.title == _BESIDE), events, folder)
        except UnsupportedError as error:
            yield Missing(case, OURS, f"cannot be written: {error}")
            continue
        with ExitStack() as stack:
            others = [
                Reader(OURS, *beside, label=f"{_BESIDE} of {OURS}")
                if name == _BESIDE and beside
                else Reader(name, *pair, python)
                for name in peers
            ]
            ours = Reader(OURS, *pair)
            for reader in (ours, *others):
                stack.enter_context(reader)
            yield from race(case, ours, others, settings)
        if beside != pair:
            for path in pair:
                path.unlink()


def _peers(one: EventFile, settings: Settings) -> tuple[str, ...]:
    """The peers that are asked for, of one file."""
    return tuple(name for name in one.peers or (_BESIDE,) if settings.wants(f"read {one.title}", name))


def _made(one: EventFile, events: Events, folder: Path) -> tuple[Path, Path]:
    """The file, and a small one of the same kind."""
    few = Events(events.array[:_SMALL], events.shape)
    return one.make(events, folder, "whole"), one.make(few, folder, "small")
