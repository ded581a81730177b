"""Memory of large results: taken again once free, never while a tensor of any kind still shows it, bounded."""

import gc
import threading

import numpy as np
import pytest
import torch

from spikelab import memory as kept
from spikelab import nn
from spikelab.nn import memory


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_idle", {})


def test_the_memory_of_a_dead_tensor_is_taken_again() -> None:
    first = memory.empty((512, 1024), torch.float32)
    place = first.data_ptr()
    del first
    gc.collect()
    assert memory.empty((1024, 512), torch.float32).data_ptr() == place


@pytest.mark.parametrize("hold", [lambda t: t[3:], lambda t: t.numpy()[1:], lambda t: t.detach().view(-1), torch.t])
def test_memory_that_a_view_shows_is_not_taken(hold: object) -> None:
    first = memory.empty((1024, 1024), torch.float32).fill_(7.0)
    view = hold(first)  # type: ignore[operator]
    del first
    gc.collect()
    memory.empty((1024, 1024), torch.float32).fill_(1.0)
    assert bool((view == 7).all())


@pytest.mark.parametrize("size", [4, 256])
def test_images_may_lie_channels_last_and_keep_their_memory(size: int) -> None:
    image = memory.empty((2, 3, size, size), torch.float32, channels_last=True)
    assert image.shape == (2, 3, size, size) and image.is_contiguous(memory_format=torch.channels_last)
    image.fill_(7.0)
    gc.collect()
    memory.empty((2, 3, size, size), torch.float32).fill_(1.0)
    assert bool((image == 7).all())


def test_small_tensors_are_torchs_own_and_shapes_and_types_are_kept() -> None:
    assert memory.empty((3, 0, 2), torch.float64).shape == (3, 0, 2)
    large = memory.empty((2, 3, 1 << 17), torch.float64)
    assert large.shape == (2, 3, 1 << 17) and large.dtype == torch.float64 and large.is_contiguous()
    assert not kept._idle


def test_idle_memory_is_bounded_and_the_oldest_size_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 6 << 20)
    sizes = [1 << 20, 2 << 20, 3 << 20, 4 << 20]
    tensors = [memory.empty((s,), torch.uint8) for s in sizes]
    while tensors:
        tensors.pop(0)
    gc.collect()
    assert [memory.touched for memory in kept._idle.values()] == [4 << 20]


def test_threads_never_share_memory() -> None:
    wrong = []

    def work(number: int) -> None:
        for _ in range(50):
            t = memory.empty((1 << 18,), torch.float32).fill_(float(number))
            if not np.all(t.numpy() == number):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("shape", [(64, 1, 8), (64, 16, 512)])
def test_a_result_may_be_changed_in_place_whatever_its_size(shape: tuple[int, ...]) -> None:
    layer = nn.Sequential(nn.LIF(dt="1 ms"), torch.nn.Dropout(0.5, inplace=True))
    x = (3 * torch.rand(shape)).requires_grad_()
    y, _ = layer(x)
    y += 1
    y.sum().backward()
    assert x.grad is not None and not memory.empty(shape, torch.float32)._is_view()
