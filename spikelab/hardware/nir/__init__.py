"""NIR files (`.nir`): our own networks without loss, and those of other programs as they define them.

NIR describes a network in continuous time: neurons are differential equations, a file has no time
step, and only a hard reset, a strict threshold and one spike at a time can be said. Three things follow.

- **For others** a file holds what a forward-Euler step of `dt` turns into our spikes: the time constant
  of an exponential decay is written as `dt / (1 - a)`, LIF and LI have r = 1 and weights times tau / dt.
- **For us** the metadata holds `dt`, the discretisation, the exact parameters and flags, the factor on
  the weights and the last bit that dividing by it would lose. `read(write(net))` is the same network.
- **Changed files**: weights may be edited by anyone. If nodes, parameters or edges no longer are what
  was written, the metadata describes another network, and `read` refuses until told `foreign=True`.

Time in loops. Readers take an edge that closes a loop one step late. Which edge that is follows from
the graph: walk back from the outputs, along the edges in their order; an edge from a node that is still
being walked closes a loop (`reading_order`). A projection of delay d on such an edge is written with a
`Delay` node of (d - 1) dt, any other with d dt; where the walk closes a loop at a projection without
delay, NIR cannot say it. At the first step a late edge and a `Delay` carry 0.

| file | holds |
|---|---|
| `container.py`, `packing.py` | HDF5 to a tree of arrays, with bounds, and back |
| `node.py`, `graph.py`, `parse.py` | nodes, edges, nesting, digests, which edges close a loop |
| `neurons.py`, `scaling.py` | our neurons as nodes and back; weights times a factor, restored to the bit |
| `maps.py`, `own_ops.py`, `foreign_ops.py` | our ops as nodes; ours, and anyone's, from nodes |
| `writer.py`, `builder.py`, `rules.py`, `readers.py`, `readback.py` | network to file |
| `reader.py`, `metadata.py`, `foreign.py`, `wiring.py` | file to network |

Source:
    Pedersen et al., Neuromorphic intermediate representation, Nature Communications 15:8122, 2024.
"""

from spikelab.hardware.nir.reader import read
from spikelab.hardware.nir.writer import write

__all__ = ["read", "write"]
