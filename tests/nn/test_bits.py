"""Spikes kept as bits: the same numbers in a thirty-second of the memory, whatever the layer and layout."""

from typing import Any

import pytest
import torch
from torch import Tensor

from spikelab import nn
from spikelab.nn import bits
from spikelab.nn.bits import spikes_as_bits


@pytest.mark.parametrize("size", [1024, 1025, 4096 * 8 - 1, 100_003])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_unpacked_is_what_was_packed(size: int, dtype: torch.dtype) -> None:
    x = (torch.rand(size, generator=torch.Generator().manual_seed(size)) < 0.3).to(dtype)
    kept = bits._packed(x)
    assert isinstance(kept, bits._Bits) and kept.bits.numel() == -(-size // 8)
    assert torch.equal(bits._unpacked(kept), x) and bits._unpacked(kept).dtype == dtype


@pytest.mark.parametrize("place", [0, 1, 7, 8, 50_000, 99_999, 100_000, 100_002])
@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, float("nan")])
def test_one_other_value_anywhere_keeps_the_tensor_as_it_is(place: int, value: float) -> None:
    x = (torch.rand(100_003) < 0.3).float()
    x[place] = value
    assert bits._packed(x) is x


def test_images_in_either_memory_order_and_views_come_back_in_their_layout() -> None:
    x = (torch.rand(4, 3, 16, 16) < 0.3).float()
    for image in (x, x.contiguous(memory_format=torch.channels_last)):
        kept = bits._packed(image)
        assert isinstance(kept, bits._Bits)
        back = bits._unpacked(kept)
        assert torch.equal(back, image) and back.stride() == image.stride()
    gaps = x[..., ::2]
    assert bits._packed(gaps) is gaps
    small = torch.ones(100)
    assert bits._packed(small) is small


def trained(inside: bool, model: Any, x: Tensor) -> list[Tensor]:
    model.zero_grad()
    if inside:
        with spikes_as_bits():
            y, _ = model(x)
    else:
        y, _ = model(x)
    y.square().sum().backward()
    return [y.detach(), *(p.grad.clone() for p in model.parameters())]


@pytest.mark.parametrize("kind", ["dense", "recurrent", "conv"])
def test_gradients_have_the_same_bits(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "conv":
        model = nn.Sequential(nn.Conv2d(2, 8, 3), nn.LIF(dt="1 ms"), nn.Conv2d(8, 4, 3), nn.LIF(dt="1 ms"))
        x = (torch.rand(6, 4, 2, 12, 12) < 0.3).float()
    else:
        hidden = nn.LIF(dt="1 ms", recurrent=kind == "recurrent", shape=64, v_threshold=0.3)
        model = nn.Sequential(nn.Linear(40, 64), hidden, nn.Linear(64, 3), nn.LI(dt="1 ms"))
        x = (torch.rand(30, 8, 40) < 0.3).float()
    for a, b in zip(trained(False, model, x), trained(True, model, x), strict=True):
        assert torch.equal(a, b)


def test_spikes_take_a_thirty_second_of_the_memory() -> None:
    kept: list[Any] = []
    model = nn.Sequential(nn.LIF(dt="1 ms", v_threshold=0.3), nn.Linear(64, 64))
    x = torch.rand(50, 16, 64)

    def pack(v: Tensor) -> Any:
        kept.append(bits._packed(v))
        return kept[-1]

    with torch.autograd.graph.saved_tensors_hooks(pack, bits._unpacked):
        y, _ = model(x)
    packed = [v for v in kept if isinstance(v, bits._Bits)]
    assert [v.bits.numel() * 32 for v in packed] == [50 * 16 * 64 * 4]
    y.sum().backward()
