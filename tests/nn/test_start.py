"""`initialise`: the spread that is asked for, in every weight, from torch's generator."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from spikelab import nn
from spikelab.errors import UnitError, UnsupportedError


def model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(4, 32, 3),
        nn.LIF(dt="1 ms"),
        nn.Flatten(),
        nn.Linear(800, 200),
        nn.LIF(recurrent=True, dt="1 ms"),
        nn.Linear(200, 100),
        nn.LI(dt="1 ms"),
    )


def test_weights_are_uniform_with_the_standard_deviation_asked_for() -> None:
    made = model()
    torch.manual_seed(0)
    nn.initialise(made, gain=2.0, recurrent_gain=0.7, readout_gain=0.4)
    for k, weight, gain in ((0, "weight", 2.0), (3, "weight", 2.0), (4, "weight_rec", 0.7), (5, "weight", 0.4)):
        w = getattr(made[k], weight).detach()
        expected = gain / math.sqrt(w[0].numel())
        assert float(w.std()) == pytest.approx(expected, rel=0.05)
        assert math.sqrt(3) * 0.95 * expected < float(w.abs().max()) <= math.sqrt(3) * expected * (1 + 1e-6)
        assert float(w.mean().abs()) < 0.1 * expected
    assert all(not made[k].bias.detach().any() for k in (0, 3, 5))


def test_it_draws_from_torchs_generator_alone() -> None:
    drawn = []
    for seed in (1, 1, 2):
        made = model()
        torch.manual_seed(seed)
        nn.initialise(made)
        drawn.append(torch.cat([p.detach().flatten() for p in made.parameters()]))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_a_start_with_it_spikes_where_torchs_own_stays_silent() -> None:
    x = (torch.rand(60, 4, 100, generator=torch.Generator().manual_seed(0)) < 0.02).float()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(100, 50), nn.LIF(dt="1 ms"))
    own = net(x)[0].mean()
    nn.initialise(net, gain=6.0, readout_gain=6.0)
    assert 0.05 < net(x)[0].mean() > 8 * own


@pytest.mark.parametrize("name", ["gain", "recurrent_gain", "readout_gain"])
@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_a_gain_that_is_not_above_zero_is_refused(name: str, bad: float) -> None:
    with pytest.raises(UnitError, match=f"found {name}="):
        nn.initialise(model(), **{name: bad})


@pytest.mark.parametrize("wrong", [None, 3, nn.LIF, [nn.Linear(3, 2)]])
def test_what_is_no_module_is_refused(wrong: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"initialise: found \w+; expected a torch module"):
        nn.initialise(wrong)


@pytest.mark.parametrize("gain", [None, "2", float("nan"), float("inf"), 0, -1, True])
def test_a_gain_is_a_number_above_zero(gain: Any) -> None:
    with pytest.raises(UnitError, match=r"initialise: found gain=.*; expected a number above zero"):
        nn.initialise(nn.Linear(3, 2), gain=gain)
