"""`Network`: what it refuses and how, its order, labels, histories and the parts of a delayed projection."""

from __future__ import annotations

import copy
import itertools
import pickle
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError, SpikelabError, UnitError, UnsupportedError
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LI, LIF, CubaLIF, NeuronModel
from spikelab.ops import Conv2d, Flatten, Linear, Scale, Sparse, SumPool2d

IN = Population((2,), kind="input")
EYE = Linear(np.eye(2))


def net(populations: dict[str, Population], *edges: Projection, **more: Any) -> Network:
    return Network({"in": IN, **populations}, edges, **{"dt": "1 ms", **more})


def graph(n: int, edges: list[tuple[int, int, int]]) -> Network:
    """n junctions fed by one input, and edges (from, to, delay) between them."""
    populations = {f"p{k}": Population((1,)) for k in range(n)}
    fed = [Projection("in", name) for name in populations]
    inner = [Projection(f"p{a}", f"p{b}", delay=d) for a, b, d in edges]
    return Network({"in": Population((1,), kind="input"), **populations}, [*fed, *inner], dt=1e-3)


@pytest.mark.parametrize("shape", [(), (0,), (-1,), (2.0,), ("2",), (2, 0)])
def test_a_shape_that_is_not_whole_and_positive_is_refused(shape: Any) -> None:
    with pytest.raises(ShapeError, match="whole numbers above zero"):
        Population(shape)


def test_a_shape_may_be_one_number() -> None:
    assert Population(np.int64(7), kind="input").shape == (7,)
    assert Population((2, 3, 4)).size == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "neurons"}, "neurons need a model"),
        ({"kind": "input", "model": LIF()}, "nothing else takes one"),
        ({"kind": "neuron"}, "did you mean 'neurons'"),
        ({"model": "LIF"}, "expected a NeuronModel"),
        ({"model": LIF(), "initial": {"u": 0.0}}, "known are v"),
        ({"kind": "input", "initial": {"v": 0.0}}, "only neurons have a state"),
    ],
)
def test_a_population_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        Population((2,), **arguments)


@pytest.mark.parametrize("value", [float("nan"), "5 ms", "5", [0.0, np.inf], None])
def test_an_initial_state_must_be_a_finite_quantity_in_its_unit(value: Any) -> None:
    with pytest.raises(UnitError, match="initial"):
        Population((2,), LIF(), initial={"v": value})


def test_initial_states_take_units_and_arrays_that_broadcast() -> None:
    assert Population((2,), LIF(), initial={"v": "5 mV"}).initial == {"v": 5e-3}
    assert Population((3, 2, 2), LIF(), initial={"v": np.ones((3, 1, 1))}).initial["v"].shape == (3, 1, 1)
    with pytest.raises(ShapeError, match=r"\(3,\) does not broadcast to the population \(3, 2, 2\)"):
        Population((3, 2, 2), LIF(), initial={"v": np.ones(3)})


@pytest.mark.parametrize(
    "model", [LIF(tau_mem=np.full(3, 1e-2)), LIF(v_threshold=np.ones((1, 2))), CubaLIF(tau_syn=torch.full((5,), 1e-2))]
)
def test_parameters_must_broadcast_to_the_population(model: NeuronModel) -> None:
    with pytest.raises(ShapeError, match="does not broadcast"):
        Population((2,), model)
    assert Population((2, 3), LIF(tau_mem=np.full(3, 1e-2))).size == 6


@pytest.mark.parametrize("delay", [-1, 1.0, 0.5, "1 ms", True, None, float("nan"), [], 1_000_001, [[0, -1]]])
def test_delays_are_whole_steps_from_zero(delay: Any) -> None:
    with pytest.raises(UnsupportedError, match="a->b: delay"):
        Projection("a", "b", Linear([[1.0, 2.0]]), delay=delay)


def test_delays_per_synapse_need_one_linear_or_sparse_op_of_their_shape() -> None:
    two, one = np.array([[0, 1], [2, 3]]), np.array([0, 1])
    for ops in ((), (EYE, Scale(2.0)), (Flatten(),), Conv2d(np.ones((1, 1, 2, 2)))):
        with pytest.raises(UnsupportedError, match="per synapse"):
            Projection("a", "b", ops, delay=two)
    with pytest.raises(ShapeError, match=r"shape \(2,\); expected \(2, 2\)"):
        Projection("a", "b", EYE, delay=one)
    with pytest.raises(ShapeError, match="as the weights"):
        Projection("a", "b", Sparse([0], [1], [1.0], (2, 2)), delay=one)
    with pytest.raises(UnsupportedError, match=r"expected ops of spikelab.ops"):
        Projection("a", "b", (torch.nn.Linear(2, 2),))  # type: ignore[arg-type]
    assert Projection("a", "b", EYE, delay=two).longest == 3


