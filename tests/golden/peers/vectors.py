"""Input and file of the peers' vectors; NumPy alone, so that it runs beside any peer.

Each `make_<peer>.py` here runs in an environment of its own that holds the peer (`python make_<peer>.py` in this
folder) and writes `<peer>.npz`. The tests read these files; they need no peer.

A case is a neuron of the peer with its own arguments, fed with `drive(scale, offset)`, which is exact in float32.
In the file:

| entry | content |
|---|---|
| `about` | JSON: peer, versions, and per case the neuron, its arguments, scale and offset |
| `<case>` | output [T, B, N]: spikes packed as bits, several or signed spikes as int8, anything else as float32 |
| `<case>/gradient` | [50, 4, 16] gradient of sum(weights * spikes) by the input, for the cases that have one |
| `<case>/<state>` | [B, N] a state at the last step, before its reset, where the peer shows it |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SHAPE = STEPS, BATCH, NEURONS = 200, 8, 64
"""102,400 decisions."""
SMALL = (50, 4, 16)
"""Shape of the cases with a gradient."""
GRID = 2.0**-7
"""The input is a whole number of these, times `scale`."""


def noise() -> np.ndarray:
    """[T, B, N] int8: normal with a deviation of 45, clipped to +-127."""
    return np.load(HERE / "noise.npy")


def drive(scale: float, offset: int, case: str = "") -> np.ndarray:
    """[T, B, N] float32 input: (noise + offset) * GRID * scale, exact for a `scale` of few bits.

    Cases whose name ends in "exact" get whole multiples of scale / 4: their sums are exact in any order, and they meet
    the threshold exactly now and then.
    """
    k = noise().astype(np.float64) + offset
    k = 32 * np.rint(k / 32) if case.endswith("exact") else k
    x = k * (GRID * scale)
    assert np.array_equal(x.astype(np.float32), x)
    return x.astype(np.float32)


def small_drive(scale: float, offset: int) -> np.ndarray:
    """[50, 4, 16] float32: a corner of the input, for gradients."""
    t, b, n = SMALL
    return np.ascontiguousarray(drive(scale, offset)[:t, :b, :n])


def output_gradient() -> np.ndarray:
    """[50, 4, 16] float32: the fixed weights of the spikes in the sum whose gradient is stored."""
    t, b, n = SMALL
    return np.ascontiguousarray(noise()[-t:, -b:, -n:] * np.float32(GRID))


class Vectors:
    """Collects the cases of one peer and writes its file."""

    def __init__(self, peer: str, **versions: str) -> None:
        self.about: dict[str, Any] = {"peer": peer, "versions": versions, "cases": {}}
        self.arrays: dict[str, np.ndarray] = {}

    def add(
        self,
        case: str,
        neuron: str,
        output: Any,
        scale: float,
        offset: int,
        also: dict[str, np.ndarray] | None = None,
        **arguments: Any,
    ) -> None:
        """Add a case: the peer's neuron, what it gave, its input and its arguments (plain numbers and words)."""
        z = np.asarray(output, np.float32)
        whole = np.array_equal(z, np.rint(z)) and np.abs(z).max() < 128
        kind = "bits" if np.isin(z, (0, 1)).all() else "int8" if whole else "float32"
        assert 0 < np.count_nonzero(z) < z.size, f"{case}: silent or always on"
        self.arrays[case] = np.packbits(z.astype(bool)) if kind == "bits" else z.astype(kind)
        self.arrays |= {f"{case}/{name}": value for name, value in (also or {}).items()}
        self.about["cases"][case] = {
            "neuron": neuron,
            "arguments": arguments,
            "scale": scale,
            "offset": offset,
            "shape": z.shape,
            "kind": kind,
        }
        print(
            f"{self.about['peer']:14s} {case:36s} {kind:8s} active {np.count_nonzero(z) / z.size:.4f} max {z.max():g}"
        )

    def write(self) -> None:
        """Write `<peer>.npz`."""
        about = np.frombuffer(json.dumps(self.about, indent=1).encode(), np.uint8)
        np.savez_compressed(HERE / f"{self.about['peer']}.npz", about=about, **self.arrays)


@dataclass(frozen=True, eq=False)
class Case:
    """One case as read from a file: the peer's neuron and its arguments, input, output, and what else there is."""

    peer: str
    version: str
    name: str
    neuron: str
    arguments: dict[str, Any]
    x: np.ndarray
    z: np.ndarray
    also: dict[str, np.ndarray]


def read(peer: str) -> list[Case]:
    """All cases of a peer."""
    cases = []
    with np.load(HERE / f"{peer}.npz") as arrays:
        about = json.loads(arrays["about"].tobytes())
        for name, case in about["cases"].items():
            shape, z = tuple(case["shape"]), arrays[name]
            if case["kind"] == "bits":
                z = np.unpackbits(z, count=int(np.prod(shape))).reshape(shape)
            x = drive(case["scale"], case["offset"], name)[tuple(map(slice, shape))]
            also = {k.split("/")[1]: arrays[k] for k in arrays.files if k.startswith(f"{name}/")}
            version = about["versions"][peer]
            cases.append(Case(peer, version, name, case["neuron"], case["arguments"], x, z.astype(np.float32), also))
    return cases


if __name__ == "__main__":
    values = np.rint(np.random.default_rng(2026).normal(0, 45, SHAPE))
    np.save(HERE / "noise.npy", np.clip(values, -127, 127).astype(np.int8))
