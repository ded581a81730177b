"""What to do with damage in a file: refuse it, stop before it, or go on behind it. Nothing is left out in silence."""

from __future__ import annotations

import warnings
from os import PathLike
from typing import Final, Literal

from spikelab.errors import FormatError, unknown_name

__all__ = ["ERRORS", "Errors", "Faults"]

Errors = Literal["strict", "truncate", "skip"]
"""`"strict"` refuses a damaged file, `"truncate"` takes what lies before the damage, `"skip"` goes on after it."""
ERRORS: Final = ("strict", "truncate", "skip")
"""The values of `Errors`."""


class Faults:
    """The damage met in one file.

    A decoder calls `meet` at each fault, and `leave` for the bytes that it passes over; at the end `report` warns once
    of all that was left out.

    Args:
        path: the file, for messages.
        errors: `"strict"`, `"truncate"` or `"skip"`.

    Raises:
        FormatError: `errors` is unknown.
    """

    def __init__(self, path: str | PathLike[str], errors: Errors = "strict") -> None:
        if errors not in ERRORS:
            raise unknown_name("errors", errors, list(ERRORS))
        self.path, self.errors = path, errors
        self.count = 0
        """Number of faults met."""
        self.left = 0
        """Number of bytes left out."""
        self._first: FormatError | None = None

    def meet(self, problem: str | FormatError, offset: int | None = None) -> bool:
        """Note a fault.

        Args:
            problem: what was found and what expected; or an error that says it, with its place.
            offset: byte of the file, where that is known.

        Returns:
            Whether to look for the next sound place and go on there (`"skip"`), or to stop (`"truncate"`).

        Raises:
            FormatError: in `"strict"`.
        """
        fault = problem if isinstance(problem, FormatError) else FormatError(self.path, problem, offset)
        if self.errors == "strict":
            try:
                raise fault
            finally:
                del fault  # its trace holds this frame, so this frame must not hold it: both would keep all buffers
        self.count += 1
        self._first = self._first or fault
        return self.errors == "skip"

    def leave(self, size: int) -> None:
        """Note that `size` bytes are left out."""
        self.left += size

    def report(self, kept: int) -> None:
        """Warn of what was left out, if anything; `kept` is the number of events that were kept."""
        if self._first is None:
            return
        more = f", and {self.count - 1} more such places" if self.count > 1 else ""
        left = f"{self.left} byte{'s' * (self.left != 1)}"
        warnings.warn(
            f"{self._first}{more}; kept {kept} events, left {left} out (errors={self.errors!r})",
            stacklevel=4,
        )
