"""`spikelab bench shd`: a training step of 700 inputs, 256 recurrent neurons and a leaky read-out of 20 classes.

T = 100 steps of 64 samples, forward, backward and Adam. The products of dense matrices alone are the bound that a
layer cannot pass unless it makes use of the zeros in spikes and inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from spikelab import nn
from spikelab.bench.lines import Line
from spikelab.bench.loops import ShdNet
from spikelab.bench.peers import peers
from spikelab.bench.scaling import scaling
from spikelab.bench.tasks import DT, ShdTask, training
from spikelab.bench.timing import Reference, Settings, Step, compare

__all__ = ["cases", "loop", "ours"]


def cases(settings: Settings, activities: Sequence[float] = (0.02,), **sizes: int) -> Iterator[Line]:
    """Measure the step.

    Args:
        settings: rounds, threads, choice.
        activities: shares of ones in the input; one case each.
        **sizes: other arguments of `ShdTask.sized`.
    """
    with settings.in_force():
        for activity in activities:
            yield from _cases(ShdTask.sized(activity=activity, **sizes), activity, settings)
        first = ShdTask.sized(activity=activities[0], **sizes)
        steps = len(first.x)
        yield from scaling(
            "SHD step",
            steps,
            lambda t: ours(ShdTask.sized(**{**sizes, "steps": t}, activity=activities[0])),
            {**first.counts, "activity": activities[0]},
            settings,
        )


def _cases(task: ShdTask, activity: float, settings: Settings) -> Iterator[Line]:
    references = [
        Reference("dense products only", lambda: _products(task)),
        Reference("torch.nn.RNN, not spiking", lambda: _rnn(task)),
        Reference("plain torch loop over unbind", lambda: loop(task)),
        *peers(task, settings),
    ]
    counts = {**task.counts, "activity": activity}
    case = f"SHD step, {100 * activity:g} % of the input active"
    yield from compare(case, lambda: ours(task), references, counts, settings)


def ours(task: ShdTask) -> Step:
    """The step with our layers."""
    known: dict[str, Any] = {"tau_mem": task.tau_mem, "dt": DT}
    (hidden, inputs), classes = task.w_in.shape, len(task.w_out)
    model = nn.Sequential(
        nn.Linear(inputs, hidden, bias=False),
        nn.LIF(reset="soft", recurrent=True, surrogate=nn.SuperSpike(10.0), **known),
        nn.Linear(hidden, classes, bias=False),
        nn.LI(**known),
    )
    weights = (model[0].weight, model[1].weight_rec, model[2].weight)
    for parameter, values in zip(weights, (task.w_in, task.w_rec, task.w_out), strict=True):
        parameter.data.copy_(values)  # type: ignore[operator]
    return training(model, lambda: model(task.x)[0].mean(0), task.labels)


def loop(task: ShdTask) -> Step:
    """The step with a plain loop."""
    net = ShdNet(task)
    return training(net, lambda: net(task.x), task.labels)


def _products(task: ShdTask) -> Step:
    """The matrix products of the two large layers, and nothing else."""
    steps, samples, inputs = task.x.shape
    hidden = len(task.w_in)
    generator = torch.Generator().manual_seed(0)
    x, w_in, w_rec = task.x.reshape(-1, inputs), task.w_in.t().contiguous(), task.w_rec.t().contiguous()
    g = torch.randn(steps * samples, hidden, generator=generator)
    z = torch.randn(samples, hidden, generator=generator)

    def step() -> None:
        x @ w_in  # the input, and the gradient of its weights
        x.t() @ g
        for _ in range(2 * steps):  # the recurrent products, forward and backward
            z @ w_rec
        g.t() @ g  # the gradient of the recurrent weights

    return step


def _rnn(task: ShdTask) -> Step:
    (hidden, inputs), classes = task.w_in.shape, len(task.w_out)
    net = torch.nn.ModuleList([torch.nn.RNN(inputs, hidden), torch.nn.Linear(hidden, classes)])
    return training(net, lambda: net[1](net[0](task.x)[0]).mean(0), task.labels)
