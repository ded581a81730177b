"""Writing: whole or not at all, through links and never over a device, and one clear error where it cannot be done."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from spikelab.cli.work import save_arrays
from spikelab.errors import FormatError, ShapeError
from spikelab.events import Events, Recordings, nmnist, packed, shd
from spikelab.files import check_place, file_name, make_folder, whole_file
from spikelab.hardware import nir
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LIF
from spikelab.report.page import Section, write_page
from spikelab.train.checkpoint import Checkpoint, save_checkpoint

CAMERA = Events.from_columns([0, 5], [1, 2], [0, 1], [0, 1], shape=(34, 34))
COCHLEA = Recordings.of([Events.from_columns([0, 5], [1, 2], shape=(8,))], [0], ("a",))
NET = Network({"in": Population((3,), kind="input"), "out": Population((3,), LIF())}, [Projection("in", "out")], 1e-3)
EVENT_WRITERS: list[tuple[Callable[..., None], Any]] = [
    (nmnist.write, CAMERA),
    (shd.write, COCHLEA),
    (packed.write, COCHLEA),
]
WRITERS: dict[str, Callable[[Path], object]] = {
    "nmnist": lambda path: nmnist.write(CAMERA, path),
    "shd": lambda path: shd.write(COCHLEA, path),
    "packed": lambda path: packed.write(COCHLEA, path),
    "nir": lambda path: nir.write(NET, path),
    "checkpoint": lambda path: save_checkpoint(
        path, Checkpoint({"w": torch.ones(2)}, {"state": {}, "param_groups": []}, {})
    ),
    "command line": lambda path: save_arrays(path, {"z": np.zeros(3)}),
    "page": lambda path: write_page(path, "T", [Section("S")]),
}
every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=list(WRITERS))


@every_writer
def test_a_pipe_or_a_folder_is_refused_and_stays(write: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.symlink("pipe", tmp_path / "link")
    (tmp_path / "folder").mkdir()
    for name, kind in (("pipe", "a named pipe"), ("link", "a named pipe"), ("folder", "a folder")):
        with pytest.raises(FormatError, match=f"{name}: is {kind}; expected the name of a file"):
            write(tmp_path / name)
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(tmp_path / "s"))  # such names are short
        with pytest.raises(FormatError, match="is a socket"):
            check_place(tmp_path / "s")


@every_writer
def test_a_link_is_written_through(write: Any, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "real").write_text("old")
    os.symlink("far/real", tmp_path / "link")
    os.symlink("far/later", tmp_path / "hanging")
    for name in ("link", "hanging"):
        write(tmp_path / name)
        assert (tmp_path / name).is_symlink()
    for name in ("real", "later"):
        content = (tmp_path / "far" / name).read_bytes()
        assert content and content != b"old"
    assert sorted(os.listdir(tmp_path / "far")) == ["later", "real"]


@every_writer
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o440])
def test_a_file_keeps_its_permissions(write: Any, mode: int, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(mode)
    write(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o7777 == mode and (tmp_path / "a").stat().st_size


@every_writer
def test_a_new_file_has_the_permissions_of_any_new_file(write: Any, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "other").stat().st_mode


@every_writer
def test_a_place_that_cannot_be_written_to_is_refused(write: Any, tmp_path: Path) -> None:
    if write is not WRITERS["checkpoint"]:  # which makes its folder
        with pytest.raises(FormatError, match=r"its folder does not exist.*make it first"):
            write(tmp_path / "none" / "a.x")
    (tmp_path / "file").touch()
    with pytest.raises(FormatError, match=r"cannot be (written|made) \((Not a directory|File exists)\)"):
        write(tmp_path / "file" / "a.x")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("write", "what"), EVENT_WRITERS)
def test_a_list_of_what_a_writer_takes_is_refused(write: Any, what: Any, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="found list; expected"):
        write([what], tmp_path / "a.x")
    assert os.listdir(tmp_path) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as first, whole_file(tmp_path / "a") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a").read_text() == "first" and os.listdir(tmp_path) == ["a"]


def test_a_name_of_full_length_is_written(tmp_path: Path) -> None:
    with whole_file(tmp_path / ("a" * 255)) as temporary:
        temporary.write_text("all")
    assert os.listdir(tmp_path) == ["a" * 255]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fill() -> None:
        with whole_file(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FormatError, match="No space left on device"):
        fill()
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_the_page_of_text_of_hdf5_is_left_out(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with (
            pytest.raises(FormatError) as caught,
            whole_file(tmp_path / "a") as temporary,
            h5py.File(temporary, "w") as file,
        ):
            file["x"] = np.zeros(1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written (File too large)" in str(caught.value) and len(str(caught.value)) < 300
    assert os.listdir(tmp_path) == []


def test_a_trial_writes_nothing(tmp_path: Path) -> None:
    check_place(tmp_path / "a")
    (tmp_path / "old").write_text("old")
    check_place(tmp_path / "old")
    assert os.listdir(tmp_path) == ["old"] and (tmp_path / "old").read_text() == "old"
    with pytest.raises(FormatError, match="its folder does not exist"):
        check_place(tmp_path / "none" / "a")


@pytest.mark.parametrize("wrong", [3, None, b"a", "", "a\0b", ["a"]])
def test_what_is_no_name_is_refused(wrong: Any) -> None:
    for use in (file_name, check_place, make_folder):
        with pytest.raises(FormatError, match="is no file name; expected text or a Path"):
            use(wrong)
