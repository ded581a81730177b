"""Read a `.nir` file as a network."""

from __future__ import annotations

import os
from typing import Any, get_args

import numpy as np

from spikelab.errors import FormatError, ShapeError, UnitError, unknown_name
from spikelab.files import file_name
from spikelab.hardware.nir import container, foreign, metadata
from spikelab.hardware.nir.graph import Graph
from spikelab.hardware.nir.neurons import Convention
from spikelab.hardware.nir.parse import parse
from spikelab.network import Network
from spikelab.units import Quantity, seconds

__all__ = ["read"]


def read(
    path: str | os.PathLike[str],
    dt: Quantity | None = None,
    *,
    if_convention: Convention | None = None,
    foreign: bool = False,
) -> Network:
    """Read a `.nir` file.

    A file of ours gives the network that was written, to the bit. One of another program is read as
    forward Euler of NIR's equations (order: synapse, membrane, `v > v_threshold`, `v = v_reset`; an edge
    that closes a loop comes a step late), with Scale ops where a resistance or input weight has no
    parameter in our neurons. Populations are named as the nodes, nested ones with dots. Weights are
    rounded to float32.

    Args:
        path: the file.
        dt: [s] time step, or a string with a unit; None takes the one in the file.
        if_convention: what r = 1 of an IF node means: `"nir"`, v' = I and a step adds dt x; `"step"`, a
            step adds x. None takes the one in the file, else `"nir"`.
        foreign: read the graph itself, as any other program would, even if spikelab wrote the file.

    Returns:
        The network; files of other programs have discretisation `"euler"`.

    Raises:
        FormatError: damaged, not NIR, pointing outside itself, too large once unpacked, or contradictory.
        UnsupportedError: a node or field without counterpart, a node that nothing reaches or that reaches
            no Output, or a file of ours whose graph was changed.
        UnitError: no dt in the file and none given, another dt than in a file of ours, or a time
            constant shorter than dt.

    Source:
        Pedersen et al., Nature Communications 15:8122, 2024.

    Example:
        >>> try:
        ...     read("missing.nir")
        ... except FormatError as error:
        ...     print(error.path)
        missing.nir
    """
    name = file_name(path)
    step = None if dt is None else seconds(dt)
    if if_convention not in (None, *get_args(Convention)):
        raise unknown_name("if_convention", if_convention, get_args(Convention))
    tree = container.load(name, "node")
    with np.errstate(all="ignore"):  # damaged numbers are found by looking at them
        graph = parse(tree, name)
        try:
            return _interpret(graph, step, if_convention, foreign)
        except ShapeError as error:
            raise FormatError(name, str(error)) from None


def _interpret(graph: Graph, dt: float | None, if_convention: Convention | None, as_foreign: bool) -> Network:
    noted = graph.metadata.get("dt")
    if metadata.has_structure(graph) and not as_foreign:
        net = metadata.network(graph)
        if dt is not None and abs(dt - float(net.dt)) > 1e-9 * dt:
            raise UnitError(
                f"dt: found {dt} s; {graph.path} was written with {net.dt} s; leave dt out, or pass foreign=True"
            )
        return net
    if dt is None:
        if not isinstance(noted, np.ndarray) or noted.dtype.kind != "f" or noted.size != 1:
            raise UnitError(
                f"dt: found none in {graph.path}; NIR is continuous in time; pass it, as in read(path, dt='0.1 ms')"
            )
        dt = seconds(float(noted.reshape(())), f"dt in {graph.path}")
    convention: Any = if_convention or graph.metadata.get("if_convention", "nir")
    if convention not in get_args(Convention):
        raise FormatError(
            graph.path, f"metadata if_convention: found {convention!r}; expected {' or '.join(get_args(Convention))}"
        )
    return foreign.network(graph, dt, convention)
