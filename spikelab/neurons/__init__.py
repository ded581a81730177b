"""Neuron models: each a frozen dataclass of parameters and one pure `step`, read by every back-end."""

from spikelab.neurons.adex import AdEx
from spikelab.neurons.alif import ALIF
from spikelab.neurons.alpha_lif import AlphaLIF
from spikelab.neurons.clif import CLIF
from spikelab.neurons.coba_lif import CobaLIF
from spikelab.neurons.cuba_lif import CubaLIF
from spikelab.neurons.eif import EIF
from spikelab.neurons.fixed_cuba_lif import FixedCubaLIF
from spikelab.neurons.glif import GLIF
from spikelab.neurons.graded_lif import GradedLIF
from spikelab.neurons.integrate_and_fire import IF
from spikelab.neurons.izhikevich import Izhikevich
from spikelab.neurons.klif import KLIF
from spikelab.neurons.leaky_integrator import LI, CubaLI
from spikelab.neurons.lif import LIF
from spikelab.neurons.model import NeuronModel, Port, choice, parameter
from spikelab.neurons.plif import PLIF
from spikelab.neurons.qif import QIF
from spikelab.neurons.refractory_lif import RefractoryLIF
from spikelab.neurons.resonate_and_fire import ResonateAndFire
from spikelab.neurons.sigma_delta import SigmaDelta
from spikelab.neurons.sliding_psn import SlidingPSN
from spikelab.neurons.ternary_lif import TernaryLIF

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
    "NeuronModel",
    "Port",
    "RefractoryLIF",
    "ResonateAndFire",
    "SigmaDelta",
    "SlidingPSN",
    "TernaryLIF",
    "choice",
    "parameter",
]
