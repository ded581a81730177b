"""sinabs: its layers run over all steps themselves, with the batch first."""

from __future__ import annotations

from torch import Tensor

from spikelab.bench.loops import ConvNet, ShdNet, linear
from spikelab.bench.tasks import DT, ConvTask, NeuronTask, ShdTask, passes, training
from spikelab.bench.timing import Settings, Step

__all__ = ["conv", "neuron", "shd"]


def _batch_first(x: Tensor) -> Tensor:
    return x.transpose(0, 1).contiguous()


def neuron(task: NeuronTask, settings: Settings) -> Step:
    """`LIF` with at most one spike a step."""
    import sinabs.layers
    from sinabs.activation import SingleSpike

    lif = sinabs.layers.LIF(tau_mem=task.tau_mem / DT, norm_input=False, spike_fn=SingleSpike)

    def layer(x: Tensor) -> Tensor:
        lif.reset_states()
        z: Tensor = lif(x)
        return z

    return passes(layer, _batch_first(task.x), _batch_first(task.g))


def shd(task: ShdTask, settings: Settings) -> Step:
    """`LIFRecurrent` and `ExpLeak`."""
    import sinabs.layers
    from sinabs.activation import SingleSpike

    x, tau = _batch_first(task.x), task.tau_mem / DT

    class Net(ShdNet):
        def __init__(self) -> None:
            super().__init__(task)
            self.layer = sinabs.layers.LIFRecurrent(
                tau_mem=tau, rec_connect=linear(task.w_rec), norm_input=False, spike_fn=SingleSpike
            )
            self.integrator = sinabs.layers.ExpLeak(tau_mem=tau, norm_input=False)
            del self.w_rec

        def hidden(self, u: Tensor) -> Tensor:
            self.layer.reset_states()
            z: Tensor = self.layer(u)
            return z

        def readout(self, u: Tensor) -> Tensor:
            self.integrator.reset_states()
            scores: Tensor = self.integrator(u).mean(1)
            return scores

    net = Net()
    return training(net, lambda: net(x), task.labels)


def conv(task: ConvTask, settings: Settings) -> Step:
    """`LIF` with a hard reset, convolutions on all steps at once."""
    import sinabs.layers
    from sinabs.activation import MembraneReset, SingleSpike

    known = {"tau_mem": task.tau_mem / DT, "norm_input": False, "spike_fn": SingleSpike, "reset_fn": MembraneReset()}
    layers = [sinabs.layers.LIF(**known) for _ in task.kernels]
    net = ConvNet(task, layers, batch_first=True)
    x = _batch_first(task.x)

    def scores() -> Tensor:
        for layer in layers:
            layer.reset_states()
        y: Tensor = net(x)
        return y

    return training(net, scores, task.labels)
