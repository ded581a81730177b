"""The custom operators: registered as torch asks, and only input and checkpoints are kept for the backward pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from spikelab import nn
from spikelab.errors import UnsupportedError
from spikelab.neurons import LIF
from spikelab.neurons.kernel import EVERY
from spikelab.nn import fused as operators
from spikelab.nn.fused import fused, kernel_of, named_kernel

SHAPE = (3, 8)


def plain_key() -> str:
    return named_kernel(LIF(), nn.SuperSpike(), torch.float32, (), (), False)


def arguments(transposed: bool = False) -> tuple[list[Tensor], list[Tensor], Tensor, str, int]:
    key = plain_key()
    c = LIF(v_threshold=0.5).coefficients(1e-3, "exponential")._asdict()
    scalars = [torch.tensor(float(c[n])) for n in kernel_of(key).scalars]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(35, *SHAPE, generator=generator)
    x = x.transpose(1, 2).contiguous().transpose(1, 2) if transposed else x
    return [x.requires_grad_(True)], scalars, torch.zeros(1, *SHAPE, requires_grad=True), key, EVERY


@pytest.mark.parametrize("transposed", [False, True])
def test_the_forward_operator_is_registered_as_torch_asks(transposed: bool) -> None:
    torch.library.opcheck(operators._neuron, arguments(transposed))


def test_the_recurrent_and_backward_operators_are_registered_as_torch_asks() -> None:
    x, c, state, key, every = arguments()
    weight, z0 = torch.full((8, 8), 0.1, requires_grad=True), torch.zeros(SHAPE, requires_grad=True)
    torch.library.opcheck(operators._recurrent, (x[0], weight, z0, c, state, key))
    z, end, kept = operators._neuron(x, c, state, key, every)
    some = ("test_schema", "test_faketensor")
    plain = [v.detach() for v in (kept, torch.ones_like(z), torch.ones_like(end))]
    torch.library.opcheck(operators._neuron_backward, ([x[0].detach()], c, *plain, key, every), test_utils=some)
    z, end, u, all_kept = (v.detach() for v in operators._recurrent(x[0], weight, z0, c, state, key))
    rest = [v.detach() for v in (weight, z0)]
    torch.library.opcheck(operators._recurrent_backward, (u, z, *rest, c, all_kept, z, end, key), test_utils=some)


def kept_bytes(layer: nn.Neuron, steps: int) -> dict[str, int]:
    """Bytes that a forward pass keeps for the backward one, by shape, each storage once."""
    seen: dict[int, Tensor] = {}

    def pack(value: Tensor) -> Tensor:
        seen[value.untyped_storage().data_ptr()] = value
        return value

    x = torch.rand(steps, *SHAPE, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: v):
        y, _ = layer(x)
    y.sum().backward()
    seen.pop(x.untyped_storage().data_ptr(), None)
    return {str(tuple(v.shape)): v.untyped_storage().nbytes() for v in seen.values() if v.numel() > 1}


def test_only_the_input_and_checkpoints_are_kept() -> None:
    layer = nn.LIF(dt="1 ms")
    for steps in (EVERY, 20 * EVERY, 20 * EVERY + 1):
        checkpoints = -(-steps // EVERY)
        assert kept_bytes(layer, steps) == {str((checkpoints, 1, *SHAPE)): checkpoints * 24 * 4}


def test_a_recurrent_layer_keeps_as_much_per_step_however_long_it_runs() -> None:
    layer = nn.LIF(dt="1 ms", shape=8, recurrent=True)
    ten, forty = (sum(kept_bytes(layer, steps).values()) for steps in (10, 40))
    assert forty <= 4 * ten


def graph_size(y: Tensor) -> int:
    stack: list[Any] = [y.grad_fn]
    seen = set()
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack.extend(n for n, _ in node.next_functions)
    return len(seen)


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_graph_does_not_grow_with_time_and_that_of_the_loop_only_linearly(recurrent: bool) -> None:
    sizes = {}
    for use in (True, False):
        layer = nn.LIF(dt="1 ms", shape=8, recurrent=recurrent, fused=use)
        sizes[use] = [graph_size(layer(torch.rand(t, *SHAPE, requires_grad=True))[0]) for t in (20, 40)]
    assert sizes[True][0] == sizes[True][1] < 20
    assert sizes[False][1] < 2.1 * sizes[False][0]


def test_silent_gradients_and_unused_outputs_are_zero() -> None:
    x = torch.rand(20, *SHAPE, requires_grad=True)
    _, state = nn.LIF(dt="1 ms")(x)
    state.neuron.v.sum().backward()  # the output's gradient never arrives
    assert x.grad is not None and x.grad[-1].abs().max() > 0
    y, _ = nn.LIF(dt="1 ms")(torch.full((3, 1, 2), -1.0, requires_grad=True))
    assert y.requires_grad and y.count_nonzero() == 0


def test_a_second_derivative_is_refused_not_made_up() -> None:
    x = torch.rand(5, *SHAPE, requires_grad=True)
    (g,) = torch.autograd.grad(nn.LIF(dt="1 ms")(x)[0].sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"does not require grad|not implemented|no autograd formula|backward"):
        g.sum().backward()


def test_views_and_other_memory_orders_give_the_same() -> None:
    x = torch.rand(12, 4, 6)
    layer = nn.LIF(dt="1 ms", v_threshold=0.5)
    y = layer(x)[0]
    assert torch.equal(layer(x.transpose(0, 2).contiguous().transpose(0, 2))[0], y)
    assert torch.equal(layer(torch.cat([x, x], dim=2)[..., :6])[0], y)
    assert torch.equal(layer(x[:1].expand(12, 4, 6))[0], layer(x[:1].repeat(12, 1, 1))[0])


def test_no_gradient_is_recorded_where_none_is_wanted() -> None:
    with torch.no_grad():
        y, state = nn.LIF(dt="1 ms")(torch.rand(5, *SHAPE))
    assert not y.requires_grad and not state.neuron.v.requires_grad
    key = plain_key()
    x, c, s, _, _ = arguments()
    kept = operators._neuron([x[0].detach()], c, s.detach(), key, 0)[2]
    assert kept.numel() == 0
    with torch.no_grad():
        z, _ = fused([x[0].detach()], c, s.detach(), key)
    assert torch.equal(z, fused([x[0].detach()], c, s.detach(), key)[0])


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, in jvp
@pytest.mark.parametrize("recurrent", [False, True])
def test_forward_mode_derivatives_are_refused(recurrent: bool) -> None:
    layer = nn.LIF(dt="1 ms", shape=4, recurrent=recurrent)
    x = torch.rand(5, 2, 4)
    with pytest.raises(UnsupportedError, match="backward"):
        torch.func.jvp(lambda q: layer(q)[0], (x,), (torch.ones_like(x),))
    with torch.autograd.forward_ad.dual_level(), pytest.raises(UnsupportedError, match="backward"):
        layer(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))
