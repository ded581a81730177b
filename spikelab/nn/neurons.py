"""Neuron layers by the name of their model: `nn.LIF(tau_mem="20 ms", dt="1 ms")`, say."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from spikelab import neurons
from spikelab.errors import unknown_name
from spikelab.neurons.model import NeuronModel
from spikelab.nn.neuron import Neuron
from spikelab.nn.sliding import Sliding

__all__ = ["IF", "LI", "LIF", "CubaLI", "CubaLIF", "SlidingPSN"]

_OF_LAYER = inspect.signature(Neuron).parameters


class _Layer(Neuron):
    """A layer that makes its model itself: it takes the arguments of both, by name."""

    kind: ClassVar[type[NeuronModel]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):  # the signature that help() and editors show
            both = (*inspect.signature(cls.kind).parameters.values(), *list(_OF_LAYER.values())[1:])
            cls.__signature__ = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in both])  # type: ignore[attr-defined]

    def __init__(self, **arguments: Any) -> None:
        known = inspect.signature(self.kind).parameters
        for name in arguments:
            if name not in known and name not in _OF_LAYER:
                raise unknown_name(f"nn.{self.kind.__name__}: argument", name, {*known, *_OF_LAYER} - {"model"})
        model = self.kind(**{k: v for k, v in arguments.items() if k in known})
        super().__init__(model, **{k: v for k, v in arguments.items() if k not in known})


class LIF(_Layer):
    """Layer of `spikelab.neurons.LIF`: arguments of the model and of `Neuron`."""

    kind = neurons.LIF


class CubaLIF(_Layer):
    """Layer of `spikelab.neurons.CubaLIF`: arguments of the model and of `Neuron`."""

    kind = neurons.CubaLIF


class IF(_Layer):
    """Layer of `spikelab.neurons.IF`: arguments of the model and of `Neuron`."""

    kind = neurons.IF


class LI(_Layer):
    """Layer of `spikelab.neurons.LI`: arguments of the model and of `Neuron`."""

    kind = neurons.LI


class CubaLI(_Layer):
    """Layer of `spikelab.neurons.CubaLI`: arguments of the model and of `Neuron`."""

    kind = neurons.CubaLI


class SlidingPSN(Sliding, _Layer):
    """Layer of `spikelab.neurons.SlidingPSN`: arguments of the model and of `Neuron`.

    The weights are learnt with `learn=("weights", "v_threshold")`: one filter for the layer, or one per neuron with
    `shape`. `layer.parallel` says which of the two forms runs; None takes the faster one.
    """

    kind = neurons.SlidingPSN
