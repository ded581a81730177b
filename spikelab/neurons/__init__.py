"""Neuron models: each a frozen dataclass of parameters and one pure `step`, read by every back-end."""

from spikelab.neurons.cuba_lif import CubaLIF
from spikelab.neurons.integrate_and_fire import IF
from spikelab.neurons.leaky_integrator import LI, CubaLI
from spikelab.neurons.lif import LIF
from spikelab.neurons.model import NeuronModel, Port, choice, parameter
from spikelab.neurons.sliding_psn import SlidingPSN

__all__ = ["IF", "LI", "LIF", "CubaLI", "CubaLIF", "NeuronModel", "Port", "SlidingPSN", "choice", "parameter"]
