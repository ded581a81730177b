"""Augmentations: same shape, own draw per sample, everything from the generator that is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spikelab.errors import ShapeError, UnitError
from spikelab.train import ChannelWarp, ImageShift, ImageWarp, SpikeDrop, TimeWarp
from spikelab.train.augment import augmented

ALL: list[tuple[Any, tuple[int, ...]]] = [
    (TimeWarp(), (30, 8, 5)),
    (TimeWarp(0.3, 2.0), (30, 8, 2, 6, 6)),
    (ChannelWarp(), (30, 8, 40)),
    (SpikeDrop(0.3), (30, 8, 2, 6, 6)),
    (ImageShift(2), (30, 8, 2, 9, 7)),
    (ImageWarp(), (30, 8, 2, 9, 7)),
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spikes(*shape: int) -> Tensor:
    return torch.from_numpy((rng(9).random(shape) < 0.4).astype(np.float32))


@pytest.mark.parametrize(("transform", "shape"), ALL)
def test_shape_and_type_stay_the_draw_decides_and_samples_differ(transform: Any, shape: tuple[int, ...]) -> None:
    x = spikes(*shape)
    before = x.clone()
    a, again, other = transform(x, rng(1)), transform(x, rng(1)), transform(x, rng(2))
    assert a.shape == x.shape and a.dtype == x.dtype
    assert torch.equal(a, again) and not torch.equal(a, other)
    assert torch.equal(x, before)
    assert set(a.unique().tolist()) <= {0.0, 1.0}  # nothing is invented
    same = spikes(shape[0], 1, *shape[2:]).expand(shape)
    drawn = transform(same, rng(3))
    assert not all(torch.equal(drawn[:, 0], drawn[:, k]) for k in range(1, 8))


@pytest.mark.parametrize(
    ("identity", "shape"),
    [
        (TimeWarp(0, 0), (30, 8, 5)),
        (ChannelWarp(0, 0), (30, 8, 40)),
        (SpikeDrop(0.0), (30, 8, 5)),
        (ImageShift(0), (30, 8, 2, 9, 7)),
        (ImageWarp(0.0, 0.0, 0.0), (30, 8, 2, 9, 7)),
    ],
)
def test_a_transform_of_strength_zero_is_the_identity(identity: Any, shape: tuple[int, ...]) -> None:
    x = spikes(*shape)
    assert torch.equal(identity(x, rng()), x)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_spike_drop_drops_its_share_in_the_mean_and_up_to_twice_it_per_sample(share: float) -> None:
    kept = SpikeDrop(share)(torch.ones(100, 2000, 4), rng()).mean((0, 2))
    assert float(1 - kept.mean()) == pytest.approx(share, abs=0.03)
    assert float(1 - kept.min()) <= 2 * share + 0.05
    assert float(kept.std()) == pytest.approx(2 * share / np.sqrt(12), rel=0.15)


def test_image_shift_moves_whole_images_and_keeps_what_stays_inside() -> None:
    x = torch.zeros(6, 40, 2, 11, 9)
    x[..., 3:8, 3:6] = torch.rand(6, 40, 2, 5, 3, generator=torch.Generator().manual_seed(0))
    y = ImageShift(3)(x, rng())
    assert torch.allclose(y.sum((0, 2, 3, 4)), x.sum((0, 2, 3, 4)))
    seen = set()
    for b in range(40):
        shifts = [
            (i, j)
            for i in range(-3, 4)
            for j in range(-3, 4)
            if torch.equal(torch.roll(x[:, b], (i, j), (-2, -1)), y[:, b])
        ]
        assert len(shifts) == 1  # one shift for all steps and channels
        seen.add(shifts[0])
    assert len(seen) > 15 and all(max(abs(i), abs(j)) <= 3 for i, j in seen)


def test_image_shift_brings_nothing_from_outside() -> None:
    y = ImageShift(4)(torch.ones(1, 60, 1, 5, 5), rng())
    assert {int(v) for v in y.sum((0, 2, 3, 4))} <= {a * b for a in range(1, 6) for b in range(1, 6)}


def test_image_warp_takes_each_pixel_from_where_the_drawn_map_says() -> None:
    x = torch.rand(2, 6, 1, 9, 7, generator=torch.Generator().manual_seed(0))
    y = ImageWarp(30.0, 0.2, 1.5)(x, rng(4))
    draw = rng(4)
    angle, sy, sx, oy, ox = (draw.uniform(-w, w, 6) for w in (np.deg2rad(30.0), 0.2, 0.2, 1.5, 1.5))
    agree = 0
    for b, i, j in np.ndindex(6, 9, 7):
        turned = complex(i - 4, j - 3) * np.exp(1j * angle[b])  # rows real, columns imaginary
        row = round(turned.real * np.exp(sy[b]) + oy[b] + 4)
        column = round(turned.imag * np.exp(sx[b]) + ox[b] + 3)
        expected = x[:, b, 0, row, column] if 0 <= row < 9 and 0 <= column < 7 else torch.zeros(2)
        agree += torch.equal(y[:, b, 0, i, j], expected)
    assert agree >= 6 * 63 - 3  # a half may round either way


def test_time_warp_takes_steps_from_where_it_says() -> None:
    ramp = torch.arange(1.0, 101)[:, None, None].expand(100, 50, 1)
    y = TimeWarp(0.2, 10.0)(ramp, rng(4))
    draw = rng(4)
    scale = np.exp(draw.uniform(-0.2, 0.2, 50).astype(np.float32))
    offset = draw.uniform(-10, 10, 50).astype(np.float32)
    for b in range(50):
        source = np.round(np.arange(100, dtype=np.float32) * scale[b] + offset[b])
        expected = np.where((source >= 0) & (source < 100), source + 1, 0)
        np.testing.assert_allclose(y[:, b, 0], expected, atol=1)  # a half may round either way
        assert (np.diff(y[:, b, 0][y[:, b, 0] > 0]) >= 0).all()


def test_channel_warp_keeps_the_middle_and_the_order() -> None:
    ramp = torch.arange(1.0, 65)[None, None].expand(3, 30, 64)
    y = ChannelWarp(0.1, 0.0)(ramp, rng())
    assert torch.equal(y[..., 32], ramp[..., 32])
    assert all((np.diff(row[row > 0]) >= 0).all() for row in y[0].numpy())
    assert not torch.equal(y, ramp)


def test_transforms_are_applied_in_turn() -> None:
    x = spikes(10, 4, 6)

    def double(v, _) -> Tensor:
        return 2 * v

    def more(v, _) -> Tensor:
        return v + 1

    assert torch.equal(augmented(x, (double, more), rng()), 2 * x + 1)
    assert augmented(x, (), rng()) is x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpikeDrop(0.6), r"SpikeDrop: found share=0.6; expected a number from 0 to 0.5"),
        (lambda: SpikeDrop(-0.1), "share=-0.1"),
        (lambda: SpikeDrop(float("nan")), "share=nan"),
        (lambda: ImageShift(-1), "pixels=-1"),
        (lambda: ImageShift(1.5), "whole number"),  # type: ignore[arg-type]
        (lambda: ImageWarp(-1.0), "degrees=-1.0"),
        (lambda: TimeWarp(-0.1), "stretch=-0.1"),
        (lambda: ChannelWarp(0.1, -1.0), "shift=-1.0"),
        (lambda: ImageWarp(float("inf")), "degrees=inf; expected a number from 0 to 180"),
        (lambda: ImageWarp(200.0), "degrees=200.0"),
        (lambda: ImageWarp(10.0, 5.0), "stretch=5.0; expected a number from 0 to 1"),
        (lambda: ImageWarp(10.0, 0.1, 1e30), "shift=1e\\+30"),
        (lambda: ImageWarp("12 deg"), "degrees='12 deg'"),
        (lambda: TimeWarp(float("inf")), "stretch=inf"),
        (lambda: ChannelWarp(1.5), "stretch=1.5"),
        (lambda: SpikeDrop(None), "share=None"),
        (lambda: ImageShift(10**9), "pixels=1000000000"),
        (lambda: ImageShift(True), "pixels=True"),
    ],
)
def test_strengths_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        make()


def test_input_of_other_axes_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"ImageShift.*expected \[T, B, C, H, W\]"):
        ImageShift()(spikes(5, 2, 8), rng())
    with pytest.raises(ShapeError, match=r"ImageWarp.*expected \[T, B, C, H, W\]"):
        ImageWarp()(spikes(5, 2, 8), rng())
    with pytest.raises(ShapeError, match=r"ChannelWarp.*expected \[T, B, C\]"):
        ChannelWarp()(spikes(5, 2, 1, 8, 8), rng())
