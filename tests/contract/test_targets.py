"""What every target refuses, and in the same words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from spikelab import nn
from spikelab.clocked import Float32, run
from spikelab.errors import ShapeError, SpikelabError, UnsupportedError
from spikelab.hardware import EventDriven
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LIF
from spikelab.testing import check_model, check_op, check_target, sample_network

TARGETS = [Float32(), EventDriven(), EventDriven("fast")]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_every_target_says_what_it_was_given_instead_of_a_network_or_state(target: Any) -> None:
    net, x = sample_network()
    first = target.run(net, x)
    for wrong in (None, "x", torch.nn.Linear(2, 2), net.populations["first"], Network):
        with pytest.raises(UnsupportedError, match=rf"{target.name}: found .*; expected a Network; .* nn\.to_network"):
            target.run(wrong, x)
    for wrong in (first, first.state.neurons, 3, "x", ()):
        with pytest.raises(UnsupportedError, match=r"state: found .*; expected the state of a run; pass run\.state"):
            target.run(net, x, state=wrong)
    junction = Network({"in": Population(1, kind="input"), "b": Population(1)}, [Projection("in", "b")], "1 ms")
    with pytest.raises(UnsupportedError, match=r"state: found Run; .* pass run\.state"):  # it has no state to look into
        target.run(junction, np.ones((1, 1, 1)), state=first)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_a_state_that_nobody_takes_is_refused(target: Any) -> None:
    net, x = sample_network()
    state = target.run(net, x).state
    for name in ("input", "sum", "nobody"):
        extra = replace(state, neurons={**state.neurons, name: state.neurons["first"]})
        with pytest.raises(
            ShapeError, match=f"state: found neurons of {name}; expected those of first, second, output"
        ):
            target.run(net, x, state=extra)
        extra = replace(state, history={**state.history, name: x[:2]})
        with pytest.raises(ShapeError, match=f"state: found history of {name}; expected those of first"):
            target.run(net, x, state=extra)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("traces", [["first"], "first", 3, {"first": 3}, {"first": None}, True])
def test_traces_of_another_type_are_refused(target: Any, traces: Any) -> None:
    net, x = sample_network()
    with pytest.raises(UnsupportedError, match=r"traces: found .*; expected names of variables by population"):
        target.run(net, x, traces=traces)


def test_one_variable_may_be_named_alone() -> None:
    net, x = sample_network()
    one, two = (run(net, x, traces={"first": v}).traces["first"] for v in ("margin", ["margin"]))
    np.testing.assert_array_equal(one["margin"], two["margin"])
    with pytest.raises(UnsupportedError, match="unknown; known are i, margin, v"):
        run(net, x, traces={"first": [["v"]]})


@pytest.mark.parametrize("rows", [[7], -4, "a", None, [0.5], [[0]], [True], [], object()])
def test_samples_that_a_state_does_not_have_are_refused(rows: Any) -> None:
    net, x = sample_network()
    with pytest.raises(ShapeError, match=r"RunState\.select: "):
        run(net, x[:2]).state.select(rows)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize(
    "x",
    [
        torch.ones(5, 2, 20) * 1j,
        torch.ones(5, 2, 20).to_sparse(),
        torch.ones(5, 2, 20, device="meta"),
        [[[1, 2]], [[1]]],
        torch.nn.Linear(2, 2),
        np.zeros((5, 2, 20), "M8[s]"),
        (i for i in "ab"),
        {"input": {"input": np.ones((5, 2, 20))}},
        {1: np.ones((5, 2, 20))},
    ],
    ids=lambda x: type(x).__name__,
)
def test_input_of_another_kind_is_refused_by_every_target(target: Any, x: Any) -> None:
    with pytest.raises(SpikelabError, match="input"):
        target.run(sample_network()[0], x)


@pytest.mark.parametrize("wrong", [None, "x", LIF, torch.nn.Linear(2, 2), nn.LIF(dt="1 ms"), 3])
def test_checks_say_what_they_were_given(wrong: Any) -> None:
    for check in (check_model, check_target, lambda op: check_op(op, (2,))):
        with pytest.raises(UnsupportedError, match=r"check_\w+: found .* expected an? (neuron model|target|op)"):
            check(wrong)
    for options in ({"steps": 0}, {"steps": "a"}, {"neurons": 1}, {"discretisations": ()}, {"dt": "1 V"}):
        with pytest.raises(SpikelabError, match="check_model: "):
            check_model(LIF(), **options)  # type: ignore[arg-type]
