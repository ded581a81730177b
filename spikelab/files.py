"""Files: what may name one, and writing one whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spikelab.errors import FormatError

__all__ = ["check_place", "file_name", "file_size", "make_folder", "whole_file"]

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


def file_name(path: Any) -> str:
    """Name of a file as text.

    Raises:
        FormatError: something else than a name.

    Example:
        >>> file_name(Path("model.nir"))
        'model.nir'
    """
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str) or not name or "\0" in name:
        raise FormatError(repr(path), "is no file name; expected text or a Path, as in 'model.nir'; pass one")
    return name


def file_size(path: str | os.PathLike[str]) -> int:
    """Size of a file [bytes].

    Raises:
        FormatError: there is none, or it is no regular file.
    """
    name = file_name(path)
    try:
        found = os.stat(name)
    except OSError as error:
        raise FormatError(name, f"cannot be read ({error.strerror}); expected a file; check the path") from error
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
        raise FormatError(name, f"found {kind}; expected a regular file; check the path")
    return found.st_size


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file beside `path`; what is written there replaces `path` at the end, at once.

    Where writing breaks off, the older file of this name stays as it was, and the temporary one goes. A link is
    written through: the file that it points to is replaced, with its permissions.

    Args:
        path: the file; a regular one, or none yet.

    Raises:
        FormatError: the folder is missing or closed, `path` is a folder, device, pipe or socket, or the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(f"{folder}/a.txt") as temporary:
        ...         _ = temporary.write_text("all of it")
        ...     print(Path(folder, "a.txt").read_text())
        all of it
    """
    target = Path(os.path.realpath(file_name(path)))
    temporary = target.with_name(f".spikelab-{secrets.token_hex(8)}.tmp")
    try:
        mode = _mode(path, target)
        # Only its owner may look into it until it has the permissions of the file that it replaces.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else 0o600))
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        os.replace(temporary, target)
    except OSError as error:
        if not target.parent.exists():
            raise FormatError(path, "its folder does not exist; expected one to write into; make it first") from error
        reason = os.strerror(error.errno) if error.errno else "the system refuses"  # HDF5 has a page of its own
        raise FormatError(
            path,
            f"cannot be written ({reason}); expected a folder with room that may be written to; "
            "choose another, or make room",
        ) from error
    finally:
        with suppress(OSError):  # it may never have been made
            temporary.unlink()


def _mode(path: str | os.PathLike[str], target: Path) -> int | None:
    """Permissions of the file that will be replaced; None where there is none."""
    try:
        found = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(found):
        return stat.S_IMODE(found)
    kind = _KINDS.get(stat.S_IFMT(found), "no regular file")
    advice = "add one" if stat.S_ISDIR(found) else "choose another name"
    raise FormatError(path, f"is {kind}; expected the name of a file; {advice}")


def check_place(path: str | os.PathLike[str]) -> None:
    """Refuse a place that cannot be written to, before anything is computed for it. Raises as `whole_file`."""
    try:
        with whole_file(path):
            raise _Enough
    except _Enough:
        pass


class _Enough(BaseException):
    """Ends a trial before the file is replaced."""


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make the folder of a file, where it is not there.

    Raises:
        FormatError: it cannot be made.
    """
    try:
        Path(os.path.realpath(file_name(path))).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FormatError(path, f"its folder cannot be made ({error.strerror}); choose another") from error
