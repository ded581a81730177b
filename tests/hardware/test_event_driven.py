"""The event-driven target: exact mode is the clocked reference to the bit, fast mode up to threshold ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelab.agreement import agreement
from spikelab.clocked import Float32, Run
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.events import Events
from spikelab.hardware import Target
from spikelab.hardware.event_driven import EventDriven
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LI, LIF, CobaLIF, CubaLIF, threads
from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Op, Scale, Sparse, SumPool2d
from spikelab.testing import check_target, sample_network

F = np.float32
SOFT = LIF(tau_mem=np.full(1, 1e-2), reset="soft")
MANY = IF(v_threshold=0.4, reset="soft", comparison=">=", spikes="many")
# Few sets of flags, those of `sample_network` among them: each is a kernel to compile.
MODELS: list[Any] = [
    lambda rng, shape: LIF(tau_mem=rng.uniform(3e-3, 2e-2, shape), v_leak=0.0625, reset="soft"),
    lambda rng, shape: LIF(v_threshold=0.5, comparison=">=", reset="undecayed"),
    lambda rng, shape: CubaLIF(tau_syn="3 ms", tau_mem="9 ms", v_threshold=rng.uniform(0.4, 1, shape), v_reset=-0.2),
    lambda rng, shape: MANY,
    lambda rng, shape: LI(tau_mem="7 ms"),
]


def ops_between(rng: np.random.Generator, pre: tuple[int, ...], post: tuple[int, ...]) -> list[Op]:
    """A random chain of ops from one shape to another, with biases and zero weights."""

    def bias(n: int) -> Any:
        return rng.normal(0, 0.05, n) if rng.random() < 0.5 else None

    def weight(*shape: int) -> Any:
        return (rng.normal(0.1, 0.9, shape) * (rng.random(shape) < 0.7)).astype(F)

    chain: list[Op] = []
    if len(pre) == 3 and len(post) == 3:
        if rng.random() < 0.3 and pre == post:
            return [Scale(rng.normal(1, 0.3, (pre[0], 1, 1)))]
        return [Conv2d(weight(post[0], pre[0], 3, 3), bias(post[0]), padding=1)]
    if len(pre) == 3:
        kind = rng.integers(4)
        if kind < 2:
            chain.append((SumPool2d(2), AvgPool2d((2, 1), padding=(1, 0)))[kind])
        elif kind == 2:
            chain.append(Conv2d(weight(2, pre[0], 2, 3), bias(2), (2, 1), (0, 1)))
        for op in chain:
            pre = op.out_shape(pre)
        chain.append(Flatten())
        pre = (int(np.prod(pre)),)
    if len(post) == 3:
        raise AssertionError("vectors do not feed images here")
    kind = rng.integers(5)
    if kind == 0:
        n = 3 * post[0]
        ends = rng.integers(0, pre[0], n), rng.integers(0, post[0], n)
        return [*chain, Sparse(*ends, weight(n), (post[0], pre[0]), bias(post[0]))]
    if kind == 1:
        return [*chain, Linear(weight(4, pre[0]), rng.normal(0, 0.1, 4)), Linear(weight(post[0], 4), bias(post[0]))]
    chain.append(Linear(weight(post[0], pre[0]) / F(np.sqrt(pre[0])), bias(post[0])))
    return [*chain, Scale(rng.normal(1, 0.5, post))] if kind == 2 else chain


def random_network(seed: int) -> Network:
    """Images and vectors, junctions, recurrence, several projections per port, delays of both kinds."""
    rng = np.random.default_rng(seed)
    image, vector = (2, 4, 3), (5,)
    shapes = {"in": image} | {f"i{k}": image for k in range(rng.integers(0, 3))}
    shapes |= {f"v{k}": vector for k in range(rng.integers(1, 4))}
    names = list(shapes)
    populations = {"in": Population(image, kind="input")}
    for name in names[1:]:
        model = MODELS[rng.integers(len(MODELS))](rng, shapes[name]) if rng.random() < 0.85 else None
        initial = {"v": rng.uniform(-0.3, 0.3, shapes[name])} if model is not None and rng.random() < 0.3 else {}
        populations[name] = Population(shapes[name], model, initial=initial)
    pairs = [(names[int(rng.integers(k))], names[k]) for k in range(1, len(names))]
    pairs += [(str(rng.choice(names)), str(rng.choice(names[1:]))) for _ in range(rng.integers(4))]
    projections = []
    for pre, post in pairs:
        if len(shapes[pre]) < len(shapes[post]):
            continue
        least = int(names.index(pre) >= names.index(post))
        delay: Any = int(rng.integers(least, least + 3))
        if shapes[pre] == shapes[post] and rng.random() < 0.2:
            projections.append(Projection(pre, post, delay=delay))
            continue
        ops = ops_between(rng, shapes[pre], shapes[post])
        if len(ops) == 1 and isinstance(ops[0], Linear | Sparse) and rng.random() < 0.5:
            delay = rng.integers(least, 4, ops[0].weight.shape)
        projections.append(Projection(pre, post, tuple(ops), delay=delay))
    return Network(populations, projections, "1 ms", str(rng.choice(["exponential", "euler"])))  # type: ignore[arg-type]


def spikes(seed: int, density: float, steps: int = 14, batch: int = 2, shape: tuple[int, ...] = (2, 4, 3)) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.random((steps, batch, *shape)) < density
    return (x * rng.choice([1, 1, 1, 2, -0.5], x.shape)).astype(F)


def identical(a: Run, b: Run) -> None:
    """Spikes, states, histories and everything that is counted, except how often a neuron was looked at."""
    for name in a.spikes:
        np.testing.assert_array_equal(a.spikes[name], b.spikes[name], err_msg=name)
    for name, s in a.state.neurons.items():
        for variable, value in s._asdict().items():
            np.testing.assert_array_equal(value, getattr(b.state.neurons[name], variable), err_msg=f"{name}.{variable}")
    for name, h in a.state.history.items():
        np.testing.assert_array_equal(h, b.state.history[name], err_msg=name)
    assert dict(a.counts.projections) == dict(b.counts.projections)
    assert a.state.step == b.state.step
    for name, p in a.counts.populations.items():
        q = b.counts.populations[name]
        assert (p.spikes, p.model, p.neurons, p.per_update) == (q.spikes, q.model, q.neurons, q.per_update)
        assert q.updates <= p.updates


@settings(max_examples=45)
@given(seed=st.integers(0, 10**6), density=st.sampled_from([0.0, 0.02, 0.2, 0.6, 1.0]))
def test_exact_mode_is_the_reference_to_the_bit(seed: int, density: float) -> None:
    net, x = random_network(seed), spikes(seed, density)
    identical(Float32().run(net, x), EventDriven().run(net, x))


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 13))
def test_chunks_equal_the_whole_and_states_pass_between_the_targets(seed: int, cut: int) -> None:
    net, x = random_network(seed), spikes(seed, 0.3)
    whole = Float32().run(net, x)
    for one, other in ((EventDriven(), EventDriven()), (Float32(), EventDriven()), (EventDriven(), Float32())):
        first = one.run(net, x[:cut])
        second = other.run(net, x[cut:], state=first.state)
        for name, z in whole.spikes.items():
            np.testing.assert_array_equal(np.concatenate([first.spikes[name], second.spikes[name]]), z)
        for name, s in whole.state.neurons.items():
            np.testing.assert_array_equal(np.stack(s), np.stack(second.state.neurons[name]))


def wide(model: Any) -> Network:
    rng = np.random.default_rng(5)
    return Network(
        {
            "in": Population((2, 4, 3), kind="input"),
            "conv": Population((8, 4, 3), model),
            "out": Population((40,), model),
        },
        [
            Projection("in", "conv", Conv2d(rng.normal(0, 0.6, (8, 2, 3, 3)), padding=1)),
            Projection("conv", "out", (Flatten(), Linear(rng.normal(0, 0.2, (40, 96))))),
            Projection(
                "out", "out", Sparse(*rng.integers(0, 40, (2, 200)), rng.normal(0, 0.2, 200), (40, 40)), delay=2
            ),
        ],
        dt="1 ms",
    )


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = wide(SOFT), spikes(0, 0.2, steps=25, batch=5)
    one = EventDriven(threads=1).run(net, x)
    monkeypatch.setattr(threads, "PARALLEL_FROM", 1)
    two = EventDriven(threads=2).run(net, x)
    identical(one, two)
    assert [p.updates for p in one.counts.populations.values()] == [p.updates for p in two.counts.populations.values()]
    assert one.counts.spikes > 500


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), density=st.sampled_from([0.01, 0.1, 0.4]))
def test_fast_mode_differs_at_threshold_ties_only(seed: int, density: float) -> None:
    net, x = random_network(seed), spikes(seed, density, steps=20)
    fast = EventDriven("fast").run(net, x)
    found = agreement(net, x, fast.spikes)
    assert found.explained, str(found)
    reference = Float32().run(net, x)
    if found.differing == 0:
        for name, s in reference.state.neurons.items():
            np.testing.assert_allclose(np.stack(fast.state.neurons[name]), np.stack(s), rtol=1e-4, atol=1e-5)
        for label, counts in fast.counts.projections.items():
            ours = [c.synaptic_ops for c in counts]
            assert ours == [c.synaptic_ops for c in reference.counts.projections[label]]
    assert fast.counts.neuron_updates <= reference.counts.neuron_updates


def test_fast_chunks_equal_the_fast_whole_up_to_rounding() -> None:
    net, x = wide(SOFT), spikes(3, 0.1, steps=30)
    whole = EventDriven("fast").run(net, x)
    first = EventDriven("fast").run(net, x[:11])
    second = EventDriven("fast").run(net, x[11:], state=first.state)
    assert agreement(net, x, {n: np.concatenate([first.spikes[n], second.spikes[n]]) for n in whole.spikes}).explained
    for name, s in whole.state.neurons.items():
        np.testing.assert_allclose(np.stack(s), np.stack(second.state.neurons[name]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", [SOFT, MANY])
def test_very_sparse_input_costs_few_updates_in_fast_mode(model: Any) -> None:
    net, x = wide(model), np.zeros((400, 1, 2, 4, 3), F)
    x[[50, 51, 200, 390], 0, 0, 2, 1] = 1
    clocked = Float32().run(net, x).counts
    exact, fast = (EventDriven(mode).run(net, x).counts for mode in ("exact", "fast"))
    assert fast.neuron_updates <= exact.neuron_updates <= clocked.neuron_updates == 400 * (96 + 40)
    assert 0 < fast.neuron_updates < 0.05 * clocked.neuron_updates


def test_a_resting_network_is_not_looked_at() -> None:
    net, x = wide(SOFT), np.zeros((100, 2, 2, 4, 3), F)
    for mode in ("exact", "fast"):
        counts = EventDriven(mode).run(net, x).counts  # type: ignore[arg-type]
        assert counts.neuron_updates <= 2 * 136  # once, to see that nothing moves
        assert (counts.synaptic_ops, counts.spikes) == (0, 0)


def test_a_bias_that_makes_neurons_fire_keeps_them_awake() -> None:
    net = Network(
        {"in": Population((1,), kind="input"), "out": Population((3,), LIF(tau_mem=np.full(3, 1e-2), reset="soft"))},
        [Projection("in", "out", Linear(np.ones((3, 1)), [0.2, 0.05, 0.0951]))],
        dt="1 ms",
    )
    x = np.zeros((200, 1, 1), F)
    reference = Float32().run(net, x).output
    v, expected = 0.0, 0  # the first neuron by hand; the others settle at 0.53 and 0.999
    for _ in range(200):
        v = v * np.exp(-0.1) + 0.2
        expected, v = expected + (v > 1), v - (v > 1)
    assert reference.sum(axis=(0, 1)).tolist() == [expected, 0, 0]
    for mode in ("exact", "fast"):
        np.testing.assert_array_equal(EventDriven(mode).run(net, x).output, reference)  # type: ignore[arg-type]


def test_neurons_that_fire_or_give_a_potential_without_moving_stay_awake() -> None:
    # The state is the same before and after each step, yet there is an output.
    for model, bias, each in ((MANY, 0.4, 1.0), (LI(tau_mem="7 ms", v_leak=0.5), 0.0, 0.5)):
        net = Network(
            {"in": Population((1,), kind="input"), "out": Population((1,), model)},
            [Projection("in", "out", Linear([[1.0]], [bias]))],
            dt="1 ms",
        )
        x = np.zeros((50, 1, 1), F)
        for mode in ("exact", "fast"):
            assert EventDriven(mode).run(net, x).output.ravel().tolist() == [each] * 50  # type: ignore[arg-type]


def test_an_input_that_holds_a_neuron_still_for_a_step_does_not_put_it_to_sleep() -> None:
    net = Network(
        {"in": Population((1,), kind="input"), "out": Population((1,), MANY)},
        [Projection("in", "out", Linear([[-0.125]], [0.125]))],
        dt="1 ms",
    )
    x = np.zeros((20, 1, 1), F)
    x[[0, 6]] = 1  # cancels the bias in these steps
    for mode in ("exact", "fast"):
        found = EventDriven(mode).run(net, x).output.ravel()  # type: ignore[arg-type]
        assert np.flatnonzero(found).tolist()[:3] == [4, 8, 11]
        np.testing.assert_array_equal(found, Float32().run(net, x).output.ravel())


def brute_force(op: Any, z: np.ndarray) -> int:
    """Pairs of an active input and a weight that is not zero, by torch and by loops."""
    if isinstance(op, Conv2d):
        rows = torch.tensor((z != 0).reshape(-1, *z.shape[2:]), dtype=torch.float64)
        present = torch.tensor(op.weight != 0, dtype=torch.float64)
        return int(torch.nn.functional.conv2d(rows, present, None, op.stride, op.padding, op.dilation, op.groups).sum())
    total = 0
    for row in z.reshape(-1, z.shape[-1]):
        for i in np.flatnonzero(row):
            if isinstance(op, Linear):
                total += sum(1 for w in op.weight[:, i] if w != 0)
            else:
                total += sum(1 for s, w in zip(op.source, op.weight, strict=True) if s == i and w != 0)
    return total


@pytest.mark.parametrize("target", [Float32(), EventDriven(), EventDriven("fast")])
def test_counted_synaptic_operations_equal_a_brute_force_walk_over_the_spikes(target: Target) -> None:
    rng = np.random.default_rng(9)

    def holes(*s):
        return (rng.normal(0.1, 0.7, s) * (rng.random(s) < 0.6)).astype(F)

    late = rng.integers(1, 4, (12, 12))
    model = LIF(tau_mem=np.full(1, 1e-2), reset="soft", v_leak=0.0625)
    edges = [
        Projection("in", "a", Conv2d(holes(4, 1, 3, 2), None, (2, 1), (1, 0), (1, 2), 2)),
        Projection("a", "b", (Flatten(), Linear(holes(12, 12)))),
        Projection("b", "b", Linear(holes(12, 12)), delay=late),
        Projection("b", "b", Sparse(*rng.integers(0, 12, (2, 30)), holes(30), (12, 12)), delay=2),
    ]
    net = Network(
        {"in": Population((2, 6, 3), kind="input"), "a": Population((4, 3, 1), model), "b": Population((12,), model)},
        edges,
        dt="1 ms",
    )
    x = spikes(2, 0.3, steps=40, batch=3, shape=(2, 6, 3))
    result = target.run(net, x)
    counts = result.counts.projections
    a, b = result.spikes["a"], result.spikes["b"]
    assert a.sum() > 50 and b.sum() > 50
    assert counts["in->a"][0].synaptic_ops == brute_force(edges[0].ops[0], x)
    assert counts["a->b"][1].synaptic_ops == brute_force(edges[1].ops[1], a.reshape(40, 3, 12))
    by_delay = 0
    for d in (1, 2, 3):
        part = Linear(np.where(late == d, edges[2].ops[0].weight, 0))  # type: ignore[attr-defined]
        by_delay += brute_force(part, b[:-d])  # what is still under way has not arrived
    assert counts["b->b"][0].synaptic_ops == by_delay
    assert counts["b->b#2"][0].synaptic_ops == brute_force(edges[3].ops[0], b[:-2])
    assert counts["in->a"][0].dense_ops == 40 * 3 * 2 * brute_force(
        Conv2d(np.ones((2, 1, 3, 2)), None, (2, 1), (1, 0), (1, 2)), np.ones((1, 1, 1, 6, 3))
    )
    assert [counts["a->b"][k].active for k in (0, 1)] == [np.count_nonzero(a)] * 2
    assert counts["in->a"][0].operand == "real" and counts["a->b"][1].operand == "binary"


@pytest.mark.parametrize("target", [EventDriven(), EventDriven("fast"), EventDriven(threads=2)])
def test_it_keeps_the_contract_of_a_target(target: EventDriven) -> None:
    check_target(target, tolerance=0.0 if target.mode == "exact" else 0.01)
    assert isinstance(target, Target)


def test_events_are_an_input() -> None:
    rng = np.random.default_rng(0)
    events = Events.from_columns(np.sort(rng.integers(0, 30_000, 80)), x=rng.integers(0, 20, 80), shape=(20,))
    net, _ = sample_network()
    identical(Float32().run(net, events), EventDriven().run(net, events))


def test_settings_and_requests_it_cannot_meet_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="did you mean 'exact'"):
        EventDriven("exakt")  # type: ignore[arg-type]
    for bad in (0, -1, 1.5, "2"):
        with pytest.raises(UnsupportedError, match="threads"):
            EventDriven(threads=bad)  # type: ignore[arg-type]
    net, x = sample_network()
    with pytest.raises(UnsupportedError, match="use Float32"):
        EventDriven().run(net, x, traces={"first": ["v"]})
    with pytest.raises(ShapeError, match="a state belongs to one network and one batch"):
        EventDriven().run(net, x[:, :1], state=EventDriven().run(net, x).state)


def test_a_run_leaves_input_and_state_as_they_were() -> None:
    net, x = sample_network(1)
    first = EventDriven().run(net, x[:10])
    copies = [x.copy(), *(np.stack(s).copy() for s in first.state.neurons.values())]
    EventDriven().run(net, x[10:], state=first.state)
    for old, now in zip(copies, [x, *(np.stack(s) for s in first.state.neurons.values())], strict=True):
        np.testing.assert_array_equal(old, now)


def test_threads_are_any_integer_from_one() -> None:
    for given_ in (1, np.int64(2), np.int32(3)):
        found = EventDriven(threads=given_).threads  # type: ignore[arg-type]
        assert found == given_ and type(found) is int
    for wrong in (True, np.bool_(1), 2.0, None, [1], np.int64(0)):
        with pytest.raises(UnsupportedError, match=r"threads: found .*; expected a whole number from 1"):
            EventDriven(threads=wrong)  # type: ignore[arg-type]


def test_only_the_steps_that_a_delay_can_reach_are_kept() -> None:
    kept: dict[str, int] = {}

    class Watched(EventDriven):
        def _walk(self, *args: Any) -> None:
            super()._walk(*args)
            kept.update({name: len(steps) for name, steps in args[4].items()})

    net, x = sample_network()
    Watched().run(net, np.concatenate([x] * 5))
    assert kept == {name: net.history(name) for name in net.populations}


def test_a_population_with_two_inputs_runs_to_the_bit_with_delays_and_several_projections_per_port() -> None:
    rng = np.random.default_rng(3)

    def weight(*shape: int) -> Any:
        return np.abs(rng.normal(0, 0.6, shape)) * (rng.random(shape) < 0.6)

    coba = CobaLIF(0.02, 1.0, v_leak=0.0, e_exc=2.0, e_inh=-0.5, v_threshold=0.8, v_reset=-0.1)
    shapes = {"in": 5, "mid": 6, "out": 4}
    models: Any = {"mid": LIF(tau_mem="8 ms", v_leak=0.0625, reset="soft"), "out": coba}
    net = Network(
        {n: Population((k,), models.get(n), kind=None if n in models else "input") for n, k in shapes.items()},
        [
            Projection("in", "mid", Linear(rng.normal(0.3, 0.8, (6, 5)))),
            Projection("mid", "out", Linear(weight(4, 6)), port="inhibitory", delay=1),
            Projection("in", "out", Linear(weight(4, 5), weight(4) / 10), port="excitatory"),
            Projection("in", "out", Linear(weight(4, 5)), port="inhibitory", delay=rng.integers(0, 4, (4, 5))),
            Projection("mid", "out", Linear(weight(4, 6)), port="excitatory", delay=3),
            Projection("out", "out", Linear(weight(4, 4)), port="inhibitory", delay=1),
        ],
        "1 ms",
    )
    x = (rng.random((80, 3, 5)) < 0.25).astype(F)
    reference = Float32().run(net, x)
    assert 20 < reference.spikes["out"].sum() < 900
    for mode in ("exact", "fast"):
        for threads_ in (1, 2):
            found = EventDriven(mode, threads=threads_).run(net, x)  # type: ignore[arg-type]
            if mode == "exact":
                assert np.array_equal(found.spikes["out"], reference.spikes["out"])
                np.testing.assert_array_equal(
                    np.stack(found.state.neurons["out"]), np.stack(reference.state.neurons["out"])
                )
                assert found.counts.projections == reference.counts.projections
            else:
                assert agreement(net, x, found.spikes).explained
    start = EventDriven().run(net, x[:31])
    rest = EventDriven().run(net, x[31:], state=start.state)
    assert np.array_equal(np.concatenate([start.spikes["out"], rest.spikes["out"]]), reference.spikes["out"])