@pytest.mark.parametrize(
    ("populations", "edges", "message"),
    [
        ({"b": Population((2,))}, [Projection("in", "c")], "population 'c': unknown; known are b, in"),
        ({"b": Population((2,))}, [Projection("im", "b")], "did you mean 'in'"),
        ({"b": Population((2,), LIF())}, [Projection("in", "b", port="y")], "in->b: port 'y': unknown; known are x"),
        ({"b": Population((2,))}, [Projection("in", "b", port="y")], "port 'y'"),
        ({"b": Population((2,), LIF())}, [], "population b: nothing feeds it"),
        ({"b": Population((2,))}, [Projection("in", "b"), Projection("b", "in", delay=1)], "an input takes no"),
        ({" b": Population((2,))}, [Projection("in", " b")], "name"),
        ({"": Population((2,))}, [Projection("in", "")], "name"),
        ({"a/b": Population((2,))}, [Projection("in", "a/b")], "name"),
    ],
)
def test_a_network_that_does_not_hang_together_is_refused(populations: Any, edges: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        net(populations, *edges)


def test_a_network_needs_an_input() -> None:
    for populations in ({}, {"b": Population((2,))}):
        with pytest.raises(UnsupportedError, match="no input population"):
            Network(populations, [], dt=1e-3)


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ((), r"the ops give \(2,\), but b has \(3,\)"),
        ((EYE,), r"the ops give \(2,\), but b has \(3,\)"),
        ((Linear(np.ones((3, 4))),), "in->b: Linear expects 4 inputs, found 2"),
        ((Conv2d(np.ones((1, 1, 1, 1))),), "in->b: Conv2d expects an input"),
    ],
)
def test_shapes_along_a_projection_must_fit(ops: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        net({"b": Population((3,), LIF())}, Projection("in", "b", ops))


@pytest.mark.parametrize("dt", [0, -1e-3, "1", "1 mV", float("nan"), None, "soon"])
def test_dt_is_a_duration_above_zero(dt: Any) -> None:
    with pytest.raises(UnitError, match=r"Network\.dt"):
        net({}, dt=dt)


def test_a_cycle_without_delay_is_refused_and_printed() -> None:
    three = [(0, 1, 0), (1, 2, 0), (2, 0, 0)]
    with pytest.raises(UnsupportedError, match="the cycle p0 -> p1 -> p2 -> p0 has no delay"):
        graph(3, three)
    with pytest.raises(UnsupportedError, match="the cycle p0 -> p0 has no delay"):
        graph(1, [(0, 0, 0)])
    for late in range(3):  # one delay anywhere is enough
        cured = [(a, b, int(k == late)) for k, (a, b, _) in enumerate(three)]
        (inner,) = [c for c in graph(3, cured).order() if len(c) > 1]
        assert inner == tuple(f"p{(late + 1 + k) % 3}" for k in range(3))


def test_a_cycle_with_one_undelayed_synapse_is_refused() -> None:
    delay = np.array([[1, 1], [1, 0]])
    with pytest.raises(UnsupportedError, match="b -> b has no delay"):
        net({"b": Population((2,), LIF())}, Projection("in", "b"), Projection("b", "b", EYE, delay=delay))


def test_euler_steps_longer_than_a_time_constant_are_refused() -> None:
    edge = Projection("in", "b")
    slow, quick = np.array([1e-2, 1e-2]), torch.tensor([1e-2, 5e-4], requires_grad=True)
    net({"b": Population((2,), LIF(tau_mem=slow))}, edge, discretisation="euler")
    for model in (LIF(tau_mem="0.5 ms"), CubaLIF(tau_syn="0.9 ms"), LI(tau_mem=5e-4), LIF(tau_mem=quick)):
        net({"b": Population((2,), model)}, edge)
        with pytest.raises(UnitError, match=r"shorter than dt of 0.001 s"):
            net({"b": Population((2,), model)}, edge, discretisation="euler")
    with pytest.raises(UnsupportedError, match="did you mean 'euler'"):
        net({}, discretisation="Euler")


@given(
    n=st.integers(1, 7),
    edges=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2)), max_size=16),
)
def test_order_gives_the_components_sources_first(n: int, edges: list[tuple[int, int, int]]) -> None:
    edges = [(a % n, b % n, d) for a, b, d in edges]
    now = nx.DiGraph([(f"p{a}", f"p{b}") for a, b, d in edges if d == 0])
    if not nx.is_directed_acyclic_graph(now):
        with pytest.raises(UnsupportedError, match="has no delay"):
            graph(n, edges)
        return
    whole = graph(n, edges)
    order = whole.order()
    expected = nx.DiGraph([("in", f"p{k}") for k in range(n)] + [(f"p{a}", f"p{b}") for a, b, _ in edges])
    assert {frozenset(c) for c in order} == {frozenset(c) for c in nx.strongly_connected_components(expected)}
    place = {name: k for k, component in enumerate(order) for name in component}
    assert all(place[a] <= place[b] for a, b in expected.edges)
    step = {name: k for k, name in enumerate(itertools.chain(*order))}  # undelayed edges point forwards
    assert all(step[a] < step[b] for a, b in now.edges)
    for component in order:
        cyclic = len(component) > 1 or (component[0], component[0]) in expected.edges
        assert whole.is_cyclic(component) == cyclic


