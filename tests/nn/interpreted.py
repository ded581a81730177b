"""Layers on Triton kernels in Triton's interpreter; `test_gpu.py` runs this file in a process of its own.

Here Triton takes the place of Numba for CPU tensors, so that a layer walks the way that it walks on a GPU:
operators, autograd, checkpoints, the recurrent loop. The plain loop over `step` is the reference.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from spikelab import neurons, nn
from spikelab.nn import devices
from spikelab.nn.fused import channels_last

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton")
STEPS, SAMPLES, NEURONS = 30, 3, 7


@pytest.fixture(scope="module", autouse=True)
def _triton() -> None:
    devices.register("cpu")


def both(model: neurons.NeuronModel, dtype: torch.dtype = torch.float32, **options: Any) -> list[dict[str, Tensor]]:
    """Outputs and gradients of a layer on the kernels and on the loop; the sequence goes in two chunks."""
    found = []
    for use in (True, False):
        torch.manual_seed(0)
        layer = nn.Neuron(model, dt="1 ms", shape=NEURONS, fused=use, **options)
        x = (torch.randn(STEPS, SAMPLES, NEURONS) * 0.6 + 0.2).to(dtype).requires_grad_(True)
        weights = torch.randn(STEPS, SAMPLES, NEURONS).to(dtype)
        first, state = layer(x[:20])
        second, state = layer(x[20:], state)
        y = torch.cat([first, second])
        loss = (y * weights).sum().float() + sum(v.sum() for v in state.neuron)
        loss.backward()
        assert x.grad is not None
        gradients = {n: p.grad for n, p in layer.named_parameters() if p.grad is not None}
        states = {n: v.detach() for n, v in state.neuron._asdict().items()}
        found.append({"y": y.detach(), "x": x.grad, **states, **gradients})
    assert 0.05 < found[0]["y"].float().mean() < 0.8 and found[0].keys() == found[1].keys()
    return found


def test_with_numbers_as_coefficients_a_layer_gives_the_bits_of_autograd() -> None:
    ours, theirs = both(neurons.CubaLIF(v_threshold=0.7))
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize("recurrent", [False, True])
def test_recomputing_changes_no_bit(recurrent: bool) -> None:
    found = [both(neurons.LIF(), recurrent=recurrent, recompute=again)[0] for again in (False, True)]
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.mark.parametrize("recompute", [False, True])
def test_images_with_their_channels_innermost_stay_so(recompute: bool) -> None:
    found = []
    for last in (False, True):
        torch.manual_seed(0)
        layer = nn.LIF(dt="1 ms", shape=(3, 2, 4), learn="v_threshold", recompute=recompute)
        x = torch.randn(18, 2, 3, 2, 4) * 0.5 + 0.2
        x = (x.movedim(2, -1).contiguous().movedim(-1, 2) if last else x).requires_grad_(True)
        y, state = layer(x)
        (y.square().sum() + state.neuron.v.sum()).backward()
        assert x.grad is not None and layer.v_threshold.grad is not None
        assert channels_last(y) == channels_last(x.grad) == last
        found.append([y, state.neuron.v, x.grad, layer.v_threshold.grad])
    assert found[0][0].any() and all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_learnt_parameters_get_the_gradients_of_autograd() -> None:
    ours, theirs = both(neurons.LIF(reset="soft"), learn=("tau_mem", "v_threshold"))
    assert {"log_tau_mem", "v_threshold"} < set(ours)
    assert torch.equal(ours["y"], theirs["y"]) and torch.equal(ours["x"], theirs["x"])
    for name, value in ours.items():  # the batch is summed in another order
        torch.testing.assert_close(value, theirs[name], rtol=1e-5, atol=1e-5)


def test_a_recurrent_layer_gives_the_gradients_of_autograd() -> None:
    ours, theirs = both(neurons.LIF(reset="soft"), recurrent=True, learn="v_threshold")
    assert torch.equal(ours["y"], theirs["y"]) and ours["weight_rec"].abs().max() > 0
    for name, value in ours.items():  # products are summed in the order of the linear algebra library
        torch.testing.assert_close(value, theirs[name], rtol=1e-5, atol=1e-5)


def test_bfloat16_layers_compute_in_float32() -> None:
    ours, theirs = both(neurons.CubaLIF(v_threshold=0.7), torch.bfloat16, learn="tau_mem")
    assert ours["y"].dtype == ours["x"].dtype == torch.bfloat16 and ours["v"].dtype == torch.float32
    assert torch.equal(ours["y"], theirs["y"]) and torch.equal(ours["v"], theirs["v"])
    # The interpreter cuts digits off, the loop rounds: one unit in the last of 8 bits.
    torch.testing.assert_close(ours["x"], theirs["x"], rtol=2**-7, atol=1e-30)
    torch.testing.assert_close(ours["log_tau_mem"], theirs["log_tau_mem"], rtol=1e-5, atol=1e-5)
