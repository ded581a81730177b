"""Files of data sets from the network: resumed, checked, from the first mirror that has them whole."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from spikelab.errors import FormatError, UnsupportedError
from spikelab.files import file_name, make_folder

__all__ = ["checksum", "download", "verify"]

_BLOCK = 1 << 18
_TRIES = 5  # in a row without a new byte
_STALLS = 2  # silences of a server, before the next mirror is asked
_LENGTHS = {"md5": 32, "sha256": 64}


def download(
    urls: Sequence[str],
    path: str | PathLike[str],
    expected: str = "",
    *,
    timeout_s: float = 30.0,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Fetch one file; nothing is done where it is there with the right checksum.

    What has arrived lies beside `path` in a hidden `.part` file, also after the process was killed, and the next call
    goes on from there. The file gets its name when it is whole and its checksum is right.

    Args:
        urls: mirrors, tried in turn: http, https or file.
        path: where to put it; its folder is made.
        expected: checksum in hex, of 64 digits (SHA-256) or 32 (MD5, as many sets publish it); empty where none is
            published: then the length that the server announces is all that is checked.
        timeout_s: [s] longest silence of a server; after the second one the next mirror goes on, where there is one.
        progress: called with the bytes there are, and the whole length where it is known.

    Raises:
        FormatError: no mirror gave it, and what each of them said; or it is there with another checksum.
        UnsupportedError: a checksum of another kind, or an address of another scheme.
    """
    target = Path(file_name(path))
    for url in urls:
        if not str(url).startswith(("http://", "https://", "file://")):
            raise UnsupportedError(f"download: found address {url!r}; expected http, https or file; mend the address")
    _kind(expected)
    if target.exists():
        return verify(target, expected)
    make_folder(target)
    part = target.with_name(f".{target.name}.{(expected or 'unchecked')[:16]}.part")
    failures = []
    for k, url in enumerate(urls):
        problem = _fetch(url, part, expected, timeout_s, progress, last=k == len(urls) - 1)
        if not problem:
            os.replace(part, target)
            return None
        failures.append(f"{url}: {problem}")
    raise FormatError(
        target,
        f"could not be downloaded ({'; '.join(failures) or 'no address is known'}); expected a mirror that has it "
        "whole; try again later (what has arrived is kept), or put the file there by hand",
    )


def checksum(path: str | PathLike[str], kind: str) -> str:
    """Checksum of a file in hex; `kind` is `"md5"` or `"sha256"`."""
    found = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def verify(path: str | PathLike[str], expected: str) -> None:
    """Refuse a file of another checksum; an empty one is not looked at.

    Raises:
        FormatError: it differs, or cannot be read.
        UnsupportedError: a checksum of another kind.
    """
    try:
        found = _mismatch(Path(path), expected)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); expected a file; check the path") from error
    if found:
        raise FormatError(path, f"found {found}; delete the file, so that it is fetched again, or copy it again")


def _kind(expected: str) -> str:
    """Kind of a checksum; "" where there is none."""
    if not expected:
        return ""
    kind = next((kind for kind, length in _LENGTHS.items() if len(expected) == length), None)
    if kind is None or not all(digit in "0123456789abcdefABCDEF" for digit in expected):
        raise UnsupportedError(f"download: found checksum {expected!r}; expected 32 or 64 hex digits; copy it again")
    return kind


def _mismatch(path: Path, expected: str) -> str:
    if not expected:
        return ""
    kind = _kind(expected)
    found = checksum(path, kind)
    return "" if found == expected.lower() else f"{kind} {found[:16]}...; expected {expected[:16]}..."


def _fetch(url: str, part: Path, expected: str, timeout_s: float, progress: Any, last: bool) -> str:
    """Fetch into `part`; returns what went wrong, or nothing."""
    resumed, idle, stalls = _size(part) > 0, 0, 0
    while True:
        before = _size(part)
        try:
            whole = _go_on(url, part, timeout_s, progress)
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # nothing behind what we have: it is whole, or of another file
                whole = True
            elif error.code in (429, 500, 502, 503, 504) and idle < 1:
                idle += 1
                continue
            else:
                return f"HTTP {error.code} {error.reason}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            whole = False
            reason = getattr(error, "reason", None) or error
            idle = 0 if _size(part) > before else idle + 1
            stalls += isinstance(error, TimeoutError)
            stalled = stalls >= _STALLS and not last
            if isinstance(error, urllib.error.URLError) or idle >= _TRIES or stalled:
                return f"{type(reason).__name__}: {reason}, after {_size(part)} bytes"
        if not whole:
            continue
        try:
            found = _mismatch(part, expected)
        except OSError as error:
            return f"{error.strerror}"
        if not found:
            return ""
        with suppress(OSError):
            part.unlink()
        if not resumed:
            return f"found {found}"
        resumed = False  # the older part was of another file: once more, from the start


def _go_on(url: str, part: Path, timeout_s: float, progress: Any) -> bool:
    """One request, from where `part` ends; True when the server says that this is all.

    Raises:
        OSError: the connection broke off; what has arrived is in `part`.
    """
    have = _size(part)
    headers = {"User-Agent": "spikelab", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s) as answer:
        start, total = _place(answer, have)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            while block := answer.read(_BLOCK):
                file.write(block)
                start += len(block)
                if progress is not None:
                    progress(start, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and start != total:
        raise ConnectionError(f"found {start} of {total} bytes")
    return True


def _place(answer: Any, have: int) -> tuple[int, int | None]:
    """Where the bytes of an answer belong, and the length of the whole file where it is known."""
    length = answer.headers.get("Content-Length")
    length = int(length) if length is not None else None
    if getattr(answer, "status", None) != 206:  # the server does not do ranges: all of it comes again
        return 0, length
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or first != str(have):
        raise ValueError(f"found Content-Range {answer.headers.get('Content-Range')!r}; expected bytes from {have}")
    return have, int(total) if total.isdigit() else None if length is None else have + length


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
