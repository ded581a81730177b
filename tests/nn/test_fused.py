"""The operators under torch: what they keep for the backward pass, refuse, and do under the compiler."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from spikelab import nn
from spikelab.errors import UnsupportedError
from spikelab.neurons import LIF, CubaLIF, NeuronModel
from spikelab.neurons.kernel import EVERY
from spikelab.nn import fused as operators
from spikelab.nn.fused import Coefficients, fused, kernel_of, named_kernel

SHAPE = (3, 8)


def plain_key() -> str:
    return named_kernel(LIF(), nn.SuperSpike(), torch.float32, (), (), False)


def arguments() -> tuple[list[Tensor], list[Tensor], list[float], list[Tensor]]:
    c = LIF(v_threshold=0.5).coefficients(1e-3, "exponential")._asdict()
    scalars = [float(c[n]) for n in kernel_of(plain_key()).scalars]
    return [torch.randn(35, *SHAPE, generator=torch.Generator().manual_seed(0))], [], scalars, [torch.zeros(SHAPE)]


def kept_bytes(layer: nn.Neuron, steps: int) -> dict[str, int]:
    """Bytes that a forward pass keeps for the backward one beside input and output, by shape, each storage once."""
    seen: dict[int, Tensor] = {}

    def pack(value: Tensor) -> Tensor:
        seen[value.untyped_storage().data_ptr()] = value
        return value

    x = torch.rand(steps, *SHAPE, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: v):
        y, _ = layer(x)
    y.sum().backward()
    for own in (x, y, *layer.parameters()):
        seen.pop(own.untyped_storage().data_ptr(), None)
    return {str(tuple(v.shape)): v.untyped_storage().nbytes() for v in seen.values() if v.untyped_storage().nbytes()}


def test_only_input_output_and_checkpoints_are_kept() -> None:
    for steps in (EVERY, 20 * EVERY, 20 * EVERY + 1):
        checkpoints = -(-steps // EVERY)
        assert kept_bytes(nn.LIF(dt="1 ms"), steps) == {str((checkpoints, 3, 8)): checkpoints * 24 * 4}


def test_a_recurrent_layer_keeps_drive_and_state_of_each_step() -> None:
    layer, steps = nn.LIF(dt="1 ms", shape=8, recurrent=True), 30
    expected = {"(30, 3, 8)": 30 * 96, "(30, 1, 3, 8)": 30 * 96, "(3, 8)": 4}  # the last a zero before the first step
    assert kept_bytes(layer, steps) == expected


@pytest.mark.parametrize("model", [LIF(), CubaLIF(v_leak=0.1)])
def test_recompute_keeps_nothing_beside_input_and_output(model: NeuronModel) -> None:
    for recurrent in (False, True):
        layer = nn.Neuron(model, dt="1 ms", shape=8, recurrent=recurrent, recompute=True)
        # The start state is one number, spread without memory over the neurons; so are the zeros before the first step.
        assert sum(kept_bytes(layer, 100).values()) <= 4 * (len(model.State._fields) + recurrent)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("busy", [False, True])
def test_recompute_changes_no_bit(recurrent: bool, busy: bool) -> None:
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        layer = nn.LIF(dt="1 ms", shape=96, recurrent=recurrent, learn=("tau_mem", "v_threshold"), recompute=again)
        x = (torch.randn(50, 9, 96) * 0.4 + (1.5 if busy else 0.05)).requires_grad_(True)
        y, end = layer(x)
        ((y * torch.linspace(-1, 1, 96)).sum() + end.neuron.v.sum()).backward()
        assert y.mean() > 0.45 if busy else y.mean() < 0.2
        found.append([y, end.neuron.v, x.grad, *(p.grad for p in layer.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


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
    plain, none, c, start = arguments()
    assert operators.neuron(plain, none, c, start, key, 0)[2].numel() == 0
    with torch.no_grad():
        z, _ = fused(plain, Coefficients(c, none), start, key)
    assert torch.equal(z, fused(plain, Coefficients(c, none), start, key)[0])


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, in jvp
@pytest.mark.parametrize("recurrent", [False, True])
def test_forward_mode_derivatives_are_refused(recurrent: bool) -> None:
    layer = nn.LIF(dt="1 ms", shape=4, recurrent=recurrent)
    x = torch.rand(5, 2, 4)
    with pytest.raises(UnsupportedError, match="backward"):
        torch.func.jvp(lambda q: layer(q)[0], (x,), (torch.ones_like(x),))
    with torch.autograd.forward_ad.dual_level(), pytest.raises(UnsupportedError, match="backward"):
        layer(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))


@pytest.mark.filterwarnings("ignore")  # torch's own, in its compiler
def test_a_compiled_net_gives_the_same_bits() -> None:
    torch.manual_seed(0)
    hidden = nn.LIF(dt="1 ms", recurrent=True, shape=32, learn="tau_mem")
    model = nn.Sequential(nn.Linear(20, 32), hidden, nn.Linear(32, 3), nn.LI(dt="1 ms"))
    x, found = torch.rand(15, 4, 20), []
    for run in (model, torch.compile(model, backend="aot_eager")):
        model.zero_grad()
        y, _ = run(x)
        y.square().sum().backward()
        found.append([y.detach(), *(p.grad.clone() for p in model.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
