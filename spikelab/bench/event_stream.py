"""A recording of gigabytes, piece by piece to frames: the memory of a process that does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from spikelab.bench.lines import Size
from spikelab.bench.peers.reading import memory_bytes

__all__ = ["LIMIT_BYTES", "streamed"]

LIMIT_BYTES = 300_000_000
"""[B] most that the process may take."""
CASE = "EVT3 streamed to frames, peak memory of the process"
REFERENCE = "limit of 300 MB"


def streamed(path: Path, count: int, small: tuple[Path, int]) -> Size:
    """Stream a file to frames in a process of its own.

    Args:
        path: the recording.
        count: events that are in it.
        small: a small recording and its events; a process before compiles with it, which takes memory once only.

    Raises:
        CalledProcessError: it failed, or did not find all events.
    """
    for name, number in (small, (path, count)):
        command = [sys.executable, "-m", "spikelab.bench.event_stream", str(name), str(number)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    peak = found.pop("peak")
    return Size.of(CASE, REFERENCE, peak, LIMIT_BYTES, {**found, "bytes": path.stat().st_size})


def _main(path: str, count: int) -> None:
    from spikelab.events import bin_events, stream

    began, events, frames, total = time.perf_counter(), 0, 0, 0.0
    for piece in stream(path, window="10 ms"):
        if len(piece):
            made = bin_events(piece, dt="10 ms", start_us=int(piece.t[0]))
            events, frames, total = events + len(piece), frames + len(made), total + float(made.sum())
    if not events == total == count:
        raise SystemExit(f"found {events} events and {total:.0f} in frames; expected {count}")
    seconds = time.perf_counter() - began
    rate = {"seconds": seconds, "mev_per_s": events / seconds * 1e-6}
    print(json.dumps({"peak": memory_bytes("VmHWM"), "events": events, "frames": frames, **rate}))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
