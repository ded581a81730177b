"""What NIR cannot say of a network, as small named functions that each return violations.

`never` rules hold for every file. What breaks only an `unless_extended` rule can be written with
`extensions=True`: it stands in the metadata, and other programs run something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args

import numpy as np

from spikelab.errors import Violation
from spikelab.hardware.nir import neurons
from spikelab.hardware.nir.builder import Built
from spikelab.hardware.nir.maps import MOST_DENSE, OPS
from spikelab.hardware.nir.neurons import Convention
from spikelab.network import Network
from spikelab.ops import Sparse

__all__ = [
    "comparison_is_strict",
    "delay_is_per_projection",
    "loops_close_where_readers_close_them",
    "neuron_is_known",
    "never",
    "one_spike_per_step",
    "op_is_known",
    "population_leads_from_input_to_output",
    "reset_is_hard",
    "sparse_fits_a_matrix",
    "state_starts_at_rest",
    "unless_extended",
]

_ADVICE = "write with extensions=True (other programs will differ), or "


def _of_populations(
    net: Network, rule: str, found: Callable[[str], str | None], expected: str, advice: str
) -> list[Violation]:
    return [
        Violation(rule, f"population {name}", text, expected, advice)
        for name in net.populations
        if (text := found(name)) is not None
    ]


def neuron_is_known(net: Network) -> list[Violation]:
    """Only neurons with an equation in NIR."""

    def found(name: str) -> str | None:
        model = net.populations[name].model
        return None if model is None or type(model) in neurons.MODELS.values() else type(model).__name__

    return _of_populations(
        net, "neuron_is_known", found, f"one of {', '.join(neurons.MODELS)}", "use one of these neurons"
    )


def op_is_known(net: Network) -> list[Violation]:
    """Only ops with a node in NIR."""
    names = ", ".join(op.__name__ for op in OPS)
    return [
        Violation("op_is_known", f"projection {net.label(p)}", op.kind, f"one of {names}", "replace the op")
        for p in net.projections
        for op in p.ops
        if type(op) not in OPS
    ]


def sparse_fits_a_matrix(net: Network) -> list[Violation]:
    """A sparse map is written as a full matrix."""
    return [
        Violation(
            "sparse_fits_a_matrix",
            f"projection {net.label(p)}",
            f"shape {op.shape}",
            f"at most {MOST_DENSE} entries",
            "split it",
        )
        for p in net.projections
        for op in p.ops
        if isinstance(op, Sparse) and op.shape[0] * op.shape[1] > MOST_DENSE
    ]


def reset_is_hard(net: Network) -> list[Violation]:
    """NIR sets v to v_reset."""

    def found(name: str) -> str | None:
        model = net.populations[name].model
        kind = "hard" if model is None else model.flags().get("reset", "hard")
        return None if kind == "hard" else f"reset={kind!r}"

    return _of_populations(net, "reset_is_hard", found, "reset='hard'", _ADVICE + "train with reset='hard'")


def comparison_is_strict(net: Network) -> list[Violation]:
    """NIR spikes above the threshold, not at it."""

    def found(name: str) -> str | None:
        model = net.populations[name].model
        kind = ">" if model is None else model.flags().get("comparison", ">")
        return None if kind == ">" else f"comparison={kind!r}"

    return _of_populations(net, "comparison_is_strict", found, "comparison='>'", _ADVICE + "use comparison='>'")


def one_spike_per_step(net: Network) -> list[Violation]:
    """NIR neurons spike or do not."""

    def found(name: str) -> str | None:
        model = net.populations[name].model
        kind = "one" if model is None else model.flags().get("spikes", "one")
        return None if kind == "one" else f"spikes={kind!r}"

    return _of_populations(net, "one_spike_per_step", found, "spikes='one'", _ADVICE + "use spikes='one'")


def state_starts_at_rest(net: Network) -> list[Violation]:
    """NIR carries no start values: readers begin at v_leak (IF: 0) without current."""

    def found(name: str) -> str | None:
        population = net.populations[name]
        if population.model is None:
            return None
        state = population.model.initial()._asdict() | dict(population.initial)
        rest = neurons.start(population.model)
        other = [k for k, v in state.items() if not bool(np.all(_number(v) == rest[k]))]
        return f"another start of {', '.join(other)}" if other else None

    return _of_populations(
        net, "state_starts_at_rest", found, "v = v_leak (IF: 0), i = 0", _ADVICE + "set initial to that"
    )


def _number(value: Any) -> Any:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, np.float64)


def delay_is_per_projection(net: Network) -> list[Violation]:
    """A Delay node delays sources, not synapses."""
    return [
        Violation(
            "delay_is_per_projection",
            f"projection {net.label(p)}",
            "a delay per synapse",
            "one delay",
            _ADVICE + "split the projection",
        )
        for p in net.projections
        if not isinstance(p.delay, int)
    ]


def population_leads_from_input_to_output(net: Network) -> list[Violation]:
    """Readers start at the inputs or walk back from the outputs, and miss what lies on neither way."""
    ahead = _reached(net.inputs, {n: [p.post for p in net.outgoing(n)] for n in net.populations})
    back = _reached(net.outputs, {n: [p.pre for p in net.incoming(n)] for n in net.populations})

    def found(name: str) -> str | None:
        if name in ahead and (name in back or (net.populations[name].kind == "input" and not net.outgoing(name))):
            return None
        return "no way to an output" if name in ahead else "no way from an input"

    advice = _ADVICE + "add a junction as output, or take it out"
    return _of_populations(
        net, "population_leads_from_input_to_output", found, "a way from an input to an output", advice
    )


def _reached(starts: Iterable[str], ways: dict[str, list[str]]) -> set[str]:
    seen = set(starts)
    work = list(seen)
    while work:
        for name in ways[work.pop()]:
            if name not in seen:
                seen.add(name)
                work.append(name)
    return seen


def loops_close_where_readers_close_them(built: Built) -> list[Violation]:
    """Readers decide from the graph which edge of a loop comes a step late; it must be the delayed one."""
    return [
        Violation(
            "loops_close_where_readers_close_them",
            f"projection {label}",
            "no delay where readers close the loop",
            "the delay of the loop on this projection",
            _ADVICE + "move the delay here",
        )
        for label, why in built.unsaid.items()
        if why == "closes_a_loop"
    ]


def _all(rules: Iterable[Callable[[Network], list[Violation]]], net: Network) -> list[Violation]:
    return [violation for rule in rules for violation in rule(net)]


def never(net: Network, if_convention: str) -> list[Violation]:
    """Rules that no option lifts."""
    found = _all((neuron_is_known, op_is_known, sparse_fits_a_matrix), net)
    if if_convention not in get_args(Convention):
        expected = " or ".join(map(repr, get_args(Convention)))
        found.append(
            Violation("if_convention_is_known", "if_convention", repr(if_convention), expected, "choose one of them")
        )
    return found


def unless_extended(net: Network, built: Built) -> list[Violation]:
    """Rules that `extensions=True` lifts."""
    rules = (
        reset_is_hard,
        comparison_is_strict,
        one_spike_per_step,
        state_starts_at_rest,
        delay_is_per_projection,
        population_leads_from_input_to_output,
    )
    return _all(rules, net) + loops_close_where_readers_close_them(built)
