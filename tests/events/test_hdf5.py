from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError
from spikelab.events import EVENT, Events, read, write
from spikelab.events.hdf5 import Hdf5, open_hdf5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.h5"


@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    kind=st.sampled_from(["u1", "<u2", ">i4", "<i8", "<f2", "<f4", ">f8", "S5"]),
    chunk=st.none() | st.integers(1, 50),
    packing=st.sampled_from([{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}]),
)
def test_arrays_equal_those_of_h5py(
    shape: list[int], kind: str, chunk: int | None, packing: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    array = np.random.default_rng(0).integers(0, 100, shape).astype(kind)
    with h5py.File(path, "w") as file:
        chunks = None if chunk is None else tuple(min(chunk, size) for size in shape)
        file.create_dataset("one/two/array", data=array, chunks=chunks, **(packing if chunks else {}))
        file["one/other"] = 3.5
    with open_hdf5(path) as file:
        found = file.read("one/two/array", rank=len(shape))
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        assert file.read("one/other", rank=0) == 3.5
        assert file.names("one") == ["one/other"]
        assert "one/two/array" in file
        assert "one/two" not in file


@given(values=st.lists(st.lists(st.integers(0, 65535), max_size=30), min_size=1, max_size=20), chunked=st.booleans())
def test_sequences_equal_those_of_h5py(
    values: list[list[int]], chunked: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    options: dict[str, Any] = {"chunks": (min(3, len(values)),), "compression": "gzip"} if chunked else {}
    with h5py.File(path, "w") as file:
        data = file.create_dataset("values", len(values), h5py.vlen_dtype(np.uint16), **options)
        for k, value in enumerate(values):
            data[k] = np.array(value, np.uint16)
    with open_hdf5(path) as file:
        found = file.sequences("values")
        assert [entry.tolist() for entry in (found[k] for k in range(len(found)))] == values


def test_a_group_of_many_members_is_walked(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for k in range(300):
            file[f"group/{k}"] = np.array([k])
    with open_hdf5(path) as file:
        assert len(file.names("group")) == 300
        assert file.read("group/299").tolist() == [299]


def test_files_of_shared_data_are_read(shared: Path) -> None:
    name = shared / "labelled/fsdd_spikes/fsdd_spikes_test.h5"
    with h5py.File(name) as theirs, open_hdf5(name) as ours:
        for array in ("labels", "extra/index", "extra/speaker", "extra/keys"):
            np.testing.assert_array_equal(ours.read(array), theirs[array][:])
        for array in ("spikes/times", "spikes/units"):
            found, expected = ours.sequences(array), theirs[array][:]
            assert all(np.array_equal(found[k], expected[k]) for k in range(len(expected)))


def test_the_new_layout_is_refused_with_advice(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file["a"] = np.arange(3)
    with pytest.raises(FormatError, match=r'superblock version 3.*libver="earliest"'), open_hdf5(path):
        pass


def test_what_is_missing_or_of_another_kind_is_named(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["plain"] = np.arange(3)
        file["complex"] = np.zeros(3, np.complex64)
        file.create_dataset("unfilled", 9, "i4", chunks=(2,))
        file.create_dataset("scaled", data=np.arange(9), chunks=(9,), scaleoffset=3)
        file.create_dataset("sequences", 2, h5py.vlen_dtype(np.uint8))[:] = [np.arange(2, dtype=np.uint8)] * 2
    with open_hdf5(path) as file:
        for name, rank, message in (
            ("absent", 1, "found no array absent among complex, plain, scaled"),
            ("plain", 2, r"of shape \(3,\) in plain; expected plain values on 2 axes"),
            ("complex", 1, "of a type that is not read"),
            ("unfilled", 1, "found no chunks of unfilled; .* never filled"),
            ("scaled", 1, "found filter 6; expected deflate, shuffle"),
            ("sequences", 1, "found sequences of shape"),
        ):
            with pytest.raises(FormatError, match=message):
                file.read(name, rank)
        with pytest.raises(FormatError, match="expected sequences on one axis"):
            file.sequences("plain")


def test_a_cut_or_lengthened_file_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(300)
    data = path.read_bytes()
    for damaged, message in (
        (b"", "this is no HDF5 file, or it is empty or cut"),
        (data[:1], "this is no HDF5 file"),
        (data[:8], "found a pointer"),
        (data[:50], "found a pointer|found 50 bytes"),
        (data[:-1], f"found {len(data) - 1} bytes; expected {len(data)}"),
        (data + b"garbage", f"found {len(data) + 7} bytes; expected {len(data)}"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=message), open_hdf5(path):
            pass


def test_a_group_that_holds_itself_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("a")
        file["a/again"] = file["/"]
    with pytest.raises(FormatError, match="found an object in two groups"), open_hdf5(path):
        pass


def test_a_size_beyond_the_file_is_not_allocated(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.arange(1000, dtype="i8"), chunks=(1000,), compression="gzip")
    data = path.read_bytes()
    huge = data.replace((1000).to_bytes(8, "little"), (1 << 40).to_bytes(8, "little"))
    huge = huge.replace((1000).to_bytes(4, "little"), (1 << 30).to_bytes(4, "little"))
    with pytest.raises(FormatError, match="the file is damaged"):
        Hdf5("memory", huge).read("a")


@pytest.mark.parametrize("packing", ["blosc", "zstd"])
def test_columns_that_pack_tightest_are_read(packing: str, path: Path) -> None:
    import hdf5plugin

    count = 5_000_000
    events = Events(np.zeros(count, EVENT), (34, 34))
    if packing == "blosc":  # as we write them
        write(events, path)
    else:
        with h5py.File(path, "w", libver="earliest") as file:
            for name in "txyp":
                file.create_dataset(f"events/{name}", data=events.array[name], chunks=(1 << 16,), **hdf5plugin.Zstd())
    assert path.stat().st_size < count / 64
    assert read(path, shape=(34, 34)).equals(events)


def test_a_chunk_that_claims_too_much_is_refused(path: Path) -> None:
    with h5py.File(path, "w", libver="earliest") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=np.zeros(1000, np.uint8), chunks=(1000,), compression="gzip")
    data = path.read_bytes()
    large = data.replace(struct.pack("<Q", 1000), struct.pack("<Q", 10**9)).replace(
        struct.pack("<I", 1000), struct.pack("<I", 10**9)
    )
    path.write_bytes(large)
    tracemalloc.start()
    with pytest.raises(FormatError, match="damaged"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_an_array_that_was_never_filled_is_said_to_be(path: Path) -> None:
    with h5py.File(path, "w", libver="earliest") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", shape=(1000,), dtype=np.uint16, chunks=(100,))
    with pytest.raises(FormatError, match=r"a\.h5: found no chunks of events/t; .* never filled"):
        read(path)
