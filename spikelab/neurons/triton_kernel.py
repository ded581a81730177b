"""The Triton kernels of a model: written by `TritonSource`, loaded when they are first needed, launched on tensors.

Multiply-add fusion is off and division rounds to nearest, so that float32 has the bits of the Numba kernels.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from spikelab.errors import unknown_name
from spikelab.neurons.generated import load
from spikelab.neurons.model import NeuronModel
from spikelab.neurons.trace import Slope
from spikelab.neurons.triton_source import TritonSource

__all__ = ["BLOCKS", "LAUNCH", "TritonKernel", "triton_installed", "triton_kernel"]

BLOCKS = {"float32": 128, "bfloat16": 256}
"""Neurons of a program by the dtype of input and output: 4 bytes for each thread of `LAUNCH`."""
LAUNCH = {"num_warps": 4, "enable_fp_fusion": False}
"""Options of every launch: four warps of 32 threads; a product and a sum stay two roundings."""


@cache
def triton_installed() -> bool:
    """Whether Triton can be imported."""
    return importlib.util.find_spec("triton") is not None


@dataclass(frozen=True)
class TritonKernel:
    """Fused forward and adjoint of one model on a GPU, on torch tensors.

    Args:
        source: writes the module's text.
        name: start of the module's name.
        block: neurons of a program.
        ports: names of the inputs.
        states: names of the state variables.
        scalars, arrays: coefficients that are numbers, and arrays over the neurons, in the order of the arguments.
        wanted: coefficients that get a gradient, in the order of their rows.
    """

    source: TritonSource
    name: str
    block: int
    ports: tuple[str, ...]
    states: tuple[str, ...]
    scalars: tuple[str, ...]
    arrays: tuple[str, ...]
    wanted: tuple[str, ...]

    @property
    def every(self) -> int:
        """Steps between two checkpoints, unless the caller says otherwise."""
        return self.source.every

    def module(self, every: int) -> ModuleType:
        """The generated module for checkpoints every so many steps."""
        return _module(self, every)

    def _function(self, name: str, every: int, steps: int, neurons: int) -> Any:
        """A kernel on its grid; a single step is written out where there is no other, as in a recurrent layer."""
        module = self.module(1 if steps == 1 else every or self.every)
        return getattr(module, name)[(-(-neurons // self.block),)]

    def forward(
        self,
        x: Sequence[Any],
        c: Sequence[float],
        a: Sequence[Any],
        s0: Any,
        z: Any,
        s1: Any,
        checkpoints: Any,
        every: int,
    ) -> None:
        """Run T steps of M neurons. All tensors are contiguous and on one device.

        Args:
            x: per port [T, M] input, float32 or bfloat16.
            c: scalar coefficients.
            a: array coefficients, each [P] float32 with P a divisor of M: neuron i has entry i mod P.
            s0: [states, M] float32 state at the start.
            z: [T, M] output of the input's dtype, written; None where only checkpoints are wanted.
            s1: [states, M] float32 state at the end, written.
            checkpoints: [ceil(T / every), states, M] float32, written; not touched where `every` is 0.
            every: steps between checkpoints.
        """
        steps, neurons = x[0].shape
        given = [*x, *c, *a, s0, s1 if z is None else z, s1, checkpoints, len(a[0]) if a else 1, steps, neurons]
        flags = {"WRITE": z is not None, "KEEP": every > 0, "BLOCK": self.block}
        self._function("forward", every, steps, neurons)(*given, **flags, **LAUNCH)

    def backward(
        self,
        x: Sequence[Any],
        c: Sequence[float],
        a: Sequence[Any],
        checkpoints: Any,
        gz: Any,
        gs1: Any,
        gx: Sequence[Any],
        gs0: Any,
        gc: Any,
        every: int,
    ) -> None:
        """Gradients of `forward`: `gx`, `gs0` are written, `gc` [wanted, M] float32 is added to."""
        steps, neurons = gz.shape
        given = [*x, *c, *a, checkpoints, gz, gs1, *gx, gs0, gc, len(a[0]) if a else 1, steps, neurons]
        self._function("backward", every, steps, neurons)(*given, BLOCK=self.block, **LAUNCH)


@cache
def _module(kernel: TritonKernel, every: int) -> ModuleType:
    return load(kernel.source.text(every), kernel.name)


def triton_kernel(
    model: NeuronModel,
    *,
    dtype: str = "float32",
    slope: Slope | None = None,
    arrays: tuple[str, ...] = (),
    wanted: tuple[str, ...] = (),
    through_reset: bool = False,
    relaxed: Callable[[Any, Any], Any] | None = None,
) -> TritonKernel:
    """Write the Triton kernel of a model; it is compiled at its first launch.

    Args:
        model: the neuron; only its flags matter, not its parameters.
        dtype: of input and output, `"float32"` or `"bfloat16"`.
        slope: surrogate derivative; None writes no backward.
        arrays: coefficients given as arrays over the neurons.
        wanted: coefficients that get a gradient (each must be among `arrays`).
        through_reset: let gradients pass the reset.
        relaxed: smooth stand-in for the spike, to check gradients by finite differences.
    """
    if dtype not in BLOCKS:
        raise unknown_name("triton_kernel: dtype", dtype, BLOCKS)
    options = {"through_reset": through_reset, "relaxed": relaxed}
    source = TritonSource(model, slope, arrays, wanted, options)
    names = source.ports, source.states, source.scalars, source.arrays, source.wanted
    return TritonKernel(source, f"triton_{type(model).__name__.lower()}", BLOCKS[dtype], *names)
