"""Parallel spiking neurons: a product over time; what is causal can be run step by step."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelab import nn
from spikelab.errors import ShapeError, UnitError, UnsupportedError

BOUNDS = {torch.float32: 1e-5, torch.float64: 1e-10}


def signal(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(0.5, 1.5, shape), dtype=dtype)


def test_the_published_definition_is_a_sum_over_all_steps() -> None:
    # Fang et al. 2023: H[t] = sum over i < T of W[t, i] X[i], S[t] = [H[t] above B[t]]; W is learnt, and so is B.
    torch.manual_seed(0)
    layer, x = nn.PSN(12).double(), signal(12, 3, 20)
    with torch.no_grad():
        layer.v_threshold.uniform_(-0.5, 0.5)
    w, b = layer.weight.detach().numpy(), layer.v_threshold.detach().numpy()
    h = np.array([sum(w[t, i] * x[i].numpy() for i in range(12)) - b[t] for t in range(12)])
    z = layer(x)
    assert np.array_equal(z.detach().numpy(), h > 0) and 0.2 < z.mean() < 0.8


@pytest.mark.parametrize("masking", [0.0, 0.3, 1.0])
def test_the_mask_comes_in_progressively(masking: float) -> None:
    # Fang et al. 2023: M_k[i, j] = 1 for j <= i <= j + k - 1; W weighed by share * M_k + (1 - share) * 1.
    torch.manual_seed(0)
    steps, order = 9, 3
    layer, x = nn.MaskedPSN(steps, order, masking=masking).double(), signal(steps, 2, 10)
    w = layer.weight.detach().numpy()
    h = np.zeros(tuple(x.shape))
    for i in range(steps):
        for j in range(steps):
            mask = 1.0 if j <= i <= j + order - 1 else 0.0
            h[i] += (masking * mask + (1 - masking)) * w[i, j] * x[j].numpy()
    assert np.array_equal(layer(x).detach().numpy(), h > 1)


def test_a_full_matrix_looks_ahead_and_a_masked_one_does_not() -> None:
    torch.manual_seed(0)
    x = signal(8, 2, 50, dtype=torch.float32)
    later = x.clone()
    later[5:] += 3.0
    for layer, causal in ((nn.PSN(8), False), (nn.MaskedPSN(8, 4), False), (nn.MaskedPSN(8, 4, masking=1), True)):
        assert torch.equal(layer(x)[:5], layer(later)[:5]) == causal


@settings(max_examples=20)
@given(
    steps=st.integers(1, 30),
    order=st.integers(1, 30),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 1000),
)
def test_the_parallel_form_equals_the_recurrent_form(steps: int, order: int, dtype: torch.dtype, seed: int) -> None:
    torch.manual_seed(seed)
    layer = nn.MaskedPSN(steps, min(order, steps), masking=1.0, surrogate="atan").to(dtype)
    found: list[dict[str, torch.Tensor]] = []
    for parallel in (True, False):
        x = signal(steps, 2, 5, dtype=dtype, seed=seed).requires_grad_(True)
        if parallel:
            z = layer(x)
        else:
            state, outputs = None, []
            for u in x:
                out, state = layer.step(u, state)
                outputs.append(out)
            z = torch.stack(outputs)
        layer.zero_grad()
        (z * signal(steps, 2, 5, dtype=dtype, seed=1)).sum().backward()
        grads = {n: p.grad.clone() for n, p in layer.named_parameters() if p.grad is not None}
        found.append({"z": z.detach(), "x": x.grad, **grads})  # type: ignore[dict-item]
    assert found[0].keys() == found[1].keys() == {"z", "x", "weight", "v_threshold"}
    assert torch.equal(found[0]["z"], found[1]["z"])
    for name, value in found[0].items():
        scale = max(1.0, float(found[1][name].abs().max()))
        assert float((value - found[1][name]).abs().max()) <= BOUNDS[dtype] * scale, name


def test_a_masked_psn_with_one_kernel_for_all_steps_is_a_sliding_one() -> None:
    weights, x = [0.7, -0.4, 0.6], signal(20, 2, 30)
    layer = nn.MaskedPSN(20, 3, masking=1.0).double()
    with torch.no_grad():
        for k, w in enumerate(weights):
            layer.weight.diagonal(-k).fill_(w)
    assert torch.equal(layer(x), nn.SlidingPSN(weights=weights, dt="1 ms")(x)[0])


def test_training_moves_the_mask_and_keeps_it_in_the_state_dict() -> None:
    torch.manual_seed(0)
    psn = nn.MaskedPSN(10, 3, surrogate="atan")
    model = nn.Sequential(nn.Linear(6, 8), psn, nn.Linear(8, 2))
    x, target = (torch.rand(10, 16, 6) < 0.4).float(), torch.rand(16, 2)
    best, losses = torch.optim.Adam(model.parameters(), 0.02), []
    for epoch in range(30):
        psn.masking = min(1.0, epoch / 20)
        loss = (model(x)[0].mean(0) - target).square().mean()
        best.zero_grad()
        loss.backward()
        best.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    other = nn.Sequential(nn.Linear(6, 8), nn.MaskedPSN(10, 3, surrogate="atan"), nn.Linear(8, 2))
    other.load_state_dict(model.state_dict())
    assert other[1].masking == 1.0 and set(psn.state_dict()) == {"weight", "v_threshold", "masked_share"}
    assert torch.equal(copy.deepcopy(other)(x)[0], model(x)[0])


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "8"])
def test_a_number_of_steps_is_a_whole_number_from_one(steps: Any) -> None:
    with pytest.raises(ShapeError, match=r"PSN.steps: found .*; expected a whole number from 1"):
        nn.PSN(steps)


@pytest.mark.parametrize(
    ("order", "message"), [(0, "MaskedPSN.order: found 0; expected a whole number from 1"), (6, "expected at most 5")]
)
def test_an_order_is_between_one_and_the_steps(order: int, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        nn.MaskedPSN(5, order)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, "1"])
def test_a_mask_is_a_share(share: Any) -> None:
    layer = nn.MaskedPSN(5, 2, masking=0.5)
    with pytest.raises(UnitError, match=r"MaskedPSN.masking: found .*; expected a share from 0 to 1"):
        layer.masking = share
    assert layer.masking == 0.5


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(6, 2, 3), r"PSN: found 6 steps .* expected \[5, B, \*shape\], .* cut or pad"),
        (torch.zeros(5, 3), r"PSN: found input of shape \(5, 3\); expected \[5, B, \*shape\]; add axes"),
        (torch.zeros(5, 2, 3).double(), "found input of torch.float64 on cpu; expected torch.float32"),
        (torch.zeros(5, 2, 3).long(), "found input of torch.int64"),
        (np.zeros((5, 2, 3)), "found input of type ndarray"),
    ],
)
@pytest.mark.parametrize("layer", [nn.PSN(5), nn.MaskedPSN(5, 2, masking=1)])
def test_bad_input_is_named(layer: Any, x: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(x)


def test_steps_of_a_masked_psn_are_refused_where_they_have_no_meaning() -> None:
    layer = nn.MaskedPSN(3, 2)
    with pytest.raises(UnsupportedError, match=r"MaskedPSN.step: found masking=0; expected 1, .* set layer.masking"):
        layer.step(torch.zeros(2, 4))
    layer.masking = 1.0
    _, state = layer.step(torch.zeros(2, 4))
    with pytest.raises(ShapeError, match=r"found a state of shape \(2, 4\); expected \(5, 4\); a state belongs to one"):
        layer.step(torch.zeros(5, 4), state)
    for _ in range(2):
        _, state = layer.step(torch.zeros(2, 4), state)
    with pytest.raises(ShapeError, match="step: found step 4; expected at most 3"):
        layer.step(torch.zeros(2, 4), state)
    with pytest.raises(ShapeError, match=r"found input of shape \(4,\); expected \[B, \*shape\]"):
        layer.step(torch.zeros(4))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [(nn.PSN(4), "it reads inputs of later steps"), (nn.MaskedPSN(4, 2), "its weights differ from step to step")],
)
def test_a_network_refuses_them_by_name_with_the_reason(layer: Any, reason: str) -> None:
    class Branch(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.psn = nn.Linear(3, 3), layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.psn(self.first(x))
            return y

    name = type(layer).__name__
    for model, place in ((nn.Sequential(nn.Linear(3, 3), layer), "1"), (Branch(), "psn")):
        with pytest.raises(UnsupportedError, match=f"layer {place}: {name} cannot be carried .*{reason}.*SlidingPSN"):
            nn.to_network(model, 3, dt="1 ms")
