from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelab.errors import FormatError
from spikelab.events import FORMATS, Events, nmnist, nmnist_set

NAMES = ["Train/3/00002.bin", "Train/0/00010.bin", "Test/0/00001.bin"]


def sample(k: int) -> Events:
    return Events.from_columns([k, k + 1], [k, 1], [2, 3], [0, 1], shape=(34, 34))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k, name in enumerate(NAMES):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nmnist.write(sample(k), path)
    (tmp_path / "set" / "notes.txt").write_text("left alone")
    return tmp_path / "set"


@pytest.fixture
def archive(folder: Path) -> Path:
    path = folder.parent / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in [*NAMES, "notes.txt"]:
            file.write(folder / name, name)
    return path


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_labels_and_splits_come_from_the_folders(kind: str, request: pytest.FixtureRequest) -> None:
    recordings = nmnist_set.read(request.getfixturevalue(kind))
    assert recordings.classes == ("0", "3")
    assert recordings.labels.tolist() == [0, 1, 0]
    assert recordings.metadata["split"].tolist() == ["Test", "Train", "Train"]
    assert recordings.metadata["index"].tolist() == [1, 2, 10]
    assert [int(events.t[0]) for events in recordings] == [2, 0, 1]
    assert recordings[1].equals(sample(0))


def test_a_full_set_has_the_events_of_the_manifest(shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    for name in ("labelled/nmnist_sim/nmnist_sim_test.zip", "labelled/nmnist_sim/nmnist_sim_train.zip"):
        recordings = nmnist_set.read(shared / name)
        found = {"samples": len(recordings), "events": sum(len(events) for events in recordings)}
        assert found == expected[name]
        assert len(np.unique(recordings.metadata["index"])) == len(recordings)


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_recordings_of_other_formats_are_not_passed_over(kind: str, folder: Path) -> None:
    def place() -> Path:
        if kind == "folder":
            return folder
        with zipfile.ZipFile(folder.parent / "mixed.zip", "w") as file:
            for path in folder.rglob("*.*"):
                file.write(path, path.relative_to(folder))
        return folder.parent / "mixed.zip"

    (folder / "Train" / "labels.npy").touch()
    with pytest.warns(UserWarning, match=r"passed over files .*1, such as Train/labels\.npy"):
        assert len(nmnist_set.read(place())) == 3
    (folder / "Test" / "a.AEDAT4").touch()
    (folder / "Test" / "b.raw").touch()
    with pytest.raises(FormatError, match=r"other formats beside \.bin files \(2, such as Test/a\.AEDAT4"):
        nmnist_set.read(place())


def test_every_suffix_of_a_recording_is_known() -> None:
    suffixes = {suffix for one in FORMATS.values() for suffix in one.suffixes}
    assert suffixes - {".bin", ".csv", ".txt"} == nmnist_set.OTHERS | nmnist_set.UNSURE


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(5))  # no folder that names its class
    with pytest.raises(FormatError, match=r"found no \.bin files"):
        nmnist_set.read(tmp_path)


def test_a_damaged_archive_is_an_error(archive: Path) -> None:
    data = archive.read_bytes()
    for damaged in (b"", data[:1], data[:40], data[: len(data) // 2], data[:-3], data + b"garbage"):
        archive.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"set\.zip"):
            nmnist_set.read(archive)


def test_a_changed_byte_in_a_recording_is_seen_by_its_checksum(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[50] ^= 1
    archive.write_bytes(data)
    with pytest.raises(FormatError, match="Train/3/00002"):
        list(nmnist_set.read(archive))


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("0/1.bin", bytes(100))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    place = data.index(b"PK\1\2") + 24  # size when unpacked, in the directory
    data[place : place + 4] = (2**31).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(FormatError, match="found 2147483648 bytes promised"):
        nmnist_set.read(tmp_path / "a.zip")[0]


def test_sizes_beyond_the_archive_set_no_memory_aside(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\1\2")  # of the first recording, in the directory
    data[entry + 20 : entry + 28] = (1 << 31).to_bytes(4, "little") * 2  # packed, unpacked
    archive.write_bytes(data)
    with pytest.raises(FormatError, match=r"found 2147483648 bytes promised by .*, packed in 2147483648 of \d+"):
        list(nmnist_set.read(archive))


def test_other_packings_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("0/1.bin", nmnist.encode(sample(0)))
    with pytest.raises(FormatError, match="packed with method 14"):
        nmnist_set.read(tmp_path / "a.zip")[0]
