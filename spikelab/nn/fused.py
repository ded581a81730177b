"""The fused kernels as torch operators: forward and backward.

A kernel is named by a string key (model, flags, dtype, surrogate, which coefficients are arrays and
which want a gradient), so that the operators stay plain functions of tensors. They are an `autograd.Function` and not
operators of `torch.library`, whose way to a kernel takes 0.4 ms longer, for a small layer more than all else.
Layers with recurrent weights have operators of their own, in `recurrent.py`.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikelab.errors import UnsupportedError
from spikelab.neurons.kernel import EVERY, Kernel, kernel
from spikelab.neurons.model import NeuronModel
from spikelab.nn.memory import empty
from spikelab.nn.surrogate import Surrogate

__all__ = [
    "AGAIN",
    "DTYPES",
    "OPERATORS",
    "WRITERS",
    "Coefficients",
    "Layout",
    "Operators",
    "arithmetic",
    "channels_last",
    "empty_as",
    "fused",
    "keep_signature",
    "kernel_of",
    "named_kernel",
    "neuron",
    "neuron_backward",
    "only_backward",
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


@cache
def _settings(kind: type[Any]) -> tuple[str, ...]:
    """Fields of a model that are no parameters."""
    return tuple(f.name for f in dataclasses.fields(kind) if "unit" not in f.metadata)


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

    What a step may depend on is in it: every field of the model that is no parameter, all attributes of the surrogate.
    Classes and functions count by identity: one that is defined anew under an old name gets a kernel of its own.
    """
    name = str(dtype).removeprefix("torch.")
    flags = ",".join(f"{n}={getattr(model, n)!r}" for n in _settings(type(model)))  # type: ignore[arg-type]
    kinds = (type(model), model.State, model.Coefficients, type(surrogate), relaxed)
    made_of = [_NUMBERS.setdefault(v, len(_NUMBERS)) for v in kinds]
    what = f"{type(model).__qualname__}({flags}) {vars(surrogate)}"
    key = f"{what} {device} {name} {arrays} {wanted} {through_reset} {made_of}"
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
        if self.last:
            x = x.movedim(2, -1)
        if not x.is_contiguous():
            x = x.contiguous()
        return x.numpy().reshape(x.shape[0], self.neurons)

    def stacked(self, state: Sequence[Tensor]) -> Tensor:
        """State variables as one tensor [states, B, *shape] in memory order."""
        made = self.empty(len(state))
        rows = made.numpy()
        for k, v in enumerate(state):
            rows[k] = v.detach().numpy()  # by NumPy: the threads that torch would wake stand in the kernel's way
        return made

    def summed(self, k: Kernel, arrays: Sequence[Tensor], gc: np.ndarray[Any, Any]) -> list[Tensor | None]:
        """Gradients of the array coefficients, summed to their shapes, from those of all neurons [wanted, neurons]."""
        order = (self.shape[0], *self.shape[2:], self.shape[1]) if self.last else self.shape
        found: list[Tensor | None] = []
        for n, v in zip(k.arrays, arrays, strict=True):
            if n not in k.wanted:
                found.append(None)
                continue
            g = gc[k.wanted.index(n)].reshape(order)
            g = np.moveaxis(g, -1, 1) if self.last else g
            shape = (1,) * (g.ndim - v.ndim) + tuple(v.shape)
            axes = tuple(axis for axis, size in enumerate(shape) if size == 1 and g.shape[axis] > 1)
            found.append(torch.from_numpy(np.ascontiguousarray(g.sum(axis=axes))).reshape(v.shape))
        return found

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


