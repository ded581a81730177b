"""`to_network`: what is carried gives the same spikes, what cannot be carried is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spikelab import nn
from spikelab.clocked import run
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.ops import Conv2d, Flatten, Linear, SumPool2d

LIF = {"tau_mem": "8 ms", "dt": "1 ms"}


def spikes(*shape: int, density: float = 0.3, seed: int = 0) -> Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < density).float()


def lively(module: torch.nn.Module, gain: float = 2.5) -> torch.nn.Module:
    """Weights that spike, learnt means and variances that are not the defaults, eval mode."""
    torch.manual_seed(0)
    nn.initialise(module, gain=gain, readout_gain=gain)
    for m in module.modules():
        if isinstance(m, nn.Linear) and m.bias is not None:
            m.bias.data.uniform_(-0.1, 0.3)
        if isinstance(m, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            for value in (m.running_mean, m.running_var, m.weight, m.bias):
                if value is not None:
                    value.data.uniform_(0.5, 1.5)
    return module.eval()


def chain() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding="valid", dilation=(1, 2), groups=2),
        nn.LIF(**LIF),
        torch.nn.Identity(),
        nn.SumPool2d(2),
        torch.nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(16, 10, bias=False),
        nn.LIF(recurrent=True, **LIF),
        torch.nn.Sequential(nn.Linear(10, 3), nn.LI(dt="1 ms")),
    )


class Residual(torch.nn.Module):
    """Two branches that are summed, and a state argument as our layers take it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.a = nn.Linear(12, 8), nn.LIF(**LIF)
        self.second, self.b = nn.Linear(8, 8), nn.LIF(**LIF)
        self.out = nn.Sequential(nn.Linear(8, 3), nn.LI(dt="1 ms"))

    def forward(self, x: Tensor, state: Any = None) -> Any:
        y, first = self.a(self.first(x.flatten(2)), state)
        z, _ = self.b(self.second(y))
        w, _ = self.out(y + z)
        return w, first


def test_a_sequence_becomes_the_network_it_says() -> None:
    net = nn.to_network(lively(chain()), (2, 9, 6))
    assert list(net.populations) == ["input", "lif_1", "lif_7", "8.li_1"]
    assert [net.label(p) for p in net.projections] == ["input->lif_1", "lif_1->lif_7", "lif_7->lif_7", "lif_7->8.li_1"]
    assert [type(op) for op in net.projections[1].ops] == [SumPool2d, Flatten, Linear]
    assert net.projections[2].delay == 1
    convolve = net.projections[0].ops[0]
    assert isinstance(convolve, Conv2d)
    assert (convolve.stride, convolve.dilation, convolve.groups) == ((2, 1), (1, 2), 2)
    assert (net.dt, net.discretisation, net.outputs) == (1e-3, "exponential", ("8.li_1",))


def test_a_sequence_and_its_network_spike_alike() -> None:
    made = chain()
    made[8] = nn.Sequential(*made[8])  # ours passes the state on
    lively(made)
    x = spikes(40, 3, 2, 9, 6)
    found = nn.compare(made, nn.to_network(made, (2, 9, 6)), x)
    assert found.reference_spikes > 500 and found.explained, str(found)
    assert found.predictions_differing == 0


def test_a_residual_sum_becomes_a_junction() -> None:
    made = lively(Residual())
    net = nn.to_network(made, (3, 4))
    assert list(net.populations) == ["input", "a", "b", "add", "out.li_1"]
    assert net.populations["add"].kind == "junction"
    assert {p.pre for p in net.incoming("add")} == {"a", "b"}
    found = nn.compare(made, net, spikes(50, 2, 3, 4))
    assert found.reference_spikes > 100 and found.explained, str(found)


