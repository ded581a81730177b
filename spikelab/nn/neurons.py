"""Neuron layers by the name of their model: `nn.LIF(tau_mem="20 ms", dt="1 ms")`, say."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from spikelab import neurons
from spikelab.errors import unknown_name
from spikelab.neurons.model import NeuronModel
from spikelab.nn.neuron import Neuron

__all__ = [
    "ALIF",
    "EIF",
    "IF",
    "LI",
    "LIF",
    "QIF",
    "AdEx",
    "CobaLIF",
    "CubaLI",
    "CubaLIF",
    "Izhikevich",
    "RefractoryLIF",
]

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


class ALIF(_Layer):
    """Layer of `spikelab.neurons.ALIF`: arguments of the model and of `Neuron`."""

    kind = neurons.ALIF


class EIF(_Layer):
    """Layer of `spikelab.neurons.EIF`: arguments of the model and of `Neuron`."""

    kind = neurons.EIF


class QIF(_Layer):
    """Layer of `spikelab.neurons.QIF`: arguments of the model and of `Neuron`."""

    kind = neurons.QIF


class AdEx(_Layer):
    """Layer of `spikelab.neurons.AdEx`: arguments of the model and of `Neuron`."""

    kind = neurons.AdEx


class Izhikevich(_Layer):
    """Layer of `spikelab.neurons.Izhikevich`: arguments of the model and of `Neuron`."""

    kind = neurons.Izhikevich


class RefractoryLIF(_Layer):
    """Layer of `spikelab.neurons.RefractoryLIF`: arguments of the model and of `Neuron`."""

    kind = neurons.RefractoryLIF


class CobaLIF(_Layer):
    """Layer of `spikelab.neurons.CobaLIF`: arguments of the model and of `Neuron`."""

    kind = neurons.CobaLIF
