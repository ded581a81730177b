"""The layer of sliding neurons: its parallel form is its recurrent form, to rounding, in values and gradients."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikelab import nn
from spikelab.clocked import run
from spikelab.errors import ShapeError, UnitError
from spikelab.nn.neuron import LayerState
from spikelab.nn.sliding import filtered

BOUNDS = {torch.float32: 1e-5, torch.float64: 1e-10}
BOTH = ("weights", "v_threshold")


def made(weights: Any, parallel: bool, dtype: torch.dtype, **more: Any) -> nn.SlidingPSN:
    layer = nn.SlidingPSN(weights=weights, v_threshold=0.3, dt="1 ms", learn=BOTH, **more).to(dtype)
    layer.parallel = parallel
    return layer


def everything(layer: nn.SlidingPSN, x: Tensor, start: Tensor, cuts: list[int]) -> dict[str, Tensor]:
    """Spikes, last state and all gradients of a run in chunks from a random state."""
    x, start = (v.clone().requires_grad_(True) for v in (x, start))
    state, pieces = LayerState(layer.model.State(*start)), []
    for a, b in itertools.pairwise([0, *cuts, len(x)]):
        z, state = layer(x[a:b], state)
        pieces.append(z)
    z, end = torch.cat(pieces), torch.stack(state.neuron)
    g = torch.tensor(np.random.default_rng(1).normal(size=tuple(z.shape)), dtype=z.dtype)
    ((z * g).sum() + (end * torch.linspace(-1, 1, len(end), dtype=z.dtype)[:, None, None]).sum()).backward()
    grads = {"x": x.grad, "start": start.grad, **{n: p.grad for n, p in layer.named_parameters()}}
    grads = {n: torch.zeros(()) if g is None else g for n, g in grads.items()}  # order 1 reads no stored input
    return {"z": z.detach(), "end": end.detach(), **grads}


def must_agree(a: dict[str, Tensor], b: dict[str, Tensor], bound: float) -> None:
    assert a.keys() == b.keys() and torch.equal(a["z"], b["z"]) and torch.equal(a["end"], b["end"])
    for name, value in a.items():
        scale = max(1.0, float(b[name].abs().max()))
        assert float((value - b[name]).abs().max()) <= bound * scale, name


@settings(max_examples=20)
@given(
    order=st.integers(1, 40),
    steps=st.integers(1, 60),
    cuts=st.lists(st.integers(1, 59), max_size=3, unique=True),
    shape=st.sampled_from([None, (5,)]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 1000),
)
def test_the_parallel_form_equals_the_recurrent_form(
    order: int, steps: int, cuts: list[int], shape: Any, dtype: torch.dtype, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 1 / np.sqrt(order), order)
    x = torch.tensor(rng.normal(0.2, 1, (steps, 2, 5)), dtype=dtype)
    start = torch.tensor(rng.normal(0, 1, (max(order - 1, 1), 2, 5)), dtype=dtype)
    cuts = sorted(c for c in cuts if c < steps)
    parallel = everything(made(weights, True, dtype, shape=shape), x, start, cuts)
    recurrent = everything(made(weights, False, dtype, shape=shape, fused=False), x, start, [])
    must_agree(parallel, recurrent, BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
def test_the_parallel_form_equals_the_fused_kernel(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(0.2, 1, (100, 3, 40)), dtype=dtype)
    start, weights = torch.zeros(5, 3, 40, dtype=dtype), [0.8, -0.3, 0.5, 0.4, 0.2, 0.1]
    a, b = (everything(made(weights, parallel, dtype), x, start, [37]) for parallel in (True, False))
    must_agree(a, b, BOUNDS[dtype])
    assert 0.2 < a["z"].mean() < 0.8


@pytest.mark.parametrize("weights", [torch.rand(5), torch.rand(5, 3)])
def test_the_filter_has_the_derivatives_of_finite_differences(weights: Tensor) -> None:
    x = torch.rand(26, 1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(filtered, (x, weights.double().requires_grad_(True)))


def test_a_form_is_chosen_by_the_order_and_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr("spikelab.nn.sliding.filtered", lambda x, w: used.append(len(w)) or filtered(x, w))
    x = torch.zeros(3, 1, 2)
    few, many = nn.SlidingPSN(dt="1 ms"), nn.SlidingPSN(weights=np.ones(17), dt="1 ms")
    few(x), many(x)
    assert used == [17]
    few.parallel = True
    few(x)
    assert used == [17, 4]
    loop = nn.SlidingPSN(recurrent=True, shape=2, dt="1 ms")
    loop.parallel = True  # a spike is the input of the next step: there is no parallel form
    loop(x)
    spare = nn.SlidingPSN(recompute=True, dt="1 ms")
    spare.parallel = True
    spare(x)
    assert used == [17, 4]


def test_a_trained_layer_goes_to_a_network_and_back() -> None:
    torch.manual_seed(0)
    layer = nn.SlidingPSN(weights=0.5 ** np.arange(6), learn=BOTH, surrogate="atan", shape=4, dt="1 ms")
    model = nn.Sequential(nn.Linear(8, 4), layer)
    assert layer.weights.shape == (6, 4)
    x = (torch.rand(30, 5, 8) < 0.3).float()
    best = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(20):
        loss = (model(x)[0].mean(0) - 0.25).square().mean()
        best.zero_grad()
        loss.backward()
        best.step()
    assert loss < 0.01 and (layer.weights - torch.tensor(0.5 ** np.arange(6))[:, None]).abs().min() > 1e-3
    net = nn.to_network(model, 8)
    assert nn.compare(model, net, x.numpy()).explained
    again = nn.from_network(net)
    assert np.array_equal(run(nn.to_network(again, 8), x.numpy()).output, run(net, x.numpy()).output)


def test_layers_and_states_can_be_copied_and_pickled() -> None:
    layer, x = nn.SlidingPSN(weights=np.ones(6), dt="1 ms"), torch.rand(4, 2, 3)
    _, state = layer(x)
    again = pickle.loads(pickle.dumps((copy.deepcopy(layer), state)))
    assert torch.equal(again[0](x, again[1])[0], layer(x, state)[0])


@pytest.mark.parametrize("parallel", [True, False])
def test_bad_input_is_named(parallel: bool) -> None:
    layer = nn.SlidingPSN(dt="1 ms")
    layer.parallel = parallel
    with pytest.raises(ShapeError, match=r"SlidingPSN: found input of shape \(4, 3\); expected \[T, B, \*shape\]"):
        layer(torch.zeros(4, 3))
    state = layer(torch.zeros(4, 2, 3))[1]
    with pytest.raises(
        ShapeError, match=r"found state x1 of shape \(2, 3\); expected \(5, 3\); a state belongs to one"
    ):
        layer(torch.zeros(4, 5, 3), state)
    other = nn.SlidingPSN(weights=np.ones(3), dt="1 ms")(torch.zeros(4, 2, 3))[1]
    with pytest.raises(ShapeError, match="found a state of SlidingPSNState3; expected one of SlidingPSNState4"):
        layer(torch.zeros(4, 2, 3), other)
    layer.dt = None
    with pytest.raises(UnitError, match="SlidingPSN: dt is not known"):
        layer(torch.zeros(4, 2, 3))


def test_weights_that_do_not_fit_the_layer_are_named() -> None:
    with pytest.raises(ShapeError, match=r"SlidingPSN.weights: found shape \(2, 3\); expected one that broadcasts"):
        nn.SlidingPSN(weights=np.ones((2, 3)), shape=5, learn="weights")
