"""The sliding PSN: a filter and a comparison, whose closed forms are shifts."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab import hardware as hw
from spikelab.clocked import run
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.network import Network, Population, Projection
from spikelab.neurons import SlidingPSN
from spikelab.neurons.primitives import NUMPY
from spikelab.ops import Linear
from spikelab.testing import check_model

WEIGHTS = st.lists(st.floats(-1, 1), min_size=1, max_size=9)


def sums(x: np.ndarray, weights: Any) -> np.ndarray:
    """What the membrane holds, written as a convolution."""
    return np.convolve(x, weights)[: len(x)]


def walked(model: SlidingPSN, x: np.ndarray) -> tuple[np.ndarray, Any]:
    """Spikes and last state of `step` over x."""
    c, s, z = model.coefficients(1e-3, "exponential"), model.initial(), []
    for u in x:
        out, s = model.step(u, s, c, NUMPY)
        z.append(out)
    return np.array(z), s


def test_a_sliding_psn_keeps_the_contract() -> None:  # per step: the discretisation changes nothing
    check_model(SlidingPSN(weights=[0.8, -0.3, 0.5, 0.4], v_threshold=0.3), discretisations=("exponential",))


@pytest.mark.parametrize("threshold", [0.9, 0.2, 0.04, -0.1])  # between the weights: spikes tell how long h lies above
def test_the_response_to_one_spike_is_the_kernel_and_ends_with_it(threshold: float) -> None:
    weights, x = 0.5 ** np.arange(6), np.zeros(12)
    x[3] = 1.0
    z, _ = walked(SlidingPSN(weights=weights, v_threshold=threshold), x)
    h = np.concatenate([np.zeros(3), weights, np.zeros(3)])
    assert z.tolist() == (h > threshold).astype(float).tolist()


@given(WEIGHTS, st.integers(1, 30), st.integers(0, 1000))
def test_the_spikes_are_those_of_a_convolution(weights: list[float], steps: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=steps)
    h = sums(x, weights)
    z, s = walked(SlidingPSN(weights=weights, v_threshold=0.25), x)
    sure = np.abs(h - 0.25) > 1e-12
    assert np.array_equal(z[sure], (h > 0.25)[sure])
    past = np.concatenate([np.zeros(len(weights)), x])[::-1][: max(len(weights) - 1, 1)]
    assert list(s) == past.tolist()


@given(WEIGHTS, st.integers(0, 30), st.floats(-1, 1), st.integers(0, 1000))
def test_leap_is_n_steps_and_quiet_is_right(weights: list[float], n: int, x: float, seed: int) -> None:
    model = SlidingPSN(weights=weights, v_threshold=0.5)
    c = model.coefficients(1e-3, "exponential")
    start = model.State(*np.random.default_rng(seed).normal(0, 0.4, len(model.initial())))
    s, spiked = start, False
    for _ in range(n):
        z, s = model.step(x, s, c, NUMPY)
        spiked = spiked or bool(z)
    assert tuple(model.leap(x, start, c, n)) == tuple(s)
    future = [sums(np.concatenate([start[::-1], np.full(40, x)]), weights)[len(start) :]]
    quiet = model.quiet(x, start, c)
    assert quiet == (np.max(future) < 0.5) or abs(np.max(future) - 0.5) < 1e-5
    assert not (quiet and spiked)


def test_the_published_definition_weighs_from_old_to_new() -> None:
    # Fang et al. 2023, sliding PSN: H[t] = sum over i < k of W[i] X[t - k + 1 + i], S = [H above B].
    rng, k = np.random.default_rng(0), 5
    w, x = rng.normal(size=k), rng.normal(size=(60, 30))
    h = np.zeros_like(x)
    for t in range(60):
        for i in range(k):
            if t - k + 1 + i >= 0:
                h[t] += w[i] * x[t - k + 1 + i]
    z, _ = walked(SlidingPSN(weights=w[::-1], v_threshold=0.7), x)
    assert np.array_equal(z, h > 0.7) and 0.1 < z.mean() < 0.6


def test_weights_per_channel_run_on_every_back_end() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(0.4, 0.3, (4, 3, 1))
    model = SlidingPSN(weights=weights, v_threshold=rng.uniform(0.4, 0.8, (3, 1)))
    net = Network(
        {"in": Population((3, 5), kind="input"), "out": Population((3, 5), model)}, [Projection("in", "out")], "1 ms"
    )
    x = (rng.random((80, 2, 3, 5)) < 0.15).astype(np.float32)
    reference = run(net, x)
    assert 50 < reference.output.sum() < 1000
    for target in (hw.EventDriven(), hw.EventDriven("fast")):
        assert np.array_equal(target.run(net, x).output, reference.output)
    pieces, state = [], None
    for part in np.array_split(x, 5):
        piece = run(net, part, state=state)
        pieces.append(piece.output)
        state = pickle.loads(pickle.dumps(piece.state))
    assert np.array_equal(np.concatenate(pieces), reference.output)
    h = sum(weights[k] * np.concatenate([np.zeros((k, 2, 3, 5)), x[: 80 - k]]) for k in range(4))
    assert np.count_nonzero((h > model.v_threshold) != reference.output) == 0


def test_sleeping_costs_no_updates_once_the_kernel_has_passed() -> None:
    net = Network(
        {"in": Population((1,), kind="input"), "out": Population((4,), SlidingPSN())},
        [Projection("in", "out", (Linear(np.full((4, 1), 0.6)),))],
        "1 ms",
    )
    x = np.zeros((100, 1, 1), np.float32)
    x[10] = 1
    exact, fast = (hw.EventDriven(mode).run(net, x).counts.neuron_updates for mode in ("exact", "fast"))
    assert (fast, exact) == (
        8,
        24,
    )  # all look once at the start; then at the spike alone, or until it has left the state


@pytest.mark.parametrize("weights", [[], 0.5, np.zeros((0, 3))])
def test_an_order_below_one_is_refused(weights: Any) -> None:
    with pytest.raises(ShapeError, match=r"SlidingPSN.weights: found shape .* with k of at least 1; give one weight"):
        SlidingPSN(weights=weights)


@pytest.mark.parametrize("weights", [[0.1, np.nan], [np.inf]])
def test_weights_are_finite(weights: Any) -> None:
    with pytest.raises(UnitError, match=r"SlidingPSN.weights: found NaN or infinity"):
        SlidingPSN(weights=weights)


def test_weights_that_fit_no_population_are_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"SlidingPSN.weights: shape \(3,\) does not broadcast to the population \(5,\)"
    ):
        Population((5,), SlidingPSN(weights=np.ones((2, 3))))


def test_a_sliding_psn_has_no_node_in_nir() -> None:
    net = Network(
        {"in": Population(2, kind="input"), "out": Population(2, SlidingPSN())}, [Projection("in", "out")], 1e-3
    )
    with pytest.raises(UnsupportedError, match=r"population out: found SlidingPSN; expected one of .*neuron_is_known"):
        hw.nir.write(net, "/dev/null")
