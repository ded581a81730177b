"""What a sceptical user found: each claim failed before it was mended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import spikelab as sl
from spikelab import hardware as hw
from spikelab import nn
from spikelab.errors import ShapeError, SpikelabError, UnitError, UnsupportedError
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LI, LIF
from spikelab.ops import Linear


def small(model: Any = None) -> Network:
    populations = {"in": Population((2,), kind="input"), "out": Population((2,), model or LIF())}
    return Network(populations, [Projection("in", "out", Linear(np.eye(2)))], dt="1 ms")


def test_a_result_does_not_change_with_the_callers_array() -> None:
    x = np.ones((5, 1, 2), np.float32)
    runs = [target.run(small(), x) for target in (hw.Float32(), hw.EventDriven())]
    x[:] = 0
    assert all(r.spikes["in"].sum() == 10 for r in runs)


def test_values_that_are_no_spikes_are_not_priced_as_messages() -> None:
    net = Network(
        {"in": Population((2,), kind="input"), "out": Population((2,), LIF())}, [Projection("in", "out")], "1 ms"
    )
    x = np.random.default_rng(0).normal(size=(9, 1, 2)).astype(np.float32)
    run = sl.run(net, x)
    assert run.counts.populations["in"].spikes == 0
    report = hw.energy(run.counts, "loihi-2018")
    assert not [r for r in report.rows if r.term == "message_out" and r.place == "in->out"]
    assert any("in->out: transport of values" in line for line in report.not_counted)


@pytest.mark.parametrize("threshold", [0.0, -1.0])
def test_whole_thresholds_must_be_above_zero(threshold: float) -> None:
    with pytest.raises(UnitError, match="above zero"):
        LIF(v_threshold=threshold, spikes="many", comparison=">=", reset="soft")


def test_a_readout_has_no_margin() -> None:
    with pytest.raises(UnsupportedError, match="margin"):
        sl.run(small(LI()), np.ones((3, 1, 2), np.float32), traces={"out": ("margin",)})


def test_a_state_of_one_layer_is_not_that_of_a_sequence() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LIF(dt="1 ms"))
    _, state = model(torch.ones(3, 1, 2))
    with pytest.raises(ShapeError, match="LayerState"):
        model(torch.ones(3, 1, 2), state[1])


@pytest.mark.parametrize("slip", ["state", "energy"])
def test_a_run_in_place_of_its_part_is_named(slip: str) -> None:
    net, x = small(), np.ones((3, 1, 2), np.float32)
    run = sl.run(net, x)
    with pytest.raises(SpikelabError, match=r"run\.(state|counts)"):
        sl.run(net, x, state=run) if slip == "state" else hw.energy(run)  # type: ignore[arg-type]


def test_fast_mode_refuses_a_closed_form_that_cannot_be_imported() -> None:
    class Own(LIF):
        @property
        def leap(self) -> Any:
            return lambda x, s, c, n: s

    with pytest.raises(UnsupportedError, match="no import can reach"):
        hw.EventDriven("fast").run(small(Own()), np.ones((3, 1, 2), np.float32))
