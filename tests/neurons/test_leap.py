"""Closed forms that event-driven runs rely on: `leap` is n steps, `quiet` never promises too much."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.neurons import IF, LI, LIF, CubaLI, CubaLIF, NeuronModel
from spikelab.neurons.cuba_lif import CubaLIFState
from spikelab.neurons.lif import LIFState
from spikelab.neurons.primitives import NUMPY

FAR = 1e9  # a threshold that is never met
TIMES = st.floats(2e-4, 10.0)
GAINS = st.sampled_from(("one", "1-a", "dt/tau"))
SYNAPSES = st.sampled_from(("decay_then_add", "add_then_decay"))
RESETS = st.sampled_from(("hard", "soft", "none"))
VOLTS = st.floats(-3.0, 3.0)
MODELS = st.one_of(
    st.builds(LIF, TIMES, VOLTS, st.just(FAR), reset=RESETS, input_gain=GAINS),
    st.builds(CubaLIF, TIMES, TIMES, VOLTS, st.just(FAR), reset=RESETS, input_gain=GAINS, synapse=SYNAPSES),
    st.builds(IF, st.just(FAR), reset=st.sampled_from(("hard", "soft"))),
    st.builds(LI, TIMES, VOLTS, input_gain=GAINS),
    st.builds(CubaLI, TIMES, TIMES, VOLTS, input_gain=GAINS, synapse=SYNAPSES),
)


def steps(model: NeuronModel, x: Any, s: Any, c: Any, n: int) -> tuple[bool, Any]:
    spiked = False
    for _ in range(n):
        z, s = model.step(x, s, c, NUMPY)
        spiked = spiked or bool(np.any(z))
    return spiked, s


@given(
    MODELS,
    st.lists(VOLTS, min_size=2, max_size=2),
    VOLTS,
    st.integers(1, 400),
    st.sampled_from(["exponential", "euler"]),
)
def test_leap_equals_silent_steps(
    model: NeuronModel, start: list[float], x: float, n: int, discretisation: Any
) -> None:
    c = model.coefficients(1e-4, discretisation)
    s = model.State(*start[: len(model.State._fields)])
    spiked, end = steps(model, x, s, c, n)
    assert not (model.spiking and spiked)
    size = max(1.0, *(abs(float(v)) for v in end))
    assert model.leap is not None
    assert model.leap(x, s, c, n) == pytest.approx(tuple(float(v) for v in end), abs=1e-9 * size)


@pytest.mark.parametrize(
    "model", [LIF(v_leak=0.1), CubaLIF(v_leak=0.1), IF(), LI(), CubaLI()], ids=lambda m: type(m).__name__
)
def test_two_leaps_are_one_and_none_changes_nothing(model: NeuronModel) -> None:
    c, s = model.coefficients(1e-3, "exponential"), model.State(*[0.3, -0.2][: len(model.State._fields)])
    assert model.leap is not None
    assert model.leap(0.01, s, c, 0) == pytest.approx(s, abs=1e-15)
    assert model.leap(0.01, model.leap(0.01, s, c, 17), c, 25) == pytest.approx(model.leap(0.01, s, c, 42), abs=1e-13)


def test_a_leap_of_a_million_steps_ends_where_the_input_settles() -> None:
    c = CubaLIF("5 ms", "20 ms").coefficients(1e-3, "exponential")
    i = 0.01 / (1 - c.a_syn)
    end = CubaLIF().leap(0.01, CubaLIFState(0.0, 0.7), c, 10**6)  # type: ignore[misc]
    assert end == pytest.approx((i, i / (1 - c.a_mem)), rel=1e-12)


DISTANCES = st.floats(-16, 0).map(lambda e: 10**e)


@given(
    st.builds(
        LIF,
        st.floats(2e-3, 0.1),
        st.floats(-1, 0.9),
        st.floats(0.95, 2),
        reset=RESETS,
        comparison=st.sampled_from((">", ">=")),
        input_gain=GAINS,
    ),
    DISTANCES,
    st.sampled_from((-1, 1)),
    DISTANCES,
    st.sampled_from((np.float32, np.float64)),
)
def test_a_lif_that_is_called_quiet_stays_silent(model: LIF, near: float, side: int, below: float, dtype: Any) -> None:
    # A bias that settles within `near` of the threshold, from a start within `below` of it.
    c = model.coefficients(1e-3, "exponential")
    c = type(c)(*(dtype(v) for v in c))
    x = dtype((model.v_threshold * (1 + side * near) - model.v_leak) * (1 - float(c.a_mem)) / float(c.gain))
    s = LIFState(dtype(model.v_threshold * (1 - below)))
    assert model.quiet is not None
    if model.quiet(x, s, c):
        assert not steps(model, x, s, c, 400)[0]


@given(
    st.builds(
        CubaLIF,
        st.floats(2e-3, 0.05),
        st.floats(2e-3, 0.1),
        st.floats(-1, 0.9),
        st.floats(0.95, 2),
        reset=RESETS,
        comparison=st.sampled_from((">", ">=")),
        input_gain=GAINS,
        synapse=SYNAPSES,
    ),
    DISTANCES,
    st.sampled_from((-1, 1)),
    DISTANCES,
    st.floats(-1, 2),
    st.sampled_from((np.float32, np.float64)),
)
def test_a_cuba_lif_that_is_called_quiet_stays_silent(
    model: CubaLIF, near: float, side: int, below: float, start: float, dtype: Any
) -> None:
    c = model.coefficients(1e-3, "exponential")
    c = type(c)(*(dtype(v) for v in c))
    i = (model.v_threshold * (1 + side * near) - model.v_leak) * (1 - float(c.a_mem)) / float(c.gain)
    x = dtype(i * (1 - float(c.a_syn)) / (1 if model.synapse == "decay_then_add" else float(c.a_syn)))
    s = CubaLIFState(dtype(i * start), dtype(model.v_threshold * (1 - below)))
    assert model.quiet is not None
    if model.quiet(x, s, c):
        assert not steps(model, x, s, c, 400)[0]


@given(st.floats(-1, 1), DISTANCES, st.sampled_from((">", ">=")))
def test_an_if_that_is_called_quiet_stays_silent(x: float, below: float, comparison: str) -> None:
    model = IF(comparison=comparison, reset="soft")
    c, s = model.coefficients(1e-3, "exponential"), model.initial()._replace(v=1 - below)
    if model.quiet(x, s, c):
        assert not steps(model, x, s, c, 400)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", [LIF, CubaLIF])
def test_rounding_does_not_lift_a_quiet_neuron_over_its_threshold(cls: Any, dtype: Any) -> None:
    # Biases that settle a few last places (or, to be called quiet at all, 1 %) below the threshold.
    n, eps, rng = 6000, np.finfo(dtype).eps, np.random.default_rng(0)
    times = rng.uniform(2e-3, 0.1, (2 if cls is CubaLIF else 1, n))
    model = cls(*times, rng.uniform(-1, 0.9, n), rng.uniform(0.95, 2, n))
    c = model.coefficients(1e-3, "exponential")
    c = type(c)(*(np.broadcast_to(np.asarray(v, dtype), n) for v in c))
    places = np.where(np.arange(n) % 2, rng.integers(0, 60, n), 1e-2 / eps).astype(dtype)
    i = (c.v_threshold - c.v_leak) * (1 - c.a_mem) * (1 - places * eps)
    x = i * (1 - c.a_syn) if cls is CubaLIF else i
    v = c.v_threshold * (1 - rng.integers(1, 5, n).astype(dtype) * eps)
    s = model.State(*([i, v] if cls is CubaLIF else [v]))
    rows = zip(x, zip(*s, strict=True), zip(*c, strict=True), strict=True)
    quiet = np.array([model.quiet(float(a), model.State(*map(float, b)), type(c)(*map(float, d))) for a, b, d in rows])
    spiked, now = np.zeros(n, bool), s
    for _ in range(400):
        z, now = model.step(x, now, c, NUMPY)
        spiked |= z != 0
    assert quiet.sum() > n / 4 and spiked.sum() > 0
    assert np.count_nonzero(quiet & spiked) == 0


def test_a_membrane_that_overshoots_in_euler_steps_is_not_called_quiet() -> None:
    # dt = 1.5 tau: a = -1/2, so that -1 V jumps to +0.5 V, above the threshold.
    model = LIF("1 ms", v_threshold=0.3)
    c, s = model.coefficients(1e-3, "euler")._replace(a_mem=-0.5), LIFState(-1.0)
    assert steps(model, 0.0, s, c, 1)[0]
    assert not model.quiet(0.0, s, c)  # type: ignore[misc]


def test_a_synapse_that_will_lift_the_membrane_is_not_called_quiet() -> None:
    model = CubaLIF("5 ms", "20 ms")
    c, charged = model.coefficients(1e-3, "exponential"), CubaLIFState(0.4, 0.0)
    assert steps(model, 0.0, charged, c, 10)[0]
    assert not model.quiet(0.0, charged, c)  # type: ignore[misc]


@pytest.mark.parametrize("model", [LIF(), CubaLIF(), IF()], ids=lambda m: type(m).__name__)
def test_a_neuron_at_rest_without_input_is_quiet(model: NeuronModel) -> None:
    c = model.coefficients(1e-3, "exponential")
    assert model.quiet is not None
    assert model.quiet(0.0, model.initial(), c)
    assert not model.quiet(10.0, model.initial(), c)
    assert not math.isnan(float(c[0]))
