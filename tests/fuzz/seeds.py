"""Intact files of every format: written by its writer, made by hand, and cut from real recordings where they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from damage import Seed, header_size
from handmade import handmade

from spikelab.bench.event_recordings import FILES
from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events import Events, read
from spikelab.events import files as event_files

__all__ = ["SHARED", "all_seeds"]

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "recordings"
"""Where real recordings lie, beside the checkout."""
MOST_BYTES = 1 << 14
CUT = 1600
"""Bytes that are kept of a real recording of single words, behind its header."""


def all_seeds(folder: Path, made: dict[str, tuple[Path, int]]) -> list[Seed]:
    """Intact files; each is read once to make sure.

    Args:
        folder: for the files that are written here.
        made: files made by hand, and where their headers end.
    """
    found = [Seed(event_files.detect(path), name, path.read_bytes(), header) for name, (path, header) in made.items()]
    found += [*_written(folder), *_encoded(folder)]
    if SHARED.is_dir():
        found += _real(folder)
    return found


def _encoded(folder: Path) -> Iterator[Seed]:
    """Files of formats that our writers do not write."""
    rng = np.random.default_rng(6)
    columns = np.cumsum(rng.integers(0, 400, 200)), *rng.integers(0, 34, (2, 200)), rng.integers(0, 2, 200)
    camera = Events.from_columns(*columns, shape=(34, 34))
    for path in [*(one.make(camera, folder, "encoded") for one in FILES if one.encode), *handmade(folder)]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader = event_files.detect(path)
                read(path)
        except (FormatError, ImportError) as error:
            if isinstance(error, ImportError) or "expected AEDAT" in str(error) or "expected them" in str(error):
                continue  # there is no reader for it
            raise
        data = path.read_bytes()
        yield Seed(reader, path.name, data, header_size(data))


def _written(folder: Path) -> Iterator[Seed]:
    """One file of each format that can be written."""
    rng = np.random.default_rng(5)
    t = np.cumsum(rng.integers(0, 400, 200))
    camera = Events.from_columns(t, *rng.integers(0, 34, (2, 200)), rng.integers(0, 2, 200), shape=(34, 34))
    axis = Events.from_columns(t, rng.integers(0, 16, 200), shape=(16,))
    for name, one in event_files.FORMATS.items():
        if one.write is None:
            continue
        for kind, events in (("camera", camera), ("axis", axis)):
            path = folder / f"written-{kind}-{name}{one.suffixes[0]}"
            try:
                event_files.write(events, path, format=name)
            except (UnsupportedError, ShapeError):
                continue
            data = path.read_bytes()
            yield Seed(name, path.name, data, header_size(data))


def _real(folder: Path) -> Iterator[Seed]:
    """Small real recordings whole, large ones cut where their format allows it."""
    for path in sorted(SHARED.glob("*/*")):
        data = path.read_bytes()
        header = header_size(data)
        cuts = [data] if len(data) <= MOST_BYTES else []
        if header > 2000:  # preferences, written as comments
            lines = data[:header].splitlines(keepends=True)
            kept = [line for line in lines[3:-1] if b"AEChip:" in line]
            data = b"".join([*lines[:3], *kept, lines[-1], data[header:]])
            header = header_size(data)
        cuts += [data[: header + CUT + k] for k in range(24)]
        for cut in cuts:
            target = folder / f"real-{path.stem[:24]}{path.suffix}"
            target.write_bytes(cut)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # some name no sensor
                    if not len(read(target)):
                        continue
            except (FormatError, UnsupportedError):
                continue
            yield Seed(event_files.detect(target), target.name, cut, header)
            break
