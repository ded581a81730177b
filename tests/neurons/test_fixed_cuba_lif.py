"""The neuron in whole numbers against the same update in NumPy integers: equal states, in float32 and float64."""

from typing import Any

import numpy as np
import pytest

from spikelab.errors import UnitError, UnsupportedError
from spikelab.neurons import CubaLIF, FixedCubaLIF, threads
from spikelab.neurons.kernel import kernel
from spikelab.neurons.primitives import NUMPY
from spikelab.testing import check_model

STEPS, NEURONS = 300, 400
EDGE = 2**23


def integers(model: FixedCubaLIF, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chip's update, in 64-bit integers: all spikes, and u and v at the end."""

    def kept(n: np.ndarray, decay: Any) -> np.ndarray:
        return np.sign(n) * (np.abs(n) * (4096 - np.asarray(decay, np.int64)) >> 12)

    u = v = np.zeros(x.shape[1:], np.int64)
    threshold, bias = (np.rint(4096 * np.asarray(p)).astype(np.int64) for p in (model.v_threshold, model.bias))
    spikes, largest = [], 0
    for a in np.trunc(x.astype(np.float64) * 4096).astype(np.int64):
        u = kept(u, model.i_decay) + a
        if model.overflow == "24 bit":
            u = np.where(u > EDGE, u - 2 * EDGE, np.where(u <= -EDGE, u + 2 * EDGE, u))
        v = kept(v, model.v_decay) + u + bias
        if model.overflow == "24 bit":
            v = np.clip(v, -EDGE + 1, EDGE - 1)
        z = v > threshold
        v = np.where(z, 0, v)
        spikes.append(z)
        largest = max(largest, np.abs(u).max(), np.abs(v).max())
    assert x.dtype == np.float64 or largest < 2**24
    return np.stack(spikes), u, v


def stepped(model: FixedCubaLIF, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    c = model.coefficients(1e-3, "euler")
    c = type(c)(*(np.asarray(v, x.dtype) for v in c))
    s = model.State(*(np.zeros_like(x[0]) for _ in range(2)))
    spikes = []
    for u in x:
        z, s = model.step(u, s, c, NUMPY)
        spikes.append(z)
    return np.stack(spikes), *s


def by_kernel(model: FixedCubaLIF, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k = kernel(model, dtype=x.dtype.name)
    c, z = model.coefficients(1e-3, "euler"), np.empty_like(x)
    start = np.zeros((2, x.shape[1]), x.dtype)
    end = np.empty_like(start)
    scalars = [x.dtype.type(getattr(c, name)) for name in k.scalars]
    k.forward([x], scalars, start[:0], start, z, end, np.zeros((0, *start.shape), x.dtype), 0)
    return z, *end


PER_NEURON = {"i_decay": np.arange(NEURONS) % 41 * 100.0 + 96, "v_decay": np.arange(NEURONS) * 10.0}
CASES = {
    "slow": (FixedCubaLIF(7, 1, v_threshold=200.0), 0.25),
    "fast": (FixedCubaLIF(4096, 4096, v_threshold=0.5), 1.0),
    "no leak": (FixedCubaLIF(0, 0, v_threshold=500.0, bias=-0.25), 0.25),
    "each neuron its own": (FixedCubaLIF(**PER_NEURON), 0.5),
    "over the edge": (FixedCubaLIF(50, 30, v_threshold=2000.0, bias=1.0, overflow="24 bit"), 500.0),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_states_and_spikes_are_those_of_integers(name: str, dtype: Any) -> None:
    model, scale = CASES[name]
    x = np.random.default_rng(0).normal(scale / 8, scale, (STEPS, NEURONS)).astype(np.float32).astype(dtype)
    expected, u, v = integers(model, x)
    z, *state = stepped(model, x)
    assert 0 < np.count_nonzero(expected) < z.size
    assert np.array_equal(z, expected) and np.array_equal(state, (u, v))


@pytest.mark.parametrize("name", ["no leak", "over the edge"])
def test_the_kernel_gives_the_same_integers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PARALLEL_FROM", 10**9)  # spares a compilation
    model, scale = CASES[name]
    for dtype in (np.float32, np.float64):
        x = np.random.default_rng(1).normal(scale / 8, scale, (STEPS, NEURONS)).astype(np.float32).astype(dtype)
        expected, u, v = integers(model, x)
        z, *state = by_kernel(model, x)
        assert np.array_equal(z, expected) and np.array_equal(state, (u, v))


def test_a_state_at_its_end_wraps_or_stays() -> None:
    model = FixedCubaLIF(0, 0, v_threshold=4000.0, overflow="24 bit")
    x = np.array([[2047.0], [1.0], [1 / 4096]])  # 2^23 - 4096, 2^23, one more
    us = [float(stepped(model, x[: k + 1])[1][0]) for k in range(3)]
    assert us == [EDGE - 4096, EDGE, 1 - EDGE]
    assert stepped(model, -x)[2][0] <= EDGE - 1
    z, _, v = stepped(FixedCubaLIF(0, 0, v_threshold=2047.5, overflow="24 bit"), np.full((3, 1), -2000.0))
    assert not z.any() and v[0] >= 1 - EDGE


def test_float32_loses_bits_from_2_to_the_24_on() -> None:
    model = FixedCubaLIF(0, 0, v_threshold=10**6)
    x = np.full((3, 1), 2000 + 1 / 4096, np.float32)
    x = np.concatenate([x, np.full((1, 1), 1 / 4096, np.float32)])
    _, u, v = integers(model, x.astype(np.float64))
    assert abs(v[0]) > 2**24
    assert stepped(model, x)[2][0] != v[0]
    assert stepped(model, x.astype(np.float64))[2][0] == v[0]
    assert stepped(model, x.astype(np.float64))[1][0] == u[0]


def test_it_follows_the_neuron_in_real_numbers() -> None:
    fixed = FixedCubaLIF(i_decay=1024, v_decay=512)
    real = CubaLIF(tau_syn=4e-3, tau_mem=8e-3)  # Euler: 1/4 and 1/8 lost per step of 1 ms
    x = np.random.default_rng(2).normal(0.02, 0.1, (200, 50))
    z, _, _ = stepped(fixed, x)
    c = real.coefficients(1e-3, "euler")
    s = real.State(np.zeros(50), np.zeros(50))
    expected = []
    for u in x:
        spike, s = real.step(u, s, c, NUMPY)
        expected.append(spike)
    assert abs(z.sum() / np.sum(expected) - 1) < 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"i_decay": 0.25}, r"i_decay: found 0.25; expected a whole number of 1; the nearest is 0.0"),
        ({"v_decay": 4097}, r"v_decay: found 4097.0; expected 4096ths from 0 to 4096"),
        ({"v_decay": -1}, r"v_decay: found -1.0; expected 4096ths"),
        (
            {"v_threshold": 0.3},
            r"v_threshold: found 0.3; expected a whole number of 1 / 4096 V; the nearest is 0.30004",
        ),
        ({"bias": np.array([0.5, 1e-5])}, r"bias: found 1e-05; expected a whole number of 1 / 4096 V"),
    ],
)
def test_what_is_no_whole_number_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UnitError, match=message):
        FixedCubaLIF(**arguments)


def test_an_unknown_overflow_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="overflow"):
        FixedCubaLIF(overflow="32 bit")


def test_it_keeps_the_contract() -> None:
    check_model(FixedCubaLIF(i_decay=819, v_decay=410, bias=1 / 64, overflow="24 bit"))
