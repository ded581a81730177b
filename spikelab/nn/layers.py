"""Layers without state on [T, B, ...], and `Sequential`, which passes the states along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from spikelab.errors import ShapeError, SpikelabError, UnsupportedError
from spikelab.nn.inputs import must_be_tensor
from spikelab.nn.neuron import LayerState, Neuron
from spikelab.nn.pool import pool, pools

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Sequential",
    "SumPool2d",
    "evaluating",
    "steps_as_samples",
    "whole_flatten",
]

Dropout = torch.nn.Dropout
"""`torch.nn.Dropout`: it takes any shape."""

_BATCH_ONLY = (
    torch.nn.Conv2d,
    torch.nn.AvgPool2d,
    torch.nn.BatchNorm1d,
    torch.nn.BatchNorm2d,
    torch.nn.Dropout2d,
)


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Eval mode for a while; afterwards every part of the module has the mode that it had."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training


def steps_as_samples(module: Any, x: Tensor) -> Tensor:
    """Apply a function of [B, ...] to [T, B, ...].

    Raises:
        ShapeError: x has no time and batch axes.
    """
    must_be_tensor(x, type(module).__name__)
    if x.ndim < 3:
        raise ShapeError(
            f"{type(module).__name__}: found input of shape {tuple(x.shape)}; expected [T, B, ...]; "
            "add axes with x[:, None]"
        )
    y: Tensor = module(x.flatten(0, 1))
    steps: Tensor = y.unflatten(0, x.shape[:2])
    return steps


def whole_flatten(module: torch.nn.Flatten, where: str) -> int:
    """First axis that `torch.nn.Flatten` joins on [T, B, *shape]: 2, whether or not it counts the axis of time.

    Raises:
        UnsupportedError: it joins some axes only.
    """
    if module.start_dim not in (1, 2) or module.end_dim != -1:
        raise UnsupportedError(
            f"{where}: found Flatten({module.start_dim}, {module.end_dim}); expected all axes behind time and batch; "
            "use nn.Flatten()"
        )
    return 2


class Conv2d(torch.nn.Conv2d):
    """`torch.nn.Conv2d` on [T, B, C, H, W]; on a CPU its images lie channels last in memory."""

    def forward(self, input: Tensor) -> Tensor:
        """[T, B, C, H, W] to [T, B, C', H', W']."""
        x = _images(self, input).flatten(0, 1)
        if min(x.shape[2:]) > 1:  # one pixel wide, torch 2.13's oneDNN crashes on some geometries
            # Channels last: with few channels, torch's backward on a CPU is up to ten times as fast (measured).
            x = x.contiguous(memory_format=torch.channels_last)
        y: Tensor = super().forward(x)
        steps: Tensor = y.unflatten(0, input.shape[:2])
        return steps


class AvgPool2d(torch.nn.AvgPool2d):
    """`torch.nn.AvgPool2d` on [T, B, C, H, W]."""

    def forward(self, input: Tensor) -> Tensor:
        """[T, B, C, H, W] to [T, B, C, H', W']."""
        x = _images(self, input)
        if self._plain(x):
            return pool(x, self.kernel_size, self.divisor_override or _area(self.kernel_size))
        return steps_as_samples(super().forward, x)

    def _plain(self, x: Tensor) -> bool:
        fits = all(n >= k for n, k in zip(x.shape[-2:], _pair(self.kernel_size), strict=True))
        return fits and not self.ceil_mode and pools(x, self.kernel_size, self.stride, self.padding)


class SumPool2d(AvgPool2d):
    """Sum over windows, as chips pool spikes."""

    def forward(self, input: Tensor) -> Tensor:
        """[T, B, C, H, W] to [T, B, C, H', W']."""
        x = _images(self, input)
        if self._plain(x):
            return pool(x, self.kernel_size, 1)
        return super().forward(x) * float(_area(self.kernel_size))


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _area(size: Any) -> int:
    height, width = _pair(size)
    return height * width


class Flatten(torch.nn.Module):
    """Join the axes behind time and batch: [T, B, *shape] to [T, B, N]."""

    def forward(self, x: Tensor) -> Tensor:
        """Flatten all but the first two axes."""
        must_be_tensor(x, "Flatten")
        return x.flatten(2)


def _images(module: torch.nn.Module, x: Tensor) -> Tensor:
    must_be_tensor(x, type(module).__name__)
    _must_match(module, x, type(module).__name__)
    if x.ndim != 5:
        raise ShapeError(f"{type(module).__name__}: found input of shape {tuple(x.shape)}; expected [T, B, C, H, W]")
    return x


class Sequential(torch.nn.Sequential):
    """Layers in turn; neuron layers get and return their state.

    A recurrent neuron layer without a shape takes that of the `Linear` before it. `torch.nn.Sequential` cannot hold
    neuron layers: it would pass the pair `(y, state)` to the layer behind. Inside this one it is run as this one is.

    Shape:
        x [T, B, *shape] -> y [T, B, *out] and a tuple with one state per layer (None without state).

    Example:
        >>> from spikelab import nn
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.LIF(dt="1 ms", recurrent=True), nn.Linear(4, 2), nn.LI(dt="1 ms"))
        >>> y, state = model(torch.ones(5, 1, 3))
        >>> y.shape
        torch.Size([5, 1, 2])
    """

    def __init__(self, *layers: torch.nn.Module) -> None:
        super().__init__(*layers)
        features = None
        for layer in self:
            if isinstance(layer, torch.nn.Linear):
                features = layer.out_features
            elif isinstance(layer, Neuron) and layer.recurrent and layer.weight_rec is None and features is not None:
                layer.make_recurrent(features)
            elif isinstance(layer, torch.nn.Conv2d | torch.nn.AvgPool2d):
                features = None

    def forward(self, x: Tensor, state: tuple[Any, ...] | None = None) -> tuple[Tensor, tuple[Any, ...]]:
        """Run T steps.

        Args:
            x: [T, B, *shape] input.
            state: of an earlier call; None starts at rest.

        Returns:
            Output and the states to continue with.

        Raises:
            ShapeError: the shape does not fit a layer, or the state is not of this model.
        """
        if state is not None and (
            not isinstance(state, tuple) or isinstance(state, LayerState) or len(state) != len(self)
        ):
            raise ShapeError(
                f"Sequential: found a state of {type(state).__name__}; "
                f"expected the tuple of {len(self)} that it returned"
            )
        must_be_tensor(x, "Sequential")
        states: list[Any] = []
        for k, layer in enumerate(self):
            try:
                x, new = _step_through(layer, x, None if state is None else state[k], f"layer {k}")
            except SpikelabError:  # some are RuntimeErrors too
                raise
            except (RuntimeError, TypeError, ValueError) as error:
                where = f"layer {k} ({type(layer).__name__})"
                _must_match(layer, x, where)
                raise ShapeError(f"{where}: input of shape {tuple(x.shape)} does not fit: {error}") from error
            states.append(new)
        return x, tuple(states)


def _step_through(layer: torch.nn.Module, x: Tensor, state: Any, where: str) -> tuple[Tensor, Any]:
    """One layer of a sequence: its output and its state, None without one."""
    if isinstance(layer, Neuron | Sequential):
        y, new = layer(x, state)
        return y, new
    if type(layer) is torch.nn.Sequential:
        return Sequential.forward(layer, x, state)  # type: ignore[arg-type]
    if type(layer) in _BATCH_ONLY:
        return steps_as_samples(layer, x), None
    if type(layer) is torch.nn.Flatten:
        return x.flatten(whole_flatten(layer, where)), None
    if state is not None:
        raise ShapeError(f"{where} ({type(layer).__name__}): found a state; expected None, for this layer has none")
    y = layer(x)
    must_be_tensor(y, f"behind {where} ({type(layer).__name__})")
    return y, None


def _must_match(layer: torch.nn.Module, x: Tensor, where: str) -> None:
    """Refuse an input of another number type or device than the layer's weights."""
    weight = next((p for p in layer.parameters() if p.is_floating_point()), None)
    if weight is not None and weight.dtype != x.dtype:
        raise ShapeError(
            f"{where}: found input of {x.dtype}; expected {weight.dtype}, as its weights have; use x.to({weight.dtype})"
        )
    if weight is not None and weight.device != x.device:
        raise ShapeError(
            f"{where}: found input on {x.device}; expected {weight.device}, where its weights are; "
            f"use x.to({str(weight.device)!r})"
        )
