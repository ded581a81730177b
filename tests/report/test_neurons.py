"""The plots of single neurons: the lines are those of the runs, and what cannot be drawn is named."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.neurons import LI, LIF, CubaLI, CubaLIF, SlidingPSN
from spikelab.report import dynamics, fi_curve, responses


def axes() -> Axes:
    return Figure(layout="constrained").add_subplot()


def drawn(ax: Axes) -> list[str]:
    ax.figure.savefig("/dev/null", format="svg")  # raises no warning
    legend = ax.get_legend()
    return [t.get_text() for t in legend.get_texts()] if legend else []


def test_dynamics_draw_the_potential_the_threshold_and_each_spike() -> None:
    ax, x = axes(), np.full(60, 0.2)
    dynamics(ax, LIF(tau_mem="10 ms"), x, "1 ms")
    v, spikes, a = 0.0, [], math.exp(-0.1)
    course = []
    for t in range(60):
        v = a * v + 0.2
        if v > 1:
            v = 0.0
            spikes.append(t + 0.5)
        course.append(v)
    line, level, marks = ax.lines
    assert np.allclose(line.get_ydata(), course, atol=1e-5) and line.get_xdata()[0] == 0.5
    assert set(level.get_ydata()) == {1.0} and marks.get_xdata().tolist() == spikes and len(spikes) > 3
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "v (V)")
    drawn(ax)


def test_dynamics_of_a_reading_neuron_have_no_marks() -> None:
    ax = axes()
    dynamics(ax, LI(), np.ones(20), "1 ms")
    assert len(ax.lines) == 1


def test_dynamics_show_any_state_or_what_the_comparison_saw() -> None:
    ax, x = axes(), np.eye(1, 30)[0]
    dynamics(ax, CubaLIF(tau_syn="5 ms"), x, "1 ms", of="i")
    assert np.allclose(ax.lines[0].get_ydata(), np.exp(-np.arange(30) / 5), atol=1e-6) and ax.get_ylabel() == "i (V)"
    ax = axes()
    dynamics(ax, SlidingPSN(weights=[0.5, 0.25], v_threshold=0.2), x, "1 ms")  # no v: the margin
    assert ax.lines[0].get_ydata()[:3] == pytest.approx([300, 50, -200]) and ax.get_ylabel() == "v - threshold (mV)"


def test_fi_curves_are_the_rates_in_closed_form() -> None:
    ax, x, a = axes(), np.array([0.0, 0.04, 0.08, 0.2]), math.exp(-1 / 20)
    fi_curve(ax, {"LIF": LIF(), "none": LIF(v_threshold=9.0)}, x, "1 ms", time="4 s")
    for drive, rate in zip(x, ax.lines[0].get_ydata(), strict=True):
        steps = math.inf if drive <= 1 - a else math.log(1 - (1 - a) / drive) / math.log(a)
        expected = 0 if math.isinf(steps) else 1000 / math.floor(steps + 1)  # a hard reset starts anew
        assert rate == pytest.approx(expected, abs=1.0)
    assert not np.any(ax.lines[1].get_ydata()) and drawn(ax) == ["LIF", "none"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("constant input (mV)", "rate (Hz)")


def test_responses_are_the_kernels_in_closed_form() -> None:
    ax = axes()
    responses(ax, {"LIF": LIF(v_leak=0.3), "LI": LI(), "CubaLI": CubaLI("5 ms", "20 ms")}, "1 ms", time="50 ms")
    t = np.arange(50)
    a, b = math.exp(-1 / 20), math.exp(-1 / 5)
    assert np.allclose(ax.lines[0].get_ydata(), a**t, atol=1e-5)
    assert np.allclose(ax.lines[1].get_ydata(), a**t, atol=1e-5)
    assert np.allclose(ax.lines[2].get_ydata(), (a ** (t + 1) - b ** (t + 1)) / (a - b), atol=1e-5)
    assert drawn(ax) == ["LIF", "LI", "CubaLI"]


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda ax: dynamics(ax, LIF, [1.0], 1e-3), UnsupportedError, "dynamics: found .*expected a neuron model"),
        (lambda ax: dynamics(ax, LIF(), [], 1e-3), ShapeError, "dynamics: input x: found .*expected one axis"),
        (lambda ax: dynamics(ax, LIF(), [[1.0]], 1e-3), ShapeError, "dynamics: input x: found"),
        (lambda ax: dynamics(ax, LIF(), [np.nan], 1e-3), ShapeError, "expected one axis of finite numbers"),
        (lambda ax: dynamics(ax, LIF(), {"y": [1.0]}, 1e-3), UnsupportedError, "port of LIF 'y': unknown"),
        (lambda ax: dynamics(ax, LIF(), [1.0], 1e-3, of="w"), UnsupportedError, "of 'w': unknown; known are margin, v"),
        (lambda ax: dynamics(ax, LI(), [1.0], 1e-3, of="margin"), UnsupportedError, "of 'margin': unknown"),
        (lambda ax: dynamics(ax, LIF(), [1.0], "1 mV"), UnitError, "dt"),
        (lambda ax: fi_curve(ax, {}, [1.0], 1e-3), ShapeError, "fi_curve: models: found"),
        (lambda ax: fi_curve(ax, {"LI": LI()}, [1.0], 1e-3), UnsupportedError, "LI: found LI, which never spikes"),
        (lambda ax: fi_curve(ax, {"a": LIF()}, [1.0], 1e-3, time=1e-3), ShapeError, "found 1 steps .*at least 2"),
        (lambda ax: fi_curve(ax, {"a": LIF()}, [1.0], 1e-3, port="y"), UnsupportedError, "port of LIF 'y': unknown"),
        (lambda ax: responses(ax, {"a": LIF()}, 1e-3, size=1.5), UnsupportedError, "a: found spikes with size=1.5"),
        (lambda ax: responses(ax, {"a": 3}, 1e-3), UnsupportedError, "responses: found 3; expected a neuron"),
        (lambda ax: responses(ax, {"a": LI()}, 1e-3, time=1e-5), ShapeError, "found 0 steps"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw(axes())
