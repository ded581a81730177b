"""The central structure: populations joined by projections."""

from spikelab.network.network import Network, must_be_network
from spikelab.network.population import Kind, Population
from spikelab.network.projection import Projection

__all__ = ["Kind", "Network", "Population", "Projection", "must_be_network"]