def neuron(
    x: Sequence[Tensor],
    arrays: Sequence[Tensor],
    scalars: Sequence[float],
    state: Sequence[Tensor],
    key: str,
    every: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, last state, checkpoints of T steps on the CPU."""
    k, layout, steps = _KERNELS[key], Layout.of(x[0]), len(x[0])
    start = layout.stacked(state)
    segments = -(-steps // every) if every > 0 else 0
    z, end, kept = layout.empty(steps), layout.empty(len(state)), layout.empty(segments * len(state))
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


def neuron_backward(
    x: Sequence[Tensor],
    arrays: Sequence[Tensor],
    scalars: Sequence[float],
    state: Sequence[Tensor],
    kept: Tensor,
    gz: Tensor,
    gs: Tensor | None,
    key: str,
    every: int,
) -> tuple[list[Tensor], Tensor, list[Tensor | None]]:
    """Gradients of the inputs, of the first state, of the array coefficients; `gs` None stands for zeros."""
    k, layout = _KERNELS[key], Layout.of(x[0])
    states = len(k.states)
    gx, start = [layout.empty(len(p)) for p in x], layout.empty(states)
    gc, again = layout.flat(layout.empty(len(k.wanted))), every == AGAIN
    gc[...] = 0
    k.backward(
        [layout.flat(p) for p in x],
        *layout.numbers(k, arrays, scalars),
        layout.flat(kept).reshape(-1 if states else 0, states, layout.neurons),
        layout.flat(gz),
        np.zeros((states, layout.neurons), k.dtype) if gs is None else layout.flat(gs),
        [layout.flat(g) for g in gx],
        layout.flat(start),
        gc,
        EVERY if again else every,
        torch.get_num_threads(),
        layout.flat(layout.stacked(state)) if again else None,
    )
    return gx, start, layout.summed(k, arrays, gc)


class Operators(NamedTuple):
    """What runs the layers on a type of device: `neuron` and `neuron_backward`, and those of recurrent layers."""

    neuron: Callable[..., tuple[Tensor, Tensor, Tensor]]
    neuron_backward: Callable[..., tuple[list[Tensor], Tensor, list[Tensor | None]]]
    recurrent: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]
    recurrent_backward: Callable[..., tuple[Tensor, Tensor, Tensor, list[Tensor | None], Tensor]]


OPERATORS: dict[str, Operators] = {}
"""Operators of each type of device; `devices` fills it."""


def keep_signature(function: type[torch.autograd.Function]) -> None:
    """Keep what torch would find out at every call: which arguments `forward` has."""
    function.forward.__signature__ = inspect.signature(function.forward)  # type: ignore[attr-defined]


class _Neuron(torch.autograd.Function):
    """The operators with their autograd. Arguments: key, every, scalars, numbers of ports and of arrays, tensors."""

    @staticmethod
    def forward(
        key: str, every: int, scalars: list[float], ports: int, arrays: int, *tensors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, c, state = tensors[:ports], tensors[ports : ports + arrays], tensors[ports + arrays :]
        return OPERATORS[x[0].device.type].neuron(x, c, scalars, state, key, every)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.key, ctx.every, ctx.scalars, ctx.ports, ctx.arrays, *tensors = inputs
        used = tensors if ctx.every == AGAIN else tensors[: ctx.ports + ctx.arrays]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*used, output[2])
        ctx.mark_non_differentiable(output[2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gz: Tensor | None, gs: Tensor | None, _: Any) -> Any:
        *saved, kept = ctx.saved_tensors
        x, rest = saved[: ctx.ports], saved[ctx.ports :]
        arrays, state = rest[: ctx.arrays], rest[ctx.arrays :]
        gz = torch.zeros_like(x[0]) if gz is None else gz
        run = OPERATORS[gz.device.type].neuron_backward
        gx, start, gc = run(x, arrays, ctx.scalars, state, kept, gz, gs, ctx.key, ctx.every)
        return None, None, None, None, None, *gx, *gc, *start.unbind(0)


keep_signature(_Neuron)


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


def only_backward(*tensors: Tensor) -> None:
    """Refuse forward-mode derivatives, which torch would silently take to be zero here.

    Raises:
        UnsupportedError: an input has a forward-mode tangent.
    """
    if torch.autograd.forward_ad._current_level >= 0 and any(
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
    tensors = (*x, *c.arrays, *state)
    wanted = torch.is_grad_enabled() and any(v.requires_grad for v in tensors)
    every = 0 if not wanted else AGAIN if recompute else kernel_of(key).every  # 0: no backward pass will come
    z, end, _ = _Neuron.apply(key, every, c.scalars, len(x), len(c.arrays), *tensors)
    return z, end
