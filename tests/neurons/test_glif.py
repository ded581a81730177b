import math

import numpy as np
import pytest

from spikelab import nn
from spikelab.neurons import GLIF, LIF
from spikelab.neurons.glif import GLIFCoefficients
from spikelab.neurons.primitives import NUMPY
from spikelab.testing import check_model

OPEN, SHUT = 700.0, -700.0  # sigmoid is 1, and below 1e-300


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def paper(x, decay, leak, conductance, threshold, subtract, gates):
    """The recurrence of the paper: u decays and is reset by the spike before at the start of a step."""
    g_leak, g_input, g_reset = (sigmoid(g) for g in gates)
    u, z, out = np.zeros(x.shape[1:]), np.zeros(x.shape[1:]), []
    for now in x:
        left = (1 - g_leak * (1 - decay)) * u * (1 - g_reset * z) - (1 - g_leak) * leak
        u = left + now * (1 - g_input * (1 - conductance)) - (1 - g_reset) * subtract * z
        z = (u > threshold).astype(float)
        out.append(z)
    return np.stack(out)


@pytest.mark.parametrize("gates", [(0.0, 0.0, 0.0), (1.5, -0.5, -2.0), (-1.0, 2.0, 3.0)])
def test_it_spikes_as_the_recurrence_of_the_paper(gates, walk) -> None:
    x = np.random.default_rng(0).normal(0.3, 0.6, (400, 50))
    model = GLIF(*gates, tau_mem=-1e-3 / math.log(0.25), leak_rate=62.5, v_threshold=0.5, v_subtract=0.6)
    z, _, _ = walk(model, x)
    assert np.array_equal(z, paper(x, 0.25, 0.0625, 0.5, 0.5, 0.6, gates)) and 0.05 < z.mean() < 0.9


def test_a_short_sequence_gives_the_numbers_worked_out_by_hand() -> None:
    # All gates half open: a = (1 + 1/2) / 2 = 3/4, leak 1/8, gain 3/4, half a hard reset, half of 1 V subtracted.
    model = GLIF(tau_mem="2 ms", leak_rate=250.0)
    c, s, seen = model.coefficients(1e-3, "euler"), model.initial(), []
    assert c == GLIFCoefficients(0.75, 0.125, 0.75, 0.5, 0.5, 1.0)
    for x in (1.5, 1.0, 0.0):
        z, s = model.step(x, s, c, NUMPY)
        seen.append((float(z), float(s.v)))
    # v: 1 (a tie), then 3/4 - 1/8 + 3/4 = 11/8 spikes, 33/32 (1 - 1/2) - 1/2 = 1/64, then 1/64 - 1/8
    assert seen == [(0.0, 0.75), (1.0, 1 / 64), (0.0, 0.75 * (1 / 64 - 1 / 8))]


@pytest.mark.parametrize(("gate_reset", "reset"), [(OPEN, "hard"), (SHUT, "soft")])
def test_with_gates_at_their_ends_it_is_a_lif(gate_reset: float, reset: str, walk) -> None:
    x = np.random.default_rng(0).normal(0.3, 0.6, (400, 50))
    a = math.exp(-1 / 20)
    z, _, _ = walk(GLIF(OPEN, SHUT, gate_reset, v_subtract=a), x)  # after the decay one threshold is a
    same, _, _ = walk(LIF("20 ms", reset=reset), x)
    assert np.array_equal(z, same) and z.any()


def test_the_linear_leak_takes_its_rate_off_the_membrane(walk) -> None:
    v = walk(GLIF(SHUT, SHUT, SHUT, leak_rate=5.0), np.zeros(20))[2]
    np.testing.assert_allclose(v, -5.0 * 1e-3 * np.arange(1, 21), rtol=1e-12)


def test_the_rate_of_a_linear_leak_with_soft_reset_is_that_of_charge_conservation(walk) -> None:
    # v gains x - leak a step and loses 1 V a spike: rate = (x - leak) per step.
    x = np.linspace(0.02, 0.9, 40)
    z, _, _ = walk(GLIF(SHUT, SHUT, SHUT, leak_rate=10.0), np.tile(x, (5000, 1)))
    np.testing.assert_allclose(z.mean(axis=0), x - 0.01, atol=1e-3)


def test_the_layer_learns_all_of_it() -> None:
    layer = nn.GLIF(dt="1 ms", shape=3)
    names = {n for n, _ in layer.named_parameters()}
    assert names == {
        *("gate_leak", "gate_input", "gate_reset", "v_threshold", "v_subtract"),
        *("log_tau_mem", "log_leak_rate", "log_conductance"),
    }
    assert all(p.shape == (3,) for p in layer.parameters())


def test_it_keeps_the_contract() -> None:
    check_model(GLIF(leak_rate=20.0), drive=0.4)
