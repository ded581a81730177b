"""Neuron layers by the name of their model: `nn.LIF(tau_mem="20 ms", dt="1 ms")`, say."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from spikelab import neurons
from spikelab.errors import unknown_name
from spikelab.neurons.model import NeuronModel, parameters
from spikelab.nn.neuron import Neuron
from spikelab.nn.sliding import Sliding

__all__ = [
    "ALIF",
    "CLIF",
    "EIF",
    "GLIF",
    "IF",
    "KLIF",
    "LI",
    "LIF",
    "PLIF",
    "QIF",
    "AdEx",
    "AlphaLIF",
    "CobaLIF",
    "CubaLI",
    "CubaLIF",
    "FixedCubaLIF",
    "GradedLIF",
    "Izhikevich",
    "RefractoryLIF",
    "ResonateAndFire",
    "SigmaDelta",
    "SlidingPSN",
    "TernaryLIF",
]


_OF_LAYER = inspect.signature(Neuron).parameters


class _Layer(Neuron):
    """A layer that makes its model itself: it takes the arguments of both, by name."""

    kind: ClassVar[type[NeuronModel]]
    learns: ClassVar[tuple[str, ...]] = ()
    """Parameters that are learnt unless `learn` says otherwise."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):  # the signature that help() and editors show
            layer = [p.replace(default=cls.learns) if p.name == "learn" else p for p in _OF_LAYER.values()][1:]
            both = (*inspect.signature(cls.kind).parameters.values(), *layer)
            cls.__signature__ = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in both])  # type: ignore[attr-defined]

    def __init__(self, **arguments: Any) -> None:
        known = inspect.signature(self.kind).parameters
        for name in arguments:
            if name not in known and name not in _OF_LAYER:
                raise unknown_name(f"nn.{self.kind.__name__}: argument", name, {*known, *_OF_LAYER} - {"model"})
        model = self.kind(**{k: v for k, v in arguments.items() if k in known})
        layer = {"learn": self.learns} | {k: v for k, v in arguments.items() if k not in known}
        super().__init__(model, **layer)


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


class PLIF(_Layer):
    """Layer of `spikelab.neurons.PLIF`, which learns w: arguments of the model and of `Neuron`."""

    kind = neurons.PLIF
    learns = ("w",)


class KLIF(_Layer):
    """Layer of `spikelab.neurons.KLIF`, which learns k: arguments of the model and of `Neuron`."""

    kind = neurons.KLIF
    learns = ("k",)


class CLIF(_Layer):
    """Layer of `spikelab.neurons.CLIF`: arguments of the model and of `Neuron`."""

    kind = neurons.CLIF


class GLIF(_Layer):
    """Layer of `spikelab.neurons.GLIF`, which learns all of its parameters: arguments of the model and of `Neuron`."""

    kind = neurons.GLIF
    learns = tuple(parameters(neurons.GLIF))


class ResonateAndFire(_Layer):
    """Layer of `spikelab.neurons.ResonateAndFire`: arguments of the model and of `Neuron`."""

    kind = neurons.ResonateAndFire


class SigmaDelta(_Layer):
    """Layer of `spikelab.neurons.SigmaDelta`: arguments of the model and of `Neuron`."""

    kind = neurons.SigmaDelta


class GradedLIF(_Layer):
    """Layer of `spikelab.neurons.GradedLIF`: arguments of the model and of `Neuron`."""

    kind = neurons.GradedLIF


class TernaryLIF(_Layer):
    """Layer of `spikelab.neurons.TernaryLIF`: arguments of the model and of `Neuron`."""

    kind = neurons.TernaryLIF


class AlphaLIF(_Layer):
    """Layer of `spikelab.neurons.AlphaLIF`: arguments of the model and of `Neuron`."""

    kind = neurons.AlphaLIF


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


class SlidingPSN(Sliding, _Layer):
    """Layer of `spikelab.neurons.SlidingPSN`, which learns both: arguments of the model and of `Neuron`.

    It learns one filter for the layer, or one per neuron with `shape`. `layer.parallel` says which of its two forms
    runs; None takes the faster one.
    """

    kind = neurons.SlidingPSN
    learns = tuple(parameters(neurons.SlidingPSN))


class FixedCubaLIF(_Layer):
    """Layer of `spikelab.neurons.FixedCubaLIF`: arguments of the model and of `Neuron`."""

    kind = neurons.FixedCubaLIF
