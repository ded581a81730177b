"""Random changes of spike tensors while training: each draws from the generator it is given.

A transform is a frozen dataclass called as `transform(x, rng)` with x [T, B, *shape]; several stand
in a tuple. Every sample of the batch gets its own draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError, UnitError, brief

__all__ = ["ChannelWarp", "ImageShift", "ImageWarp", "SpikeDrop", "TimeWarp", "Transform", "augmented"]

Transform = Callable[[Tensor, np.random.Generator], Tensor]
"""`(x, rng) -> x`."""


_MOST_SHIFT = 1024  # steps, channels or pixels: beyond it nothing is left of a sample


def _within(name: str, most: float, **values: float) -> None:
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= most:
            raise UnitError(f"{name}: found {key}={brief(value)}; expected a number from 0 to {most}; choose one")


def _draw(rng: np.random.Generator, samples: int, width: float) -> Tensor:
    """[B] uniform in [-width, width]."""
    return torch.from_numpy(rng.uniform(-width, width, samples).astype(np.float32))


@dataclass(frozen=True)
class TimeWarp:
    """Stretch and shift time: step t takes what was at `t * exp(u) + o`, rounded; nothing comes from outside.

    Args:
        stretch: u is uniform within +-stretch, at most 1.
        shift: o is uniform within +-shift [steps].
    """

    stretch: float = 0.15
    shift: float = 4.0

    def __post_init__(self) -> None:
        _within("TimeWarp", 1, stretch=self.stretch)
        _within("TimeWarp", _MOST_SHIFT, shift=self.shift)

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """[T, B, *shape] to the same shape."""
        steps, samples = x.shape[:2]
        scale, offset = torch.exp(_draw(rng, samples, self.stretch)), _draw(rng, samples, self.shift)
        source = torch.round(torch.arange(steps)[:, None] * scale + offset).long()
        inside = (source >= 0) & (source < steps)
        y = x[source.clamp(0, steps - 1), torch.arange(samples)[None]]
        return y * inside.view(steps, samples, *[1] * (x.ndim - 2))


@dataclass(frozen=True)
class ChannelWarp:
    """Stretch the channel axis about its middle and shift it, as another voice would.

    Args:
        stretch: channel c takes what was at `(c - C / 2) * (1 + u) + C / 2 + o`, u within +-stretch, at most 1.
        shift: o is uniform within +-shift [channels].
    """

    stretch: float = 0.05
    shift: float = 4.0

    def __post_init__(self) -> None:
        _within("ChannelWarp", 1, stretch=self.stretch)
        _within("ChannelWarp", _MOST_SHIFT, shift=self.shift)

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """[T, B, C] to the same shape."""
        if x.ndim != 3:
            raise ShapeError(f"ChannelWarp: found input of shape {tuple(x.shape)}; expected [T, B, C]")
        steps, samples, channels = x.shape
        scale, offset = 1 + _draw(rng, samples, self.stretch), _draw(rng, samples, self.shift)
        middle = channels / 2
        source = torch.round((torch.arange(channels)[None] - middle) * scale[:, None] + middle + offset[:, None]).long()
        inside = (source >= 0) & (source < channels)
        y = torch.gather(x, 2, source.clamp(0, channels - 1)[None].expand(steps, samples, channels))
        return y * inside[None]


@dataclass(frozen=True)
class SpikeDrop:
    """Drop each input value with a probability that is drawn per sample, uniform up to twice `share`.

    Args:
        share: mean share of values dropped, at most 0.5.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        _within("SpikeDrop", 0.5, share=self.share)

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """[T, B, *shape] to the same shape."""
        samples = x.shape[1]
        share = torch.from_numpy(rng.uniform(0, 2 * self.share, samples).astype(np.float32))
        keep = torch.from_numpy(rng.random(x.shape, dtype=np.float32)) >= share.view(1, samples, *[1] * (x.ndim - 2))
        return x * keep


@dataclass(frozen=True)
class ImageShift:
    """Shift images by whole pixels, the same for all steps of a sample; nothing comes from outside.

    Args:
        pixels: largest shift along each axis.
    """

    pixels: int = 2

    def __post_init__(self) -> None:
        if not is_whole(self.pixels):
            raise UnitError(f"ImageShift: found pixels={self.pixels!r}; expected a whole number from 0")
        _within("ImageShift", _MOST_SHIFT, pixels=self.pixels)

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """[T, B, C, H, W] to the same shape."""
        if x.ndim != 5:
            raise ShapeError(f"ImageShift: found input of shape {tuple(x.shape)}; expected [T, B, C, H, W]")
        p = self.pixels
        padded = torch.nn.functional.pad(x, (p, p, p, p))
        height, width = x.shape[3:]
        at = rng.integers(0, 2 * p + 1, (x.shape[1], 2))
        return torch.stack([padded[:, b, :, i : i + height, j : j + width] for b, (i, j) in enumerate(at)], dim=1)


@dataclass(frozen=True)
class ImageWarp:
    """Turn, stretch and shift images about their middle, the same for all steps of a sample.

    Each pixel takes the value of the nearest source pixel; nothing comes from outside.

    Args:
        degrees: largest turn either way, at most 180.
        stretch: height and width are each scaled by exp(u), u within +-stretch, at most 1.
        shift: largest shift along each axis [pixels].
    """

    degrees: float = 12.0
    stretch: float = 0.12
    shift: float = 1.5

    def __post_init__(self) -> None:
        _within("ImageWarp", 180, degrees=self.degrees)
        _within("ImageWarp", 1, stretch=self.stretch)
        _within("ImageWarp", _MOST_SHIFT, shift=self.shift)

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """[T, B, C, H, W] to the same shape."""
        if x.ndim != 5:
            raise ShapeError(f"ImageWarp: found input of shape {tuple(x.shape)}; expected [T, B, C, H, W]")
        steps, samples, channels, height, width = x.shape
        angle = _draw(rng, samples, np.deg2rad(self.degrees))[:, None, None]
        sy, sx = (torch.exp(_draw(rng, samples, self.stretch))[:, None, None] for _ in range(2))
        oy, ox = (_draw(rng, samples, self.shift)[:, None, None] for _ in range(2))
        y = (torch.arange(height) - (height - 1) / 2)[None, :, None]
        z = (torch.arange(width) - (width - 1) / 2)[None, None, :]
        row = torch.round((angle.cos() * y - angle.sin() * z) * sy + oy + (height - 1) / 2).long()
        column = torch.round((angle.sin() * y + angle.cos() * z) * sx + ox + (width - 1) / 2).long()
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        source = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).view(1, samples, 1, -1)
        flat = torch.gather(x.flatten(3), 3, source.expand(steps, samples, channels, -1))
        return (flat * inside.view(1, samples, 1, -1)).view_as(x)


def augmented(x: Tensor, transforms: Sequence[Transform], rng: np.random.Generator) -> Tensor:
    """x after all transforms in turn."""
    for transform in transforms:
        y = transform(x, rng)
        if not isinstance(y, Tensor) or y.shape[:2] != x.shape[:2]:
            found = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise ShapeError(
                f"augment: found {found} from {transform!r}; expected a tensor [T, B, ...]; return the new x"
            )
        x = y
    return x
