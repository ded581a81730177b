"""norse in and out: not one spike differs, and what norse does otherwise is named."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spikelab import nn
from spikelab.clocked import run
from spikelab.errors import UnitError, UnsupportedError
from spikelab.neurons import threads

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # raised by norse's own import
    import norse.torch as norse
    from norse.torch.functional.reset import reset_subtract, reset_value
    from norse.torch.functional.threshold import threshold

STEPS, BATCH, NEURONS = 200, 8, 64  # 102,400 decisions


def t(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float32)


LIF = {"tau_syn_inv": t(180.0), "tau_mem_inv": t(90.0), "v_leak": t(0.05), "v_th": t(0.9), "v_reset": t(-0.1)}
BOX = {k: LIF[k] for k in ("tau_mem_inv", "v_leak", "v_th", "v_reset")}
CELLS: dict[str, Callable[[], Any]] = {
    "LIFCell": lambda: norse.LIFCell(norse.LIFParameters(**LIF)),
    "LIFCell per neuron": lambda: norse.LIFCell(
        norse.LIFParameters(**{**LIF, "v_th": torch.linspace(0.5, 1.5, NEURONS)})
    ),
    "LIFBoxCell hard": lambda: norse.LIFBoxCell(norse.LIFBoxParameters(**BOX, reset_method=reset_value)),
    "LIFBoxCell soft": lambda: norse.LIFBoxCell(norse.LIFBoxParameters(**BOX, reset_method=reset_subtract)),
    "IAFCell": lambda: norse.IAFCell(norse.IAFParameters(v_th=t(3.0), v_reset=t(-0.25))),
}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PARALLEL_FROM", 10**9)  # spares a compilation


def current(name: str) -> Tensor:
    scale, mean = {"LIFBox": (6.0, 3.0), "IAF": (0.8, 0.2)}.get(name.split("Cell")[0], (1.2, 0.8))
    generator = torch.Generator().manual_seed(0)
    return torch.randn(STEPS, BATCH, NEURONS, generator=generator) * scale + mean


def steps_of(cell: Any, x: Tensor) -> tuple[Tensor, Any]:
    """norse's own loop over a cell."""
    state, outputs = None, []
    with torch.no_grad():
        for step in x:
            z, state = cell(step, state)
            outputs.append(z)
    return torch.stack(outputs), state


@pytest.mark.parametrize("name", CELLS)
def test_no_spike_differs_in_100_000_decisions(name: str) -> None:
    cell, x = CELLS[name](), current(name)
    theirs, state = steps_of(cell, x)
    with torch.no_grad():
        ours, end = nn.from_norse(cell)(x)
    assert theirs.numel() >= 100_000 and 0.02 < theirs.mean() < 0.5
    assert int((ours != theirs).sum()) == 0
    assert torch.allclose(end.neuron.v, state.v, atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_a_layer_goes_to_norse_and_gives_the_same_spikes(name: str) -> None:
    cell, x = CELLS[name](), current(name)
    back = nn.to_norse(nn.from_norse(cell))
    assert type(back) is type(cell)
    assert torch.equal(steps_of(back, x)[0], steps_of(cell, x)[0])


def test_the_network_of_a_norse_cell_gives_its_spikes() -> None:
    cell, x = CELLS["LIFCell"](), current("LIFCell")
    net = nn.to_network(nn.from_norse(cell), NEURONS)
    assert net.discretisation == "euler"
    np.testing.assert_array_equal(run(net, x).output, steps_of(cell, x)[0])


def test_leaky_integrators_give_the_same_potentials() -> None:
    cell = norse.LICell(norse.LIParameters(tau_syn_inv=t(200.0), tau_mem_inv=t(60.0), v_leak=t(0.1)))
    x = current("LI")
    theirs, state = steps_of(cell, x)
    ours, end = nn.from_norse(cell)(x)
    assert torch.allclose(ours, theirs, atol=1e-6, rtol=1e-5)
    # norse keeps the current after its decay, ours before it.
    assert torch.allclose(end.neuron.i * (1 - 200e-3), state.i, atol=1e-5)
    assert torch.allclose(steps_of(nn.to_norse(nn.from_norse(cell)), x)[0], theirs, atol=1e-7)


def test_modules_over_time_are_read_as_their_cells() -> None:
    for module, cell in (
        (norse.LIF(norse.LIFParameters(**LIF)), norse.LIFCell(norse.LIFParameters(**LIF))),
        (norse.IAF(norse.IAFParameters(v_th=t(3.0))), norse.IAFCell(norse.IAFParameters(v_th=t(3.0)))),
    ):
        x = current("LIFCell")
        with torch.no_grad():
            assert torch.equal(nn.from_norse(module)(x)[0], steps_of(cell, x)[0])


def test_a_sequence_shares_its_weights_and_spikes_alike() -> None:
    torch.manual_seed(0)
    theirs = norse.SequentialState(
        torch.nn.Linear(NEURONS, 32), CELLS["LIFCell"](), torch.nn.Linear(32, 4), norse.LICell()
    )
    with torch.no_grad():
        theirs[0].weight.mul_(4)
    ours = nn.from_norse(theirs)
    assert isinstance(ours, nn.Sequential) and ours[0].weight is theirs[0].weight
    x = (current("LIFCell") > 1.5).float()
    with torch.no_grad():
        state, outputs = None, []
        for step in x:
            y, state = theirs(step, state)
            outputs.append(y)
        expected = torch.stack(outputs)
        assert expected.abs().max() > 0.1
        assert torch.allclose(ours(x)[0], expected, atol=1e-5)
        again, state = nn.to_norse(ours), None
        for k, step in enumerate(x[:20]):
            y, state = again(step, state)
            assert torch.allclose(y, expected[k], atol=1e-5)


@pytest.mark.parametrize("alpha", [1.0, 10.0, 100.0])
def test_superspike_of_norse_ignores_alpha_and_ours_has_the_slope_it_really_uses(alpha: float) -> None:
    # norse 1.1.0, known defect: the gradient is 1 / (|x| + 1)^2 whatever alpha, whose default is 100.
    d = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0], requires_grad=True)
    threshold(d, "super", alpha).sum().backward()
    expected = torch.tensor([0.25, 1 / 2.25, 1.0, 1 / 2.25, 0.25])
    assert torch.allclose(d.grad, expected)  # type: ignore[arg-type]
    layer: Any = nn.from_norse(norse.LIFCell(norse.LIFParameters(alpha=t(alpha))))
    assert layer.surrogate == nn.SuperSpike(1.0)


