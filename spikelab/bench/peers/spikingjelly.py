"""spikingjelly: nodes in multi-step mode, which on a CPU are one autograd operation with a loop inside."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikelab.bench.loops import ConvNet, ShdNet
from spikelab.bench.tasks import ConvTask, NeuronTask, ShdTask, passes, training
from spikelab.bench.timing import Settings, Step

__all__ = ["conv", "neuron", "shd"]


def _node(decay: float, reset: float | None, mode: str = "m") -> Any:
    from spikingjelly.activation_based import neuron, surrogate

    return neuron.LIFNode(
        tau=1.0 / (1.0 - decay),
        decay_input=False,
        v_reset=reset,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
        step_mode=mode,
    )


def neuron(task: NeuronTask, settings: Settings) -> Step:
    """`LIFNode` with a soft reset."""
    from spikingjelly.activation_based import functional

    node = _node(task.decay, None)

    def layer(x: Tensor) -> Tensor:
        functional.reset_net(node)
        z: Tensor = node(x)
        return z

    return passes(layer, task.x, task.g)


def shd(task: ShdTask, settings: Settings) -> Step:
    """`LIFNode` in a `LinearRecurrentContainer`; it has no leaky integrator: a plain loop reads out."""
    from spikingjelly.activation_based import functional, layer

    class Net(ShdNet):
        def __init__(self) -> None:
            super().__init__(task)
            n = len(task.w_rec)
            self.layer = layer.LinearRecurrentContainer(
                _node(task.decay, None, "s"), in_features=n, out_features=n, bias=False, step_mode="m"
            )
            del self.w_rec

        def hidden(self, u: Tensor) -> Tensor:
            functional.reset_net(self)
            z: Tensor = self.layer(u)
            return z

    net = Net()
    return training(net, lambda: net(task.x), task.labels)


def conv(task: ConvTask, settings: Settings) -> Step:
    """`LIFNode` with a hard reset, convolutions on all steps at once."""
    from spikingjelly.activation_based import functional

    net = ConvNet(task, [_node(task.decay, 0.0) for _ in task.kernels])

    def scores() -> Tensor:
        functional.reset_net(net)
        y: Tensor = net(task.x)
        return y

    return training(net, scores, task.labels)
