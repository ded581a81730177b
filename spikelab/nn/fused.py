"""The fused kernels as torch operators: forward and backward, with shapes for the compiler.

torch sees two operators for a layer without and two for one with recurrent weights. A kernel is
named by a string key (model, flags, dtype, surrogate, which coefficients are arrays and which want a
gradient), so that the operators stay plain functions of tensors. A coefficient is a tensor without
axes, or one over all neurons of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelab.errors import UnsupportedError
from spikelab.neurons.kernel import EVERY, Kernel, kernel
from spikelab.neurons.model import NeuronModel
from spikelab.nn.memory import empty
from spikelab.nn.surrogate import Surrogate

__all__ = ["fused", "fused_recurrent", "kernel_of", "named_kernel"]

_KERNELS: dict[str, Kernel] = {}
_NUMBERS: dict[Any, int] = {}


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
    made_of = [_NUMBERS.setdefault(v, len(_NUMBERS)) for v in (type(model), type(surrogate), relaxed)]
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


def _arguments(k: Kernel, names: Sequence[Tensor], neurons: int) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """Scalars and the stacked arrays, from the coefficients in the kernel's order: scalars, then arrays."""
    n = len(k.scalars)
    scalars = [k.dtype.type(c.item()) for c in names[:n]]
    arrays = [c.detach().reshape(-1).numpy() for c in names[n:]]
    return scalars, np.stack(arrays) if arrays else np.zeros((0, neurons), k.dtype)


class _FewThreads:
    """One thread for products too small to share: waking threads every step costs more than it gives."""

    def __init__(self, samples: int, features: int):
        self.small = samples * features * features < 2_000_000  # about 0.04 ms on one core here

    def __enter__(self) -> int:
        self.before = torch.get_num_threads()
        if self.small:
            torch.set_num_threads(1)
        return self.before

    def __exit__(self, *_: object) -> None:
        if self.small:
            torch.set_num_threads(self.before)


def _flat(x: Tensor) -> np.ndarray[Any, Any]:
    return x.detach().reshape(x.shape[0], -1).numpy()


