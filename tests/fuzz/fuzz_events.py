"""Feed damaged files to the event readers: each gives valid events or one of two errors, never anything else.

    python tests/fuzz/fuzz_events.py [mutations per seed file] [first seed]

A failure leaves the file beside the message. `test_fuzz_events.py` runs a short part of this in pytest.
"""

from __future__ import annotations

import json
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import lz4.frame
import numpy as np
import zstandard

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events import Events, Recordings, nmnist, packed, read, shd

SECONDS = 10
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)


def random_events(rng: np.random.Generator, count: int, shape: tuple[int, ...], span_us: int = 300_000) -> Events:
    height = shape[1] if len(shape) == 2 else 1
    p = rng.integers(0, 2, count) if len(shape) == 2 else np.ones(count, np.int64)
    t = np.sort(rng.integers(0, span_us, count))
    return Events.from_columns(t, rng.integers(0, shape[0], count), rng.integers(0, height, count), p, shape=shape)


def aedat4_bytes(
    packets: list[tuple[int, Events | bytes]],
    compression: int = 0,
    *,
    streams: str | None = None,
    killed: bool = False,
) -> bytes:
    """Bytes of an AEDAT 4 file. A packet is a stream and its events, or raw bytes of another type."""
    pack: Callable[[bytes], bytes] = {0: bytes, 1: lz4.frame.compress, 3: zstandard.compress}[compression]
    if streams is None:
        streams = aedat4_streams({0: ("EVTS", (34, 34)), 1: ("BBOX", None)})
    text = streams.encode()

    def header(position: int) -> bytes:
        body = struct.pack("<I4s6xHHHHHiiIIq", 24, b"IOHE", 10, 24, 4, 16, 8, 10, compression, 16, 0, position)
        body += struct.pack("<I", len(text)) + text + b"\0"
        return b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(body)) + body

    start, data, rows = len(header(0)), b"", []
    for stream, content in packets:
        count = 1
        if isinstance(content, Events):
            count = len(content)
            array = np.zeros(count, content.array.dtype)  # padding is 0
            for name in ("t", "x", "y", "p"):
                array[name] = content.array[name]
            content = struct.pack("<I4s2xHHHiII", 16, b"EVTS", 6, 8, 4, 6, 4, count) + array.tobytes()
            content = struct.pack("<I", len(content)) + content
        payload = pack(content)
        rows.append((start + len(data) + 8, stream, len(payload), count))
        data += struct.pack("<ii", stream, len(payload)) + payload
    if killed:
        return header(-1) + data
    first = 28 + 4 * len(rows) + 16
    table = struct.pack("<I4sHHH2xiII", 16, b"FTAB", 6, 8, 4, 8, 4, len(rows))
    table += b"".join(struct.pack("<I", first + 44 * k - (28 + 4 * k)) for k in range(len(rows)))
    table += struct.pack("<HHHHHHH2x", 14, 44, 4, 12, 20, 28, 36)
    for k, (offset, stream, size, count) in enumerate(rows):
        table += struct.pack("<iqiiqqq", first + 44 * k - (first - 16), offset, stream, size, count, 0, 0)
    return header(start + len(data)) + data + pack(struct.pack("<I", len(table)) + table)


def aedat4_streams(streams: dict[int, tuple[str, tuple[int, int] | None]]) -> str:
    """XML of the header."""
    nodes = ""
    for number, (kind, size) in streams.items():
        sizes = f'<attr key="sizeX">{size[0]}</attr><attr key="sizeY">{size[1]}</attr>' if size else ""
        kind = f'<attr key="typeIdentifier" type="string">{kind}</attr>'
        nodes += f'<node name="{number}">{kind}<node name="info">{sizes}</node></node>'
    return f'<dv version="2.0"><node name="outInfo">{nodes}</node></dv>'


