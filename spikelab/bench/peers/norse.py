"""norse: cells stepped over `unbind`; its own sequence layers index `x[t]`, which makes the backward quadratic in T."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikelab.bench.loops import ShdNet, linear
from spikelab.bench.tasks import DT, ConvTask, NeuronTask, ShdTask, passes, training
from spikelab.bench.timing import Settings, Step

__all__ = ["conv", "neuron", "shd"]


def _over_time(cell: Any, x: Tensor) -> Tensor:
    state, out = None, []
    for u in x.unbind(0):
        z, state = cell(u, state)
        out.append(z)
    return torch.stack(out)


def _rate(decay: float) -> Tensor:
    """[1/s] the rate that makes its Euler step, 1 - dt rate, leave this share."""
    return torch.tensor((1.0 - decay) / DT)


def neuron(task: NeuronTask, settings: Settings) -> Step:
    """`LIFBoxCell`, which has no synaptic current."""
    import norse.torch as norse

    cell = norse.LIFBoxCell(p=norse.LIFBoxParameters(tau_mem_inv=_rate(task.decay)))
    gain = 1.0 / (1.0 - task.decay)
    return passes(lambda x: _over_time(cell, gain * x), task.x, task.g)


def shd(task: ShdTask, settings: Settings) -> Step:
    """`LIFRecurrent`, which has a synaptic current, and `LICell`."""
    import norse.torch as norse

    hidden, inputs = task.w_in.shape
    known = {"tau_mem_inv": _rate(task.decay), "tau_syn_inv": torch.tensor(200.0)}

    class Net(ShdNet):
        def __init__(self) -> None:
            super().__init__(task)
            self.layer = norse.LIFRecurrent(inputs, hidden, p=norse.LIFParameters(**known))
            self.layer.input_weights.data.copy_(2.0 * task.w_in)  # the current adds to v over several steps
            self.layer.recurrent_weights.data.copy_(2.0 * task.w_rec)
            self.integrator = norse.LICell(p=norse.LIParameters(**known))
            del self.w_in, self.w_rec

        def forward(self, x: Tensor) -> Tensor:
            return _over_time(self.integrator, self.w_out(self.layer(x)[0])).mean(0)

    net = Net()
    return training(net, lambda: net(task.x), task.labels)


def conv(task: ConvTask, settings: Settings) -> Step:
    """`SequentialState` stepped in time, as its documentation has it."""
    import norse.torch as norse

    gain, layers = 1.0 / (1.0 - task.decay), []
    for kernel in task.kernels:
        convolution = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, bias=False)
        convolution.weight.data.copy_(gain * kernel)
        cell = norse.LIFBoxCell(p=norse.LIFBoxParameters(tau_mem_inv=_rate(task.decay)))
        layers += [convolution, cell, torch.nn.AvgPool2d(2)]
    net = norse.SequentialState(*layers, torch.nn.Flatten(), linear(task.w_out, task.bias))
    return training(net, lambda: _over_time(net, task.x).mean(0), task.labels)
