from __future__ import annotations

import struct

import pytest

from spikelab.events import flatbuffer

TABLE = struct.pack("<II4s2xHHHHiII", 32, 18, b"TEST", 8, 8, 4, 0, 8, 4, 2) + b"ab\0\0"


def test_fields_and_vectors_are_found() -> None:
    data = struct.pack("<I", len(TABLE) - 4) + TABLE[4:]
    table = flatbuffer.root(data, b"TEST")
    assert table == 22
    place = flatbuffer.field(data, table, 0)
    assert place == 26
    assert data[slice(*flatbuffer.vector(data, place, 1))] == b"ab"
    assert flatbuffer.field(data, table, 1) is None  # its default
    assert flatbuffer.field(data, table, 9) is None  # unknown to the writer


def test_whatever_lies_outside_is_an_error() -> None:
    data = struct.pack("<I", len(TABLE) - 4) + TABLE[4:]
    with pytest.raises(struct.error):
        flatbuffer.root(data, b"ELSE")
    with pytest.raises(struct.error):
        flatbuffer.root(data + b"\0", b"TEST")
    with pytest.raises(struct.error):
        flatbuffer.at("q", data, len(data) - 7)
    with pytest.raises(struct.error):
        flatbuffer.at("i", data, -4)  # struct itself counts from the end
    with pytest.raises(struct.error):
        flatbuffer.vector(data, 26, 1000)
