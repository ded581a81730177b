"""Files that nothing here writes: MATLAB, NumPy, bags of ROS 2, EVT3 with vectors and triggers, AEDAT 1, ES of ATIS."""

from __future__ import annotations

import io
import sqlite3
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import scipy.io

__all__ = ["handmade"]

N = 120
_TYPE = "event_camera_msgs/msg/EventPacket"


def handmade(folder: Path) -> Iterator[Path]:
    """Write them."""
    rng = np.random.default_rng(7)
    t = np.cumsum(rng.integers(1, 400, N))
    x, y, p = rng.integers(0, 34, N), rng.integers(0, 30, N), rng.integers(0, 2, N)
    for name, data in {
        "a.npy": _npy(t, x, y, p),
        "packed.mat": _mat(t, x, y, p, packed=True),
        "plain.mat": _mat(t, x, y, p, packed=False),
        "vectors.raw": b"% evt 3.0\n% format EVT3;height=720;width=1280\n% end\n" + _evt3(rng),
        "oldest.aedat": b"#!AER-DAT1.0\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n" + _aedat1(t, x, y, p),
        "atis.es": _atis(t, x, y, p),
    }.items():
        (folder / name).write_bytes(data)
        yield folder / name
    for encoding, content in {
        "evt3": _evt3(rng),
        "mono": np.stack([t * 1000, x | y << 16 | p << 31], 1).astype("<u4").tobytes(),
        "libcaer": np.stack([p << 1 | y << 2 | x << 17 | 1, t], 1).astype("<u4").tobytes(),
    }.items():
        yield _bag(folder / f"{encoding}.db3", encoding, content)
        if find_spec("mcap"):
            yield _mcap(folder / f"{encoding}.mcap", encoding, content)


def _npy(t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> bytes:
    array = np.zeros(N, [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    for name, column in zip("txyp", (t, x, y, p), strict=True):
        array[name] = column
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _mat(t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray, *, packed: bool) -> bytes:
    file = io.BytesIO()
    events = np.stack([x, y, 2 * p - 1, t], 1).astype("<i4")
    scipy.io.savemat(file, {"events": events}, do_compression=packed)
    return file.getvalue()


def _evt3(rng: np.random.Generator) -> bytes:
    """Single events, vectors of 12 and 8, triggers, words that go on, and a wrap of the time."""
    words = [0x8FFE]
    for k in range(40):
        words += [0x8000 | (0xFFE + k // 8) & 0xFFF] if k % 8 == 0 else []
        words += [0x6000 | k % 8 * 500, int(rng.integers(0, 720)), 0x2000 | int(rng.integers(0, 1280)) | k % 2 << 11]
        words += [0x3000 | int(rng.integers(0, 1200)), 0x4000 | int(rng.integers(1, 4096)), 0x5000 | k % 255 + 1]
        words += [0xA000 | k % 2, 0xE000 | k, 0x7000] if k % 10 == 3 else []
    return np.array(words, "<u2").tobytes()


def _aedat1(t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> bytes:
    records = np.zeros(N, [("address", ">u2"), ("t", ">u4")])
    records["address"], records["t"] = y << 8 | (127 - x) << 1 | 1 - p, t
    return records.tobytes()


def _atis(t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> bytes:
    """ES of type 2: 6 bits of time, then whether it is a change of light, and polarity; 63 us and more go before."""
    data = bytearray(b"Event Stream" + bytes([2, 0, 0, 2]) + struct.pack("<HH", 34, 34))
    for step, a, b, on in zip(np.diff(t, prepend=0).tolist(), x.tolist(), y.tolist(), p.tolist(), strict=True):
        times, rest = divmod(step, 63)
        data += b"".join(bytes([0xFC | min(3, times - done)]) for done in range(0, times, 3))
        data += bytes([rest << 2 | on << 1]) + struct.pack("<HH", a, b)
    return bytes(data)


def _messages(encoding: str, content: bytes) -> Iterator[bytes]:
    """Two messages of a camera, in plain CDR."""
    half = len(content) // 16 * 8
    for k, part in enumerate((content[:half], content[half:])):
        name = encoding.encode() + b"\0"
        body = struct.pack("<iII4sII", 1, 2, 4, b"cam\0", 720, 1280) + struct.pack("<QQI", k, 0, len(name)) + name
        yield b"\0\1\0\0" + body + b"\0" + bytes(-(len(body) + 1) % 4) + struct.pack("<I", len(part)) + part


def _mcap(path: Path, encoding: str, content: bytes) -> Path:
    """The same in MCAP."""
    from mcap.writer import Writer

    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema(_TYPE, "ros2msg", b"")
        channel = writer.register_channel("/events", "cdr", schema)
        for k, message in enumerate(_messages(encoding, content)):
            writer.add_message(channel, k, message, k)
        writer.finish()
    return path


def _bag(path: Path, encoding: str, content: bytes) -> Path:
    """A bag with these messages."""
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT)")
    base.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
    base.execute("INSERT INTO topics VALUES (1, '/events', ?, 'cdr')", (_TYPE,))
    for k, message in enumerate(_messages(encoding, content)):
        base.execute("INSERT INTO messages VALUES (?, 1, ?, ?)", (k + 1, k, message))
    base.commit()
    base.close()
    return path
