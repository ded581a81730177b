"""The fused kernels as torch operators: forward and backward, with shapes for the compiler.

A kernel is named by a string key (model, flags, dtype, surrogate, which coefficients are arrays and
which want a gradient), so that the operators stay plain functions of tensors. Layers with recurrent
weights have operators of their own, in `recurrent.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikelab.errors import UnsupportedError
from spikelab.neurons.kernel import EVERY, Kernel, kernel
from spikelab.neurons.model import NeuronModel
from spikelab.nn.memory import empty
from spikelab.nn.surrogate import Surrogate

__all__ = [
    "AGAIN",
    "DTYPES",
    "WRITERS",
    "Coefficients",
    "Layout",
    "arithmetic",
    "channels_last",
    "empty_as",
    "fused",
    "kernel_of",
    "named_kernel",
    "only_backward",
    "spread",
]

WRITERS: dict[str, Callable[..., Any]] = {"cpu": kernel}
"""What writes the kernels of a type of device; `devices` adds CUDA's."""
DTYPES: dict[str, tuple[torch.dtype, ...]] = {"cpu": (torch.float32, torch.float64)}
"""Dtypes of input that the kernels of a type of device take."""
_KERNELS: dict[str, Any] = {}
_NUMBERS: dict[Any, int] = {}
AGAIN = -1
"""Steps between checkpoints: none are kept, the backward pass makes them anew."""


class Coefficients(NamedTuple):
    """Coefficients of a step in a kernel's order.

    Args:
        scalars: numbers.
        arrays: tensors that broadcast to [B, *shape].
    """

    scalars: list[float]
    arrays: list[Tensor]


def named_kernel(
    model: NeuronModel,
    surrogate: Surrogate,
    dtype: torch.dtype,
    arrays: tuple[str, ...],
    wanted: tuple[str, ...],
    through_reset: bool,
    relaxed: Callable[[Any, Any], Any] | None = None,
    device: str = "cpu",
) -> str:
    """Key of a kernel for a type of device, made if it is not there.

    Classes and functions count by identity: one that is defined anew under an old name gets a kernel of its own.
    """
    name = str(dtype).removeprefix("torch.")
    flags = ",".join(f"{k}={v}" for k, v in model.flags().items())
    kinds = (type(model), model.State, model.Coefficients, type(surrogate), relaxed)
    made_of = [_NUMBERS.setdefault(v, len(_NUMBERS)) for v in kinds]
    key = f"{type(model).__qualname__}({flags}) {surrogate} {device} {name} {arrays} {wanted} {through_reset} {made_of}"
    if key not in _KERNELS:
        _KERNELS[key] = WRITERS[device](
            model,
            dtype=name,
            slope=surrogate.slope,
            arrays=arrays,
            wanted=wanted,
            through_reset=through_reset,
            relaxed=relaxed,
        )
    return key


def kernel_of(key: str) -> Any:
    """The kernel behind a key: a `Kernel`, or what the writer of another device makes."""
    return _KERNELS[key]


def arithmetic(dtype: torch.dtype) -> torch.dtype:
    """Dtype of states, coefficients and their gradients for input of this dtype: at least float32."""
    return torch.promote_types(dtype, torch.float32)


def channels_last(x: Tensor) -> bool:
    """Whether the images of x [T, B, C, H, W] lie with their channels innermost: neurons do not mind."""
    return x.ndim == 5 and not x.is_contiguous() and x.movedim(2, -1).is_contiguous()


