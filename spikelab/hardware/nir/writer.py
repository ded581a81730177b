"""Write a network as a `.nir` file."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from spikelab.errors import FormatError, UnsupportedError
from spikelab.files import file_name
from spikelab.hardware.loss import LayerLoss, LossReport
from spikelab.hardware.nir import packing, readback, readers, rules
from spikelab.hardware.nir.builder import build
from spikelab.hardware.nir.graph import Graph
from spikelab.hardware.nir.neurons import Convention
from spikelab.hardware.nir.reader import read
from spikelab.network import Network, must_be_network
from spikelab.neurons import PLIF

__all__ = ["write"]

_VERSION = "1.0.8"
"""Version of the NIR file layout."""


def write(
    net: Network,
    path: str | os.PathLike[str],
    *,
    extensions: bool = False,
    if_convention: Convention = "nir",
    compression: str | int | None = "gzip",
) -> LossReport:
    """Write a network as a `.nir` file that other programs turn into the same spikes.

    Readers step NIR's equations by forward Euler, so the file holds the parameters that make this step
    ours: exponential decays as the time constant dt / (1 - a), LIF and LI with r = 1 and their incoming
    weights times tau / dt, CubaLIF with r = tau_mem / dt and w_in = tau_syn / dt, Affine with a zero bias
    for weights without one, no v_reset where it is 0. `read` undoes all of it to the bit. A PLIF is written,
    and read, as the LIF that it is at this dt. The file takes its name when it has been read back and found
    equal.

    Args:
        net: the network.
        path: file to write; an existing one is replaced.
        extensions: write what NIR cannot say (soft resets, `>=`, several spikes a step, start values,
            delays per synapse, loops that readers close elsewhere) into metadata that only spikelab reads.
        if_convention: r of an IF node. `"nir"`: 1 / dt, which NIR's equation v' = r I asks for; `"step"`:
            1, as sinabs, snntorch and norse take it.
        compression: of arrays: `"gzip"`, `"lzf"`, a gzip level 0 to 9, or None.

    Returns:
        Per layer what stands in the file in another form, and who reads the file differently, and why.

    Raises:
        UnsupportedError: NIR cannot say something; every place is listed, and nothing is written.
        FormatError: the file cannot be written.

    Source:
        Pedersen et al., Nature Communications 15:8122, 2024.

    Example:
        >>> import tempfile
        >>> from spikelab.network import Population, Projection
        >>> from spikelab.neurons import LIF
        >>> from spikelab.ops import Linear
        >>> populations = {"in": Population((2,), kind="input"), "out": Population((1,), LIF())}
        >>> net = Network(populations, [Projection("in", "out", (Linear([[1.0, 2.0]]),))], dt="1 ms")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = write(net, f"{folder}/net.nir")
        ...     same = read(f"{folder}/net.nir")
        >>> report.exact, report.readers["norse"], same.dt
        (True, (), 0.001)
    """
    must_be_network(net, "write")
    name = file_name(path)
    learnt = [n for n, p in net.populations.items() if isinstance(p.model, PLIF)]
    net = _plain(net)
    if violations := rules.never(net, if_convention):
        raise UnsupportedError(f"{name}: NIR cannot hold this network:", violations)
    if compression not in ("gzip", "lzf", None, *range(10)) or isinstance(compression, bool):
        raise UnsupportedError(
            f"compression: found {compression!r}; expected 'gzip', 'lzf', a gzip level 0 to 9, or None"
        )
    built = build(net, if_convention)
    beyond = rules.unless_extended(net, built)
    if beyond and not extensions:
        raise UnsupportedError(f"{name}: NIR cannot say all of this network:", beyond)
    with packing.save(name, _tree(built.graph), compression) as part:
        back = read(part)
        if found := readback.differences(net, back):
            raise FormatError(
                name, f"reads back differently in {', '.join(found)}; nothing was written; please report this"
            )
        errors = readback.weight_errors(net, back)
    labels = net.labels
    changes = {
        n: [*(["written as the LIF of its leak"] if n in learnt else []), *built.changes[n]] for n in net.populations
    }
    layers = [LayerLoss(n, "population", tuple(changes[n])) for n in net.populations]
    for p, error in zip(net.projections, errors, strict=True):
        label = labels[id(p)]
        layers.append(LayerLoss(label, "projection", tuple(built.changes[label]), error))
    broken = list(dict.fromkeys(v.rule for v in beyond))
    notes = [f"only spikelab reads this: {v}" for v in beyond]
    if any(n.type == "IF" for n in built.graph.nodes.values()):
        notes.append(f"IF nodes follow if_convention={if_convention!r}: pass the same to other readers where they ask")
    return LossReport("nir", name, tuple(layers), readers.reasons(built.graph, float(net.dt), broken), tuple(notes))


def _plain(net: Network) -> Network:
    """The network with a `LIF` for each `PLIF`, which is one of another parameter."""
    plain = {
        n: replace(p, model=p.model.to_lif(float(net.dt), net.discretisation))
        for n, p in net.populations.items()
        if isinstance(p.model, PLIF)
    }
    return replace(net, populations={**net.populations, **plain})


def _tree(graph: Graph) -> dict[str, Any]:
    nodes = {
        name: {"type": n.type, **n.fields, **({"metadata": n.metadata} if n.metadata else {})}
        for name, n in graph.nodes.items()
    }
    node = {"type": "NIRGraph", "edges": list(graph.edges), "nodes": nodes, "metadata": graph.metadata}
    return {"version": _VERSION, "node": node}
