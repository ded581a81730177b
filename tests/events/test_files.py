"""One entry for all formats; every kind of damage, for every reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from spikelab.errors import FormatError
from spikelab.events import Events, Recordings, detect, info, read

SEEDS = [
    "chunked.h5",
    "killed.aedat4",
    "lz4.aedat4",
    "nmnist.bin",
    "none.aedat4",
    "packed.h5",
    "set.zip",
    "shd.h5",
    "zstd.aedat4",
]


@pytest.fixture(scope="module")
def seeds(fuzz: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One intact file of each format."""
    files = fuzz.seed_files(tmp_path_factory.mktemp("seeds"))
    assert sorted(files) == SEEDS
    return {name: path for name, (path, _) in files.items()}


def read_whole(path: Path) -> int:
    found = read(path)
    return len(found) if isinstance(found, Events) else sum(len(events) for events in found)


@pytest.mark.parametrize("name", SEEDS)
def test_content_decides_and_not_the_name(name: str, seeds: dict[str, Path], tmp_path: Path) -> None:
    kinds = {"aedat4": "aedat4", "bin": "nmnist", "zip": "nmnist-set", "h5": "packed" if name == "packed.h5" else "shd"}
    expected = kinds[name.rpartition(".")[2]]
    assert detect(seeds[name]) == expected
    if expected != "nmnist":  # which has no magic number
        renamed = tmp_path / "recording.txt"
        renamed.write_bytes(seeds[name].read_bytes())
        assert detect(renamed) == expected


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "cut in the header": lambda data: data[: min(41, len(data) - 3)],
    "cut in the middle": lambda data: data[: len(data) // 2 + 1],
    "lost tail": lambda data: data[:-3],
    "garbage at the end": lambda data: data + np.random.default_rng(1).bytes(1000),
    "zeros at the end": lambda data: data + bytes(1000),
    "random": lambda data: np.random.default_rng(2).bytes(65_536),
    "random after the magic number": lambda data: data[:16] + np.random.default_rng(3).bytes(65_536),
    "ones after the header": lambda data: data[:100] + b"\xff" * 65_536,
    "wrong magic number": lambda data: b"XXXX" + data[4:],
}


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_error_with_the_path(name: str, damage: str, seeds: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(DAMAGE[damage](seeds[name].read_bytes()))
    with pytest.raises(FormatError, match=path.name) as caught:
        read_whole(path)
    assert caught.value.path.startswith(str(path))


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a.gz", b"\x1f\x8b\x08", "gzip"),
        ("a.doc", b"0.1 3 4 1\n", "bytes b'0.1 3 4 ' and the name 'a.doc'"),
    ],
)
def test_a_foreign_file_is_named(name: str, data: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data + bytes(20))
    with pytest.raises(FormatError) as caught:
        read(tmp_path / name)
    assert f"found {found}" in str(caught.value)
    assert "AEDAT 4, " in str(caught.value)


def test_hdf5_of_another_layout_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = file["y"] = np.arange(3)
    with pytest.raises(
        FormatError, match=r"found HDF5 with x, y; expected spikes/times.*t, x, y, p; .*Events.from_columns"
    ):
        read(tmp_path / "a.h5")


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"found no \.bin files"):
        read(tmp_path)
    with pytest.raises(FormatError, match="No such file"):
        read(tmp_path / "none")


def test_info_agrees_with_what_is_read(seeds: dict[str, Path]) -> None:
    for path in seeds.values():
        found, summary = read(path), info(path)
        parts = [found] if isinstance(found, Events) else [events for events in found if len(events)]
        assert summary["count"] == sum(len(events) for events in parts)
        assert summary["on_count"] == sum(int(events.p.sum()) for events in parts)
        assert summary["t_first_us"] == min(int(events.t[0]) for events in parts)
        assert summary["t_last_us"] == max(int(events.t[-1]) for events in parts)
        assert summary["x_max"] == max(int(events.x.max()) for events in parts)
        assert summary["y_max"] == max(int(events.y.max()) for events in parts)
        assert summary.get("recordings") == (len(found) if isinstance(found, Recordings) else None)
        assert json.loads(json.dumps(summary)) == summary


def test_info_of_nothing_has_no_times(fuzz: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.aedat4").write_bytes(fuzz.aedat4_bytes([]))
    summary = info(tmp_path / "a.aedat4")
    assert summary == {
        "format": "aedat4",
        "width": 34,
        "height": 34,
        "count": 0,
        "on_count": 0,
        **dict.fromkeys(["t_first_us", "t_last_us", "x_max", "y_max", "duration_us", "rate_hz"]),
        **dict.fromkeys(["triggers", "imu_samples", "frames"], 0),
    }


def test_info_agrees_with_the_manifest(shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    names = [name for name in expected if name.startswith(("recordings/aedat4/", "recordings/nmnist_bin/"))]
    assert len(names) == 5
    for name in names:
        summary = info(shared / name)
        keys = {
            "count": "events",
            "on_count": "on",
            "t_first_us": "t_first",
            "t_last_us": "t_last",
            "x_max": "x_max",
            "y_max": "y_max",
        }
        assert {theirs: summary[ours] for ours, theirs in keys.items()} == {
            theirs: expected[name][theirs] for theirs in keys.values()
        }


def test_a_network_in_place_of_a_recording_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.nir", "w", libver="latest") as file:
        file["node/type"] = b"NIRGraph"
    with pytest.raises(FormatError, match=r"found a NIR network; expected a recording; read it with spikelab\.read"):
        info(tmp_path / "model.nir")


@pytest.mark.parametrize("path", [None, 3, b"a", "", ["a"]])
def test_what_is_no_path_is_refused(path: Any) -> None:
    for use in (read, info, detect):
        with pytest.raises(FormatError, match="is no file name; expected text or a Path"):
            use(path)