def seed_files(folder: Path) -> dict[str, tuple[Path, int]]:
    """Intact files, and where their headers end."""
    rng = np.random.default_rng(0)
    camera = [random_events(rng, 60, (34, 34)) for _ in range(4)]
    later = Events.from_columns(camera[1].t + 300_000, camera[1].x, camera[1].y, camera[1].p, shape=(34, 34))
    nmnist.write(camera[0], folder / "nmnist.bin")
    with zipfile.ZipFile(folder / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for k, events in enumerate(camera):
            archive.writestr(f"Train/{k % 2}/{k:05d}.bin", nmnist.encode(events))
    for compression, name in ((0, "none"), (1, "lz4"), (3, "zstd")):
        data = aedat4_bytes([(0, camera[0]), (1, b"no boxes"), (0, later)], compression)
        (folder / f"{name}.aedat4").write_bytes(data)
    (folder / "killed.aedat4").write_bytes(aedat4_bytes([(0, camera[0]), (0, later)], 1, killed=True))
    trains = [random_events(rng, 30, (20,), 60_000) for _ in range(6)]
    sounds = Recordings.of(trains, [0, 1, 2] * 2, ("a", "b", "c"), {"speaker": np.arange(6, dtype=np.uint16)})
    shd.write(sounds, folder / "shd.h5")
    with h5py.File(folder / "shd.h5") as source, h5py.File(folder / "chunked.h5", "w", libver="earliest") as file:
        file["labels"] = source["labels"][:]
        for name in ("times", "units"):
            old = source["spikes"][name]
            options: dict[str, Any] = {"chunks": (4,), "maxshape": (None,), "compression": "gzip", "shuffle": True}
            new = file.create_dataset(f"spikes/{name}", len(old), old.dtype, **options)
            for k in range(len(old)):
                new[k] = old[k]
    packed.write(sounds, folder / "packed.h5")
    headers = {"nmnist": 0, "set": 0, "shd": 96, "chunked": 96, "packed": 96}
    return {path.name: (path, headers.get(path.stem, 500)) for path in sorted(folder.iterdir())}


def mutations(data: bytes, header: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Damaged copies, endless; every second one past the header."""
    while True:
        for low in (0, min(header, len(data) - 1)):
            copy = bytearray(data)
            place = int(rng.integers(low, len(data)))
            length = int(rng.integers(1, 64))
            kind = int(rng.integers(0, 9))
            if kind <= 2:
                for _ in range(int(rng.integers(1, 11)) if kind else 1):
                    copy[int(rng.integers(low, len(data)))] ^= 1 << int(rng.integers(8))
            elif kind == 3:
                size = int(rng.choice([1, 2, 4, 8]))
                value = int(rng.choice(EXTREMES)) % 256**size
                copy[place : place + size] = value.to_bytes(size, "little")
            elif kind == 4:
                del copy[place:]
            elif kind == 5:
                copy += rng.bytes(length)
            elif kind == 6:
                del copy[place : place + length]
            elif kind == 7:
                copy[place : place + length] = rng.bytes(length)
            else:
                other = int(rng.integers(low, len(data)))
                copy[place : place + length] = data[other : other + length]
            yield bytes(copy)


def outcome(path: Path) -> str:
    """Read a file whole and name what came of it. Anything unexpected escapes as an exception."""
    try:
        found = read(path)
        for events in [found] if isinstance(found, Events) else found:
            # The constructor has checked them; look again, from outside.
            assert events.array.dtype.names == ("t", "x", "y", "p")
            assert (np.diff(events.t) >= 0).all()
            assert (events.x < events.shape[0]).all()
            assert (events.y < (events.shape[1] if len(events.shape) == 2 else 1)).all()
    except (FormatError, UnsupportedError) as error:
        if str(path) not in str(error):
            raise AssertionError(f"no path in {error}") from error
        return type(error).__name__
    return "read"


def run(count: int, first_seed: int, folder: Path, keep: Path) -> dict[str, Counter[str]]:
    """Mutate each seed file `count` times. A hang is an alarm, which escapes as TimeoutError."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"reading took more than {SECONDS} s")

    signal.signal(signal.SIGALRM, ring)
    results: dict[str, Counter[str]] = {}
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    for number, (name, (path, header)) in enumerate(seed_files(seeds).items()):
        data = path.read_bytes()
        assert outcome(path) == "read", name
        made = mutations(data, header, np.random.default_rng([first_seed, number]))
        results[name] = Counter()
        target = folder / name
        for _ in range(count):
            mutated = next(made)
            target.write_bytes(mutated)
            signal.alarm(SECONDS)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    results[name][outcome(target)] += 1
            except BaseException:
                (keep / f"failed-{name}").write_bytes(mutated)
                raise
            finally:
                signal.alarm(0)
        target.unlink()
    return results


def main() -> None:
    """Run from the command line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    first_seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = run(count, first_seed, Path(folder), Path.cwd())
    for name, found in results.items():
        print(json.dumps({"seed": name, "mutations": count, **found}))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": round(time.monotonic() - began), "peak_mib": peak}))


if __name__ == "__main__":
    main()
