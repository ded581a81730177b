"""`LossReport`: what a file does not carry of a network, layer by layer.

Every writer in `hardware` returns one. A field that a format cannot lose stays at its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["LayerLoss", "LossReport"]


@dataclass(frozen=True)
class LayerLoss:
    """What happened to one population or projection on its way into a file.

    Args:
        name: population, or label of the projection (`pre->post`).
        kind: `"population"` or `"projection"`.
        changed: what stands in the file in another form, one phrase each.
        weight_error: largest |weight read back - weight| over the largest |weight|; 0 is exact.
        clipped: weights beyond the range of the format.
        rounded_to_zero: weights that were not zero and are zero in the file.
        dead: neurons that spiked on the sample before and are silent after; None without a sample.
        saturated: neurons whose state hit a limit on the sample; None without a sample.
    """

    name: str
    kind: Literal["population", "projection"]
    changed: tuple[str, ...] = ()
    weight_error: float = 0.0
    clipped: int = 0
    rounded_to_zero: int = 0
    dead: int | None = None
    saturated: int | None = None

    @property
    def exact(self) -> bool:
        """Whether nothing was lost: what the file holds gives back the same numbers."""
        return self.weight_error == 0 and not (self.clipped or self.rounded_to_zero or self.dead or self.saturated)


@dataclass(frozen=True)
class LossReport:
    """What a writer changed, lost, and who reads the file the same way.

    Args:
        target: format or chip, e.g. `"nir"`.
        path: the file.
        layers: one entry per population and projection, in the order of the network.
        readers: per program, why it reads the file differently; empty where it gives the same spikes.
        notes: what concerns the whole file.
        agreement: figures on a sample, e.g. `{"spike_f1": 0.99}`; empty without one.

    Example:
        >>> report = LossReport("nir", "net.nir", (LayerLoss("in->out", "projection"),), readers={"norse": ()})
        >>> report.exact
        True
        >>> print(report)
        nir: net.nir; exact
        norse: same spikes
    """

    target: str
    path: str
    layers: tuple[LayerLoss, ...] = ()
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    agreement: Mapping[str, float] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether reading the file gives the same network."""
        return all(layer.exact for layer in self.layers)

    @property
    def weight_error(self) -> float:
        """Largest relative weight error of any layer."""
        return max((layer.weight_error for layer in self.layers), default=0.0)

    def __str__(self) -> str:
        lines = [f"{self.target}: {self.path}; " + ("exact" if self.exact else f"weight error {self.weight_error:.3g}")]
        for layer in self.layers:
            losses = [
                f"{number} {what}"
                for number, what in (
                    (layer.clipped, "clipped"),
                    (layer.rounded_to_zero, "rounded to zero"),
                    (layer.dead, "dead neurons"),
                    (layer.saturated, "saturated neurons"),
                )
                if number
            ]
            if layer.weight_error:
                losses.append(f"weight error {layer.weight_error:.3g}")
            if layer.changed or losses:
                lines.append(f"{layer.name}: " + "; ".join((*layer.changed, *losses)))
        lines += [f"{name}: " + ("; ".join(why) or "same spikes") for name, why in self.readers.items()]
        lines += [f"{name}: {value:.4g}" for name, value in self.agreement.items()]
        return "\n".join((*lines, *self.notes))
