"""Feed damaged files to the event readers: each gives valid events or one of two errors, never anything else.

    python tests/fuzz/fuzz_events.py --reader nmnist --count 50000 --seed 1
    python tests/fuzz/fuzz_events.py --count 70000          every reader

A finding leaves its file, shortened, and its trace in `fuzz-found`. `test_fuzz_events.py` runs a short part in pytest.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import lz4.frame
import numpy as np
import zstandard

from spikelab.events import Events, Recordings, nmnist, packed, shd
from spikelab.events import files as event_files

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package

from damage import Seed
from feeding import supervise, work
from seeds import all_seeds


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


def readers() -> list[str]:
    """Everything that `read` knows: the formats of single recordings, and the sets."""
    return [*event_files.FORMATS, *event_files._SETS]


def seeds_of(reader: str | None, folder: Path) -> dict[str, list[Seed]]:
    """Intact files by reader, of one or of all."""
    made = folder / "made"
    made.mkdir(parents=True)
    found: dict[str, list[Seed]] = {name: [] for name in readers() if reader in (None, name)}
    for seed in all_seeds(folder, seed_files(made)):
        if seed.reader in found:
            found[seed.reader].append(seed)
    return found


def main() -> int:
    """Run from the command line; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", default="all", choices=["all", *readers()])
    parser.add_argument("--count", type=int, default=1000, help="inputs per reader")
    parser.add_argument("--seed", type=int, default=0, help="of the run")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="folder for what is found")
    parser.add_argument("--state", type=Path, help="of a worker: where it counts")
    asked = parser.parse_args()
    if asked.state:
        with tempfile.TemporaryDirectory() as folder:
            seeds = seeds_of(asked.reader, Path(folder))[asked.reader]
        work(seeds, asked.seed, range(asked.first, asked.count), asked.keep, asked.state)
        return 0
    found = 0
    for reader in readers() if asked.reader == "all" else [asked.reader]:
        line = supervise(reader, asked.seed, asked.count, asked.keep, Path(__file__))
        print(json.dumps(line), flush=True)
        found += line["wrong"] + line["hangs"] + line["deaths"]
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
