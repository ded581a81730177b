"""The central structure: populations joined by projections."""

from spikelab.network.network import Network
from spikelab.network.population import Kind, Population
from spikelab.network.projection import Projection

__all__ = ["Kind", "Network", "Population", "Projection"]
