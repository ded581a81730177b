"""MATLAB files (version 5) of one recording, in one of three layouts.

- `spiketrain` [taxels + 1, N], as in ST-MNIST: 1 and -1 where a taxel spikes, times in seconds in the last row. Taxel k
  of 100 is x = k % 10, y = k // 10.
- `events` [N, 4] with columns x, y, polarity (1 and -1, or 1 and 0) and time, in us where all times are whole.
- vectors t, x, y and p, each a variable (their other names: `columns.NAMES`).

A file is unpacked whole: it needs memory for that beside the events. A cut or damaged one is refused in every mode of
`errors`, since its last columns, the times, are those that are lost.

Source:
    See et al., ST-MNIST: The spiking tactile MNIST neuromorphic dataset, 2020, arXiv 2005.04319.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events.columns import UNITS, Columns, Rows, named_columns, sensor_of, unit_power
from spikelab.events.faults import Faults
from spikelab.events.matlab_variables import SIGNATURE, read_variables
from spikelab.events.source import Format

__all__ = ["FORMAT", "open_mat"]


def open_mat(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    unit: str | None = None,
    columns: str = "xypt",
) -> Columns:
    """Open a file; see `Opener`.

    Args:
        path: the file.
        faults: what to do with damage.
        shape: (width, height); None takes (10, 10) for 100 taxels, else what the events span.
        sorted: whether to refuse times that run backwards.
        unit: of the times: "s", "ms", "us" or "ns"; None means us for whole numbers, else s.
        columns: order of the columns of `events`.

    Raises:
        FormatError: missing, foreign, damaged, or of another layout.
        UnsupportedError: another unit, or columns that are not t, x, y and p in some order.
    """
    power = None if unit is None else unit_power(unit, unit)
    if not isinstance(columns, str) or len(columns) != 4 or set(columns) != set("txyp"):
        raise UnsupportedError(f"MATLAB: found columns={columns!r}; expected t, x, y, p in some order")
    variables = read_variables(path)
    names = named_columns(variables)
    if "spiketrain" in variables:
        found, sensor = _taxels(path, variables["spiketrain"])
        shape = shape or sensor
    elif names is not None:
        found = {field: variables[name].ravel(order="F") for field, name in names.items()}
    elif "events" in variables and variables["events"].ndim == 2 and variables["events"].shape[1] == 4:
        found = {field: variables["events"][:, columns.index(field)] for field in "txyp"}
    else:
        known = ", ".join(f"{name} {array.shape}" for name, array in variables.items()) or "no matrices of numbers"
        raise FormatError(
            path,
            f"found {known}; expected spiketrain, events [N, 4], or t, x, y, p; "
            "load it with scipy.io.loadmat and pass columns to Events.from_columns",
        )
    counts = {field: len(column) for field, column in found.items()}
    if len(set(counts.values())) != 1:
        raise FormatError(path, f"found columns of {counts} values; expected as many of each; the file is damaged")
    if power is None:
        whole = found["t"].dtype.kind != "f" or (found["t"] == np.rint(found["t"])).all()
        power = UNITS["us" if whole and "spiketrain" not in variables else "s"]
    opened = partial(_opened, found)
    row = sum(column.dtype.itemsize for column in found.values())
    count = counts["t"]
    return Columns(path, faults, sensor_of(shape, count, opened), sorted, count, row, opened, power=power)


def _taxels(path: str | PathLike[str], train: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], tuple[int, ...]]:
    """Columns of a spike train, in order of time, then taxel; and the shape of the sensor."""
    if train.ndim != 2 or not 2 <= len(train) <= 1 << 16:
        raise FormatError(path, f"found spiketrain of shape {train.shape}; expected [taxels + 1, N]; it is damaged")
    sample, taxel = np.nonzero(train[:-1].T)
    width = 10 if len(train) == 101 else len(train) - 1
    times = train[-1].astype(np.float64)
    found = {"t": times[sample], "x": taxel % width, "y": taxel // width, "p": train[taxel, sample]}
    return found, (width, (len(train) - 1) // width)


@contextmanager
def _opened(found: Mapping[str, NDArray[Any]]) -> Iterator[Mapping[str, Rows]]:
    def rows(column: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
        return column[start:stop]

    yield {field: partial(rows, column) for field, column in found.items()}


FORMAT: Final = Format("matlab", "MATLAB 5 .mat", (".mat",), open_mat, (SIGNATURE,), options=("unit", "columns"))
"""Known by its first bytes."""
