"""Ids of triggers in AEDAT 3.1 and 4 files, and the unit of their accelerometers."""

from __future__ import annotations

from typing import Final

__all__ = ["EXPOSURE", "FRAME", "GENERATOR", "INPUT", "RESET", "STANDARD_GRAVITY"]

INPUT: Final = 0
"""External input; AEDAT 3.1 has three: 0, 1 and 2."""
GENERATOR: Final = 3
"""The camera's own signal generator."""
FRAME: Final = 4
"""Start (True) and end of the capture of a frame."""
EXPOSURE: Final = 5
"""Start (True) and end of the exposure of a frame."""
RESET: Final = 6
"""Times start at 0 again."""
STANDARD_GRAVITY: Final = 9.80665
"""[m/s^2] exactly, by definition (CGPM 1901)."""
