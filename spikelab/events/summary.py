"""What a recording holds, counted in one pass through a small buffer."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.events.faults import Errors
from spikelab.events.files import FORMATS, detect, open_recording, read
from spikelab.events.recordings import Recordings

__all__ = ["info"]


def info(
    path: str | PathLike[str],
    *,
    format: str | None = None,
    errors: Errors = "strict",
    shape: tuple[int, ...] | None = None,
    sort: bool = False,
    **options: Any,
) -> dict[str, int | float | str | None]:
    """Summarise an event file. Events pass through a small buffer; frames, where there are any, are read to be counted.

    Args:
        path: the file, or the folder of a set.
        format: as `read`.
        errors: as `read`; what is counted is what `read` would give.
        shape: as `read`.
        sort: True takes a file whose times run backwards.
        options: as `read`.

    Returns:
        `format`, `width`, `height` (channels and 1 for a sensor with one axis; what the events span where nothing says
        more), `count`, `on_count`, `t_first_us`, `t_last_us`, `x_max`, `y_max` (None where there are no events),
        `duration_us` from the first event to the last, `rate_hz`, events per second of it to 9 digits (None where it is
        0), `triggers`, `imu_samples`, `frames`, their numbers; for a set the sums and extremes over all recordings, and
        `recordings`, their number. So `duration_us` of a set, the sum over its recordings, may be more than lies
        between `t_first_us` and `t_last_us`.

    Raises:
        FormatError: as `read`; for a set also when any recording is damaged.
        UnsupportedError: as `read`.

    Example:
        >>> import tempfile
        >>> from spikelab.events import Events, write
        >>> one = Events.from_columns(t=[7, 9], x=[3, 5], y=[4, 0], p=[0, 1], shape=(34, 34))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.bin")
        ...     summary = info(f"{folder}/a.bin")
        >>> summary["count"], summary["on_count"], summary["t_last_us"], summary["rate_hz"], summary["format"]
        (2, 1, 9, 1000000.0, 'nmnist')
    """
    kind = format or detect(path)
    found: Recordings | None = None
    if kind not in FORMATS:
        whole = read(path, format=kind, errors=errors, shape=shape, sort=sort, **options)
        assert isinstance(whole, Recordings)
        found, counted = whole, _Count()
        for events in found:
            counted.add([events.array])
        sensor: tuple[int, ...] = found.shape
        beside = (0, 0, 0)
    else:
        source = open_recording(path, format=kind, errors=errors, shape=shape, sort=sort, **options)
        counted = _Count()
        counted.add(source.blocks())
        sensor = source.shape or (counted.x + 1, counted.y + 1)
        more = open_recording(path, format=kind, errors=errors, shape=shape, sort=sort, **options).extras()
        beside = (len(more.triggers), len(more.imu), len(more.frame_times))
    width, height = sensor if len(sensor) == 2 else (sensor[0], 1)
    result: dict[str, int | float | str | None] = {"format": kind, "width": width, "height": height}
    result |= counted.summary() | dict(zip(("triggers", "imu_samples", "frames"), beside, strict=True))
    return result if found is None else result | {"recordings": len(found)}


class _Count:
    """Sums and extremes over recordings."""

    def __init__(self) -> None:
        self.count = self.on = self.duration = 0
        self.first: int | None = None
        self.last: int | None = None
        self.x = self.y = 0

    def add(self, blocks: Iterable[NDArray[np.void]]) -> None:
        """Add the events of one recording."""
        first: int | None = None
        last = 0
        for block in blocks:
            if not len(block):
                continue
            start, stop = int(block["t"].min()), int(block["t"].max())
            first, last = (start, stop) if first is None else (min(first, start), max(last, stop))
            self.count += len(block)
            self.on += int(np.count_nonzero(block["p"]))
            self.x, self.y = max(self.x, int(block["x"].max())), max(self.y, int(block["y"].max()))
        if first is not None:
            self.duration += last - first
            self.first = first if self.first is None else min(self.first, first)
            self.last = last if self.last is None else max(self.last, last)

    def summary(self) -> dict[str, int | float | None]:
        """The figures, by name."""
        some = self.count > 0
        return {
            "count": self.count,
            "on_count": self.on,
            "t_first_us": self.first,
            "t_last_us": self.last,
            "x_max": self.x if some else None,
            "y_max": self.y if some else None,
            "duration_us": self.duration if some else None,
            "rate_hz": float(f"{self.count * 1e6 / self.duration:.9g}") if self.duration else None,
        }
