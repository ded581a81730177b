"""Labelled sets of N-MNIST .bin files: `<split>/<label>/<number>.bin` in a folder or a zip archive."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from os import PathLike, fspath
from pathlib import Path, PurePosixPath

import numpy as np

from spikelab.errors import FormatError
from spikelab.events import nmnist
from spikelab.events.array import Events
from spikelab.events.chunks import collect
from spikelab.events.faults import Faults
from spikelab.events.recordings import Opened, Recordings

__all__ = ["OTHERS", "UNSURE", "read"]

OTHERS = frozenset({".aedat", ".aedat4", ".dat", ".db3", ".es", ".mcap", ".raw"})
"""Ends of the names of recordings in other formats."""
UNSURE = frozenset({".h5", ".hdf5", ".mat", ".npy", ".npz"})
"""Ends of names that recordings have, and labels or indices too."""
# Deflate cannot do better than 1032:1 (zlib, technical notes); a header that claims more lies.
_MOST_INFLATION = 1032
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    RuntimeError,
)


def read(path: str | PathLike[str], shape: tuple[int, int] = nmnist.NMNIST) -> Recordings:
    """Read a set from a folder or a zip archive, without unpacking it.

    Args:
        path: folder or .zip; of members that do not end in .bin, recordings of other formats are refused, files that
            may hold recordings (.h5, .mat, .npy, .npz) are left alone with a warning, and others are left alone.
        shape: (width, height) of the sensor.

    Returns:
        Recordings in the order of split, number and label. Classes are the names of the folders that hold
        the files. Metadata: `"split"` (name of the folder above that, may be empty) and `"index"` (number in the
        file's name, -1 where there is none).

    Raises:
        FormatError: no .bin files, recordings of other formats beside them, or a damaged archive. A damaged recording
            raises when it is asked for.
    """
    path = Path(path)
    if path.is_dir():
        names = [PurePosixPath(p.relative_to(path).as_posix()) for p in path.rglob("*")]
        return _recordings(path, names, partial(_open_folder, path, shape), shape)
    with _archive(path) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    return _recordings(path, names, partial(_open_zip, path, shape), shape)


def _recordings(
    path: Path, names: list[PurePosixPath], opener: Callable[[Sequence[str]], Opened], shape: tuple[int, int]
) -> Recordings:
    # Files of several uses count in the folders of classes only: an index of slices may lie in the set's own.
    beside = sorted(
        n
        for n in names
        if n.suffix.lower() in (OTHERS | UNSURE if len(n.parts) > 1 else OTHERS) and not n.name.startswith(".")
    )
    names = [n for n in names if n.suffix == ".bin" and len(n.parts) > 1]
    names.sort(key=lambda n: (n.parts[:-2], n.stem, n.parent.name))
    if not names:
        raise FormatError(
            path,
            "found no .bin files in folders named after their class; expected <split>/<label>/<number>.bin; check "
            "the path",
        )
    if others := [n for n in beside if n.suffix.lower() in OTHERS]:
        raise FormatError(
            path,
            f"found recordings of other formats beside .bin files ({len(others)}, such as {others[0]}); "
            "expected a set of .bin files alone; read each recording by its own name, or keep them elsewhere",
        )
    if beside:
        warnings.warn(
            f"{path}: passed over files other than .bin that may hold recordings ({len(beside)}, such as {beside[0]}); "
            "read them by their own names",
            stacklevel=3,
        )
    labels = [n.parent.name for n in names]
    classes = tuple(sorted(set(labels)))
    return Recordings(
        partial(opener, [str(n) for n in names]),
        np.array([classes.index(label) for label in labels]),
        shape,
        classes,
        {
            "index": np.array(
                [int(n.stem) if n.stem.isascii() and n.stem.isdigit() and len(n.stem) < 19 else -1 for n in names]
            ),
            "split": np.array([n.parent.parent.name for n in names]),
        },
    )


def _one(path: str | PathLike[str], shape: tuple[int, int], contents: bytes | None = None) -> Events:
    return collect(nmnist.open_bin(path, Faults(path), shape, contents=contents))


@contextmanager
def _open_folder(path: Path, shape: tuple[int, int], names: Sequence[str]) -> Iterator[Callable[[int], Events]]:
    yield lambda k: _one(path / names[k], shape)


@contextmanager
def _open_zip(path: Path, shape: tuple[int, int], names: Sequence[str]) -> Iterator[Callable[[int], Events]]:
    with _archive(path) as archive:
        yield lambda k: _one(f"{fspath(path)}/{names[k]}", shape, _member(path, archive, names[k]))


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except _ZIP_FAULTS as error:
        raise FormatError(
            path, f"cannot be read as a zip archive ({error}); expected .bin files in one; copy it again"
        ) from error
    with archive:
        # zipfile overlooks bytes after its last record.
        with path.open("rb") as file:
            file.seek(-min(22 + len(archive.comment), path.stat().st_size), 2)
            if not file.read().startswith(b"PK\5\6"):
                raise FormatError(
                    path, "found bytes after the end of the zip archive; expected none; copy it again", file.tell()
                )
        yield archive


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FormatError(
                path,
                f"found {name} packed with method {info.compress_type}; expected stored or deflated; pack it again",
                info.header_offset,
            )
        whole = path.stat().st_size
        if info.compress_size > whole or info.file_size > _MOST_INFLATION * info.compress_size + 64:
            raise FormatError(
                path,
                f"found {info.file_size} bytes promised by {name}, packed in {info.compress_size} of {whole}; expected "
                "less; the archive is damaged",
                info.header_offset,
            )
        with archive.open(info) as member:
            data = member.read(info.file_size + 1)  # one more, so that the checksum is looked at
    except _ZIP_FAULTS as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, f"cannot unpack {name} ({error}); expected an intact archive; copy it again") from error
    if len(data) != info.file_size:
        raise FormatError(
            path, f"found {len(data)} bytes in {name}; expected {info.file_size}; copy it again", info.header_offset
        )
    return data
