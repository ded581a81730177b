"""Why other programs read a graph differently.

Measured on files of `write` with norse 1.1.0, snntorch 1.0.0 and spikingjelly 2.0.0 (nir 1.0.8,
nirtorch 2.6), each against our spikes. An empty list means: the same spikes, up to ties of float32
rounding at a threshold. See also neuromorphs/NIR#129 on resets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from spikelab.hardware.nir.graph import Graph, late_edges
from spikelab.hardware.nir.node import Node

__all__ = ["reasons"]

_ANY = {"Input", "Output", "Affine", "Conv2d", "SumPool2d", "Flatten", "IF", "LIF", "CubaLIF"}
Test = Callable[[Node], bool]


def reasons(graph: Graph, dt: float, extensions: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Per program, why it differs.

    Args:
        graph: as written.
        dt: [s] time step.
        extensions: rules of NIR that the network breaks; no other program knows of them.
    """
    shared = [f"{rule} is broken, which it cannot know" for rule in extensions]
    shared += _of(graph, "padding of {} is ignored", lambda n: n.type == "SumPool2d" and _any(n, "padding"))
    shared += _of(graph, "nir 1.0.8 misjudges the shape of {} (read with type_check=False)", _misjudged)
    for kind in ("Input", "Output"):
        if sum(n.type == kind for n in graph.nodes.values()) != 1:
            shared.append(f"one {kind} only")
    own: dict[str, list[tuple[str, Test]]] = {
        "norse": [
            ("{} is dropped", lambda n: n.type not in _ANY),
            ("v_reset of {} is ignored", lambda n: "v_reset" in n.fields),
            ("v_leak of {} is applied twice", lambda n: n.type == "CubaLIF" and _any(n, "v_leak")),
        ],
        "snntorch": [
            ("{} is refused", lambda n: n.type not in _ANY | {"AvgPool2d"}),
            ("{} is refused or read as a leaky neuron", lambda n: n.type == "IF"),
            ("v_reset of {} is ignored", lambda n: "v_reset" in n.fields),
            ("v_leak of {} is refused", lambda n: _any(n, "v_leak")),
            ("unequal parameters of {} are refused", _unequal),
        ],
        "spikingjelly": [
            ("{} is refused", lambda n: n.type not in _ANY | {"AvgPool2d"}),
            ("r of {} is refused unless if_convention='nir'", lambda n: n.type == "IF" and not _is(n, "r", 1.0 / dt)),
            ("v_leak other than v_reset of {} is refused", _leaks_elsewhere),
            ("unequal parameters of {} are refused", _unequal),
        ],
    }
    result = {name: shared + [r for text, test in rules for r in _of(graph, text, test)] for name, rules in own.items()}
    if late_edges(graph):
        result["snntorch"].append("the spikes of a loop come out wrong")
    if abs(dt - 1e-4) > 1e-12:
        result["snntorch"].append(f"its dt is fixed at 1e-4 s, here it is {dt:g} s")
    return {name: tuple(why) for name, why in result.items()}


def _of(graph: Graph, text: str, test: Test) -> list[str]:
    names = [f"{n.name} ({n.type})" for n in graph.nodes.values() if test(n)]
    return [text.format(", ".join(names))] if names else []


def _any(n: Node, name: str) -> bool:
    return name in n.fields and bool(np.any(n.fields[name]))


def _is(n: Node, name: str, value: Any) -> bool:
    return bool(np.allclose(n.fields[name], value, rtol=1e-6, atol=0))


def _misjudged(n: Node) -> bool:
    if n.type == "Conv2d":
        return int(n.fields["groups"]) != 1 or n.fields["weight"].shape[2] != n.fields["weight"].shape[3]
    return n.type in ("SumPool2d", "AvgPool2d") and len(set(n.fields["kernel_size"].tolist())) > 1


def _leaks_elsewhere(n: Node) -> bool:
    if n.type == "CubaLIF":
        return _any(n, "v_leak") or "v_reset" in n.fields
    return n.type == "LIF" and bool(np.any(n.fields.get("v_reset", 0.0) != n.fields["v_leak"]))


def _unequal(n: Node) -> bool:
    names = ("tau", "tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in")
    return any(bool(np.ptp(n.fields[name])) for name in names if name in n.fields)
