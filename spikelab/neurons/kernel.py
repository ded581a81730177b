"""Fused kernels of a neuron model: forward and adjoint over all T steps, compiled by Numba.

`source.py` writes them from the traced `step`; here they are loaded and called. Generated modules are
written once to the user's cache directory under a hash of their text, with Numba's own cache beside
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError
from spikelab.neurons.generated import load
from spikelab.neurons.model import NeuronModel
from spikelab.neurons.source import BLOCK, Writer
from spikelab.neurons.threads import usable
from spikelab.neurons.trace import Slope

__all__ = ["EVERY", "Kernel", "kernel"]

EVERY = 16
"""Steps between two checkpoints."""
HISTORY = 1 << 19
"""Bytes of states between two checkpoints that a block may hold: as a second cache of 512 KB does."""
WORKSPACE = 3 << 19
"""Bytes of checkpoints that a block may hold where none were kept."""


@dataclass(frozen=True)
class Kernel:
    """Fused forward and adjoint of one model.

    Args:
        module: the generated module.
        ports: names of the inputs.
        states: names of the state variables.
        scalars: coefficients that are numbers, in the order of the arguments.
        arrays: coefficients that are arrays over the neurons: the rows of `A`.
        wanted: coefficients that get a gradient: the rows of `gA`.
        dtype: float32 or float64.
        kept: numbers that a backward pass keeps of a step, beside the states.
        name: of the model, for errors.
    """

    module: Any
    ports: tuple[str, ...]
    states: tuple[str, ...]
    scalars: tuple[str, ...]
    arrays: tuple[str, ...]
    wanted: tuple[str, ...]
    dtype: np.dtype[Any]
    kept: int = 0
    name: str = "neuron"

    @property
    def every(self) -> int:
        """Steps between two checkpoints, unless the caller says otherwise."""
        return EVERY

    def _function(self, name: str, steps: int, neurons: int, threads: int, most: int) -> tuple[Any, int, int]:
        """The parallel function, or the serial one for little work, one thread, or after a fork; block and parts."""
        threads, block = usable(threads, steps * neurons), most
        if threads == 1:
            return getattr(self.module, f"{name}_serial"), block, 1
        share = -(-neurons // threads)
        return getattr(self.module, name), max(64, min(block, -(-share // 64) * 64)), threads

    def _block(self, steps: int, every: int, again: bool) -> int:
        """Neurons per block of a backward pass, so that its history fits a cache, and its checkpoints the workspace."""
        states, size = max(len(self.states), 1), self.dtype.itemsize
        most = min(BLOCK, HISTORY // (min(every, steps) * (states + self.kept) * size))
        most = min(most, WORKSPACE // (-(-steps // every) * states * size)) if again else most
        return max(64, most // 64 * 64)

    def workspace(self, steps: int, every: int = EVERY) -> int:
        """Bytes that a thread of a backward pass without checkpoints takes for itself, and gives back.

        Args:
            steps: T.
            every: steps between the checkpoints that it makes.

        Example:
            >>> from spikelab.neurons import LIF
            >>> from spikelab.nn.surrogate import SuperSpike
            >>> kernel(LIF(), slope=SuperSpike().slope).workspace(100) < 2**20
            True
        """
        states, row = max(len(self.states), 1), BLOCK + 16
        rows = 2 * len(self.states) + len(self.arrays) + len(self.wanted)
        history = (min(every, steps) + 1) * (states + self.kept) * row
        checkpoints = -(-steps // every) * states * self._block(steps, every, True)
        return (max(rows, 1) * row + history + checkpoints) * self.dtype.itemsize

    def forward(
        self,
        x: list[NDArray[Any]],
        c: list[Any],
        a: NDArray[Any],
        s0: NDArray[Any],
        z: NDArray[Any],
        s1: NDArray[Any],
        checkpoints: NDArray[Any],
        every: int,
        threads: int = 1,
    ) -> None:
        """Run T steps of M neurons.

        Args:
            x: per port [T, M] input.
            c: scalar coefficients.
            a: [rows, P] array coefficients; neuron j has column j mod P, so that P may be the size of one sample.
            s0: [states, M] state at the start.
            z: [T, M] output, written.
            s1: [states, M] state at the end, written.
            checkpoints: [ceil(T / every), states, M], written; not touched where `every` is 0.
            every: steps between checkpoints.
            threads: most threads to use.

        Raises:
            ShapeError: input or state holds NaN or infinity.
        """
        steps, neurons = z.shape
        run, block, parts = self._function("forward", steps, neurons, threads, BLOCK)
        worst = self._worst(parts)
        run(*_flat(x), *c, a, s0, z.reshape(-1), s1, checkpoints, every, worst, neurons, block, parts)
        self._must_be_finite(worst, [*zip(self.ports, x, strict=True), *zip(self.states, s0, strict=True)])

    def recurrent(
        self,
        x: NDArray[Any],
        c: list[Any],
        a: NDArray[Any],
        weight: NDArray[Any],
        z0: NDArray[Any],
        s0: NDArray[Any],
        z: NDArray[Any],
        s1: NDArray[Any],
        kept: tuple[NDArray[Any], NDArray[Any]] | None = None,
        threads: int = 1,
    ) -> int:
        """Run T steps of B samples of N neurons whose spikes come back through `weight` a step later.

        Args:
            x: [T, B * N] input.
            c: scalar coefficients.
            a: [rows, P] array coefficients.
            weight: [N, N], row k holds the weights from neuron k.
            z0: [B, N] output of the step before the first.
            s0: [states, B * N] state at the start.
            z: [T, B * N] output, written.
            s1: [states, B * N] state at the end, written.
            kept: [T, B * N] drive and [T, states, B * N] state before each step, written.
            threads: most threads to use.

        Returns:
            Number of outputs that are not 0.

        Raises:
            ShapeError: input, weights or state hold NaN or infinity.
        """
        samples, features = z0.shape
        parts = min(usable(threads, z.size), samples)
        run = self.module.recurrent_serial if parts == 1 else self.module.recurrent
        drive, states = kept or (x[:0], np.empty((0, *s0.shape), self.dtype))
        found = np.empty(samples, np.int64)
        flat = z0.reshape(-1), s0, z.reshape(-1), s1
        worst = self._worst(parts)
        run(x.reshape(-1), *c, a, weight, *flat, drive, states, found, worst, features, parts)
        named = [(self.ports[0], x), ("weight_rec", weight), *zip(self.states, s0, strict=True)]
        self._must_be_finite(worst, named)
        return int(found.sum())

    def _worst(self, parts: int) -> NDArray[Any]:
        """Largest magnitude that each thread meets, as bits."""
        return np.zeros(parts, self.dtype.name.replace("float", "int"))

    def _must_be_finite(self, worst: NDArray[Any], named: Sequence[tuple[str, NDArray[Any]]]) -> None:
        if (worst < np.array(np.inf, self.dtype).view(worst.dtype)).all():
            return
        bad = [(name, values) for name, values in named if not np.isfinite(values).all()]
        if not bad:
            raise ShapeError(
                f"{self.name}: found an input of a step that has overflowed; expected finite numbers; "
                "the weights have grown too large: use a smaller learning rate, or clip the gradients"
            )
        name, values = bad[0]
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0])
        step = f" at step {place[0]}" if name in self.ports else ""
        raise ShapeError(
            f"{self.name}: found {values[place]} in {name}{step}; expected finite numbers; mend the data; where it "
            "comes from a layer before, its weights have diverged: use a smaller learning rate, or clip the gradients"
        )

    def backward(
        self,
        x: list[NDArray[Any]],
        c: list[Any],
        a: NDArray[Any],
        checkpoints: NDArray[Any],
        gz: NDArray[Any],
        gs1: NDArray[Any],
        gx: list[NDArray[Any]],
        gs0: NDArray[Any],
        ga: NDArray[Any],
        every: int,
        threads: int = 1,
        s0: NDArray[Any] | None = None,
    ) -> None:
        """Gradients of `forward`: `gx`, `gs0` are written, `ga` [wanted, M] is added to.

        Args:
            x: as in `forward`, like `c` and `a`.
            c: scalar coefficients.
            a: array coefficients.
            checkpoints: as `forward` wrote them; with none, [0, states, M], they are made anew from `s0`, a block
                at a time.
            gz: [T, M] gradient of the output.
            gs1: [states, M] gradient of the state at the end.
            gx: per port [T, M], written.
            gs0: [states, M] gradient of the state at the start, written.
            ga: [wanted, M] gradients of the coefficients, added to.
            every: steps between checkpoints.
            threads: most threads to use.
            s0: [states, M] state at the start, where there are no checkpoints.
        """
        steps, neurons = gz.shape
        most = self._block(steps, every, s0 is not None)
        if s0 is None:
            s0 = gs1[:, :0]
        run, block, parts = self._function("backward", steps, neurons, threads, most)
        gradients = [*_flat(gx), gs0, ga, every, neurons, block, parts]
        run(*_flat(x), *c, a, s0, checkpoints, gz.reshape(-1), gs1, *gradients)


def _flat(x: list[NDArray[Any]]) -> list[NDArray[Any]]:
    return [p.reshape(-1) for p in x]


def kernel(
    model: NeuronModel,
    *,
    dtype: str = "float32",
    slope: Slope | None = None,
    arrays: tuple[str, ...] = (),
    wanted: tuple[str, ...] = (),
    through_reset: bool = False,
    relaxed: Callable[[Any, Any], Any] | None = None,
) -> Kernel:
    """Write, compile (lazily) and load the fused kernel of a model.

    Args:
        model: the neuron; only its flags matter, not its parameters.
        dtype: `"float32"` or `"float64"`.
        slope: surrogate derivative; None writes no backward.
        arrays: coefficients given as arrays over the neurons.
        wanted: coefficients that get a gradient (each must be among `arrays`).
        through_reset: let gradients pass the reset.
        relaxed: smooth stand-in for the spike, to check gradients by finite differences.

    Returns:
        The kernel; first use compiles for 2 to 7 s, later ones load from the cache.
    """
    writer = Writer(model, slope, dtype, arrays, wanted, {"through_reset": through_reset, "relaxed": relaxed})
    module = load(writer.source(), f"kernel_{type(model).__name__.lower()}")
    names = writer.ports, writer.states, writer.scalars, writer.arrays, writer.wanted
    return Kernel(module, *names, np.dtype(dtype), len(writer.kept), type(model).__name__)