def test_order_of_a_long_chain_needs_no_recursion() -> None:
    chain = graph(3000, [(k, k + 1, 0) for k in range(2999)])
    assert [c[0] for c in chain.order()] == ["in", *(f"p{k}" for k in range(3000))]


def test_labels_histories_and_outputs() -> None:
    b = Population((2,), LIF())
    late = Projection("in", "b", EYE, delay=np.array([[0, 5], [2, 0]]))
    whole = net(
        {"b": b, "c": b, "d": b},
        Projection("in", "b", EYE),
        late,
        Projection("b", "b", EYE, delay=3),
        Projection("b", "c"),
        Projection("b", "d"),
    )
    assert [whole.label(p) for p in whole.projections] == ["in->b", "in->b#2", "b->b", "b->c", "b->d"]
    assert [whole.history(n) for n in whole.populations] == [5, 3, 0, 0]
    assert (whole.inputs, whole.outputs) == (("in",), ("c", "d"))
    assert [p.post for p in whole.outgoing("b")] == ["b", "c", "d"]
    assert whole.incoming("b")[1] is late


def test_labels_are_unique_and_survive_a_copy() -> None:
    again = Projection("in", "b", EYE)
    junction = Population((2,))
    whole = net(
        {"b": junction, "b#2": junction}, again, again, Projection("in", "b#2"), Projection("b#2", "b"), dt=1e-3
    )
    assert len({whole.label(p) for p in whole.projections}) == 4
    copied = copy.deepcopy(whole)
    assert [copied.label(p) for p in copied.projections] == [whole.label(p) for p in whole.projections]


@given(
    delays=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    zero=st.integers(0, 5),
    sparse=st.booleans(),
)
def test_parts_hold_every_synapse_once_longest_delay_first(delays: list[int], zero: int, sparse: bool) -> None:
    rng = np.random.default_rng(sum(delays))
    weight, bias = rng.normal(size=6).astype(np.float32), [0.5, -1.0]
    weight[zero] = 0
    target, source = np.divmod(rng.permutation(6), 3)
    if sparse:
        p = Projection("a", "b", Sparse(source, target, weight, (2, 3), bias), delay=np.array(delays))
    else:
        dense = np.zeros((2, 3), np.float32)
        dense[target, source] = weight
        late = np.zeros((2, 3), int)
        late[target, source] = delays
        p = Projection("a", "b", Linear(dense, bias), delay=late)
    parts = p.parts()
    assert [d for d, _ in parts] == sorted(set(delays), reverse=True)
    assert [ops[0].bias is None for _, ops in parts] == [True] * (len(parts) - 1) + [False]  # type: ignore[attr-defined]
    found = {
        (int(s), int(t), int(d), float(w))
        for d, (op,) in parts
        for s, t, w in zip(op.source, op.target, op.weight, strict=True)  # type: ignore[attr-defined]
    }
    assert found == {(int(s), int(t), d, float(w)) for s, t, d, w in zip(source, target, delays, weight, strict=True)}


def test_shapes_name_every_stage() -> None:
    image = Population((2, 4, 4), kind="input")
    chain = (Conv2d(np.ones((3, 2, 3, 3)), padding=1), SumPool2d(2), Flatten(), Linear(np.ones((5, 12))))
    p = Projection("in", "out", chain)
    whole = Network({"in": image, "out": Population((5,), IF())}, [p], dt="1 ms")
    assert whole.shapes(p) == [(2, 4, 4), (3, 4, 4), (3, 2, 2), (12,), (5,)]


@given(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["input", "junction", "lif"]), max_size=4), st.data())
def test_any_structure_is_made_or_refused_by_an_error_of_ours(kinds: dict[str, str], data: st.DataObject) -> None:
    make = {"input": Population((1,), kind="input"), "junction": Population((1,)), "lif": Population((1,), LIF())}
    ends = st.sampled_from("abcde")
    edges = data.draw(st.lists(st.tuples(ends, ends, st.integers(-1, 2), st.sampled_from("xy")), max_size=6))
    try:
        made = [Projection(a, b, delay=d, port=port) for a, b, d, port in edges]
        whole = Network({n: make[k] for n, k in kinds.items()}, made, dt=1e-3)
    except SpikelabError:
        return
    assert sorted(itertools.chain(*whole.order())) == sorted(kinds)


