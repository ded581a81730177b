"""Writing: whole or not at all, and one clear error where it cannot be done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spikelab.errors import FormatError, ShapeError
from spikelab.events import Events, Recordings, nmnist, packed, shd
from spikelab.events.writing import check_place, whole_file

CAMERA = Events.from_columns([0, 5], [1, 2], [0, 1], [0, 1], shape=(34, 34))
COCHLEA = Recordings.of([Events.from_columns([0, 5], [1, 2], shape=(8,))], [0], ("a",))
WRITERS: list[tuple[Callable[..., None], Any]] = [
    (nmnist.write, CAMERA),
    (shd.write, COCHLEA),
    (packed.write, COCHLEA),
]


@pytest.mark.parametrize(("write", "what"), WRITERS)
def test_a_place_that_cannot_be_written_to_is_refused(write: Any, what: Any, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"its folder does not exist.*make it first"):
        write(what, tmp_path / "none" / "a.x")
    with pytest.raises(FormatError, match="is a folder"):
        write(what, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FormatError, match="cannot be written"):
        write(what, tmp_path / "file" / "a.x")
    with pytest.raises(ShapeError, match="found list; expected"):
        write([what], tmp_path / "a.x")
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fill() -> None:
        with whole_file(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FormatError, match="No space left on device"):
        fill()
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_trial_writes_nothing(tmp_path: Path) -> None:
    check_place(tmp_path / "a")
    assert os.listdir(tmp_path) == []
    with pytest.raises(FormatError, match="its folder does not exist"):
        check_place(tmp_path / "none" / "a")
