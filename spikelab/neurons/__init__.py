"""Neuron models: each a frozen dataclass of parameters and one pure `step`, read by every back-end."""

from spikelab.neurons.alpha_lif import AlphaLIF
from spikelab.neurons.clif import CLIF
from spikelab.neurons.cuba_lif import CubaLIF
from spikelab.neurons.fixed_cuba_lif import FixedCubaLIF
from spikelab.neurons.glif import GLIF
from spikelab.neurons.graded_lif import GradedLIF
from spikelab.neurons.integrate_and_fire import IF
from spikelab.neurons.klif import KLIF
from spikelab.neurons.leaky_integrator import LI, CubaLI
from spikelab.neurons.lif import LIF
from spikelab.neurons.model import NeuronModel, Port, choice, parameter
from spikelab.neurons.plif import PLIF
from spikelab.neurons.resonate_and_fire import ResonateAndFire
from spikelab.neurons.sigma_delta import SigmaDelta
from spikelab.neurons.ternary_lif import TernaryLIF

__all__ = [
    "CLIF",
    "GLIF",
    "IF",
    "KLIF",
    "LI",
    "LIF",
    "PLIF",
    "AlphaLIF",
    "CubaLI",
    "CubaLIF",
    "FixedCubaLIF",
    "GradedLIF",
    "NeuronModel",
    "Port",
    "ResonateAndFire",
    "SigmaDelta",
    "TernaryLIF",
    "choice",
    "parameter",
]
