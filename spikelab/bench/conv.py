"""`spikelab bench conv`: a training step of three convolutions with neurons and pooling, as gestures are learnt with.

T = 16 steps of 16 samples of 2 x 32 x 32, forward, backward and Adam. The same net with ReLU tells what the
convolutions alone cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import torch

from spikelab.bench.lines import Line
from spikelab.bench.loops import ConvNet, HardLIF
from spikelab.bench.memory import peaks
from spikelab.bench.peers import peers
from spikelab.bench.scaling import scaling
from spikelab.bench.tasks import DT, ConvTask, training
from spikelab.bench.timing import Reference, Settings, Step, compare

__all__ = ["cases", "loop", "ours"]


def cases(settings: Settings, **sizes: Any) -> Iterator[Line]:
    """Measure the step.

    Args:
        settings: rounds, threads, choice.
        **sizes: arguments of `ConvTask.sized`.
    """
    import_module("spikelab.nn")  # before torch makes its first tensor: see spikelab.nn.memory
    task = ConvTask.sized(**sizes)
    references = [
        Reference("the same net with ReLU", lambda: _with(task, [torch.nn.ReLU() for _ in task.kernels])),
        Reference("plain torch loop over unbind", lambda: loop(task)),
        *peers(task, settings),
    ]
    with settings.in_force():
        yield from compare("conv step", lambda: ours(task), references, task.counts, settings)
        yield from scaling(
            "conv step",
            len(task.x),
            lambda t: ours(ConvTask.sized(**{**sizes, "steps": t})),
            task.counts,
            settings,
        )
        yield from peaks(settings, sizes)


def ours(task: ConvTask) -> Step:
    """The step with our layers."""
    from spikelab import nn  # here: the process that measures the plain loop must not hold it

    layers: list[torch.nn.Module] = []
    for kernel in task.kernels:
        convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, bias=False)
        convolution.weight.data.copy_(kernel)
        layers += [convolution, nn.LIF(tau_mem=task.tau_mem, dt=DT, surrogate=nn.ATan(2.0)), nn.AvgPool2d(2)]
    out = nn.Linear(task.w_out.shape[1], len(task.w_out))
    out.weight.data.copy_(task.w_out)
    out.bias.data.copy_(task.bias)
    model = nn.Sequential(*layers, nn.Flatten(), out)
    return training(model, lambda: model(task.x)[0].mean(0), task.labels)


def loop(task: ConvTask) -> Step:
    """The step with a plain loop."""
    return _with(task, [HardLIF(task.decay) for _ in task.kernels])


def _with(task: ConvTask, between: list[torch.nn.Module]) -> Step:
    net = ConvNet(task, between)
    return training(net, lambda: net(task.x), task.labels)