class Norms(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn2, self.a = nn.Conv2d(2, 3, 3, bias=False), torch.nn.BatchNorm2d(3), nn.LIF(**LIF)
        self.fc, self.bn1, self.b = nn.Linear(27, 6), torch.nn.BatchNorm1d(6, affine=False), nn.LIF(**LIF)


def test_batch_norm_folds_to_rounding_and_spikes_alike() -> None:
    parts = lively(Norms())
    made = nn.Sequential(parts.conv, parts.bn2, parts.a, nn.Flatten(), parts.fc, parts.bn1, parts.b).eval()
    net = nn.to_network(made, (2, 5, 5))
    x = spikes(40, 3, 2, 5, 5)
    image, flat = x[0], spikes(7, 27)
    convolve, linear = net.projections[0].ops[0], net.projections[1].ops[1]
    assert isinstance(convolve, Conv2d) and isinstance(linear, Linear)
    with torch.no_grad():
        expected = parts.bn2(torch.nn.functional.conv2d(image, parts.conv.weight))
        folded = torch.nn.functional.conv2d(image, torch.tensor(convolve.weight), torch.tensor(convolve.bias))
        assert torch.allclose(folded, expected, atol=1e-6, rtol=1e-6)
        expected = parts.bn1(parts.fc(flat))
        folded = torch.nn.functional.linear(flat, torch.tensor(linear.weight), torch.tensor(linear.bias))
        assert torch.allclose(folded, expected, atol=1e-6, rtol=1e-6)
    found = nn.compare(made, net, x)
    assert found.reference_spikes > 100 and found.explained, str(found)


def test_a_module_may_end_in_weights_or_share_its_output() -> None:
    ends = nn.Sequential(nn.LIF(**LIF), nn.Linear(4, 2))
    net = nn.to_network(ends, 4)
    assert net.outputs == ("output",)
    x = spikes(20, 2, 4)
    with torch.no_grad():
        np.testing.assert_allclose(run(net, x).output, ends(x)[0], atol=1e-6)

    class Tapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.LIF(**LIF), nn.LIF(**LIF)

        def forward(self, x: Tensor) -> Any:
            y, state = self.a(x)
            self.b(y)
            return y, state

    assert nn.to_network(Tapped(), 4).outputs == ("b", "output")
    assert nn.to_network(torch.nn.Identity(), 4, "1 ms").outputs == ("output",)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (torch.nn.MaxPool2d(2), "MaxPool2d"),
        (torch.nn.Softmax(-1), "Softmax"),
        (torch.nn.ReLU(), "ReLU"),
        (torch.nn.LayerNorm(4), "LayerNorm"),
        (torch.nn.GRU(4, 4), "GRU"),
        (torch.nn.ConvTranspose2d(4, 4, 3), "ConvTranspose2d"),
        (torch.nn.BatchNorm1d(4), "training mode"),
        (torch.nn.BatchNorm1d(4).eval(), "must follow a Linear or Conv2d"),
        (torch.nn.Dropout(0.5), "training mode drops values"),
        (torch.nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "padding_mode 'reflect'"),
        (torch.nn.Conv2d(4, 4, 2, padding="same"), "uneven"),
        (torch.nn.AvgPool2d(2, ceil_mode=True), "ceil_mode"),
        (torch.nn.AvgPool2d(2, padding=1, count_include_pad=False), "without counting padding"),
        (torch.nn.Flatten(3), "expected all axes behind time and batch"),
    ],
)
def test_modules_that_cannot_be_carried_are_refused_by_name(module: torch.nn.Module, name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"layer 0.*{name}"):
        nn.to_network(nn.Sequential(module, nn.LIF(dt="1 ms")), (4, 6, 6))


def test_dropout_that_drops_nothing_and_layers_in_training_mode_pass() -> None:
    net = nn.to_network(nn.Sequential(torch.nn.Dropout(0.0), nn.Linear(4, 2), nn.LIF(dt="1 ms")).train(), 4)
    assert [op.kind for op in net.projections[0].ops] == ["Linear"]


