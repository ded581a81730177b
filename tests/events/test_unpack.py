from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from spikelab.errors import FormatError
from spikelab.events.unpack import unpack


def zipped(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return held.getvalue()


def tarred(files: dict[str, bytes], link: str = "") -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return held.getvalue()


FILES = {"a/one.bin": b"1", "a/b/two.bin": b"2" * 5000, "__MACOSX/a/one.bin": b"junk"}


@pytest.mark.parametrize(("name", "data"), [("x.zip", zipped(FILES)), ("x.tar.gz", tarred(FILES))], ids=["zip", "tar"])
def test_archives_are_unpacked(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    unpack(tmp_path / name, tmp_path / "out")
    found = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*.bin")}
    assert found == {name: data for name, data in FILES.items() if "MACOSX" not in name}
    with pytest.raises(FormatError, match="is there already"):
        unpack(tmp_path / name, tmp_path / "out")


def test_archives_within_are_unpacked_beside_themselves(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"sub/cat.zip": zipped({"cat/1.bin": b"1"})}))
    unpack(tmp_path / "x.zip", tmp_path / "out")
    assert [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")] == ["sub/cat/1.bin"]


def test_a_single_packed_file(tmp_path: Path) -> None:
    (tmp_path / "images.gz").write_bytes(gzip.compress(b"abc"))
    unpack(tmp_path / "images.gz", tmp_path / "out")
    assert (tmp_path / "out" / "images").read_bytes() == b"abc"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.zip", zipped({"../evil": b"1"}), "outside"),
        ("x.tar.gz", tarred({"/etc/evil": b"1"}), "outside"),
        ("x.tar.gz", tarred({}, link="/etc/passwd"), "no regular file"),
        ("x.zip", zipped({"a": b"1" * 9000})[:-30], "cannot be unpacked"),
        ("x.tar.gz", tarred({"a": bytes(range(256)) * 40})[:-40], "cannot be unpacked"),
        ("x.zip", b"", "cannot be unpacked"),
        ("x.rar", b"Rar!", "expected an end of"),
    ],
    ids=["above", "absolute", "link", "cut zip", "cut tar", "empty", "foreign"],  # packed bytes hold the time
)
def test_what_is_unsafe_or_damaged_leaves_nothing(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(data)
    with pytest.raises(FormatError, match=said):
        unpack(tmp_path / "in" / name, tmp_path / "in" / "out")
    assert [p.name for p in (tmp_path / "in").iterdir()] == [name] and [p.name for p in tmp_path.iterdir()] == ["in"]
