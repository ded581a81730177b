"""A network on a live source gives the spikes of one run over all of it."""

from __future__ import annotations

import numpy as np
import pytest

from spikelab.clocked import Float32, run, run_live
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.events import Events, Live
from spikelab.hardware.event_driven import EventDriven
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LI, CubaLIF
from spikelab.ops import Flatten, Linear


@pytest.fixture
def net() -> Network:
    rng = np.random.default_rng(0)
    return Network(
        {"in": Population((2, 6, 5), kind="input"), "hidden": Population(20, CubaLIF()), "out": Population(3, LI())},
        [
            Projection("in", "hidden", (Flatten(), Linear(rng.normal(0, 1, (20, 60))))),
            Projection("hidden", "hidden", Linear(rng.normal(0, 0.3, (20, 20))), delay=3),
            Projection("hidden", "out", Linear(rng.normal(0, 1, (3, 20)))),
        ],
        dt="1 ms",
    )


@pytest.fixture
def events() -> Events:
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 60_000, 900))
    return Events.from_columns(
        t, rng.integers(0, 5, 900), rng.integers(0, 6, 900), rng.integers(0, 2, 900), shape=(5, 6)
    )


@pytest.mark.parametrize("target", [Float32(), EventDriven()])
def test_windows_with_their_state_are_one_run(net: Network, events: Events, target: Float32) -> None:
    packets = [Events(events.array[k : k + 50], events.shape) for k in range(0, 900, 50)]
    with Live(packets, events.shape, "4 ms", full="wait") as live:
        parts = [result.output for window, result in run_live(net, live, target)]
    whole = target.run(net, events).output
    together = np.concatenate(parts)[: len(whole)]
    assert len(parts) == 15 and np.array_equal(together, whole) and np.abs(whole).max() > 0


def test_a_run_goes_on_from_a_state(net: Network, events: Events) -> None:
    first, second = events.between(0, 32_000), events.between(32_000, 60_000)
    state = run(net, first).state
    with Live([second], events.shape, "4 ms", full="wait") as live:
        parts = [result.output for _, result in run_live(net, live, state=state)]
    assert np.array_equal(np.concatenate(parts), run(net, events).output[32:])


def test_a_window_that_is_no_whole_number_of_steps_is_refused(net: Network) -> None:
    with Live([], (5, 6), "1500 us") as live, pytest.raises(ShapeError, match="whole number of steps"):
        run_live(net, live)
    with Live([], (5, 6), "1 ms") as live, pytest.raises((ShapeError, UnsupportedError)):
        run_live(None, live)  # type: ignore[arg-type]
