"""Columns, through the formats that keep them: NumPy, MATLAB and HDF5."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
import scipy.io

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events import Events, detect, info, read, stream, write


def whole(path: Path, **options: Any) -> Events:
    found = read(path, **options)
    assert isinstance(found, Events)
    return found


def table(events: Events) -> dict[str, Any]:
    return {name: events.array[name] for name in "txyp"}


@pytest.fixture
def long() -> Events:
    """More events than a block has."""
    rng = np.random.default_rng(4)
    n = 150_000
    t = np.cumsum(rng.integers(0, 9, n)) + 10**15
    return Events.from_columns(t, *rng.integers(0, 480, (2, n)), rng.integers(0, 2, n), shape=(640, 480))


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_what_is_written_is_read(name: str, long: Events, camera: Events, cochlea: Events, tmp_path: Path) -> None:
    path = tmp_path / name
    silent = Events.from_columns([], [], [], shape=(3, 4))
    for events in (long, camera, cochlea, silent):
        write(events, path)
        assert whole(path).equals(events)
        assert info(path)["count"] == len(events)
    write(long, path)
    joined = np.concatenate([part.array for part in stream(path, count=40_001)])
    np.testing.assert_array_equal(joined, long.array)


def test_names_and_units_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    want = [(1500, 3, 4, True), (2000, 5, 0, False)]
    for columns in (
        {"t": [1500, 2000], "x": [3, 5], "y": [4, 0], "p": [1, 0]},
        {"ts": [0.0015, 0.002], "xs": [3, 5], "ys": [4, 0], "ps": [1, -1]},
        {
            "Timestamp": np.array([0.00149951, 0.00200001], "f4"),
            "x": [3.0, 5.0],
            "y": [4, 0],
            "polarity": [True, False],
        },
    ):
        np.savez(path, **{name: np.array(column) for name, column in columns.items()})  # type: ignore[arg-type]
        assert [(round(t, -2), *rest) for t, *rest in whole(path).array.tolist()] == want
    np.savez(path, t=[1_500_499, 1_500_500, 1_501_500, 2_000_501], x=[0] * 4, y=[0] * 4)
    assert whole(path, unit="ns").t.tolist() == [1500, 1500, 1502, 2001]  # the half goes to the even one
    assert whole(path, unit="ms").t.tolist() == [t * 1000 for t in (1_500_499, 1_500_500, 1_501_500, 2_000_501)]
    with pytest.raises(UnsupportedError, match="found 'h'; expected one of s, ms, us, ns"):
        read(path, unit="h")


def test_floats_without_fractions_need_a_unit(tmp_path: Path) -> None:
    npz, npy, h5 = paths = [tmp_path / name for name in ("a.npz", "a.npy", "a.h5")]

    def save(*t: float) -> None:
        np.savez(npz, t=np.array(t), x=[0] * len(t), y=[0] * len(t))
        np.save(npy, np.array([(one, 0, 0) for one in t], [("t", "f8"), ("x", "i2"), ("y", "i2")]))
        with h5py.File(h5, "w") as file:
            file["events/t"], file["events/x"], file["events/y"] = t, [0] * len(t), [0] * len(t)

    for path in paths:
        save(0.0, 1500.0, 3000.0)
        with pytest.raises(FormatError, match=r"floats that are all whole, such as 1500; .*unit='us'"):
            read(path)
        with pytest.raises(FormatError, match="floats that are all whole"):
            next(stream(path, count=2))
        assert whole(path, unit="us").t.tolist() == [0, 1500, 3000]
        assert whole(path, unit="s").t.tolist() == [0, 1_500_000_000, 3_000_000_000]
        save(*[0.0] * 70_000, 1.0, 1.25)  # a fraction behind the first block
        assert whole(path).t[-2:].tolist() == [1_000_000, 1_250_000]
        save(0.0, 0.0)
        assert whole(path).t.tolist() == [0, 0]


def test_a_structured_array_is_read(long: Events, tmp_path: Path) -> None:
    dtype = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])  # that of tonic
    array = np.zeros(len(long), dtype)
    for name in "txyp":
        array[name] = long.array[name]
    np.save(tmp_path / "a.npy", array)
    assert whole(tmp_path / "a.npy", shape=(640, 480)).equals(long)
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:-6])
    with pytest.raises(FormatError, match="the file is cut, or has bytes added"):
        read(tmp_path / "a.npy")
    with pytest.warns(UserWarning, match="kept 149999 events"):
        assert len(whole(tmp_path / "a.npy", errors="truncate")) == len(long) - 1


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [("t", -5, 2), ("x", 34, 2), ("y", -1, 2), ("p", 2, 2), ("t", 2**62 + 1, 2)],
)
def test_damage_in_a_column_is_named_and_passed_over(column: str, value: int, kept: int, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    columns: dict[str, Any] = {"t": [1, 2, 3], "x": [0, 0, 0], "y": [0, 0, 0], "p": [0, 1, 0]}
    columns[column] = [*columns[column][:1], value, columns[column][2]]
    np.savez(path, **columns)
    with pytest.raises(FormatError, match=f"found event 1 with .*{column}={value}"):
        read(path, shape=(34, 34))
    with pytest.warns(UserWarning, match="kept 1 events"):
        assert whole(path, shape=(34, 34), errors="truncate").t.tolist() == [1]
    with pytest.warns(UserWarning, match="kept 2 events"):
        assert whole(path, shape=(34, 34), errors="skip").t.tolist() == [1, 3]
    if column == "t" and value < 0:
        assert whole(path, sort=True).t.tolist() == [-5, 1, 3]


def test_times_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    for bad in (np.nan, np.inf, 1e300):
        np.savez(tmp_path / "a.npz", t=[0.0, bad], x=[0, 0], y=[0, 0])
        with pytest.raises(FormatError, match="found event 1 with t="):
            read(tmp_path / "a.npz")


def test_archives_of_another_kind_are_refused(tmp_path: Path, camera: Events) -> None:
    path = tmp_path / "a.npz"
    for columns, message in (
        ({"data": np.zeros(3)}, "found the arrays data; expected t, x, y, p"),
        ({"t": np.zeros(3), "x": np.zeros(2)}, "expected as many of each"),
        ({"t": np.zeros((3, 1)), "x": np.zeros(3)}, "expected numbers on one axis"),
        ({"t": np.array([object()]), "x": np.zeros(1)}, "expected numbers on one axis"),
        ({"t": np.zeros(1), "x": np.zeros(1), "shape": np.zeros(5, int)}, "found shape of 5"),
    ):
        np.savez(path, **columns)
        with pytest.raises(FormatError, match=message):
            read(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.npy", bytes(10_000_000))
    with pytest.raises(FormatError):
        read(path)
    write(camera, path)
    data = path.read_bytes()
    for k in range(0, len(data), 37):
        path.write_bytes(data[:k] + bytes([data[k] ^ 0x55]) + data[k + 1 :])
        try:
            found = whole(path)
        except FormatError:
            continue
        assert found.x.max() < 34  # what no checksum covers


def test_matlab_files_are_read_as_scipy_reads_them(shared: Path) -> None:
    path = shared / "recordings/mat/rpg_lifetime_stripes.mat"
    theirs, events = scipy.io.loadmat(path)["events"], whole(path)
    np.testing.assert_array_equal(np.stack([events.x, events.y, events.p * 2 - 1, events.t], axis=1), theirs)
    assert (detect(path), len(events), events.shape) == ("matlab", 340_394, (128, 128))
    path = shared / "recordings/mat/tonic_stmnist.mat"
    train, events = scipy.io.loadmat(path)["spiketrain"], whole(path)
    slow = [
        (round(train[100, k] * 1e6), taxel % 10, taxel // 10, train[taxel, k] == 1)
        for k in range(train.shape[1])
        for taxel in range(100)
        if train[taxel, k]
    ]
    assert events.array.tolist() == slow
    assert (len(events), int(events.p.sum()), events.shape) == (2346, 1601, (10, 10))


@pytest.mark.parametrize("packed", [False, True])
def test_matlab_vectors_are_read(packed: bool, camera: Events, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    columns = {name: column.astype(float) for name, column in table(camera).items()}
    scipy.io.savemat(path, {**columns, "note": "text", "more": {"a": 1}}, do_compression=packed)
    assert whole(path, shape=(34, 34)).equals(camera)
    scipy.io.savemat(path, {**columns, "t": columns["t"] / 1e6}, do_compression=packed)
    assert whole(path, shape=(34, 34)).equals(camera)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match="cut"):
        read(path)
    rng = np.random.default_rng(0)
    for _ in range(200):
        wrong = bytearray(data)
        for k in rng.integers(0, len(data), 2):
            wrong[k] = rng.integers(256)
        path.write_bytes(wrong)
        try:
            whole(path)
        except FormatError:
            continue
    scipy.io.savemat(path, {"other": np.zeros(3)})
    with pytest.raises(FormatError, match=r"found other \(1, 3\); expected spiketrain"):
        read(path)


FILTERS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "gzip, shuffle, checksum": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "LZF": {"compression": "lzf", "shuffle": True},
    "LZ4": dict(hdf5plugin.LZ4()),
    "Zstd": dict(hdf5plugin.Zstd()),
    **{
        f"Blosc {name}, shuffle {shuffle}": dict(hdf5plugin.Blosc(cname=name, clevel=level, shuffle=shuffle))
        for name in ("blosclz", "lz4", "zlib", "zstd")
        for shuffle, level in ((0, 5), (1, 9), (2, 5))
    },
}


@pytest.mark.parametrize("packing", FILTERS)
def test_every_filter_unpacks_what_h5py_packed(packing: str, long: Events, tmp_path: Path) -> None:
    path, options = tmp_path / "a.h5", FILTERS[packing]
    if options:
        options = {"chunks": (40_003,), **options}
    with h5py.File(path, "w") as file:
        for name, column in table(long).items():
            file.create_dataset(f"CD/events/{name}", data=column, **options)
    assert whole(path, shape=(640, 480)).equals(long)


def test_dsec_files_hold_the_events_of_their_source(shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    name = "recordings/h5/converted_ros_ecpy1_dsec_layout.h5"
    events = whole(shared / name)
    with h5py.File(shared / name) as file:
        np.testing.assert_array_equal(events.t, file["events/t"][:].astype(np.int64) + 7_139_845)
        for column in "xyp":
            np.testing.assert_array_equal(events.array[column], file[f"events/{column}"][:])
    found = (len(events), events.t[0], events.t[-1], events.x.max(), events.y.max(), events.p.sum())
    want = expected["recordings/evt3/ros_ecpy1_640x480_evt3.raw"]
    assert found == tuple(want[k] for k in ("events", "t_first", "t_last", "x_max", "y_max", "on"))


def test_what_we_write_has_the_layout_of_dsec(long: Events, tmp_path: Path) -> None:
    write(long, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["t_offset"][()] == long.t[0]
        t, index = file["events/t"][:], file["ms_to_idx"][:]
        assert (t.dtype, index.dtype, file["events/p"].dtype) == (np.uint32, np.uint64, np.uint8)
    for k in (0, 1, 77, len(index) - 1):
        assert (t[int(index[k]) :] >= k * 1000).all()
        assert (t[: int(index[k])] < k * 1000).all()
    apart = Events.from_columns([0, 1 << 32], [0, 0], [0, 0], shape=(1, 1))
    with pytest.raises(UnsupportedError, match="time_within_32_bits"):
        write(apart, tmp_path / "b.h5")


def test_seconds_in_hdf5_agree_with_the_text_they_were_made_of(shared: Path) -> None:
    """Its x is the row: its maker swapped the columns when the file was made from that text."""
    ours, text = (
        whole(shared / "recordings/h5/evlibrary_event.hdf5"),
        whole(shared / "recordings/txt/evlibrary_event.txt"),
    )
    np.testing.assert_array_equal(ours.array[["t", "p"]], text.array[["t", "p"]])
    np.testing.assert_array_equal(ours.x, text.y)
    np.testing.assert_array_equal(ours.y, text.x)


def test_several_groups_are_told_apart(camera: Events, cochlea: Events, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for group in ("left", "right"):
            for name, column in table(camera).items():
                file[f"prophesee/{group}/{name}"] = column
        file["prophesee/right/t_offset"] = 7
    with pytest.raises(
        FormatError, match=r"found groups of events 'prophesee/left', 'prophesee/right'; .* pass group="
    ):
        read(path)
    assert whole(path, group="prophesee/left", shape=(34, 34)).equals(camera)
    np.testing.assert_array_equal(whole(path, group="prophesee/right").t, camera.t + 7)


def test_a_damaged_chunk_costs_its_block(long: Events, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(long, path)
    with h5py.File(path) as file:
        place = file["events/x"].id.get_chunk_info(1).byte_offset
    data = bytearray(path.read_bytes())
    data[place + 16 : place + 60] = bytes(44)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="the file is damaged") as caught:
        read(path)
    assert caught.value.offset == place
    with pytest.warns(UserWarning, match="kept 65536 events"):
        assert np.array_equal(whole(path, errors="truncate").array, long.array[:65536])
    kept = np.concatenate([long.array[:65536], long.array[131072:]])
    with pytest.warns(UserWarning, match="kept 84464 events"):
        assert np.array_equal(whole(path, errors="skip").array, kept)
    path.write_bytes(data + bytes(100))
    with pytest.raises(FormatError, match="the file is cut, or has bytes added"):
        read(path)


@pytest.mark.parametrize("t", [[0, 2**63 - 1], [-(2**63), 0], [-(2**63), 2**63 - 1]])
def test_npz_does_not_write_times_that_it_does_not_read(t: list[int], tmp_path: Path) -> None:
    events = Events.from_columns(t=t, x=[0, 0], y=[0, 0], shape=(4, 4))
    with pytest.raises(UnsupportedError, match=r"expected below 2\*\*62"):
        write(events, tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())
    far = Events.from_columns(t=[1 - 2**62, 2**62 - 1], x=[0, 0], y=[0, 0], shape=(4, 4))
    write(far, tmp_path / "a.npz")
    assert read(tmp_path / "a.npz").equals(far)
