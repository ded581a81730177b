"""Run a network on events as they come, carrying its state from window to window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spikelab.clocked.driver import Float32
from spikelab.clocked.result import Run, RunState
from spikelab.errors import ShapeError
from spikelab.events import bin_events
from spikelab.events.live import Live, Window
from spikelab.events.steps import step_us
from spikelab.network import Network, must_be_network

__all__ = ["run_live"]


def run_live(
    net: Network,
    live: Live,
    target: Float32 | None = None,
    state: RunState | None = None,
) -> Iterator[tuple[Window, Run]]:
    """Run a network on each window of a live source.

    The state that a window leaves is that with which the next one starts, so a source that loses nothing gives the
    spikes of one run over all of it. Over windows that were left out (`window.skipped`) the state stands still.

    Args:
        net: a network with one input, of the shape that `bin_events` gives for the sensor.
        live: the source; its window is a whole number of the network's steps.
        target: what to run on; None takes the float32 reference.
        state: of an earlier run, to continue it; go on from `run.state`.

    Yields:
        Each window and its run.

    Raises:
        ShapeError: a window that is not a whole number of steps, or as the target's `run`.

    Example:
        >>> from spikelab.events import Events
        >>> from spikelab.network import Network, Population, Projection
        >>> from spikelab.neurons import LIF
        >>> populations = {"in": Population(8, kind="input"), "out": Population(8, LIF())}
        >>> net = Network(populations, [Projection("in", "out")], "1 ms")
        >>> events = Events.from_columns(t=[0, 100, 1500, 1600, 5200], x=[3, 3, 4, 4, 5], shape=(8,))
        >>> with Live([events], (8,), "2 ms", full="wait") as live:
        ...     [int(run.output.sum()) for window, run in run_live(net, live)]
        [2, 0, 0]
    """
    must_be_network(net, "run_live")
    steps = live.window_us / step_us(net.dt)
    if steps != int(steps):
        raise ShapeError(
            f"run_live: found windows of {live.window_us} us and steps of {float(step_us(net.dt)):g} us; expected a "
            "whole number of steps in a window; choose another window"
        )
    return _run(net, live, int(steps), Float32() if target is None else target, state)


def _run(
    net: Network, live: Iterable[Window], steps: int, target: Float32, state: RunState | None
) -> Iterator[tuple[Window, Run]]:
    for window in live:
        x = bin_events(window.events, net.dt, steps, start_us=window.start_us)[:, None]
        result = target.run(net, x, state=state)
        state = result.state
        yield window, result
