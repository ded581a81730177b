"""The torch shell: layers with explicit state, surrogates, and the way from a module to a `Network` and back."""

from spikelab.nn.bits import spikes_as_bits
from spikelab.nn.comparison import Agreement, compare
from spikelab.nn.graph import from_network
from spikelab.nn.layers import AvgPool2d, Conv2d, Dropout, Flatten, Sequential, SumPool2d
from spikelab.nn.linear import Linear
from spikelab.nn.masked_psn import MaskedPSN
from spikelab.nn.neuron import LayerState, Neuron, set_dt
from spikelab.nn.neurons import (
    ALIF,
    CLIF,
    EIF,
    GLIF,
    IF,
    KLIF,
    LI,
    LIF,
    PLIF,
    QIF,
    AdEx,
    AlphaLIF,
    CobaLIF,
    CubaLI,
    CubaLIF,
    FixedCubaLIF,
    GradedLIF,
    Izhikevich,
    RefractoryLIF,
    ResonateAndFire,
    SigmaDelta,
    SlidingPSN,
    TernaryLIF,
)
from spikelab.nn.norse import from_norse, to_norse
from spikelab.nn.psn import PSN
from spikelab.nn.start import initialise
from spikelab.nn.surrogate import ATan, Sigmoid, SuperSpike, Surrogate, Triangle
from spikelab.nn.tracing import to_network

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
    "PSN",
    "QIF",
    "ATan",
    "AdEx",
    "Agreement",
    "AlphaLIF",
    "AvgPool2d",
    "CobaLIF",
    "Conv2d",
    "CubaLI",
    "CubaLIF",
    "Dropout",
    "FixedCubaLIF",
    "Flatten",
    "GradedLIF",
    "Izhikevich",
    "LayerState",
    "Linear",
    "MaskedPSN",
    "Neuron",
    "RefractoryLIF",
    "ResonateAndFire",
    "Sequential",
    "SigmaDelta",
    "Sigmoid",
    "SlidingPSN",
    "SumPool2d",
    "SuperSpike",
    "Surrogate",
    "TernaryLIF",
    "Triangle",
    "compare",
    "from_network",
    "from_norse",
    "initialise",
    "set_dt",
    "spikes_as_bits",
    "to_network",
    "to_norse",
]
