"""Which sensor an AEDAT 1 or 2 file came from: its header says it, or the caller, or the addresses, with a warning.

The rule, in this order:

1. `sensor=`, one of `SENSORS`, or `"davis"` with `shape=` for another sensor with DAVIS addresses.
2. The line `# AEChip: package.Class`; a class that is not known here is refused.
3. The line `# HardwareInterface: DVS128...`.
4. The first 65,536 addresses, with a warning: all within 16 bits is DVS128; bits 0 to 9 clear in every address with bit
   31 clear is DAVIS, of the smallest known size that holds them. Anything else is refused.

Source:
    jAER (github.com/SensorsINI/jaer): DVS128.java, DavisChip.java, DavisBaseCamera.java and the chips derived from it.
"""

from __future__ import annotations

import re
import warnings
from os import PathLike, fspath
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import UnsupportedError, unknown_name

__all__ = ["SENSORS", "Sensor", "find_sensor", "known_chip"]


class Sensor(NamedTuple):
    """Layout of the addresses, and (width, height)."""

    davis: bool
    shape: tuple[int, int]


SENSORS: Final[dict[str, Sensor]] = {
    "davis128": Sensor(True, (128, 128)),
    "davis208": Sensor(True, (208, 192)),
    "davis240": Sensor(True, (240, 180)),
    "davis346": Sensor(True, (346, 260)),
    "davis640": Sensor(True, (640, 480)),
    "dvs128": Sensor(False, (128, 128)),
}
"""The sensors that are known, by name."""
_CLASSES: Final = (  # of jAER's chips, lower case
    (r"(dvs128|tmpdiff128)", "dvs128"),
    (r"davis128(color)?", "davis128"),
    (r"davis(208|192)pixelparade(color)?", "davis208"),
    (r"davis240[abc]", "davis240"),
    (r"davis346[a-z]*", "davis346"),
    (r"davis640(color)?", "davis640"),
)
_LOOK: Final = 1 << 16


def find_sensor(
    path: str | PathLike[str],
    lines: list[str],
    start: int,
    record: int,
    name: str | None,
    shape: tuple[int, ...] | None,
) -> Sensor:
    """Find the sensor; see above.

    Args:
        path: the file.
        lines: its header.
        start: byte behind the header.
        record: bytes of a record, 6 or 8.
        name: what the caller says.
        shape: what the caller says.

    Raises:
        UnsupportedError: unknown, or not to be told from the file.
    """
    if name is not None:
        if name == "davis" and shape is not None and len(shape) == 2:
            return Sensor(True, (shape[0], shape[1]))
        if name not in SENSORS:
            raise unknown_name("sensor", name, [*SENSORS, "davis (with shape=)"])
        return SENSORS[name]
    said = _said(path, lines)
    if said is not None:
        return SENSORS[said]
    guess = _from_addresses(_addresses(path, start, record), shape)
    if guess is None:
        raise UnsupportedError(
            f"{fspath(path)}: found no line '# AEChip:' and addresses of no known sensor; expected one of "
            f"{', '.join(SENSORS)}; pass sensor=, as in read(path, sensor='dvs128')"
        )
    label = next((name for name, sensor in SENSORS.items() if sensor == guess), "davis")
    warnings.warn(
        f"{fspath(path)}: found no line '# AEChip:' that names the sensor; its addresses look like {label} "
        f"({guess.shape[0]} x {guess.shape[1]}), which was taken; pass sensor={label!r}, or another one",
        stacklevel=5,
    )
    return guess


def _said(path: str | PathLike[str], lines: list[str]) -> str | None:
    """Name of the sensor in the header."""
    for line in lines:
        found = re.match(r"#\s*AEChip:\s*(?:[\w$]+\.)*([\w$]+)\s*$", line)
        if found:
            name = known_chip(found[1])
            if name is not None:
                return name
            raise UnsupportedError(
                f"{fspath(path)}: found AEChip {found[1]}, whose addresses are not known; expected one of "
                f"{', '.join(SENSORS)}; pass sensor= where it has the same addresses, or sensor='davis' with shape="
            )
    return "dvs128" if any(re.match(r"#\s*HardwareInterface:.*DVS128", line) for line in lines) else None


def known_chip(chip: str) -> str | None:
    """The sensor of a chip of this name, if it is known.

    Example:
        >>> known_chip("DAVIS240C"), known_chip("CochleaAMS1c")
        ('davis240', None)
    """
    return next((name for pattern, name in _CLASSES if re.fullmatch(pattern, chip.lower())), None)


def _addresses(path: str | PathLike[str], start: int, record: int) -> NDArray[np.uint32]:
    """The first addresses."""
    with open(path, "rb") as file:
        file.seek(start)
        data = file.read(_LOOK * record)
    layout = np.dtype({"names": ["a"], "formats": [f">u{record - 4}"], "itemsize": record})
    return np.frombuffer(data, layout, len(data) // record)["a"].astype(np.uint32)


def _from_addresses(addresses: NDArray[np.uint32], shape: tuple[int, ...] | None) -> Sensor | None:
    if not (addresses >> 16).any():
        return SENSORS["dvs128"]
    events = addresses[addresses >> 31 == 0]
    if (events & 0x3FF).any():
        return None
    if shape is not None and len(shape) == 2:
        return Sensor(True, (shape[0], shape[1]))
    width = int((events >> 12 & 0x3FF).max(initial=0)) + 1
    height = int((events >> 22).max(initial=0)) + 1
    sizes = sorted(sensor for sensor in SENSORS.values() if sensor.davis and sensor.shape >= (240, 180))
    return next((one for one in sizes if one.shape[0] >= width and one.shape[1] >= height), None)
