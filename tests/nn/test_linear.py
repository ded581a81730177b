"""`nn.Linear`: torch's layer, whether or not it goes by the non-zero inputs."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch

import spikelab as sl
from spikelab import neurons, nn


def pair(inputs: int, outputs: int, sparse: bool | None = None, **options: Any) -> tuple[nn.Linear, torch.nn.Linear]:
    torch.manual_seed(0)
    ours, plain = nn.Linear(inputs, outputs, sparse=sparse, **options), torch.nn.Linear(inputs, outputs, **options)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def taken(y: torch.Tensor) -> bool:
    """Whether y was made by the non-zeros."""
    assert y.grad_fn is not None
    return "sparse_linear" in str(y.grad_fn.next_functions[0][0]) or "sparse_linear" in str(y.grad_fn)


def run(layer: torch.nn.Module, x: torch.Tensor, g: torch.Tensor) -> list[torch.Tensor]:
    layer.zero_grad()
    x = x.detach().clone().requires_grad_(True) if x.is_contiguous() else x.detach().requires_grad_(True)
    y = layer(x)
    y.backward(g)
    assert x.grad is not None
    return [y.detach(), x.grad, *(p.grad.clone() for p in layer.parameters() if p.grad is not None)]


@pytest.mark.parametrize("kind", ["binary", "real"])
@pytest.mark.parametrize(
    ("shape", "options"),
    [((9, 4, 70), {}), ((36, 70), {"bias": False}), ((9, 4, 70), {"dtype": torch.float64}), ((70,), {})],
)
def test_values_and_gradients_are_those_of_torch(shape: tuple[int, ...], options: dict[str, Any], kind: str) -> None:
    ours, plain = pair(70, 33, sparse=True, **options)
    dtype = options.get("dtype", torch.float32)
    x = (torch.rand(shape) < 0.15).to(dtype)
    if kind == "real":
        x = x * torch.randn(shape, dtype=dtype)
    g = torch.randn(*shape[:-1], 33, dtype=dtype)
    assert taken(ours(x))
    mine, theirs = run(ours, x, g), run(plain, x, g)
    assert len(mine) == len(theirs) == 3 + options.get("bias", True)
    tolerance = 2e-5 if dtype == torch.float32 else 1e-13
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_axes_in_any_order_and_gradients_of_any_layout() -> None:
    ours, plain = pair(30, 8, sparse=True)
    x = (torch.rand(30, 6, 4) < 0.3).float().permute(2, 1, 0)
    g = torch.randn(8, 6, 4).permute(2, 1, 0)
    for a, b in zip(run(ours, x, g), run(plain, x, g), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    expanded = torch.ones(1, 1, 8).expand(4, 6, 8)
    torch.testing.assert_close(run(ours, x, expanded)[2], run(plain, x, expanded)[2])


def test_sums_have_the_bits_of_the_reference_and_so_have_spikes() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Linear(40, 60, sparse=True),
        nn.LIF(tau_mem="10 ms", dt="1 ms", recurrent=True),
        nn.Linear(60, 10, sparse=True),
        nn.LI(tau_mem="10 ms", dt="1 ms"),
    )
    nn.initialise(model, gain=3.0)
    x = (torch.rand(50, 4, 40) < 0.2).float()
    net = nn.to_network(model, input_shape=(40,), dt="1 ms")
    reference = sl.run(net, x.numpy())
    hidden = model[1](model[0](x))[0]
    assert hidden.sum() > 100
    (name,) = [n for n, p in net.populations.items() if isinstance(p.model, neurons.LIF)]
    assert torch.equal(hidden, torch.from_numpy(reference.spikes[name]))
    assert torch.equal(model(x)[0], torch.from_numpy(reference.output))


def test_the_measured_activity_decides() -> None:
    ours, plain = pair(256, 256)
    sparse, dense = (torch.rand(64, 8, 256) < 0.05).float(), torch.rand(64, 8, 256)
    assert taken(ours(sparse)) and not taken(ours(dense)) and not taken(ours(sparse[:8]))
    assert torch.equal(ours(dense), plain(dense))
    ours.sparse = False
    assert not taken(ours(sparse))
    ours.sparse = True
    assert taken(ours(dense)) and taken(ours(sparse[:1]))
    torch.testing.assert_close(ours(dense), plain(dense), rtol=1e-5, atol=1e-5)


def test_spikes_are_not_kept_but_other_values_are() -> None:
    ours, _ = pair(50, 8, sparse=True)
    kept: list[torch.Size] = []
    spikes = (torch.rand(20, 3, 50) < 0.2).float()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        ours(spikes)
        assert (60, 50) not in kept and (60, 8) in kept  # the bits: one word of eight bytes a row
        ours(spikes * 2)
    assert (60, 50) in kept


def test_nan_in_an_input_arrives_and_nan_in_a_weight_reaches_active_inputs_only() -> None:
    ours, _ = pair(6, 3, sparse=True)
    x = torch.zeros(2, 1, 6)
    x[0, 0, 2] = float("nan")
    assert torch.isnan(ours(x)[0]).all() and not torch.isnan(ours(x)[1]).any()
    with torch.no_grad():
        ours.weight[1, 4] = float("inf")
    x = torch.eye(6)[:, None]
    assert torch.isinf(ours(x)).sum() == 1 and not torch.isnan(ours(x)).any()


def test_graphs_transforms_and_autocast_are_left_to_torch() -> None:
    ours, plain = pair(70, 33, sparse=True)
    x = (torch.rand(5, 4, 70) < 0.2).float()
    close: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(torch.compile(ours, fullgraph=True, backend="aot_eager")(x), plain(x), **close)
    torch.testing.assert_close(torch.func.vmap(ours)(x), plain(x), **close)
    torch.testing.assert_close(torch.fx.symbolic_trace(ours)(x), plain(x), **close)
    with torch.autograd.forward_ad.dual_level():
        y = ours(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))
        tangent = torch.autograd.forward_ad.unpack_dual(y).tangent
        torch.testing.assert_close(tangent[0, 0], plain.weight.sum(1), **close)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(x).dtype == torch.bfloat16
    assert nn.Linear(3, 2, device="meta", sparse=True)(torch.empty(4, 1, 3, device="meta")).shape == (4, 1, 2)


def test_a_second_derivative_is_right_or_refused() -> None:
    ours, _ = pair(6, 3, sparse=True)
    x = torch.eye(6)[:, None].requires_grad_(True)
    (gx,) = torch.autograd.grad(ours(x).square().sum(), x, create_graph=True)
    (right,) = torch.autograd.grad(gx.sum(), x)
    torch.testing.assert_close(right, (2 * ours.weight.T @ ours.weight).sum(1).expand(6, 1, 6))
    (gw,) = torch.autograd.grad(ours(x).square().sum(), ours.weight, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        gw.sum().backward()


def test_shapes_and_types_that_do_not_fit_are_refused_as_before() -> None:
    for sparse in (None, True, False):
        ours, plain = pair(5, 3, sparse=sparse)
        for bad in (torch.zeros(2, 1, 6), torch.zeros(2, 1, 5, dtype=torch.float64), torch.zeros(())):
            with pytest.raises(RuntimeError) as expected:
                plain(bad)
            with pytest.raises(RuntimeError) as found:
                ours(bad)
            assert str(found.value) == str(expected.value)
        assert ours(torch.zeros(0, 2, 5)).shape == (0, 2, 3)


def test_copies_files_and_text() -> None:
    ours, plain = pair(5, 3, sparse=True)
    x = torch.rand(4, 2, 5)
    assert list(ours.state_dict()) == list(plain.state_dict())
    twin = copy.deepcopy(ours)
    assert twin.sparse is True and torch.equal(twin(x), ours(x))
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False)(x), ours(x))
    assert repr(ours) == "Linear(in_features=5, out_features=3, bias=True, sparse=True)"
    assert repr(nn.Linear(5, 3)) == repr(plain)
