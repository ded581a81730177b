"""`Target`: what a network runs on or is written for."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from spikelab.clocked import Run
from spikelab.errors import Violation
from spikelab.network import Network

__all__ = ["Target"]


@runtime_checkable
class Target(Protocol):
    """A back-end that runs networks. Every one checks first and says what it refuses."""

    name: str

    def check(self, net: Network) -> list[Violation]:
        """Rules that the network breaks on this target; empty if none."""
        ...

    def run(self, net: Network, x: Any, *, state: Any = None, traces: Any = None) -> Run:
        """Run the network on input x [T, B, *shape]."""
        ...
