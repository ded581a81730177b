"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikelab.errors import FormatError

__all__ = ["check_place", "whole_file"]


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside `path`; what is written there replaces `path` at the end, at once.

    Where writing breaks off, the older file of this name stays as it was, and the temporary one goes.

    Raises:
        FormatError: the folder is missing or closed, `path` is a folder, or the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(f"{folder}/a.txt") as temporary:
        ...         _ = temporary.write_text("all of it")
        ...     print(Path(folder, "a.txt").read_text())
        all of it
    """
    target = Path(path)
    if target.is_dir():
        raise FormatError(path, "is a folder; expected the name of a file; add one")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.touch()
        yield temporary
        os.replace(temporary, target)
    except FileNotFoundError as error:
        raise FormatError(path, "its folder does not exist; expected one to write into; make it first") from error
    except OSError as error:
        raise FormatError(
            path,
            f"cannot be written ({error.strerror or error}); expected a folder with room that may be written to; "
            "choose another, or make room",
        ) from error
    finally:
        with suppress(OSError):  # it may never have been made
            temporary.unlink()


def check_place(path: str | os.PathLike[str]) -> None:
    """Refuse a place that cannot be written to, before anything is computed for it. Raises as `whole_file`."""
    try:
        with whole_file(path):
            raise _Enough
    except _Enough:
        pass


class _Enough(BaseException):
    """Ends a trial before the file is replaced."""
