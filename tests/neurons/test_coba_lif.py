import itertools
import math
from typing import Any

import numpy as np
import pytest

from spikelab.errors import UnitError
from spikelab.neurons import CobaLIF
from spikelab.neurons.coba_lif import CobaLIFInputs, CobaLIFState
from spikelab.neurons.primitives import NUMPY
from spikelab.testing import check_model

SILENT = CobaLIF(v_threshold=1.0)


def _walk(model: CobaLIF, excitatory: Any, inhibitory: Any, state: Any = None, dt: float = 1e-3, how: Any = "euler"):  # type: ignore[no-untyped-def]
    c = model.coefficients(dt, how)
    s, z, states = model.initial() if state is None else state, [], []
    for x in zip(excitatory, inhibitory, strict=True):
        out, s = model.step(CobaLIFInputs(*x), s, c, NUMPY)
        z.append(float(out))
        states.append(tuple(float(v) for v in s))
    return z, states


def test_a_short_sequence_gives_the_numbers_worked_out_by_hand() -> None:
    # In units of 1, Euler steps with dt / c_mem = 1/4, dt / tau_exc = 1/2, dt / tau_inh = 1/4; exact in binary.
    model = CobaLIF(
        4e-3,
        1.0,
        "2 ms",
        "4 ms",
        v_leak=0.0,
        e_exc=2.0,
        e_inh=-1.0,
        v_threshold=0.75,
        v_reset=-0.25,
        membrane="euler",
    )
    z, states = _walk(model, [1.0, 1.0, -3.0], [0.0, 1.0, 0.0])
    assert z == [0, 0, 0]
    # v = v + (-v + g_exc (2 - v) + g_inh (-1 - v)) / 4
    assert states == [(0.5, 1.0, 0.0), (0.5625, 1.5, 1.0), (0.3984375, 0.75, 0.75)]
    z, states = _walk(model, [2.0, 0.0], [0.0, 0.0])
    assert z == [1, 0]
    assert states == [(-0.25, 2.0, 0.0), (0.375, 1.0, 0.0)]
    _, states = _walk(CobaLIF(4e-3, 1.0, "2 ms", "4 ms", v_leak=0.0, membrane="euler", synapse="add_then_decay",
                              v_threshold=0.75, v_reset=0.0), [1.0], [1.0])  # fmt: skip
    assert states[0][1:] == (0.5, 0.75)


def test_it_keeps_the_contract() -> None:
    plain = CobaLIF(0.02, 1.0, v_leak=0.0, e_exc=2.0, e_inh=-0.5, v_threshold=0.8, v_reset=-0.1)
    check_model(plain, drive={"excitatory": 1.0, "inhibitory": 0.5})


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 20e-3])
def test_v_settles_at_the_mean_of_the_reversal_potentials_with_the_effective_time_constant(dt: float) -> None:
    # Under fixed conductances: v = v_inf + (v_0 - v_inf) exp(-t g / c), v_inf = sum g_k e_k / g (Gerstner et al. 2014,
    # section 1.2 with a leak and two channels); at any dt, for the step is exact.
    m, conductances = SILENT, (30e-9, 60e-9)
    inputs = [g * (1 - math.exp(-dt / tau)) for g, tau in zip(conductances, (m.tau_exc, m.tau_inh), strict=True)]
    n = max(3, round(10e-3 / dt))
    _, states = _walk(m, *([x] * n for x in inputs), CobaLIFState(m.v_leak, *conductances), dt, "exponential")
    total = m.g_leak + sum(conductances)
    settled = (m.g_leak * m.v_leak + conductances[0] * m.e_exc + conductances[1] * m.e_inh) / total
    t = np.arange(1, n + 1) * dt
    expected = settled + (m.v_leak - settled) * np.exp(-t * total / m.c_mem)
    np.testing.assert_allclose([v for v, _, _ in states], expected, rtol=1e-12)
    assert settled == pytest.approx(-54e-3)


def test_euler_steps_converge_to_the_exact_membrane_to_first_order() -> None:
    def after(membrane: str, n: int) -> float:
        start, dt = CobaLIFState(-60e-3, 30e-9, 20e-9), 5e-3 / n
        model = CobaLIF(v_threshold=1.0, tau_exc=1e3, tau_inh=1e3, membrane=membrane)  # conductances stand still
        return float(_walk(model, [0.0] * n, [0.0] * n, start, dt, "exponential")[1][-1][0])

    errors = [abs(after("euler", n) - after("exact", 1)) for n in (50, 100, 200)]
    assert all(1.8 < a / b < 2.2 for a, b in itertools.pairwise(errors))


def test_conductances_decay_by_their_own_time_constants() -> None:
    _, states = _walk(SILENT, [0.0] * 20, [0.0] * 20, CobaLIFState(-60e-3, 6e-9, 67e-9), how="exponential")
    assert states[-1][1] == pytest.approx(6e-9 * math.exp(-20 / 5), rel=1e-12)
    assert states[-1][2] == pytest.approx(67e-9 * math.exp(-20 / 10), rel=1e-12)


def test_inhibition_at_rest_is_silent_yet_lowers_what_excitation_can_reach() -> None:
    shunting = CobaLIF(v_threshold=1.0, e_inh=-60e-3)
    peak = [max(v for v, _, _ in _walk(shunting, [20e-9] * 50, [g] * 50)[1]) for g in (0.0, 50e-9)]
    alone = _walk(shunting, [0.0] * 50, [50e-9] * 50)[1]
    assert all(v == pytest.approx(-60e-3, rel=1e-12) for v, _, _ in alone)
    assert peak[1] < peak[0]


def test_a_negative_input_opens_no_channel() -> None:
    assert _walk(SILENT, [-1.0], [-1.0])[1] == [(pytest.approx(-60e-3), 0.0, 0.0)]


def test_ranges_are_checked() -> None:
    with pytest.raises(UnitError, match=r"CobaLIF.g_leak: found 0.0 S; expected a value above zero"):
        CobaLIF(g_leak=0.0)
    with pytest.raises(UnitError, match=r"CobaLIF.tau_exc: found 0.005 s, which is shorter than dt of 0.01 s"):
        CobaLIF().coefficients(0.01, "euler")