class Body(torch.nn.Module):
    """A module with two layers and the forward that a test gives it."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.lif, self.other, self.fc, self.body = nn.LIF(dt="1 ms"), nn.LIF(dt="1 ms"), nn.Linear(4, 4), body
        self.shift = torch.nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Any:
        return self.body(self, x)


def loop(m: Any, x: Tensor) -> Any:
    return torch.stack([m.lif(step[None])[0] for step in x])


def branch(m: Any, x: Tensor) -> Any:
    return m.lif(x)[0] if x.sum() > 0 else x


def swapped_state(m: Any, x: Tensor) -> Any:
    y, state = m.lif(x)
    return m.other(y, state)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (loop, "loops over time"),
        (branch, "branches on data"),
        (lambda m, x: m.lif(x[:, 0]), "getitem"),
        (lambda m, x: m.lif(torch.cat([x, x], 2)), "cat"),
        (lambda m, x: m.lif(x * 2), "mul"),
        (lambda m, x: m.lif(x - m.fc(x)), "sub"),
        (lambda m, x: m.lif(x + 1.0), "expected two signals"),
        (lambda m, x: m.lif(torch.add(x, x, alpha=2)), "expected two signals"),
        (lambda m, x: m.lif(x + m.shift), "get_attr|shift"),
        (lambda m, x: m.lif(torch.relu(x)), "relu"),
        (lambda m, x: m.lif(x.softmax(-1)), "softmax"),
        (lambda m, x: m.lif(x.flatten(1)), "start_dim=1"),
        (lambda m, x: m.lif(torch.randn_like(x)), "randn_like"),
        (lambda m, x: m.fc(m.lif(x)), r"take y with y, state = layer\(x\)"),
        (lambda m, x: m.lif(m.lif(x)[0]), "called twice"),
        (swapped_state, "a second argument"),
        (lambda m, x: (m.lif(x)[0], m.other(x)[0]), "expected one signal"),
        (lambda m, x: torch.ones(3), "_tensor_constant0"),
        (lambda m, x: None, "found None"),
    ],
)
def test_graphs_that_cannot_be_carried_are_refused_by_name(body: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        nn.to_network(Body(body), 4)


def test_two_inputs_are_refused() -> None:
    class Two(torch.nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    with pytest.raises(UnsupportedError, match="expected two signals"):
        nn.to_network(Two(), 4, "1 ms")


def test_subclasses_that_compute_something_else_are_refused() -> None:
    class Binary(torch.nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return torch.nn.functional.linear(input, self.weight.sign(), self.bias)

    class Tired(nn.LIF):
        def forward(self, x: Tensor, state: Any = None) -> Any:
            return super().forward(0.5 * x, state)

    for made in (Binary(4, 4), Tired(dt="1 ms")):
        with pytest.raises(UnsupportedError, match=f"{type(made).__name__} has a forward of its own"):
            nn.to_network(nn.Sequential(made, nn.LI(dt="1 ms")), 4)
    torch.nn.utils.parametrizations.weight_norm(plain := nn.Linear(4, 4))
    net = nn.to_network(nn.Sequential(plain, nn.LI(dt="1 ms")), 4)
    np.testing.assert_array_equal(net.projections[0].ops[0].weight, plain.weight.detach())  # type: ignore[attr-defined]


def test_shapes_that_do_not_fit_name_the_layer() -> None:
    with pytest.raises(ShapeError, match=r"layer 0 \(Linear\): Linear expects 4 inputs, found 5"):
        nn.to_network(nn.Sequential(nn.Linear(4, 2), nn.LIF(dt="1 ms")), 5)
    with pytest.raises(ShapeError, match=r"sum at add: the operands have the shapes"):
        nn.to_network(Body(lambda m, x: m.lif(x + x.flatten(2))), (2, 2), "1 ms")
    with pytest.raises(ShapeError, match="the size is not known; pass shape=4"):
        nn.to_network(nn.LIF(recurrent=True, dt="1 ms"), 4)


def test_layers_must_agree_on_the_time_step() -> None:
    two = nn.Sequential(nn.LIF(dt="1 ms"), nn.LI(dt="2 ms"))
    with pytest.raises(UnitError, match=r"layer li_1: found dt 0.002 s; expected 0.001 s"):
        nn.to_network(two, 4)
    with pytest.raises(UnitError, match="dt is not known"):
        nn.to_network(nn.Sequential(nn.LIF()), 4)
    with pytest.raises(UnitError, match=r"found dt 0.001 s; expected 0.005 s"):
        nn.to_network(nn.LIF(dt="1 ms"), 4, "5 ms")
    with pytest.raises(UnsupportedError, match="layer li_1: found discretisation 'euler'"):
        nn.to_network(nn.Sequential(nn.LIF(dt="1 ms"), nn.LI(discretisation="euler")), 4)
    assert nn.to_network(nn.Sequential(nn.LIF(), nn.LI(dt="1 ms")), 4).dt == 1e-3


def test_learnt_parameters_become_numbers_of_their_present_value() -> None:
    layer = nn.LIF(tau_mem="8 ms", learn=("tau_mem", "v_threshold"), shape=3, dt="1 ms")
    with torch.no_grad():
        layer.log_tau_mem[1] += 0.5  # type: ignore[index,operator]
        layer.v_threshold[2] = 0.25  # type: ignore[index]
    model: Any = nn.to_network(layer, 3).populations["lif"].model
    np.testing.assert_allclose(model.tau_mem, 8e-3 * np.exp([0, 0.5, 0]), rtol=1e-6)
    np.testing.assert_allclose(model.v_threshold, [1.0, 1.0, 0.25])
    with torch.no_grad():
        layer.v_threshold[2] = 9.0  # type: ignore[index]
    assert model.v_threshold[2] == 0.25  # the network is a copy


class TwoInputs(torch.nn.Module):
    """A neuron layer with two inputs, the second from an inhibitory population."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        self.wrong = wrong
        self.first, self.second, self.inhibit = nn.Linear(4, 6), nn.Linear(4, 3), nn.Linear(6, 3)
        self.lif = nn.LIF(**LIF)
        self.coba = nn.CobaLIF(
            c_mem=0.02, g_leak=1.0, v_leak=0.0, e_exc=2.0, e_inh=-0.5, v_threshold=0.8, v_reset=-0.1, dt="1 ms"
        )
        self.lone = nn.LIF(**LIF)

    def forward(self, x: Tensor) -> Any:
        y, _ = self.lif(self.first(x))
        if self.wrong == "one":
            return self.coba(self.second(x))
        if self.wrong == "two":
            return self.lone(self.coba.model.Inputs(self.second(x), self.second(x)))
        if self.wrong == "shape":
            return self.coba(self.coba.model.Inputs(self.second(x), y))
        if self.wrong == "layer":
            return self.second(self.coba.model.Inputs(x, x))
        return self.coba(self.coba.model.Inputs(self.second(x), self.inhibit(y)))[0]


def test_a_layer_with_two_inputs_becomes_a_population_with_two_ports() -> None:
    module = lively(TwoInputs())
    net = nn.to_network(module, 4)
    assert {(p.pre, p.post, p.port) for p in net.projections} == {
        ("input", "lif", "x"),
        ("input", "coba", "excitatory"),
        ("lif", "coba", "inhibitory"),
    }
    x = spikes(60, 3, 4)
    with torch.no_grad():
        y = module(x)
    assert y.any()
    np.testing.assert_array_equal(run(net, x.numpy()).output, y)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            "one",
            UnsupportedError,
            r"layer coba: found one input for CobaLIF; expected layer.model.Inputs\(excitatory, ",
        ),
        ("two", UnsupportedError, r"layer lone: found several inputs for LIF; expected one signal"),
        ("shape", ShapeError, r"layer coba: its inputs have the shapes \[\(3,\), \(6,\)\]; expected one"),
        ("layer", UnsupportedError, r"layer second: found several inputs; expected one, for Linear"),
    ],
)
def test_inputs_that_do_not_fit_a_layer_are_refused(wrong: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.to_network(TwoInputs(wrong), 4)
