"""Archives of data sets, unpacked whole or not at all, and only into the folder they are meant for."""

from __future__ import annotations

import gzip
import lzma
import os
import secrets
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import IO

from spikelab.errors import FormatError

__all__ = ["ARCHIVES", "unpack"]

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar", ".gz")
"""Ends of the names of archives that `unpack` takes."""
_FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)
_MOST_INFLATION = 1032  # of deflate (zlib, technical notes); bzip2 and LZMA members are refused
_FREE = 1 << 20


def unpack(path: str | PathLike[str], folder: str | PathLike[str]) -> None:
    """Unpack an archive into a new folder; zip archives within it too, each beside itself, one level deep.

    All goes into a temporary folder first, which is renamed at the end: a process that is killed leaves nothing that
    looks like the set.

    Args:
        path: the archive, named like one of `ARCHIVES`.
        folder: where to; must not be there yet.

    Raises:
        FormatError: damaged, too large for its size, or with members that are links, devices or lie outside the
            folder; or the folder is there.
    """
    path, folder = Path(path), Path(folder)
    if folder.exists():
        raise FormatError(
            folder, "is there already; expected a new folder to unpack into; choose another, or delete it"
        )
    temporary = folder.with_name(f".spikelab-{secrets.token_hex(8)}.tmp")
    try:
        temporary.mkdir(parents=True)
        _unpack(path, temporary)
        for inner in sorted(temporary.rglob("*.zip")):
            _unpack(inner, inner.parent)
            inner.unlink()
        os.replace(temporary, folder)
    except _FAULTS as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, f"cannot be unpacked ({error}); expected an intact archive; fetch it again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(path: Path, folder: Path) -> None:
    most = _MOST_INFLATION * path.stat().st_size + _FREE
    for name, source in _members(path):
        place = PurePosixPath(name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in name:
            raise FormatError(
                path, f"found a member {name!r} outside the archive's folder; expected none; do not use it"
            )
        target = folder.joinpath(*place.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while block := source.read(1 << 20):
                most -= len(block)
                if most < 0:
                    raise FormatError(path, "found more than deflate can pack; expected less; the archive is damaged")
                file.write(block)


def _members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    name = path.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise FormatError(
                        path, f"found {info.filename} packed with method {info.compress_type}; expected 0 or 8"
                    )
                if not info.is_dir() and not _noise(info.filename):
                    with archive.open(info) as source:
                        yield info.filename, source
    elif name.endswith((".tar.gz", ".tgz", ".tar")):
        with _tar(path) as tar:
            for member in tar:
                if member.isdir() or _noise(member.name):
                    continue
                found = tar.extractfile(member) if member.isreg() else None
                if found is None:
                    raise FormatError(path, f"found {member.name!r}, no regular file; expected none; do not use it")
                with found:
                    yield member.name, found
    elif name.endswith(".gz"):
        with gzip.open(path, "rb") as source:
            yield path.name[:-3], source  # type: ignore[misc]
    else:
        raise FormatError(path, f"found the name {path.name!r}; expected an end of {', '.join(ARCHIVES)}; rename it")


@contextmanager
def _tar(path: Path) -> Iterator[tarfile.TarFile]:
    with tarfile.open(path, "r:gz" if path.name.lower().endswith("gz") else "r:") as archive:
        yield archive


def _noise(name: str) -> bool:
    """What file managers leave behind."""
    return "__MACOSX" in PurePosixPath(name).parts or PurePosixPath(name).name in (".DS_Store", "Thumbs.db")
