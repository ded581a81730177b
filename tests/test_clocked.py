"""The clocked reference against a naive simulator of its own: dense Python loops in float32, in source order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelab.clocked import Float32, LinearMap, Run, run
from spikelab.errors import ShapeError, SpikelabError, UnsupportedError
from spikelab.events import Events
from spikelab.hardware import EventDriven
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LI, LIF, CubaLIF, SigmaDelta, TernaryLIF
from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Op, Scale, Sparse, SumPool2d
from spikelab.testing import check_target, sample_network

F = np.float32
DT = 1e-3


def naive_op(op: Op, x: np.ndarray) -> np.ndarray:
    """One op on one sample: for every output, the products with the active inputs in their order."""
    if isinstance(op, Flatten):
        return x.reshape(-1)
    if isinstance(op, Scale):
        return (x * np.broadcast_to(op.scale, x.shape)).astype(F)
    if isinstance(op, Linear):
        y = np.zeros(len(op.weight), F)
        for j in range(len(y)):
            for i in np.flatnonzero(x):
                y[j] = y[j] + x[i] * op.weight[j, i]
    elif isinstance(op, Sparse):
        y = np.zeros(op.shape[0], F)
        for i in np.flatnonzero(x):
            for s, t, w in zip(op.source, op.target, op.weight, strict=True):
                if s == i:
                    y[t] = y[t] + x[i] * w
    else:
        return naive_window(op, x)
    return y if op.bias is None else y + op.bias


def naive_window(op: Any, x: np.ndarray) -> np.ndarray:
    y = np.zeros(op.out_shape(x.shape), F)
    kernel = op.weight.shape[2:] if isinstance(op, Conv2d) else op.kernel_size
    dilation = getattr(op, "dilation", (1, 1))
    inputs = x.shape[0] // getattr(op, "groups", 1)
    for c, oy, ox in np.ndindex(*y.shape):
        group = c // (len(y) // op.groups) if isinstance(op, Conv2d) else c
        channels = range(group * inputs, (group + 1) * inputs) if isinstance(op, Conv2d) else [c]
        for ci in channels:
            for iy, ix in np.argwhere(x[ci]):
                tap = [p + i - o * s for p, i, o, s in zip(op.padding, (iy, ix), (oy, ox), op.stride, strict=True)]
                if all(t >= 0 and t % d == 0 and t // d < k for t, d, k in zip(tap, dilation, kernel, strict=True)):
                    ky, kx = tap[0] // dilation[0], tap[1] // dilation[1]
                    w = op.weight[c, ci - group * inputs, ky, kx] if isinstance(op, Conv2d) else F(1)
                    y[c, oy, ox] = y[c, oy, ox] + x[ci, iy, ix] * w
    if isinstance(op, AvgPool2d):
        y = y / F(kernel[0] * kernel[1])
    bias = getattr(op, "bias", None)
    return y if bias is None else y + bias[:, None, None]


def naive_delayed(p: Projection, past: Any, t: int) -> np.ndarray:
    """What a projection brings at step t; per synapse the longest delays are added first."""
    if np.ndim(p.delay) == 0:
        x = past(p.pre, t - int(p.delay))
        for op in p.ops:
            x = naive_op(op, x)
        return x
    op: Any = p.ops[0]
    rows = (
        [(s, t_, w) for s, t_, w in zip(op.source, op.target, op.weight, strict=True)]
        if isinstance(op, Sparse)
        else [(i, j, op.weight[j, i]) for i in range(op.weight.shape[1]) for j in range(op.weight.shape[0])]
    )
    late = p.delay if isinstance(op, Sparse) else [p.delay[j, i] for i, j, _ in rows]
    y = np.zeros(op.out_shape(past(p.pre, -1).shape), F)
    for d in sorted(set(np.ravel(p.delay).tolist()), reverse=True):
        x = past(p.pre, t - d)
        for (i, j, w), own in zip(rows, late, strict=True):
            if own == d and x[i] != 0:
                y[j] = y[j] + x[i] * w
    return y if op.bias is None else y + op.bias


def naive_neuron(model: Any, s: dict[str, np.ndarray], x: np.ndarray, euler: bool) -> np.ndarray:
    """One step of one of four models, written out; changes the state s."""

    def left(tau: Any) -> np.ndarray:
        return np.asarray(1 - DT / tau if euler else np.exp(-DT / np.asarray(tau))).astype(F)

    leak = F(getattr(model, "v_leak", 0.0))
    if isinstance(model, CubaLIF):
        s["i"] = left(model.tau_syn) * s["i"] + x
        x = s["i"]
    decayed = s["v"] if isinstance(model, IF) else leak + left(model.tau_mem) * (s["v"] - leak)
    s["v"] = (decayed + x).astype(F)
    if isinstance(model, LI):
        return s["v"].copy()
    threshold = np.asarray(model.v_threshold, F)
    if model.spikes == "many":
        z = np.maximum(np.floor(s["v"] / threshold), F(0))
    else:
        z = (s["v"] > threshold if model.comparison == ">" else s["v"] >= threshold).astype(F)
    s["v"] = np.where(z > 0, F(model.v_reset), s["v"]) if model.reset == "hard" else s["v"] - z * threshold
    return z


def naive(net: Network, x: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    """Spikes and final states of a network, sample by sample, step by step."""
    steps, batch = next(iter(x.values())).shape[:2]
    z = {n: np.zeros((steps, batch, *p.shape), F) for n, p in net.populations.items()}
    for name, value in x.items():
        z[name][:] = value
    final: dict[str, dict[str, np.ndarray]] = {}
    for b in range(batch):
        states = {}
        for n, p in net.populations.items():
            if p.model is not None:
                start = {**p.model.initial()._asdict(), **p.initial}
                states[n] = {k: np.broadcast_to(np.asarray(v, F), p.shape).copy() for k, v in start.items()}
        for t in range(steps):
            done = set(net.inputs)

            def past(n, at, b=b):
                return z[n][at, b] if at >= 0 else np.zeros(net.populations[n].shape, F)

            while len(done) < len(z):
                for n, p in net.populations.items():
                    ready = all(q.pre in done or np.min(q.delay) > 0 for q in net.incoming(n))
                    if n in done or not ready:
                        continue
                    total = None
                    for q in net.incoming(n):
                        y = naive_delayed(q, past, t)
                        total = y if total is None else total + y
                    euler = net.discretisation == "euler"
                    z[n][t, b] = total if p.model is None else naive_neuron(p.model, states[n], total, euler)
                    done.add(n)
        for n, s in states.items():
            for k, v in s.items():
                final.setdefault(n, {}).setdefault(k, np.zeros((batch, *v.shape), F))[b] = v
    return z, final


def random_model(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    tau = float(rng.uniform(3e-3, 3e-2)) if rng.random() < 0.6 else rng.uniform(3e-3, 3e-2, shape)
    reset, comparison = rng.choice(["hard", "soft"]), rng.choice([">", ">="])
    v = {"v_threshold": float(rng.uniform(0.3, 1.0)), "v_reset": -0.125, "reset": reset, "comparison": comparison}
    many = {**v, "reset": "soft", "comparison": ">=", "spikes": "many"}
    return [
        lambda: LIF(tau_mem=tau, v_leak=0.0625, **v),
        lambda: CubaLIF(tau_syn="4 ms", tau_mem=tau, **v),
        lambda: IF(**v),
        lambda: IF(**many),
        lambda: LI(tau_mem=tau),
    ][rng.integers(5)]()


def random_network(seed: int) -> tuple[Network, dict[str, np.ndarray]]:
    """Two inputs, up to four populations, recurrence, several projections to a port, delays of both kinds."""
    rng = np.random.default_rng(seed)
    sizes = {"a": 3, "b": 2} | {f"p{k}": int(rng.integers(1, 5)) for k in range(rng.integers(1, 5))}
    names = list(sizes)
    populations, projections = {}, []
    for name, n in sizes.items():
        model = None if rng.random() < 0.25 else random_model(rng, (n,))
        initial = {"v": rng.uniform(-0.2, 0.2, (n,))} if model is not None and rng.random() < 0.3 else {}
        kind: Any = "input" if name in "ab" else None
        populations[name] = Population((n,), None if kind else model, kind, {} if kind else initial)
    pairs = [(names[int(rng.integers(k))], names[k]) for k in range(2, len(names))]
    pairs += [(str(rng.choice(names)), str(rng.choice(names[2:]))) for _ in range(rng.integers(5))]
    for pre, post in pairs:
        shape = (sizes[post], sizes[pre])
        weight = (rng.normal(0.1, 0.6, shape) * (rng.random(shape) < 0.8)).astype(F)
        bias = rng.normal(0, 0.05, shape[0]) if rng.random() < 0.4 else None
        least = 1 if names.index(pre) >= names.index(post) else 0
        delay: Any = int(rng.integers(least, least + 3))
        ops: tuple[Op, ...] = (Linear(weight, bias),)
        if (choice := rng.integers(4)) == 0:
            ops = (Scale(rng.normal(1, 0.2, (shape[1],))), Linear(weight, bias), Scale(0.5))
        elif choice == 1:
            source, target = rng.integers(0, shape[1], 7), rng.integers(0, shape[0], 7)  # some pairs twice
            ops, delay = (Sparse(source, target, rng.normal(0.1, 0.5, 7), shape, bias),), rng.integers(least, 4, 7)
        elif choice == 2:
            delay = rng.integers(least, least + 3, shape)
        projections.append(Projection(pre, post, ops, delay=delay))
    net = Network(populations, projections, dt=DT, discretisation=str(rng.choice(["exponential", "euler"])))
    x = {n: (rng.random((9, 2, sizes[n])) < 0.5) * rng.choice([F(1), F(2), F(-0.7)], (9, 2, sizes[n])) for n in "ab"}
    return net, {n: v.astype(F) for n, v in x.items()}


def same(a: Run, spikes: dict[str, np.ndarray], states: dict[str, dict[str, np.ndarray]]) -> None:
    for name, z in spikes.items():
        np.testing.assert_array_equal(a.spikes[name], z, err_msg=name)
    for name, s in states.items():
        for variable, value in s.items():
            np.testing.assert_array_equal(getattr(a.state.neurons[name], variable), value, err_msg=f"{name}.{variable}")


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_random_networks_equal_a_naive_simulator_to_the_bit(seed: int) -> None:
    net, x = random_network(seed)
    same(run(net, x), *naive(net, x))


def images(seed: int) -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    convolve = Conv2d(rng.normal(0.1, 0.5, (4, 1, 3, 2)), rng.normal(0, 0.1, 4), (2, 1), (1, 1), (1, 2), groups=2)
    after = convolve.out_shape((2, 6, 5))
    pooled: Op = (SumPool2d((2, 1), padding=(1, 0)), AvgPool2d(2, (1, 2)))[seed % 2]
    size = int(np.prod(pooled.out_shape(after)))
    net = Network(
        {
            "in": Population((2, 6, 5), kind="input"),
            "conv": Population(after, LIF(v_threshold=np.full((4, 1, 1), 0.5))),
            "same": Population(after, IF()),
            "sum": Population(after),
            "out": Population((3,), LI()),
        },
        [
            Projection("in", "conv", convolve),
            Projection("conv", "same", Conv2d(rng.normal(0, 0.4, (4, 4, 3, 3)), padding=1), delay=1),
            Projection("same", "conv", (), delay=1),
            Projection("conv", "sum"),
            Projection("same", "sum", Scale(rng.normal(1, 0.1, (4, 1, 1)))),
            Projection("sum", "out", (pooled, Flatten(), Linear(rng.normal(0, 0.3, (3, size)), [0.1, 0.0, -0.1]))),
        ],
        dt=DT,
    )
    return net, (rng.random((4, 2, 2, 6, 5)) < 0.3).astype(F)


@pytest.mark.parametrize("seed", [0, 1])
def test_convolutions_pooling_and_residual_sums_equal_a_naive_simulator(seed: int) -> None:
    net, x = images(seed)
    result = run(net, x)
    same(result, *naive(net, {"in": x}))
    assert result.counts.populations["same"].spikes > 10
    assert result.output.shape == (4, 2, 3)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 8), max_size=3, unique=True))
def test_chunks_that_carry_the_state_equal_the_whole(seed: int, cuts: list[int]) -> None:
    net, x = random_network(seed)
    whole, state, pieces = run(net, x), None, []
    for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 9], strict=True):
        piece = run(net, {n: v[a:b] for n, v in x.items()}, state=state)
        state = piece.state
        pieces.append(piece)
    for name, z in whole.spikes.items():
        np.testing.assert_array_equal(np.concatenate([p.spikes[name] for p in pieces]), z)
    assert state is not None and state.step == whole.state.step == 9
    for name, s in whole.state.neurons.items():
        np.testing.assert_array_equal(np.stack(state.neurons[name]), np.stack(s))
    for name, h in whole.state.history.items():
        np.testing.assert_array_equal(state.history[name], h)


@pytest.mark.parametrize("rows", [[2, 0], np.array([False, True, True]), slice(1, 3), 1, np.int64(2)])
def test_select_keeps_the_samples_it_is_asked_for(rows: Any) -> None:
    net, x = sample_network(3)
    first = run(net, x[:20])
    kept = first.state.select(rows)
    index = np.atleast_1d(np.arange(3)[rows])
    assert kept.step == 20
    rest = run(net, x[20:, index], state=kept)
    whole = run(net, x)
    np.testing.assert_array_equal(rest.output, whole.output[20:][:, index])


def test_a_run_leaves_input_and_state_as_they_were() -> None:
    net, x = sample_network(1)
    first = run(net, x[:10])
    before = [x.copy(), *(np.stack(s).copy() for s in first.state.neurons.values())]
    histories = {n: h.copy() for n, h in first.state.history.items()}
    run(net, x[10:], state=first.state)
    for old, now in zip(before, [x, *(np.stack(s) for s in first.state.neurons.values())], strict=True):
        np.testing.assert_array_equal(old, now)
    assert all(np.array_equal(histories[n], h) for n, h in first.state.history.items())


def test_traces_hold_the_states_after_each_step_and_the_margin_before_the_reset() -> None:
    net = Network(
        {"in": Population((2,), kind="input"), "out": Population((2,), LIF(v_threshold=0.5, v_reset=-1.0))},
        [Projection("in", "out")],
        dt=DT,
    )
    x = np.random.default_rng(0).normal(0.2, 0.4, (30, 2, 2)).astype(F)
    result = Float32().run(net, x, traces={"out": ["v", "margin"]})
    v, margin = result.traces["out"]["v"], result.traces["out"]["margin"]
    spiked = result.output > 0
    assert spiked.sum() > 5
    np.testing.assert_array_equal(spiked, margin > 0)
    np.testing.assert_array_equal(v[spiked], -1.0)
    np.testing.assert_allclose(v[~spiked] - F(0.5), margin[~spiked], atol=1e-6)
    np.testing.assert_array_equal(v[-1], result.state.neurons["out"].v)


@pytest.mark.parametrize("model", [LIF(comparison=">="), IF(spikes="many", comparison=">=", reset="soft")])
def test_the_margin_of_every_comparison_vanishes_at_a_tie(model: Any) -> None:
    net = Network({"in": Population((3,), kind="input"), "out": Population((3,), model)}, [Projection("in", "out")], DT)
    values = [1.0, 1.25, 0.5] if isinstance(model, LIF) else [2.0, 2.25, 0.5]
    margin = Float32().run(net, np.array([[values]], F), traces={"out": ["margin"]}).traces["out"]["margin"]
    assert np.abs(margin).tolist() == [[[0.0, 0.25, 0.5]]]


def test_unknown_traces_are_refused_with_the_known_ones() -> None:
    net, x = sample_network()
    with pytest.raises(UnsupportedError, match="population of neurons 'sum': unknown; known are first, output, second"):
        Float32().run(net, x, traces={"sum": ["v"]})
    with pytest.raises(UnsupportedError, match="variable of first 'u': unknown; known are i, margin, v"):
        Float32().run(net, x, traces={"first": ["u"]})


def test_events_are_binned_by_the_step_of_the_network() -> None:
    events = Events.from_columns([0, 900, 999, 2500], x=[0, 1, 1, 2], shape=(3,))
    net = Network({"in": Population((3,), kind="input"), "out": Population((3,))}, [Projection("in", "out")], dt="1 ms")
    assert run(net, events).output[:, 0].tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(run(net, {"in": events}).output, run(net, events).output)


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.uint8, np.bool_, list, torch.tensor])
def test_real_numbers_of_any_type_are_taken(kind: Any) -> None:
    net, x = sample_network()
    given_ = x[:5].tolist() if kind is list else kind(x[:5]) if kind is torch.tensor else x[:5].astype(kind)
    np.testing.assert_array_equal(run(net, given_).output, run(net, x[:5]).output)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((5, 20)), "found shape .5, 20.; expected .T, B, 20."),
        (np.zeros((3, 20)), r"add the batch axis with x\[:, None\]"),
        (np.zeros((5, 2, 19)), "found shape"),
        (np.zeros((5, 2, 20, 1)), "found shape"),
        (np.zeros((0, 2, 20)), "found 0 steps and 2 samples"),
        (np.zeros((5, 0, 20)), "found 5 steps and 0 samples"),
        (np.zeros((5, 2, 20), complex), "found dtype complex128"),
        (np.full((5, 2, 20), "1"), "found dtype <U1"),
        (np.full((5, 2, 20), None), "found dtype object"),
        (np.full((5, 2, 20), np.nan), r"found nan at \[0, 0, 0\]"),
        (np.full((5, 2, 20), 1e300), r"found inf at \[0, 0, 0\]"),
        ({}, "input input: missing"),
    ],
)
def test_bad_input_is_refused_with_what_was_found(x: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        run(sample_network()[0], x)


def test_inputs_by_name_must_be_complete_known_and_of_one_length() -> None:
    net, x = random_network(0)
    assert net.inputs == ("a", "b")
    with pytest.raises(ShapeError, match="pass a mapping by name"):
        run(net, x["a"])
    with pytest.raises(ShapeError, match="input b: missing"):
        run(net, {"a": x["a"]})
    with pytest.raises(UnsupportedError, match="'c': unknown; known are a, b"):
        run(net, {**x, "c": x["a"]})
    with pytest.raises(ShapeError, match="same steps and samples"):
        run(net, {"a": x["a"], "b": x["b"][:-1]})


def test_states_of_another_batch_or_network_are_refused() -> None:
    net, x = sample_network()
    state = run(net, x[:5]).state
    for other in (x[5:, :2], np.repeat(x[5:], 2, axis=1)):
        with pytest.raises(ShapeError, match="a state belongs to one network and one batch"):
            run(net, other, state=state)
    small, y = sample_network(hidden=29)
    with pytest.raises(ShapeError, match="state of first"):
        run(small, y, state=state)
    plain = Network(
        {"input": Population((20,), kind="input"), "first": Population((30,), LIF())},
        [Projection("input", "first", Linear(np.ones((30, 20))), delay=2)],
        dt=DT,
    )
    with pytest.raises(ShapeError, match="state of first: found CubaLIFState"):
        run(plain, x, state=state)
    junction = Network(
        {"input": Population((20,), kind="input"), "late": Population((20,))},
        [Projection("input", "late", delay=4)],
        dt=DT,
    )
    with pytest.raises(ShapeError, match="history of input: found nothing"):
        run(junction, x, state=state)


def test_output_asks_for_one_output() -> None:
    net = Network(
        {"in": Population((1,), kind="input"), "b": Population((1,)), "c": Population((1,))},
        [Projection("in", "b"), Projection("in", "c")],
        dt=DT,
    )
    with pytest.raises(UnsupportedError, match=r"outputs .'b', 'c'."):
        _ = run(net, np.ones((1, 1, 1))).output


class Ternary(Float32):
    """The example of the style guide: another arithmetic is a few lines."""

    name = "ternary"

    def op(self, op: Op, in_shape: tuple[int, ...]) -> LinearMap:
        if isinstance(op, Linear):
            op = Linear(np.sign(op.weight) * np.abs(op.weight).mean(), op.bias)
        return super().op(op, in_shape)


def test_the_reference_and_another_arithmetic_keep_the_contract() -> None:
    check_target(Float32())
    net, x = sample_network()
    scaled = [
        Linear(np.sign(w) * np.abs(w).mean(), b)
        for w, b in ((p.ops[0].weight, p.ops[0].bias) for p in net.projections if p.ops)
    ]  # type: ignore[attr-defined]
    first = Network(
        {n: net.populations[n] for n in ("input", "first")},
        [Projection("input", "first", scaled[0]), Projection("first", "first", scaled[1], delay=1)],
        dt=net.dt,
    )
    np.testing.assert_array_equal(Ternary().run(net, x).spikes["first"], run(first, x).spikes["first"])
    assert not np.array_equal(run(net, x).spikes["first"], run(first, x).spikes["first"])


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_the_order_of_the_batch_does_not_matter(seed: int) -> None:
    net, x = random_network(seed)
    back = run(net, {n: v[:, ::-1] for n, v in x.items()})
    for name, z in run(net, x).spikes.items():
        np.testing.assert_array_equal(back.spikes[name][:, ::-1], z)


def test_every_error_is_one_of_ours() -> None:
    net, x = sample_network()
    for bad in (None, "x", 3, object(), [[[None]]], {"input": None}, x[..., None]):
        with pytest.raises(SpikelabError):
            run(net, bad)


def test_spikes_of_both_signs_are_counted_and_graded_ones_once_each() -> None:
    x = np.random.default_rng(0).normal(0, 0.7, (50, 2, 3))
    for model in (TernaryLIF(), SigmaDelta(v_threshold=0.5)):
        net = Network(
            {"in": Population((3,), kind="input"), "out": Population((3,), model)}, [Projection("in", "out")], 1e-3
        )
        result = run(net, x)
        z = result.spikes["out"]
        assert (z < 0).any() and (z > 0).any()
        assert result.counts.populations["out"].spikes == np.count_nonzero(z)
        assert np.array_equal(EventDriven().run(net, x).spikes["out"], z)
