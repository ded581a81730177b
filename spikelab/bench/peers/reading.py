"""Event readers, each in a process of its own: `python reading.py NAME` answers every line of its input with a line.

This file runs in the environment of the peers, where spikelab is not: it imports the reader that it is asked
for, and nothing else that is not in the standard library.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

__all__ = ["READERS", "answer", "memory_bytes"]

Read = Callable[[str], Any]
"""Reads a file into memory."""


def _spikelab() -> Read:
    read = import_module("spikelab.events").read
    return lambda path: read(path)


def _faery() -> Read:
    faery = import_module("faery")
    return lambda path: faery.events_stream_from_file(path).to_array()


def _evlib() -> Read:
    evlib = import_module("evlib")
    return lambda path: evlib.load_events(path).collect()


def _aedat() -> Read:
    aedat, numpy = import_module("aedat"), import_module("numpy")
    return lambda path: numpy.concatenate([packet["events"] for packet in aedat.Decoder(path) if "events" in packet])


def _tonic() -> Read:
    tonic = import_module("tonic.io")

    def read(path: str) -> Any:
        if path.endswith(".aedat4"):
            return tonic.read_aedat4(path)
        return tonic.read_mnist_file(path, dtype=tonic.events_struct)

    return read


def _dv_processing() -> Read:
    dv, numpy = import_module("dv_processing"), import_module("numpy")

    def read(path: str) -> Any:
        recording, batches = dv.io.MonoCameraRecording(path), []
        while recording.isRunning():
            batch = recording.getNextEventBatch()
            if batch is None:
                break
            batches.append(batch.numpy())
        return numpy.concatenate(batches)

    return read


def _event_stream() -> Read:
    event_stream, numpy = import_module("event_stream"), import_module("numpy")
    return lambda path: numpy.concatenate(list(event_stream.Decoder(path)))


def _expelliarmus() -> Read:
    wizard = import_module("expelliarmus").Wizard

    def read(path: str) -> Any:
        encoding = "dat" if path.endswith(".dat") else "evt3" if "evt3" in path else "evt2"
        return wizard(encoding=encoding).read(path)

    return read


def _evt3() -> Read:
    evt3 = import_module("evt3")
    return lambda path: evt3.decode_file(path).timestamp


def _numpy() -> Read:
    numpy = import_module("numpy")

    def read(path: str) -> Any:
        if path.endswith(".npz"):
            with numpy.load(path) as arrays:
                return max((arrays[name] for name in arrays.files), key=len)
        return numpy.loadtxt(path, skiprows=1)

    return read


def _h5py() -> Read:
    h5py = import_module("h5py")
    import_module("hdf5plugin")

    def read(path: str) -> Any:
        with h5py.File(path) as file:
            return max([file[f"events/{name}"][:] for name in "txyp"], key=len)

    return read


READERS: Final[dict[str, tuple[str, Callable[[], Read]]]] = {
    "spikelab": ("spikelab-neuromorphic", _spikelab),
    "faery": ("faery", _faery),
    "evlib": ("evlib", _evlib),
    "aedat": ("aedat", _aedat),
    "tonic": ("tonic", _tonic),
    "dv-processing": ("dv-processing", _dv_processing),
    "event_stream": ("event_stream", _event_stream),
    "expelliarmus": ("expelliarmus", _expelliarmus),
    "evt3": ("evt3", _evt3),
    "numpy": ("numpy", _numpy),
    "h5py": ("h5py", _h5py),
}
"""Distribution of each reader, and what makes it, in the fastest way that we know of."""


def memory_bytes(name: str) -> int:
    """[B] `VmRSS` or `VmHWM` of this process; 0 where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
    return 0


def answer(read: Read, path: str) -> dict[str, Any]:
    """Read a file once.

    Returns:
        `events`, `seconds`, and `extra_bytes`: how far memory rose above what it was before.
    """
    gc.collect()
    before = memory_bytes("VmRSS")
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the highest back to the present
    began = time.perf_counter()
    found = read(path)
    seconds = time.perf_counter() - began
    extra = memory_bytes("VmHWM") - before
    return {"events": int(getattr(found, "height", 0) or len(found)), "seconds": seconds, "extra_bytes": extra}


def _main(name: str) -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # readers that print do not disturb the answers
    try:
        distribution, make = READERS[name]
        read = make()
        hello = {"version": version(distribution)}
    except ImportError as error:  # PackageNotFoundError, too
        print(json.dumps({"error": f"not installed ({error})"}), file=out, flush=True)
        return
    print(json.dumps(hello), file=out, flush=True)
    for line in sys.stdin:
        try:
            found = answer(read, line.rstrip("\n"))
        except BaseException as error:  # a Rust panic is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            found = {"error": f"{type(error).__name__}: {error}".replace("\n", " ")[:200]}
        print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