@torch.library.custom_op("spikelab::neuron", mutates_args=())
def _neuron(
    x: list[Tensor], coefficients: list[Tensor], state: Tensor, key: str, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    k = _KERNELS[key]
    steps = x[0].shape[0]
    segments = -(-steps // every) if every else 0
    z, end = empty(tuple(x[0].shape), x[0].dtype), torch.empty_like(state)
    kept = torch.empty((segments, *state.shape), dtype=state.dtype)
    scalars, arrays = _arguments(k, coefficients, state[0].numel() if len(state) else x[0][0].numel())
    k.forward(
        [_flat(p.contiguous()) for p in x],
        scalars,
        arrays,
        _flat(state),
        _flat(z),
        _flat(end),
        kept.reshape(segments, len(state), state[0].numel()).numpy(),
        every,
        torch.get_num_threads(),
    )
    return z, end, kept


@_neuron.register_fake
def _(
    x: list[Tensor], coefficients: list[Tensor], state: Tensor, key: str, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    segments = -(-x[0].shape[0] // every) if every else 0
    z = torch.empty_like(x[0], memory_format=torch.contiguous_format)
    return z, torch.empty_like(state), state.new_empty((segments, *state.shape))


@torch.library.custom_op("spikelab::neuron_backward", mutates_args=())
def _neuron_backward(
    x: list[Tensor], coefficients: list[Tensor], kept: Tensor, gz: Tensor, gs: Tensor, key: str, every: int
) -> tuple[list[Tensor], Tensor, Tensor]:
    k = _KERNELS[key]
    gx = [empty(tuple(p.shape), p.dtype) for p in x]
    start = torch.empty_like(gs, memory_format=torch.contiguous_format)
    neurons = gz[0].numel()
    gc = torch.zeros((len(k.wanted), *gz.shape[1:]), dtype=gz.dtype)
    scalars, arrays = _arguments(k, coefficients, neurons)
    k.backward(
        [_flat(p.contiguous()) for p in x],
        scalars,
        arrays,
        kept.reshape(len(kept), len(gs), neurons).numpy(),
        _flat(gz.contiguous()),
        _flat(gs.contiguous()),
        [_flat(g) for g in gx],
        _flat(start),
        gc.reshape(len(k.wanted), neurons).numpy(),
        every,
        torch.get_num_threads(),
    )
    return gx, start, gc


@_neuron_backward.register_fake
def _(
    x: list[Tensor], coefficients: list[Tensor], kept: Tensor, gz: Tensor, gs: Tensor, key: str, every: int
) -> tuple[list[Tensor], Tensor, Tensor]:
    wanted = len(_KERNELS[key].wanted)
    gx = [torch.empty_like(p, memory_format=torch.contiguous_format) for p in x]
    start = torch.empty_like(gs, memory_format=torch.contiguous_format)
    return gx, start, gz.new_empty((wanted, *gz.shape[1:]))


def _spread(k: Kernel, gc: Tensor) -> list[Tensor | None]:
    """Gradients in the order of the coefficients: scalars get none, arrays where they are wanted."""
    return [None] * len(k.scalars) + [gc[k.wanted.index(a)] if a in k.wanted else None for a in k.arrays]


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, coefficients, _, ctx.key, ctx.every = inputs
    ctx.ports = len(x)
    ctx.set_materialize_grads(True)
    ctx.save_for_backward(*x, *coefficients, output[2])
    ctx.mark_non_differentiable(output[2])


def _backward(ctx: Any, gz: Tensor, gs: Tensor, _: Any) -> Any:
    *saved, kept = ctx.saved_tensors
    x, coefficients = saved[: ctx.ports], saved[ctx.ports :]
    gx, start, gc = _neuron_backward(list(x), list(coefficients), kept, gz, gs, ctx.key, ctx.every)
    return gx, _spread(_KERNELS[ctx.key], gc), start, None, None


_neuron.register_autograd(_backward, setup_context=_setup)


@torch.library.custom_op("spikelab::recurrent", mutates_args=())
def _recurrent(
    x: Tensor, weight: Tensor, z0: Tensor, coefficients: list[Tensor], state: Tensor, key: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    k = _KERNELS[key]
    steps = x.shape[0]
    u, z = torch.empty_like(x), torch.empty_like(x)
    kept = torch.empty((steps, *state.shape), dtype=state.dtype)
    end = torch.empty_like(state)
    scalars, arrays = _arguments(k, coefficients, state[0].numel())
    flat_u, flat_z = _flat(u), _flat(z)
    flat_kept = kept.reshape(steps, len(state), -1).numpy()
    now, then = _flat(state.clone()), _flat(end)
    transposed, before = weight.t(), z0
    with _FewThreads(*x.shape[1:]) as threads:
        for t in range(steps):
            torch.addmm(x[t], before, transposed, out=u[t])
            k.forward(
                [flat_u[t : t + 1]], scalars, arrays, now, flat_z[t : t + 1], then, flat_kept[t : t + 1], 1, threads
            )
            now, then, before = then, now, z[t]
    if steps % 2 == 0:  # the last state went to the buffer that is not returned
        then[...] = now
    return z, end, u, kept


@_recurrent.register_fake
def _(
    x: Tensor, weight: Tensor, z0: Tensor, coefficients: list[Tensor], state: Tensor, key: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(x),
        torch.empty_like(state),
        torch.empty_like(x),
        state.new_empty((x.shape[0], *state.shape)),
    )


@torch.library.custom_op("spikelab::recurrent_backward", mutates_args=())
def _recurrent_backward(
    u: Tensor,
    z: Tensor,
    weight: Tensor,
    z0: Tensor,
    coefficients: list[Tensor],
    kept: Tensor,
    gz: Tensor,
    gs: Tensor,
    key: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    k = _KERNELS[key]
    steps, neurons = len(u), u[0].numel()
    gu = torch.empty_like(u)
    gc = torch.zeros((len(k.wanted), *u.shape[1:]), dtype=u.dtype)
    scalars, arrays = _arguments(k, coefficients, neurons)
    flat_u, flat_gu = _flat(u), _flat(gu)
    flat_kept, flat_gc = kept.reshape(steps, len(gs), neurons).numpy(), gc.reshape(len(k.wanted), neurons).numpy()
    now = gs.contiguous().clone()
    then = torch.empty_like(now)
    total = torch.empty_like(u[0])
    flat_total = total.reshape(1, -1).numpy()
    a, b = _flat(now), _flat(then)
    with _FewThreads(*gz.shape[1:]) as threads:
        for t in range(steps - 1, -1, -1):
            if t + 1 < steps:
                torch.addmm(gz[t], gu[t + 1], weight, out=total)
            else:
                total.copy_(gz[t])
            k.backward(
                [flat_u[t : t + 1]],
                scalars,
                arrays,
                flat_kept[t : t + 1],
                flat_total,
                a,
                [flat_gu[t : t + 1]],
                b,
                flat_gc,
                1,
                threads,
            )
            a, b, now, then = b, a, then, now
    before = torch.cat([z0[None], z[:-1]]).reshape(-1, z.shape[-1])
    gw = gu.reshape(-1, gu.shape[-1]).t() @ before
    return gu, gw, gu[0] @ weight, gc, now


@_recurrent_backward.register_fake
def _(
    u: Tensor,
    z: Tensor,
    weight: Tensor,
    z0: Tensor,
    coefficients: list[Tensor],
    kept: Tensor,
    gz: Tensor,
    gs: Tensor,
    key: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    wanted = len(_KERNELS[key].wanted)
    return (
        torch.empty_like(u),
        torch.empty_like(weight),
        torch.empty_like(z0),
        u.new_empty((wanted, *u.shape[1:])),
        torch.empty_like(gs),
    )


def _setup_recurrent(ctx: Any, inputs: Any, output: Any) -> None:
    _, weight, z0, coefficients, _, ctx.key = inputs
    z, _, u, kept = output
    ctx.set_materialize_grads(True)
    ctx.save_for_backward(u, z, weight, z0, *coefficients, kept)
    ctx.mark_non_differentiable(u, kept)


def _backward_recurrent(ctx: Any, gz: Tensor, gs: Tensor, *_: Any) -> Any:
    u, z, weight, z0, *coefficients, kept = ctx.saved_tensors
    gu, gw, gz0, gc, start = _recurrent_backward(u, z, weight, z0, list(coefficients), kept, gz, gs, ctx.key)
    return gu, gw, gz0, _spread(_KERNELS[ctx.key], gc), start, None


_recurrent.register_autograd(_backward_recurrent, setup_context=_setup_recurrent)


def _only_backward(*tensors: Tensor) -> None:
    """Refuse forward-mode derivatives, which torch would silently take to be zero here."""
    if torch._C._is_fwd_grad_enabled() and any(
        torch.autograd.forward_ad.unpack_dual(t, level=0).tangent is not None for t in tensors
    ):
        raise UnsupportedError(
            "neuron layer: found an input with a forward-mode tangent; expected none, for surrogates have a backward "
            "only; use backward() or torch.autograd.grad"
        )


def fused(x: list[Tensor], coefficients: list[Tensor], state: Tensor, key: str) -> tuple[Tensor, Tensor]:
    """Run T steps.

    Args:
        x: per port [T, B, *shape].
        coefficients: in the kernel's order, scalars without axes, then arrays [B, *shape].
        state: [states, B, *shape].
        key: of `named_kernel`.

    Returns:
        Output [T, B, *shape] and state at the end.

    Raises:
        UnsupportedError: an input has a forward-mode tangent.
    """
    _only_backward(*x, *coefficients, state)
    every = EVERY if torch.is_grad_enabled() else 0  # steps between checkpoints; 0 keeps none
    z, end, _ = _neuron(x, coefficients, state, key, every)
    return z, end


def fused_recurrent(
    x: Tensor, weight: Tensor, z0: Tensor, coefficients: list[Tensor], state: Tensor, key: str
) -> tuple[Tensor, Tensor]:
    """Run T steps with recurrent weights: the input of a step is x[t] + W z[t - 1].

    Args:
        x: [T, B, N].
        weight: [N, N] recurrent weights (to, from).
        z0: [B, N] output of the step before the first.
        coefficients: as in `fused`.
        state: [states, B, N].
        key: of `named_kernel`.

    Returns:
        Output [T, B, N] and state at the end.

    Raises:
        UnsupportedError: an input has a forward-mode tangent.
    """
    _only_backward(x, weight, z0, *coefficients, state)
    z, end, _, _ = _recurrent(x, weight, z0, coefficients, state, key)
    return z, end


def kernel_of(key: str) -> Kernel:
    """The kernel behind a key."""
    return _KERNELS[key]
