"""Damage a file, reproducibly: the number of an input and the seed of a run say all of what is done to it."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np

__all__ = ["Seed", "damaged", "header_size"]

EXTREMES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**63,
    2**64 - 1,
)
NUMBERS = (b"0", b"1", b"-1", b"65536", b"4294967296", b"9" * 30, b"1e999", b"nan", b"\xff", b"")


@dataclass(frozen=True)
class Seed:
    """An intact file."""

    reader: str
    """Key of `FORMATS`, or name of a set."""
    name: str
    """File name, with the end that its format has."""
    data: bytes
    header: int
    """Byte at which the header ends."""


def header_size(data: bytes) -> int:
    """Where the lines of text at the start of a file end; for binary headers a guess."""
    place = 0
    while data[place : place + 1] in (b"%", b"#"):
        end = data.find(b"\n", place)
        if end < 0:
            break
        place = end + 1
    return place or min(500, len(data) // 3)


def damaged(seed: Seed, run: int, number: int) -> bytes:
    """Input `number` of a run: one to four kinds of damage; every second input has all of it behind the header."""
    rng = np.random.default_rng([run, zlib.crc32(seed.name.encode()), number])
    low = min(seed.header, max(len(seed.data) - 1, 0)) if number % 2 else 0
    copy = bytearray(seed.data)
    for _ in range(int(rng.choice(4, p=(0.6, 0.2, 0.1, 0.1))) + 1):
        if len(copy) > low:
            _KINDS[int(rng.integers(len(_KINDS)))](copy, low, rng)
    return bytes(copy)


def _place(copy: bytearray, low: int, rng: np.random.Generator) -> int:
    return int(rng.integers(low, len(copy)))


def _length(copy: bytearray, rng: np.random.Generator) -> int:
    most = int(rng.choice((4, 16, 64, 512, 4096)))
    return int(rng.integers(1, most + 1))


def _flip_one(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    copy[_place(copy, low, rng)] ^= 1 << int(rng.integers(8))


def _flip_some(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 20))):
        _flip_one(copy, low, rng)


def _lie(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    """An extreme number of 1 to 8 bytes, where a size may stand."""
    size = int(rng.choice((1, 2, 4, 8)))
    place = _place(copy, low, rng)
    if rng.integers(2):
        place = low + (place - low) // size * size
    value = int(EXTREMES[int(rng.integers(len(EXTREMES)))]) % 256**size
    order = "little" if rng.integers(2) else "big"
    new = value.to_bytes(size, order)  # type: ignore[arg-type]
    copy[place : place + size] = new[: len(copy) - place]


def _shift(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    """A number off by a little."""
    place = _place(copy, low, rng)
    copy[place] = (copy[place] + int(rng.integers(-3, 4))) % 256


def _cut(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    del copy[_place(copy, low, rng) :]


def _append(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    copy += rng.bytes(_length(copy, rng)) if rng.integers(2) else bytes(_length(copy, rng))


def _remove(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    place = _place(copy, low, rng)
    del copy[place : place + _length(copy, rng)]


def _insert(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    place = _place(copy, low, rng)
    copy[place:place] = rng.bytes(_length(copy, rng))


def _random(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    place = _place(copy, low, rng)
    size = min(_length(copy, rng), len(copy) - place)
    copy[place : place + size] = rng.bytes(size)


def _fill(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    place = _place(copy, low, rng)
    size = min(_length(copy, rng), len(copy) - place)
    copy[place : place + size] = bytes([int(rng.choice((0, 0, 255, 240, int(rng.integers(256)))))]) * size


def _repeat(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    """A block once more, behind itself or elsewhere."""
    place = _place(copy, low, rng)
    block = copy[place : place + _length(copy, rng)]
    other = _place(copy, low, rng)
    copy[other:other] = block * int(rng.integers(1, 4))


def _overwrite(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    """A block over another."""
    place, other = _place(copy, low, rng), _place(copy, low, rng)
    block = copy[place : place + _length(copy, rng)][: len(copy) - other]
    copy[other : other + len(block)] = block


def _retype(copy: bytearray, low: int, rng: np.random.Generator) -> None:
    """Another number where the file says one in text."""
    found = [m.span() for m in re.finditer(rb"\d+", bytes(copy[low : low + 2048]))]
    if not found:
        return _shift(copy, low, rng)
    start, end = found[int(rng.integers(len(found)))]
    copy[low + start : low + end] = NUMBERS[int(rng.integers(len(NUMBERS)))]
    return None


_KINDS = (
    _flip_one,
    _flip_some,
    _flip_some,
    _lie,
    _lie,
    _shift,
    _cut,
    _append,
    _remove,
    _insert,
    _random,
    _fill,
    _repeat,
    _overwrite,
    _retype,
)