class Layout(NamedTuple):
    """The order in which the neurons of a step lie in memory.

    Args:
        shape: (B, *shape).
        dtype: of the numbers.
        last: whether the channels of images lie innermost.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    last: bool

    @classmethod
    def of(cls, x: Tensor) -> Layout:
        """The order of x [T, B, *shape]: channels last if it lies so, else that of its axes."""
        return cls(tuple(x.shape[1:]), x.dtype, channels_last(x))

    @property
    def neurons(self) -> int:
        """Neurons of a step."""
        return math.prod(self.shape)

    def empty(self, steps: int) -> Tensor:
        """[steps, B, *shape], undefined."""
        return empty((steps, *self.shape), self.dtype, self.last)

    def flat(self, x: Tensor) -> np.ndarray[Any, Any]:
        """[n, neurons] in memory order, from [n, B, *shape]; a view where x lies so."""
        x = x.detach()
        x = x.movedim(2, -1) if self.last else x
        return x.contiguous().view(x.shape[0], self.neurons).numpy()

    def stacked(self, state: Sequence[Tensor]) -> Tensor:
        """State variables as one tensor [states, B, *shape] in memory order."""
        made = self.empty(len(state))
        for row, v in zip(made, state, strict=True):
            row.fill_(v[(0,) * v.ndim]) if not any(v.stride()) else row.copy_(v)
        return made

    def numbers(
        self, k: Kernel, arrays: Sequence[Tensor], scalars: Sequence[float]
    ) -> tuple[list[Any], np.ndarray[Any, Any]]:
        """Scalars, and array coefficients [rows, P] over one sample, or over the batch where one differs in it."""
        c = [k.dtype.type(v) for v in scalars]
        if not arrays:
            return c, np.zeros((0, 1), k.dtype)
        whole = any(a.ndim == len(self.shape) and a.shape[0] > 1 for a in arrays)
        target = self.shape if whole else (1, *self.shape[1:])
        rows = [a.detach().expand(target) for a in arrays]
        rows = [a.movedim(1, -1) for a in rows] if self.last else rows
        return c, np.stack([a.reshape(-1).numpy() for a in rows])


def spread(k: Kernel, arrays: Sequence[Tensor], gc: Tensor) -> list[Tensor | None]:
    """Gradients of the array coefficients, summed to their shapes, from those of all neurons [wanted, B, *shape]."""
    return [
        gc[k.wanted.index(n)].sum_to_size(v.shape) if n in k.wanted else None
        for n, v in zip(k.arrays, arrays, strict=True)
    ]


@torch.library.custom_op("spikelab::neuron", mutates_args=(), device_types="cpu")
def _neuron(
    x: list[Tensor], arrays: list[Tensor], scalars: list[float], state: list[Tensor], key: str, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    k, layout = _KERNELS[key], Layout.of(x[0])
    start = layout.stacked(state)
    segments = -(-len(x[0]) // every) if every > 0 else 0
    z, end, kept = layout.empty(len(x[0])), layout.empty(len(state)), layout.empty(segments * len(state))
    k.forward(
        [layout.flat(p) for p in x],
        *layout.numbers(k, arrays, scalars),
        layout.flat(start),
        layout.flat(z),
        layout.flat(end),
        layout.flat(kept).reshape(segments, len(state), layout.neurons),
        max(every, 0),
        torch.get_num_threads(),
    )
    return z, end, kept


def empty_as(x: Tensor, n: int, dtype: torch.dtype | None = None) -> Tensor:
    """[n, B, *shape], undefined, on the device of x [T, B, *shape] and in the order of `Layout.of(x)`.

    Args:
        x: the input.
        n: first axis.
        dtype: that of x if not given.
    """
    shape = x.shape[1:]
    if channels_last(x):
        return x.new_empty((n, shape[0], *shape[2:], shape[1]), dtype=dtype).movedim(-1, 2)
    return x.new_empty((n, *shape), dtype=dtype)


@_neuron.register_fake
def _(
    x: list[Tensor], arrays: list[Tensor], scalars: list[float], state: list[Tensor], key: str, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    segments = -(-x[0].shape[0] // every) if every > 0 else 0
    end, kept = (empty_as(x[0], n * len(state), arithmetic(x[0].dtype)) for n in (1, segments))
    return empty_as(x[0], len(x[0])), end, kept


@torch.library.custom_op("spikelab::neuron_backward", mutates_args=(), device_types="cpu")
def _neuron_backward(
    x: list[Tensor],
    arrays: list[Tensor],
    scalars: list[float],
    state: list[Tensor],
    kept: Tensor,
    gz: Tensor,
    gs: Tensor,
    key: str,
    every: int,
) -> tuple[list[Tensor], Tensor, Tensor]:
    k, layout = _KERNELS[key], Layout.of(x[0])
    gx, start, gc = [layout.empty(len(p)) for p in x], layout.empty(len(gs)), layout.empty(len(k.wanted))
    again = every == AGAIN
    k.backward(
        [layout.flat(p) for p in x],
        *layout.numbers(k, arrays, scalars),
        layout.flat(kept).reshape(-1 if len(gs) else 0, len(gs), layout.neurons),
        layout.flat(gz),
        layout.flat(gs),
        [layout.flat(g) for g in gx],
        layout.flat(start),
        layout.flat(gc.zero_()),
        EVERY if again else every,
        torch.get_num_threads(),
        layout.flat(layout.stacked(state)) if again else None,
    )
    return gx, start, gc


@_neuron_backward.register_fake
def _(
    x: list[Tensor],
    arrays: list[Tensor],
    scalars: list[float],
    state: list[Tensor],
    kept: Tensor,
    gz: Tensor,
    gs: Tensor,
    key: str,
    every: int,
) -> tuple[list[Tensor], Tensor, Tensor]:
    wanted = len(_KERNELS[key].wanted)
    start, gc = (empty_as(x[0], n, gs.dtype) for n in (len(gs), wanted))
    return [empty_as(x[0], len(x[0])) for _ in x], start, gc


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, arrays, ctx.scalars, state, ctx.key, ctx.every = inputs
    ctx.sizes = (len(x), len(arrays), len(state))
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*x, *arrays, *(state if ctx.every == AGAIN else ()), output[2])
    ctx.mark_non_differentiable(output[2])


def _backward(ctx: Any, gz: Tensor | None, gs: Tensor | None, _: Any) -> Any:
    *saved, kept = ctx.saved_tensors
    ports, coefficients, states = ctx.sizes
    x, arrays, state = saved[:ports], saved[ports : ports + coefficients], saved[ports + coefficients :]
    gz = torch.zeros_like(x[0]) if gz is None else gz
    gs = gz.new_zeros((), dtype=arithmetic(gz.dtype)).expand(states, *gz.shape[1:]) if gs is None else gs
    gx, start, gc = _neuron_backward(x, arrays, ctx.scalars, state, kept, gz, gs, ctx.key, ctx.every)
    none: list[Any] | None = None if ctx.scalars else []  # the structure that torch expects of an empty list
    return gx, spread(_KERNELS[ctx.key], arrays, gc), none, list(start.unbind(0)), None, None


_neuron.register_autograd(_backward, setup_context=_setup)


def only_backward(*tensors: Tensor) -> None:
    """Refuse forward-mode derivatives, which torch would silently take to be zero here.

    Raises:
        UnsupportedError: an input has a forward-mode tangent.
    """
    if torch._C._is_fwd_grad_enabled() and any(
        torch.autograd.forward_ad.unpack_dual(t, level=0).tangent is not None for t in tensors
    ):
        raise UnsupportedError(
            "neuron layer: found an input with a forward-mode tangent; expected none, for surrogates have a backward "
            "only; use backward() or torch.autograd.grad"
        )


def fused(
    x: list[Tensor], c: Coefficients, state: Sequence[Tensor], key: str, recompute: bool = False
) -> tuple[Tensor, Tensor]:
    """Run T steps.

    Args:
        x: per port [T, B, *shape].
        c: coefficients.
        state: per state variable [B, *shape].
        key: of `named_kernel`.
        recompute: keep nothing for the backward pass but the arguments.

    Returns:
        Output [T, B, *shape] and state at the end [states, B, *shape].

    Raises:
        UnsupportedError: an input has a forward-mode tangent.
    """
    only_backward(*x, *c.arrays, *state)
    every = (
        0 if not torch.is_grad_enabled() else AGAIN if recompute else kernel_of(key).every
    )  # 0: no backward pass will come
    z, end, _ = _neuron(x, c.arrays, c.scalars, list(state), key, every)
    return z, end
