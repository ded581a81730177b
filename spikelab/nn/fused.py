"""The fused kernels as torch operators: forward and backward, with shapes for the compiler.

A kernel is named by a string key (model, flags, dtype, surrogate, which coefficients are arrays and
which want a gradient), so that the operators stay plain functions of tensors. Layers with recurrent
weights have operators of their own, in `recurrent.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikelab.errors import UnsupportedError
from spikelab.neurons.kernel import EVERY, Kernel, kernel, spacing
from spikelab.neurons.model import NeuronModel
from spikelab.nn.memory import empty
from spikelab.nn.surrogate import Surrogate

__all__ = ["Coefficients", "fused", "kernel_of", "named_kernel", "numbers", "only_backward", "spread", "stacked"]

_KERNELS: dict[str, Kernel] = {}
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
) -> str:
    """Key of a kernel, made if it is not there.

    Classes and functions count by identity: one that is defined anew under an old name gets a kernel of its own.
    """
    name = str(dtype).removeprefix("torch.")
    flags = ",".join(f"{k}={v}" for k, v in model.flags().items())
    kinds = (type(model), model.State, model.Coefficients, type(surrogate), relaxed)
    made_of = [_NUMBERS.setdefault(v, len(_NUMBERS)) for v in kinds]
    key = f"{type(model).__qualname__}({flags}) {surrogate} {name} {arrays} {wanted} {through_reset} {made_of}"
    if key not in _KERNELS:
        _KERNELS[key] = kernel(
            model,
            dtype=name,
            slope=surrogate.slope,
            arrays=arrays,
            wanted=wanted,
            through_reset=through_reset,
            relaxed=relaxed,
        )
    return key


def kernel_of(key: str) -> Kernel:
    """The kernel behind a key."""
    return _KERNELS[key]


def numbers(
    k: Kernel, arrays: Sequence[Tensor], scalars: Sequence[float], shape: tuple[int, ...]
) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """Scalars, and array coefficients [rows, P] over one sample, or over the batch where one differs in it.

    Args:
        k: the kernel.
        arrays: tensors that broadcast to [B, *shape].
        scalars: numbers.
        shape: (B, *shape).
    """
    c = [k.dtype.type(v) for v in scalars]
    if not arrays:
        return c, np.zeros((0, 1), k.dtype)
    whole = any(a.ndim == len(shape) and a.shape[0] > 1 for a in arrays)
    target = shape if whole else (1, *shape[1:])
    return c, np.stack([a.detach().expand(target).reshape(-1).numpy() for a in arrays])


def stacked(state: Sequence[Tensor], like: Tensor) -> Tensor:
    """State variables as one contiguous tensor [states, *shape of one step]."""
    return torch.stack(list(state)) if state else like.new_empty((0, *like.shape))


def spread(k: Kernel, arrays: Sequence[Tensor], gc: Tensor) -> list[Tensor | None]:
    """Gradients of the array coefficients, summed to their shapes, from those of all neurons [wanted, B, *shape]."""
    return [
        gc[k.wanted.index(n)].sum_to_size(v.shape) if n in k.wanted else None
        for n, v in zip(k.arrays, arrays, strict=True)
    ]


def _flat(x: Tensor) -> np.ndarray[Any, Any]:
    return x.detach().reshape(x.shape[0], -1).numpy()


@torch.library.custom_op("spikelab::neuron", mutates_args=())
def _neuron(
    x: list[Tensor], arrays: list[Tensor], scalars: list[float], state: list[Tensor], key: str, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    k = _KERNELS[key]
    start = stacked(state, x[0][0])
    segments = -(-len(x[0]) // every) if every > 0 else 0
    z, end = empty(tuple(x[0].shape), x[0].dtype), torch.empty_like(start)
    kept = empty((segments, *start.shape), start.dtype)
    neurons = x[0][0].numel()
    k.forward(
        [_flat(p.contiguous()) for p in x],
        *numbers(k, arrays, scalars, tuple(x[0].shape[1:])),
        start.reshape(len(start), neurons).numpy(),
        _flat(z),
        end.reshape(len(start), neurons).numpy(),
        kept.reshape(segments, len(start), neurons).numpy(),
        max(every, 0),
        torch.get_num_threads(),
    )
    return z, end, kept


@_neuron.register_fake
def _(
    x: list[Tensor], arrays: list[Tensor], scalars: list[float], state: list[Tensor], key: str, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    segments = -(-x[0].shape[0] // every) if every > 0 else 0
    z = torch.empty_like(x[0], memory_format=torch.contiguous_format)
    shape = (len(state), *x[0].shape[1:])
    return z, z.new_empty(shape), z.new_empty((segments, *shape))


@torch.library.custom_op("spikelab::neuron_backward", mutates_args=())
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
    k = _KERNELS[key]
    neurons = gz[0].numel()
    gx = [empty(tuple(p.shape), p.dtype) for p in x]
    start = torch.empty_like(gs, memory_format=torch.contiguous_format)
    gc = torch.zeros((len(k.wanted), *gz.shape[1:]), dtype=gz.dtype)
    k.backward(
        [_flat(p.contiguous()) for p in x],
        *numbers(k, arrays, scalars, tuple(gz.shape[1:])),
        kept.reshape(len(kept), len(gs), neurons).numpy(),
        _flat(gz.contiguous()),
        gs.contiguous().reshape(len(gs), neurons).numpy(),
        [_flat(g) for g in gx],
        start.reshape(len(start), neurons).numpy(),
        gc.reshape(len(k.wanted), neurons).numpy(),
        spacing(len(gz)) if every == AGAIN else every,
        torch.get_num_threads(),
        stacked(state, gz[0]).reshape(len(gs), neurons).numpy() if every == AGAIN else None,
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
    gx = [torch.empty_like(p, memory_format=torch.contiguous_format) for p in x]
    start = torch.empty_like(gs, memory_format=torch.contiguous_format)
    return gx, start, gz.new_empty((wanted, *gz.shape[1:]))


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, arrays, ctx.scalars, state, ctx.key, ctx.every = inputs
    ctx.sizes = (len(x), len(arrays))
    ctx.states = len(state)
    ctx.set_materialize_grads(True)
    ctx.save_for_backward(*x, *arrays, *(state if ctx.every == AGAIN else ()), output[2])
    ctx.mark_non_differentiable(output[2])


def _backward(ctx: Any, gz: Tensor, gs: Tensor, _: Any) -> Any:
    *saved, kept = ctx.saved_tensors
    ports, coefficients = ctx.sizes
    x, arrays, state = saved[:ports], saved[ports : ports + coefficients], saved[ports + coefficients :]
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
    every = 0 if not torch.is_grad_enabled() else AGAIN if recompute else EVERY  # 0: no backward pass will come
    z, end, _ = _neuron(x, c.arrays, c.scalars, list(state), key, every)
    return z, end
