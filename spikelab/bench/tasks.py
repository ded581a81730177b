"""The three tasks that ours, the peers and the plain loops are measured on: sizes, inputs and weights.

All of them get the same input and, where their layers allow it, the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from spikelab.bench.timing import Step

__all__ = ["DT", "ConvTask", "NeuronTask", "ShdTask", "Task", "passes", "training"]

DT = 1e-3
"""[s] time step of all tasks."""


@dataclass(frozen=True, eq=False)
class NeuronTask:
    """A layer of leaky integrate-and-fire neurons with a soft reset, forward and backward.

    Args:
        x: [T, B, N] input.
        g: [T, B, N] gradient that arrives at the output.
        tau_mem: [s] time constant of the membrane.
        tau_syn: [s] time constant of the current, where there is one.
    """

    x: Tensor
    g: Tensor
    tau_mem: float = 10e-3
    tau_syn: float = 5e-3

    @classmethod
    def sized(cls, steps: int = 100, samples: int = 64, neurons: int = 1024) -> NeuronTask:
        """Normal input that makes about one neuron in ten spike in a step."""
        generator = torch.Generator().manual_seed(0)
        x = torch.empty(steps, samples, neurons).normal_(0.12, 0.35, generator=generator)
        return cls(x, torch.randn(steps, samples, neurons, generator=generator))

    def repeated(self, steps: int) -> NeuronTask:
        """The same over again, for a number of steps that is a multiple of T."""
        times = steps // len(self.x)
        return replace(self, x=self.x.repeat(times, 1, 1), g=self.g.repeat(times, 1, 1))

    @property
    def decay(self) -> float:
        """Share of the membrane's potential that is left after a step."""
        return math.exp(-DT / self.tau_mem)

    @property
    def decay_syn(self) -> float:
        """Share of the current that is left after a step."""
        return math.exp(-DT / self.tau_syn)

    @property
    def counts(self) -> dict[str, Any]:
        """Sizes."""
        return dict(zip(("steps", "samples", "neurons"), self.x.shape, strict=True))


@dataclass(frozen=True, eq=False)
class ShdTask:
    """Training of a recurrent layer with a leaky read-out, as large as for the spoken digits of SHD.

    Args:
        x: [T, B, inputs] input of zeros and ones.
        labels: [B] classes.
        w_in: [hidden, inputs] weights.
        w_rec: [hidden, hidden] weights.
        w_out: [classes, hidden] weights.
        tau_mem: [s] time constant of neurons and read-out.
    """

    x: Tensor
    labels: Tensor
    w_in: Tensor
    w_rec: Tensor
    w_out: Tensor
    tau_mem: float = 10e-3

    @classmethod
    def sized(
        cls,
        steps: int = 100,
        samples: int = 64,
        inputs: int = 700,
        hidden: int = 256,
        classes: int = 20,
        activity: float = 0.02,
    ) -> ShdTask:
        """Random input with the given share of ones, and weights as torch starts them, three times those of the input.

        The input's weights shrink with the root of the activity, so that the neurons spike alike at all of them.
        """
        generator = torch.Generator().manual_seed(0)

        def weights(rows: int, columns: int) -> Tensor:
            bound = 1 / math.sqrt(columns)
            return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)

        x = (torch.rand(steps, samples, inputs, generator=generator) < activity).float()
        labels = torch.randint(0, classes, (samples,), generator=generator)
        w_in = 3.0 * math.sqrt(0.02 / activity) * weights(hidden, inputs)
        return cls(x, labels, w_in, weights(hidden, hidden), weights(classes, hidden))

    @property
    def decay(self) -> float:
        """Share of a potential that is left after a step."""
        return math.exp(-DT / self.tau_mem)

    @property
    def counts(self) -> dict[str, Any]:
        """Sizes."""
        steps, samples, inputs = self.x.shape
        hidden, classes = len(self.w_in), len(self.w_out)
        return {"steps": steps, "samples": samples, "inputs": inputs, "hidden": hidden, "classes": classes}


@dataclass(frozen=True, eq=False)
class ConvTask:
    """Training of three convolutions with neurons and pooling and a linear read-out, as small nets for gestures have.

    Args:
        x: [T, B, C, H, W] input of zeros and ones.
        labels: [B] classes.
        kernels: three of [C', C, 3, 3].
        w_out: [classes, inputs] weights.
        bias: [classes].
        tau_mem: [s] time constant of the neurons, which have a hard reset.
    """

    x: Tensor
    labels: Tensor
    kernels: tuple[Tensor, ...]
    w_out: Tensor
    bias: Tensor
    tau_mem: float = DT / math.log(2)  # half is left after a step

    @classmethod
    def sized(
        cls,
        steps: int = 16,
        samples: int = 16,
        channels: tuple[int, ...] = (2, 32, 64, 64),
        size: int = 32,
        classes: int = 11,
    ) -> ConvTask:
        """Random input, 5 % of it ones, and kernels that keep all three layers alive."""
        generator = torch.Generator().manual_seed(0)

        def weights(*shape: int) -> Tensor:
            bound = 1 / math.sqrt(math.prod(shape[1:]))
            return torch.empty(shape).uniform_(-bound, bound, generator=generator)

        x = (torch.rand(steps, samples, channels[0], size, size, generator=generator) < 0.05).float()
        labels = torch.randint(0, classes, (samples,), generator=generator)
        gains = (4.0, *(8.0,) * (len(channels) - 2))  # twice as much behind the mean of four
        pairs = zip(channels, channels[1:], gains, strict=False)
        kernels = tuple(gain * weights(out, into, 3, 3) for into, out, gain in pairs)
        features = channels[-1] * (size >> len(kernels)) ** 2
        return cls(x, labels, kernels, weights(classes, features), torch.zeros(classes))

    @property
    def decay(self) -> float:
        """Share of a potential that is left after a step."""
        return math.exp(-DT / self.tau_mem)

    @property
    def counts(self) -> dict[str, Any]:
        """Sizes."""
        steps, samples, *shape = self.x.shape
        return {"steps": steps, "samples": samples, "shape": shape, "channels": [len(k) for k in self.kernels]}


Task = NeuronTask | ShdTask | ConvTask
"""Any of them."""


def passes(layer: Callable[[Any], Any], x: Any, g: Tensor) -> Step:
    """A step: forward and backward through a layer, as behind another layer: x gets its gradient.

    Args:
        layer: function of x; a pair gives its output first.
        x: input tensor, or a named tuple of one per port.
        g: gradient that arrives at the output.
    """
    inputs = [x] if isinstance(x, Tensor) else list(x)
    leaves = [part.detach().requires_grad_(True) for part in inputs]
    given = leaves[0] if isinstance(x, Tensor) else type(x)(*leaves)

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        y = layer(given)
        (y[0] if isinstance(y, tuple) else y).backward(g)

    return step


def training(model: torch.nn.Module, scores: Callable[[], Tensor], labels: Tensor) -> Step:
    """A step: forward, cross-entropy, backward, Adam.

    Args:
        model: has the parameters.
        scores: gives [B, classes].
        labels: [B] classes.

    Returns:
        Function that does it and gives the loss before.
    """
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores(), labels)
        loss.backward()
        optimiser.step()
        return loss.detach()

    return step
