"""Write `lava-dl.npz`; needs lava-dl 0.6.0, lava-nc 0.10.0 (both `--no-deps --ignore-requires-python`) and torch.

Fixed point, as read in lava/lib/dl/slayer/neuron and neuron/dynamics. State in whole numbers of 1 / (scale * 64), scale
= 64: S = 4096 units are 1. `rtz(p)` is p / 4096 rounded towards zero; decays are whole numbers d of 1 / 4096:

    input       x' = trunc(S x)
    CUBA        u = rtz(u (4096 - d_u)) + x'; v = rtz(v (4096 - d_v)) + u; z = [v > S th]; v = 0 where z
    ALIF        u as above; v = rtz(v (4096 - d_v)) + u, never reset; r = rtz(r (4096 - d_r));
                h = rtz((h - S th) (4096 - d_h)) + S th; z = [v >= h + r]; where z: h += S step, r += 2 h (h before the
                step is added); h starts at S th
    RF (phase)  re' = rtz(c re) - rtz(s im) + x'; im' = rtz(s re) + rtz(c im) + y'; z = [re' >= S th][im < 0][im' >= 0],
                im of the step before; no reset; c, s = 4096 (1 - decay) cos, sin(2 pi / period), rounded
    SDNN        a = activation(sum of x over time); d = a - a_before + r; z = d where |d| >= th, else 0; r = d - z;
                output floored to 1 / S. This one is float arithmetic

The threshold of CUBA is S th + 0.01 and compared "at or above", hence strictly above in whole numbers.
The spikes are compared in float32 once more: from a threshold of 64 on, the 0.01 is lost to rounding there.
"""

from __future__ import annotations

import dataclasses
from importlib.metadata import version
from typing import Any

import numpy as np
import stand_ins
import torch
from vectors import Vectors, drive

stand_ins.without("cv2", "torchvision", "unittest2")

# Python 3.11 refuses dataclass defaults that cannot be hashed, and lava has one: such classes get the plain hash.
_field = dataclasses._get_field  # type: ignore[attr-defined]


def _hashable(cls: Any, name: str, kind: Any, *rest: Any) -> Any:
    default = type(getattr(cls, name, None))
    if default.__module__.startswith("lava.") and default.__hash__ is None:
        default.__hash__ = object.__hash__
    return _field(cls, name, kind, *rest)


dataclasses._get_field = _hashable  # type: ignore[attr-defined]

from lava.lib.dl.slayer.neuron import alif, cuba, rf, sigma_delta  # noqa: E402

versions = {"lava-dl": version("lava-dl"), "torch": torch.__version__}
vectors = Vectors("lava-dl", **versions)


def steps_last(x: np.ndarray) -> torch.Tensor:
    """[T, B, N] to [B, N, T]."""
    return torch.from_numpy(np.ascontiguousarray(x.transpose(1, 2, 0)))


def steps_first(z: torch.Tensor) -> np.ndarray:
    return z.detach().numpy().transpose(2, 0, 1)


def whole(state: torch.Tensor, scale: int) -> np.ndarray:
    """The last step of [B, N, T] as whole numbers."""
    units = state.detach().double()[..., -1].numpy() * scale * 64
    assert np.array_equal(units, np.rint(units))
    return units.astype(np.int32)


def cuba_case(name: str, scale: float, offset: int, unit: int = 64, **arguments: Any) -> None:
    neuron = cuba.Neuron(**arguments, scale=unit)
    x = steps_last(drive(scale, offset, name))
    u, v = neuron.dynamics(x)
    last = {"u": whole(u, unit), "v": whole(v, unit)}
    z = steps_first(neuron.spike(v))
    vectors.add(f"CUBA {name}", "CUBA", z, scale, offset, last, scale_of_states=unit, **arguments)


cuba_case("exact", 1.0, 16, threshold=1.0, current_decay=0.5, voltage_decay=0.5)
cuba_case("ordinary", 0.3515625, 15, threshold=1.0, current_decay=0.2, voltage_decay=0.1)
cuba_case("no synapse", 0.703125, 15, threshold=1.0, current_decay=1.0, voltage_decay=0.1)
cuba_case("no leak", 0.703125, 60, threshold=10.0, current_decay=0.7, voltage_decay=0.0)
cuba_case("off the grid", 0.3515625, 15, threshold=0.7, current_decay=0.2345, voltage_decay=0.0123)
cuba_case("large", 45.0, 15, threshold=60.0, current_decay=0.3, voltage_decay=0.03)
cuba_case("unit scale", 22.5, 15, unit=1, threshold=80, current_decay=0.2, voltage_decay=0.1)

arguments = {
    "threshold": 1.0, "threshold_step": 0.5, "current_decay": 0.3, "voltage_decay": 0.1, "threshold_decay": 0.05,
    "refractory_decay": 0.25,
}  # fmt: skip
z = alif.Neuron(**arguments)(steps_last(drive(0.703125, 15)))
vectors.add("ALIF", "ALIF", steps_first(z), 0.703125, 15, **arguments)

arguments = {"threshold": 0.6, "period": 12.0, "decay": 0.07}
x = drive(0.703125, 0)
z = rf.Neuron(**arguments)((steps_last(x), steps_last(x[::-1])))
vectors.add("RF", "RF", steps_first(z), 0.703125, 0, imaginary_input="the real one backwards in time", **arguments)

arguments = {"threshold": 0.75}
z = sigma_delta.Neuron(**arguments, activation=torch.relu)(steps_last(drive(1.0, 2)))
vectors.add("SDNN", "SDNN", steps_first(z), 1.0, 2, activation="relu", **arguments)

vectors.write()
