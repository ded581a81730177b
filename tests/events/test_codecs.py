from __future__ import annotations

import tracemalloc

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spikelab.events.codecs import CodecError, unpack

PACK = {"none": bytes, "lz4": lz4.frame.compress, "zstd": zstandard.compress}


@given(st.binary(max_size=5000), st.sampled_from(sorted(PACK)), st.integers(0, 1500))
def test_what_is_packed_is_unpacked_and_the_rest_is_counted(data: bytes, codec: str, rest: int) -> None:
    packed = PACK[codec](data)
    assert unpack(packed, codec) == (data, 0)
    if codec != "none":
        assert unpack(packed + bytes(rest), codec) == (data, rest)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_damage_is_one_error(codec: str) -> None:
    packed = PACK[codec](np.random.default_rng(0).bytes(3000))
    for damaged in (b"", b"x", packed[:5], packed[: len(packed) // 2], packed[:-1], bytes(100)):
        with pytest.raises(CodecError):
            unpack(damaged, codec)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_a_bomb_stays_within_the_bound(codec: str) -> None:
    bomb = PACK[codec](bytes(1 << 28))
    if codec == "lz4":  # a frame that promises more than its bytes can hold
        bomb = lz4.frame.compress(bytes(1 << 22), block_size=lz4.frame.BLOCKSIZE_MAX4MB)[:400]
    tracemalloc.start()
    with pytest.raises(CodecError):
        unpack(bomb, codec)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_what_packs_tightest_is_unpacked(codec: str) -> None:
    for data in (bytes(1 << 19), bytes(150_000), b"events" * 80_000):
        packed = PACK[codec](data)
        assert unpack(packed, codec) == (data, 0)
        assert unpack(packed + b"rest", codec) == (data, 4)
        with pytest.raises(CodecError):
            unpack(packed[:-1], codec)
