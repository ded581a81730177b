"""`compare`: the spikes of a module against those of its network, layer by layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikelab import nn
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.nn.comparison import layer_spikes


def model() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Linear(20, 16),
        nn.LIF(recurrent=True, dt="1 ms"),
        nn.Dropout(0.5),
        nn.Linear(16, 8),
        nn.LIF(dt="1 ms"),
        nn.Linear(8, 3),
        nn.LI(dt="1 ms"),
    )
    nn.initialise(made, gain=2.5)
    return made.eval()


X = (torch.rand(100, 6, 20, generator=torch.Generator().manual_seed(0)) < 0.2).float()


def test_a_module_agrees_with_its_network() -> None:
    made = model()
    found = nn.compare(made, nn.to_network(made, 20), X)
    assert found.decisions == 100 * 6 * (16 + 8) and found.reference_spikes > 500
    assert found.explained and found.predictions_differing == 0
    assert nn.compare(made, nn.to_network(made, 20), X.numpy()) == found


def test_a_changed_weight_is_found_in_its_layer() -> None:
    made = model()
    net = nn.to_network(made, 20)
    with torch.no_grad():
        made[3].weight.mul_(1.2)
    found = nn.compare(made, net, X)
    assert found.differing > 0 and not found.explained
    assert {d.population for d in found.first} == {"lif_4"}


def test_it_runs_in_eval_mode_and_leaves_the_mode_and_hooks_as_they_were() -> None:
    made = model()
    net = nn.to_network(made, 20)
    made.train()
    made[0].eval()  # a part that is frozen stays frozen
    assert nn.compare(made, net, X).explained  # dropout would break it
    assert made.training and not made[0].training and made[2].training
    assert not any(m._forward_hooks for m in made.modules())


def test_hooks_go_even_when_the_module_fails() -> None:
    made = model()
    net = nn.to_network(made, 20)
    with pytest.raises(ValueError, match="layer 0"):
        layer_spikes(made, net, X[..., :3])
    assert not any(m._forward_hooks for m in made.modules())


def test_spikes_bear_the_names_of_the_populations() -> None:
    made = model()
    net = nn.to_network(made, 20)
    seen = layer_spikes(made, net, X)
    assert set(seen) == {"lif_1", "lif_4", "li_6"}
    np.testing.assert_array_equal(seen["li_6"], made(X)[0].detach())


def test_a_network_of_another_dt_is_refused() -> None:
    made = model()
    net = replace(nn.to_network(made, 20), dt="7 ms")
    with pytest.raises(UnitError, match=r"compare: network: found dt 0.007 s, but layer 1"):
        nn.compare(made, net, X)


def test_what_is_no_module_network_or_input_is_refused() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.LIF(dt="1 ms"))
    net = nn.to_network(module, 3)
    with pytest.raises(UnsupportedError, match="torch module"):
        nn.compare(net, net, torch.ones(4, 1, 3))  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="Network"):
        nn.compare(module, module, torch.ones(4, 1, 3))  # type: ignore[arg-type]
    for bad in ("spikes", [[1], [1, 2]], torch.ones(4, 1, 5)):
        with pytest.raises(ShapeError):
            nn.compare(module, net, bad)


def test_a_module_without_neurons_has_nothing_to_compare() -> None:
    module = nn.Sequential(nn.Linear(3, 2))
    net = nn.to_network(module, 3, dt="1 ms")
    with pytest.raises(UnsupportedError, match=r"compare: found no neuron layer in the module.*add nn\.LIF"):
        nn.compare(module, net, torch.ones(4, 1, 3))
