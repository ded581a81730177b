"""The neurons of other libraries as recurrences in NumPy, in those libraries' order of operations.

Each is written from the library's source, without any of our code, and must give the library's own spikes: an
independent oracle for our neurons. `x` is [T, ...] float32, `p` holds the library's arguments by name.
"""

from collections.abc import Callable
from typing import Any

from tests.parity.recurrences import bindsnet, lava_dl, norse, rockpool, sinabs, snntorch, spikingjelly, spyx

__all__ = ["RECURRENCES"]

RECURRENCES: dict[str, dict[str, Callable[[Any, Any], Any]]] = {
    "bindsnet": bindsnet.NEURONS,
    "lava-dl": lava_dl.NEURONS,
    "norse": norse.NEURONS,
    "rockpool": rockpool.NEURONS,
    "sinabs": sinabs.NEURONS,
    "snntorch": snntorch.NEURONS,
    "spikingjelly": spikingjelly.NEURONS,
    "spyx": spyx.NEURONS,
}
"""By library and name of the neuron there."""
