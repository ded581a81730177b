"""Pooling and neurons on images that lie channels last: torch's numbers, whatever the layout."""

import pytest
import torch
from torch import Tensor

from spikelab import nn
from spikelab.nn.fused import channels_last


def images(*shape: int, last: bool = True, dtype: torch.dtype = torch.float32) -> Tensor:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    return x.movedim(2, -1).contiguous().movedim(-1, 2) if last else x


@pytest.mark.parametrize("kind", [nn.AvgPool2d, nn.SumPool2d])
@pytest.mark.parametrize(("size", "window"), [((8, 8), 2), ((9, 7), (2, 3)), ((5, 5), 5), ((64, 64), 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_windows_that_touch_give_torchs_numbers(
    kind: type, size: tuple[int, int], window: object, dtype: object
) -> None:
    layer, found = kind(window), []
    for last in (True, False):
        x = images(3, 2, 5, *size, last=last, dtype=dtype).requires_grad_(True)  # type: ignore[arg-type]
        y = layer(x)
        (y * torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape)).sum().backward()
        assert x.grad is not None and channels_last(y) == (last and y.shape[-1] > 1)
        found.append((y.detach(), x.grad))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6 if dtype == torch.float32 else 1e-14, atol=0)


@pytest.mark.parametrize(
    "layer",
    [nn.AvgPool2d(3, 2), nn.AvgPool2d(2, padding=1), nn.AvgPool2d(2, ceil_mode=True), nn.SumPool2d(3, 1)],
)
def test_other_windows_are_torchs(layer: nn.AvgPool2d) -> None:
    x = images(2, 2, 3, 9, 9)
    torch.testing.assert_close(layer(x), layer(x.contiguous()))


def test_a_divisor_of_ones_own_divides() -> None:
    x = images(2, 2, 3, 8, 8)
    torch.testing.assert_close(nn.AvgPool2d(2, divisor_override=3)(x), nn.SumPool2d(2)(x) / 3)


def test_the_pool_operator_is_registered_as_torch_asks() -> None:
    from spikelab.nn import pool

    torch.library.opcheck(pool._pool, (images(3, 2, 4, 6, 6).requires_grad_(True), 2, 3, 6.0))


@pytest.mark.parametrize("learn", [(), ("tau_mem", "v_threshold")])
def test_a_neuron_layer_gives_the_same_bits_in_either_memory_order(learn: tuple[str, ...]) -> None:
    found = []
    for last in (True, False):
        layer = nn.LIF(dt="1 ms", v_threshold=0.6, learn=learn, shape=(5, 4, 6) if learn else None)
        x = images(20, 3, 5, 4, 6, last=last).requires_grad_(True)
        y, end = layer(x)
        assert channels_last(y) == last
        z, state = layer(x[:7])
        rest, _ = layer(x[7:], state)
        assert torch.equal(torch.cat([z, rest]), y) and y.any()
        ((y * torch.linspace(-1, 1, 6)).sum() + end.neuron.v.sum()).backward()
        found.append([y, end.neuron.v, x.grad, *(p.grad for p in layer.parameters())])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_images_stay_channels_last_through_a_net() -> None:
    x = torch.rand(4, 2, 2, 16, 16)
    for layer in (nn.Conv2d(2, 8, 3), nn.LIF(dt="1 ms"), nn.AvgPool2d(2), nn.Conv2d(8, 4, 3)):
        x = layer(x)
        x = x[0] if isinstance(x, tuple) else x
        assert channels_last(x)