def test_gradients_equal_those_of_norse() -> None:
    cell, x = norse.LIFCell(norse.LIFParameters(**LIF)), current("LIFCell")[:30, :2, :8]
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    found = []
    for run_ in (lambda u: nn.from_norse(cell)(u)[0], lambda u: torch.stack(step_by_step(cell, u))):
        u = x.clone().requires_grad_(True)
        (run_(u) * weight).sum().backward()
        found.append(u.grad)
    assert torch.allclose(*found, rtol=1e-4, atol=1e-6)  # type: ignore[misc]


def step_by_step(cell: Any, x: Tensor) -> list[Tensor]:
    state, outputs = None, []
    for step in x:
        z, state = cell(step, state)
        outputs.append(z)
    return outputs


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: norse.LIFCell(norse.LIFParameters(method="tanh")), "surrogate 'tanh'"),
        (
            lambda: norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=lambda z, v, r, th: v)),
            "reset_value or reset_sub",
        ),
        (lambda: norse.IzhikevichCell(norse.tonic_spiking), "Izhikevich"),
        (lambda: norse.LIFRecurrentCell(4, 4), "LIFRecurrentCell has no equal"),
        (lambda: norse.LSNNCell(), "LSNNCell has no equal"),
        (lambda: norse.SequentialState(torch.nn.Linear(4, 4), norse.LSNNCell()), "layer 1: norse LSNNCell"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(module: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        nn.from_norse(module())


EULER = {"discretisation": "euler", "input_gain": "dt/tau", "dt": "1 ms"}


@pytest.mark.parametrize(
    "layer",
    [
        nn.LIF(dt="1 ms"),
        nn.LIF(**{**EULER, "input_gain": "one"}),
        nn.LIF(**EULER, comparison=">="),
        nn.LIF(**EULER, reset="undecayed"),
        nn.CubaLIF(**EULER, reset="soft"),
        nn.CubaLIF(**EULER, synapse="add_then_decay"),
        nn.LIF(**EULER, recurrent=True, shape=4),
        nn.LI(**EULER),
        nn.IF(dt="1 ms", reset="soft"),
        nn.IF(dt="1 ms", spikes="many", reset="soft", comparison=">="),
    ],
    ids=lambda layer: f"{type(layer).__name__}",
)
def test_conventions_that_norse_lacks_are_refused(layer: Any) -> None:
    with pytest.raises(UnsupportedError, match="has no equal in norse"):
        nn.to_norse(layer)


def test_to_norse_needs_a_layer_and_its_time_step() -> None:
    with pytest.raises(UnsupportedError, match="found Linear; expected a neuron layer"):
        nn.to_norse(nn.Linear(2, 2))
    with pytest.raises(UnitError, match="dt of LIF is not known"):
        nn.to_norse(nn.LIF(discretisation="euler", input_gain="dt/tau"))
