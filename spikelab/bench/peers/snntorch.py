"""snntorch: its layers are single steps, called over `unbind`; the net with convolutions is stepped as a whole."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikelab.bench.loops import ConvNet, ShdNet, linear
from spikelab.bench.tasks import ConvTask, NeuronTask, ShdTask, passes, training
from spikelab.bench.timing import Settings, Step

__all__ = ["conv", "neuron", "shd"]


def neuron(task: NeuronTask, settings: Settings) -> Step:
    """`Leaky`."""
    import snntorch

    slope = snntorch.surrogate.fast_sigmoid(slope=10)
    cell = snntorch.Leaky(beta=task.decay, spike_grad=slope, reset_mechanism="subtract")

    def layer(x: Tensor) -> Tensor:
        v, out = torch.zeros_like(x[0]), []
        for u in x.unbind(0):
            z, v = cell(u, v)
            out.append(z)
        return torch.stack(out)

    return passes(layer, task.x, task.g)


def shd(task: ShdTask, settings: Settings) -> Step:
    """`RLeaky`, and `Leaky` without reset."""
    import snntorch

    slope = snntorch.surrogate.fast_sigmoid(slope=10)

    class Net(ShdNet):
        def __init__(self) -> None:
            super().__init__(task)
            hidden = len(task.w_rec)
            self.cell = snntorch.RLeaky(beta=task.decay, linear_features=hidden, all_to_all=True, spike_grad=slope)
            self.cell.recurrent = linear(task.w_rec)
            self.integrator = snntorch.Leaky(beta=task.decay, reset_mechanism="none", spike_grad=slope)
            del self.w_rec

        def forward(self, x: Tensor) -> Tensor:
            u = self.w_in(x)
            z = v = torch.zeros_like(u[0])
            r = total = u.new_zeros(u.shape[1], len(task.w_out))
            for now in u.unbind(0):
                z, v = self.cell(now, z, v)
                _, r = self.integrator(self.w_out(z), r)
                total = total + r
            scores: Tensor = total / len(u)
            return scores

    net = Net()
    return training(net, lambda: net(task.x), task.labels)


def conv(task: ConvTask, settings: Settings) -> Step:
    """`Leaky` with reset to zero; the whole net stepped in time, as its documentation has it."""
    import snntorch

    slope = snntorch.surrogate.atan(alpha=2.0)
    cells: list[Any] = [snntorch.Leaky(beta=task.decay, spike_grad=slope, reset_mechanism="zero") for _ in task.kernels]

    class Net(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            potentials: list[Any] = [cell.reset_mem() for cell in cells]
            total = x.new_zeros(())
            for z in x.unbind(0):
                for k, (convolution, cell) in enumerate(zip(self.convolutions, self.neurons, strict=True)):
                    z, potentials[k] = cell(convolution(z), potentials[k])
                    z = torch.nn.functional.avg_pool2d(z, 2)
                total = total + self.out(z.flatten(1))
            scores: Tensor = total / len(x)
            return scores

    net = Net(task, cells)
    return training(net, lambda: net(task.x), task.labels)
