"""`from_network`: a module with the same spikes, states and delays, or a refusal by name."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from spikelab import nn
from spikelab.agreement import agreement
from spikelab.clocked import run
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LI, LIF, CobaLIF
from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Scale, Sparse, SumPool2d

NEURON = LIF(tau_mem="8 ms")


def network(rename: dict[str, str] | None = None) -> Network:
    """Every op, recurrence, delays, a residual sum, an initial state."""
    rng = np.random.default_rng(2)
    n: Any = {k: k for k in ("in", "conv", "mid", "sum", "out")} | (rename or {})

    def normal(*s):
        return rng.normal(0.1, 0.6, s).astype(np.float32)

    return Network(
        {
            n["in"]: Population((2, 6, 4), kind="input"),
            n["conv"]: Population((4, 6, 4), NEURON, initial={"v": rng.uniform(0, 0.5, (4, 1, 1))}),
            n["mid"]: Population((8,), NEURON),
            n["sum"]: Population((8,)),
            n["out"]: Population((3,), LI()),
        },
        [
            Projection(n["in"], n["conv"], Conv2d(normal(4, 1, 3, 3), normal(4) / 10, padding=1, groups=2), delay=2),
            Projection(n["conv"], n["mid"], (AvgPool2d(2), Flatten(), Linear(normal(8, 24))), delay=1),
            Projection(n["conv"], n["mid"], (SumPool2d((2, 4)), Flatten(), Linear(normal(8, 12) / 4)), delay=3),
            Projection(n["mid"], n["mid"], Linear(normal(8, 8) / 2), delay=1),
            Projection(n["mid"], n["sum"], Scale(normal(8))),
            Projection(
                n["mid"], n["sum"], Sparse(*rng.integers(0, 8, (2, 20)), normal(20), (8, 8), normal(8)), delay=1
            ),
            Projection(n["sum"], n["out"], Linear(normal(3, 8), normal(3))),
        ],
        dt="1 ms",
    )


X = (torch.rand(40, 3, 2, 6, 4, generator=torch.Generator().manual_seed(0)) < 0.3).float()


def test_the_module_spikes_as_its_network() -> None:
    net = network()
    module = nn.from_network(net)
    with torch.no_grad():
        y, state = module(X)
    reference = run(net, X)
    assert reference.counts.spikes > 1000
    np.testing.assert_allclose(y, reference.output, atol=1e-4)
    for name in ("conv", "mid"):
        np.testing.assert_allclose(state[name].neuron.v, reference.state.neurons[name].v, atol=1e-5)
    with torch.no_grad():
        seen = {}
        for name in ("conv", "mid"):

            def keep(_, __, output, name=name):
                return seen.update({name: output[0]})

            module.neurons[name].register_forward_hook(keep)
        module(X)
    found = agreement(net, X, seen)
    assert found.decisions > 1e4 and found.explained, str(found)


def test_chunks_that_carry_the_state_equal_the_whole() -> None:
    module = nn.from_network(network())
    with torch.no_grad():
        whole, end = module(X)
        pieces, state = [], None
        for a, b in ((0, 1), (1, 3), (3, 25), (25, 40)):  # some shorter than the longest delay
            y, state = module(X[a:b], state)
            pieces.append(y)
    assert torch.allclose(torch.cat(pieces), whole, atol=1e-4)
    assert state.keys() == end.keys() and torch.equal(state["conv/history"], end["conv/history"])


def test_the_module_learns_and_copies() -> None:
    module = nn.from_network(network())
    module(X)[0].square().mean().backward()
    without = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    twin = copy.deepcopy(module)
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin(X)[0], module(X)[0])


def test_names_that_torch_keeps_for_itself_are_no_obstacle() -> None:
    odd = {"in": "forward", "conv": "keys", "mid": "type", "sum": "a.b", "out": "a_dot_b"}
    y = nn.from_network(network(odd))(X)[0]
    assert torch.equal(y, nn.from_network(network())(X)[0])


def test_states_of_another_module_or_batch_are_refused() -> None:
    module = nn.from_network(network())
    state = module(X)[1]
    for bad in ({}, {k: v for k, v in state.items() if k != "mid"}, {**state, "more": None}, 3):
        with pytest.raises(ShapeError, match="expected the dict of"):
            module(X, bad)
    with pytest.raises(ShapeError, match="one batch"):
        module(X[:, :2], state)
    with pytest.raises(ShapeError, match=r"expected \[T, B, 2, 6, 4\]"):
        module(X[..., :3])


def one(projections: list[Projection], **more: Population) -> Network:
    return Network({"in": Population((2,), kind="input"), "a": Population((2,), NEURON), **more}, projections, "1 ms")


EYE, FEED = Linear(np.eye(2)), Projection("in", "a")


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (one([FEED, Projection("a", "a", EYE, delay=2)]), "cycle through a is not a dense recurrence"),
        (one([FEED, Projection("a", "a", Scale(1.0), delay=1)]), "cycle through a"),
        (one([FEED, Projection("a", "a", Linear(np.eye(2), [0.1, 0.1]), delay=1)]), "cycle through a"),
        (one([FEED, *[Projection("a", "a", EYE, delay=1)] * 2]), "cycle through a"),
        (
            one(
                [FEED, Projection("a", "b"), Projection("b", "a", delay=1), Projection("b", "c")],
                b=Population((2,), NEURON),
                c=Population((2,), NEURON),
            ),
            "cycle through a, b",
        ),
        (one([Projection("in", "a", EYE, delay=np.eye(2, dtype=int))]), "delay per synapse"),
        (one([FEED, Projection("in", "b")], b=Population((2,), NEURON)), r"outputs \('a', 'b'\)"),
        (one([Projection("in", "a", Flatten(0, 0))]), "op Flatten"),
    ],
)
def test_what_torch_layers_cannot_say_is_refused(net: Network, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        nn.from_network(net)


def test_a_network_comes_back_through_torch() -> None:
    made = nn.Sequential(nn.Linear(4, 6), nn.LIF(dt="1 ms", recurrent=True), nn.Linear(6, 2), nn.LI(dt="1 ms"))
    nn.initialise(made, gain=3.0)
    net = nn.to_network(made, 4)
    x = (torch.rand(30, 2, 4, generator=torch.Generator().manual_seed(1)) < 0.4).float()
    with torch.no_grad():
        assert torch.allclose(nn.from_network(net)(x)[0], made(x)[0], atol=1e-5)


def test_the_module_gives_its_network_back_with_the_weights_it_has_now() -> None:
    net, module = network(), nn.from_network(network())
    same = nn.to_network(module, (2, 6, 4))
    a, b = run(net, X), run(same, X)
    assert all(np.array_equal(a.spikes[n], b.spikes[n]) for n in net.populations)
    with torch.no_grad():
        for p in module.parameters():  # as training would
            p += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    trained = module.network()
    found = nn.compare(module, trained, X)
    assert found.decisions > 1e4 and found.explained, str(found)
    assert not np.array_equal(run(trained, X).spikes["mid"], a.spikes["mid"])
    again = nn.from_network(trained)
    assert all(torch.equal(p, q) for p, q in zip(module.parameters(), again.parameters(), strict=True))
    assert [p.delay for p in trained.projections] == [p.delay for p in net.projections]
    with pytest.raises(ShapeError, match=r"found input_shape=\(5,\); expected \(2, 6, 4\)"):
        nn.to_network(module, 5)
    with pytest.raises(UnitError, match=r"to_network: found dt 0.002 s"):
        nn.to_network(module, (2, 6, 4), dt="2 ms")


@pytest.mark.parametrize("wrong", [None, 3, "net", nn.Sequential(nn.Linear(3, 2))])
def test_what_is_no_network_is_refused(wrong: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"from_network: found \w+; expected a Network"):
        nn.from_network(wrong)


COBA = CobaLIF(0.02, 1.0, v_leak=0.0, e_exc=2.0, e_inh=-0.5, v_threshold=0.8, v_reset=-0.1)


def two_ports(inhibition: bool = True) -> Network:
    """A population with two inputs: several projections to one port, with and without a delay."""
    rng = np.random.default_rng(5)

    def weight(*s: int) -> Any:
        return np.abs(rng.normal(0, 0.5, s))

    projections = [
        Projection("in", "mid", Linear(rng.normal(0.2, 0.7, (6, 4)))),
        Projection("in", "out", Linear(weight(3, 4)), port="excitatory"),
        Projection("mid", "out", Linear(weight(3, 6)), port="excitatory", delay=2),
        Projection("mid", "out", Linear(weight(3, 6)), port="inhibitory", delay=1),
    ]
    return Network(
        {"in": Population((4,), kind="input"), "mid": Population((6,), NEURON), "out": Population((3,), COBA)},
        projections if inhibition else projections[:3],
        dt="1 ms",
    )


@pytest.mark.parametrize("inhibition", [True, False])
def test_a_population_with_two_inputs_spikes_as_in_its_network(inhibition: bool) -> None:
    net = two_ports(inhibition)
    x = (torch.rand(60, 3, 4, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    module, seen = nn.from_network(net), {}
    module.neurons["mid"].register_forward_hook(lambda _, __, output: seen.update(mid=output[0]))
    with torch.no_grad():
        first, state = module(x[:23])
        rest, _ = module(x[23:], state)
        y, _ = module(x)
    assert agreement(net, x, {"mid": seen["mid"], "out": y}).explained
    assert y.any()
    assert torch.equal(y, torch.cat([first, rest]))
    back = nn.to_network(module, 4)
    assert [(p.port, p.delay) for p in back.projections] == [(p.port, p.delay) for p in net.projections]
