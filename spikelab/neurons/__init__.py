"""Neuron models: each a frozen dataclass of parameters and one pure `step`, read by every back-end."""

from spikelab.neurons.adex import AdEx
from spikelab.neurons.alif import ALIF
from spikelab.neurons.coba_lif import CobaLIF
from spikelab.neurons.cuba_lif import CubaLIF
from spikelab.neurons.eif import EIF
from spikelab.neurons.integrate_and_fire import IF
from spikelab.neurons.izhikevich import Izhikevich
from spikelab.neurons.leaky_integrator import LI, CubaLI
from spikelab.neurons.lif import LIF
from spikelab.neurons.model import NeuronModel, Port, choice, parameter
from spikelab.neurons.qif import QIF
from spikelab.neurons.refractory_lif import RefractoryLIF

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
    "NeuronModel",
    "Port",
    "RefractoryLIF",
    "choice",
    "parameter",
]
