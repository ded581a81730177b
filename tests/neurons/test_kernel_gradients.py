"""Gradients of the fused kernels against torch: loops written by hand, and autograd of our own `step`."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spikelab.neurons import LIF, CubaLIF, NeuronModel
from spikelab.neurons.kernel import kernel
from spikelab.neurons.model import parameters
from spikelab.nn.neuron import LayerState, Neuron
from spikelab.nn.surrogate import SuperSpike

STEEPNESS = 5.0


class Spike(torch.autograd.Function):
    """Zenke and Ganguli's surrogate, written here once more."""

    @staticmethod
    def forward(ctx: Any, d: Tensor) -> Tensor:
        ctx.save_for_backward(d)
        return (d > 0).to(d.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # type: ignore[override]
        (d,) = ctx.saved_tensors
        return g / (STEEPNESS * d.abs() + 1) ** 2


def by_hand(model: NeuronModel, x: Tensor, start: Tensor, c: dict[str, Tensor], through: bool) -> tuple[Tensor, Tensor]:
    """The recurrences of LIF and CubaLIF on tensors; `through` lets the gradient pass the reset."""
    flags = model.flags()
    names = model.State._fields
    s = dict(zip(names, start, strict=True))
    outputs = []
    for u in x:
        if "synapse" in flags:
            s["i"] = u = c["a_syn"] * s["i"] + u
        h = c["v_leak"] + c["a_mem"] * (s["v"] - c["v_leak"]) + u
        if flags["reset"] == "undecayed":
            h = h - (s["z"] if through else s["z"].detach()) * c["v_threshold"]
        z = Spike.apply(h - c["v_threshold"])
        held = z if through else z.detach()
        if flags["reset"] == "hard":
            h = h + held * (c["v_reset"] - h) if through else torch.where(z > 0, c["v_reset"], h)
        elif flags["reset"] == "soft":
            h = h - held * c["v_threshold"]
        s["v"] = h
        if flags["reset"] == "undecayed":
            s["z"] = z
        outputs.append(z)
    return torch.stack(outputs), torch.stack([s[n] for n in names])


@pytest.mark.parametrize(
    ("model", "through"),
    [(LIF(v_leak=0.1, v_reset=-0.2), False), (CubaLIF(v_leak=0.1, reset="soft"), True)],
    ids=["LIF hard", "CubaLIF soft, through the reset"],
)
def test_every_gradient_equals_that_of_a_loop_written_by_hand(model: NeuronModel, through: bool) -> None:
    steps, n = 50, 70
    rng = np.random.default_rng(0)
    x, gz = rng.normal(0.15, 0.4, (steps, n)), rng.normal(size=(steps, n))
    states = len(model.State._fields)
    start, gs = rng.normal(0.1, 0.2, (states, n)), rng.normal(size=(states, n))
    k = kernel(
        model,
        dtype="float64",
        slope=SuperSpike(STEEPNESS).slope,
        arrays=(used := tuple(c for c in model.Coefficients._fields if c not in ("one", "most", "gain"))),
        wanted=used,
        through_reset=through,
    )
    values = model.coefficients(1e-3, "exponential")._asdict()
    c = {name: np.full(n, values[name]) * rng.uniform(0.9, 1.0, n) for name in k.arrays}
    z, end, kept = np.empty_like(x), np.empty_like(start), np.empty((4, states, n))
    k.forward([x], [], np.stack([c[a] for a in k.arrays]), start, z, end, kept, 16)
    gx, g0, gc = np.empty_like(x), np.empty_like(start), np.zeros((len(k.wanted), n))
    k.backward([x], [], np.stack([c[a] for a in k.arrays]), kept, gz, gs, [gx], g0, gc, 16)

    leaves = {name: torch.tensor(v, requires_grad=True) for name, v in {**c, "x": x, "start": start}.items()}
    outputs, last = by_hand(model, leaves["x"], leaves["start"], leaves, through)
    assert np.array_equal(outputs.detach(), z) and 0.02 < z.mean() < 0.7
    torch.autograd.backward([outputs, last], [torch.tensor(gz), torch.tensor(gs)])
    found = {"x": gx, "start": g0, **dict(zip(k.wanted, gc, strict=True))}
    for name, value in found.items():
        expected = leaves[name].grad
        expected = np.zeros_like(value) if expected is None else expected.numpy()
        scale = np.abs(expected).max()
        assert scale > 0, name
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12 * scale, err_msg=name)


@pytest.mark.parametrize("recurrent", [False, True])
def test_with_scalar_coefficients_the_gradients_have_the_bits_of_autograd(recurrent: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 3, 33) * 0.5 + 0.1
    weights = torch.randn(40, 3, 33)
    torch.manual_seed(1)
    layers = [Neuron(LIF(reset="soft"), dt=1e-3, recurrent=recurrent, shape=33, fused=use) for use in (True, False)]
    layers[1].load_state_dict(layers[0].state_dict())
    found = []
    for layer in layers:
        u = x.clone().requires_grad_(True)
        start = torch.rand(3, 33, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
        state = LayerState(layer.model.State(start), torch.zeros(3, 33) if recurrent else None)
        y, end = layer(u, state)
        ((y * weights).sum() + end.neuron.v.sum()).backward()
        found.append((y, end.neuron.v, u.grad, start.grad))
    assert found[0][0].sum() > 50
    for a, b in zip(*found, strict=True):
        if recurrent:  # its products sum in the order of the linear algebra library
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(a, b)


def test_the_gradient_through_the_reset_is_another_one() -> None:
    model = LIF()
    found = []
    for detach, use in itertools.product((True, False), (True, False)):
        layer = Neuron(model, dt=1e-3, detach_reset=detach, fused=use, learn=tuple(parameters(model)))
        u = (torch.randn(40, 2, 9, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.2).requires_grad_(True)
        layer(u)[0].sum().backward()
        found.append(u.grad)
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[2], found[3], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found[0], found[2], rtol=1e-2)
