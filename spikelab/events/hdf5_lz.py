"""Kernels that unpack LZF and BloscLZ (literal bytes, and copies from what was unpacked before) and order bytes.

Source:
    LibLZF 3.6 (M. Lehmann), lzf_d.c; c-blosc 1.21, blosclz.c: the formats of their streams.
"""

from __future__ import annotations

from typing import Any

from spikelab.events.compiled import compiled

__all__ = ["blosclz", "lzf", "unshuffle"]

_FAR = 8191  # BloscLZ: a distance from here on takes two further bytes


@compiled
def lzf(data: Any, out: Any) -> int:
    """Unpack LZF; the number of bytes, or -1 where the stream is damaged."""
    place, made, size, most = 0, 0, len(data), len(out)
    while place < size:
        control = int(data[place])
        place += 1
        if control < 32:
            length = control + 1
            if place + length > size or made + length > most:
                return -1
            for k in range(length):
                out[made + k] = data[place + k]
            place += length
        else:
            length = control >> 5
            if length == 7:
                if place >= size:
                    return -1
                length += int(data[place])
                place += 1
            if place >= size:
                return -1
            start = made - ((control & 31) << 8) - int(data[place]) - 1
            place += 1
            length += 2
            if start < 0 or made + length > most:
                return -1
            for k in range(length):
                out[made + k] = out[start + k]
        made += length
    return made


@compiled
def blosclz(data: Any, out: Any) -> int:
    """Unpack BloscLZ; the number of bytes, or -1 where the stream is damaged."""
    place, made, size, most = 0, 0, len(data), len(out)
    first = True
    while place < size:
        control = int(data[place])
        place += 1
        if first:  # the first control byte is always of literals
            control &= 31
            first = False
        if control < 32:
            length = control + 1
            if place + length > size or made + length > most:
                return -1
            for k in range(length):
                out[made + k] = data[place + k]
            place += length
        else:
            length = (control >> 5) + 2
            if control >> 5 == 7:
                while True:
                    if place >= size:
                        return -1
                    more = int(data[place])
                    place += 1
                    length += more
                    if more != 255:
                        break
            if place >= size:
                return -1
            low = int(data[place])
            place += 1
            distance = (control & 31) << 8 | low
            if distance == _FAR:
                if place + 2 > size:
                    return -1
                distance += int(data[place]) << 8 | int(data[place + 1])
                place += 2
            start = made - distance - 1
            if start < 0 or made + length > most:
                return -1
            for k in range(length):
                out[made + k] = out[start + k]
        made += length
    return made


@compiled
def unshuffle(data: Any, width: int, out: Any) -> None:
    """Put bytes together that belong to a value: the first of all values came first, then the second, and so on."""
    count = len(data) // width
    if width == 2:
        for k in range(count):
            out[2 * k] = data[k]
            out[2 * k + 1] = data[count + k]
    elif width == 4:
        for k in range(count):
            out[4 * k] = data[k]
            out[4 * k + 1] = data[count + k]
            out[4 * k + 2] = data[2 * count + k]
            out[4 * k + 3] = data[3 * count + k]
    else:
        for k in range(count):
            for byte in range(width):
                out[width * k + byte] = data[byte * count + k]
    for k in range(count * width, len(data)):
        out[k] = data[k]