class Foreign:
    """Something that has nothing to do with spikelab."""

    def __repr__(self) -> str:  # without an address: workers that share the tests must name them alike
        return "Foreign()"


WRONG: list[Any] = [None, 3, 3.5, "ab", Foreign(), torch.nn.Linear(2, 2), {"a": 1}, [None], b"ab"]


@pytest.mark.parametrize("wrong", [w for w in WRONG if w != 3], ids=repr)
def test_a_shape_of_another_type_is_refused(wrong: Any) -> None:
    with pytest.raises(ShapeError, match=r"Population\.shape: found .*; expected whole numbers above zero"):
        Population(wrong)


def test_shapes_come_as_arrays_and_sizes_too_but_not_as_truth() -> None:
    assert Population(np.array([2, 3])).shape == Population(torch.Size([2, 3])).shape == (2, 3)
    for wrong in (True, (True, 2), {2}, np.ones((1, 1), int)):
        with pytest.raises(ShapeError, match="whole numbers above zero"):
            Population(wrong)


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_parts_of_another_type_are_refused_by_an_error_of_ours(wrong: Any) -> None:
    makers = [
        lambda: Population((2,), kind=wrong if wrong is not None else 0),
        lambda: Population((2,), LIF(), initial=wrong),
        lambda: Population((2,), LIF(), initial={"v": wrong if wrong not in (3, 3.5) else "3"}),
        lambda: Projection("a", "b", wrong),
        lambda: Projection("a", "b", delay=wrong if wrong != 3 else 3.0),
        lambda: Network(wrong, [], dt=1e-3),
        lambda: Network({"in": wrong}, [], dt=1e-3),
        lambda: net({}, wrong),
        lambda: Network({"in": IN}, wrong, dt=1e-3),
        lambda: net({}, discretisation=wrong),
    ]
    if wrong is not None:
        makers.append(lambda: Population((2,), wrong))
    if not isinstance(wrong, str):
        makers += [
            lambda: Projection(wrong, "b"),
            lambda: Projection("a", wrong),
            lambda: Projection("a", "b", (), wrong),
        ]
        makers.append(lambda: Network({wrong if wrong.__hash__ else 1: IN}, [], dt=1e-3))
    for make in makers:
        with pytest.raises(SpikelabError, match=r"found|unknown"):
            make()


def test_initial_states_of_another_kind_are_refused_and_tensors_taken() -> None:
    for value in ([[1, 2], [3]], ["a", "b"], ["5 mV", "6 mV"], [1j, 2], [True, False], torch.ones(2) * 1j):
        with pytest.raises(SpikelabError, match=r"Population\.initial\['v'\]: found"):
            Population((2,), LIF(), initial={"v": value})
    made = Population((2,), LIF(), initial={"v": torch.ones(2, requires_grad=True)})
    assert made.initial["v"].tolist() == [1, 1]


def test_a_network_cannot_be_changed_in_place() -> None:
    b = Population((2,), LIF(), initial={"v": [0.1, 0.2]})
    mine = {"in": IN, "b": b}
    whole = Network(mine, [Projection("in", "b")], dt=1e-3)
    mine["c"] = b
    assert list(whole.populations) == ["in", "b"]
    for change in (
        lambda: whole.populations.update(c=b),  # type: ignore[attr-defined]
        lambda: whole.populations.__setitem__("b", IN),  # type: ignore[attr-defined]
        lambda: whole.projections.append(Projection("in", "b")),  # type: ignore[attr-defined]
        lambda: b.initial.__setitem__("v", 1.0),  # type: ignore[attr-defined]
        lambda: b.initial["v"].__setitem__(0, 1.0),
    ):
        with pytest.raises((AttributeError, TypeError, ValueError)):
            change()


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_network_can_be_copied_and_pickled(copied: Any) -> None:
    b = Population((2,), LIF(v_threshold=0.5), initial={"v": [0.1, 0.2]})
    whole = net({"b": b}, Projection("in", "b", EYE), discretisation="euler")
    again = copied(whole)
    assert (list(again.populations), again.dt, again.discretisation) == (["in", "b"], whole.dt, "euler")
    assert again.populations["b"].initial["v"].tolist() == [0.1, 0.2]
    assert [again.label(p) for p in again.projections] == ["in->b"]
    assert replace(again, dt="2 ms").dt == 2e-3


def test_a_projection_of_another_network_has_no_label() -> None:
    whole = net({"b": Population((2,))}, Projection("in", "b"))
    with pytest.raises(UnsupportedError, match=r"Network\.label: found .* expected one of in->b; take it from"):
        whole.label(Projection("in", "b"))


def test_a_delay_of_text_is_refused_in_steps() -> None:
    with pytest.raises(UnsupportedError, match=r"delay: found '2 ms'; expected whole steps; divide by the dt"):
        Projection("in", "out", delay="2 ms")
