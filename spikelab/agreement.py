"""How far two runs of one network agree, and where they first part.

Sums in another order may flip a spike where the membrane meets the threshold to within rounding.
Such a flip is counted and traced: at the first difference of a sample, and in the population that
differs first, the reference's distance to the threshold is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import to_array
from spikelab.clocked import Float32
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.network import Network, must_be_network

__all__ = ["ROUNDING", "TIE", "Agreement", "Difference", "agreement", "spike_f1"]

TIE = 1e-5
"""A threshold tie: |v - v_threshold| of at most this share of the threshold (design of the library)."""
ROUNDING = 1e-4
"""Share of its size by which a real-valued output (`SigmaDelta`) may differ: sums in another order round otherwise."""


@dataclass(frozen=True)
class Difference:
    """First difference of one sample.

    Args:
        sample: index of the sample.
        step: time step.
        population: where it showed first.
        neurons: how many neurons of it differ at that step.
        distance: largest |v - v_threshold| / v_threshold among them, in the reference; where the model has
            no `v_threshold`, relative to the median distance of the population in this run.
    """

    sample: int
    step: int
    population: str
    neurons: int
    distance: float

    @property
    def tie(self) -> bool:
        """Whether rounding at the threshold explains it."""
        return self.distance <= TIE


@dataclass(frozen=True)
class Agreement:
    """Two runs side by side.

    Args:
        decisions: comparisons with a threshold made in each run.
        reference_spikes: spikes of the reference.
        other_spikes: spikes of the other run.
        common_spikes: spikes that both have.
        differing: decisions that differ; of real-valued outputs those that one sends and the other does not, or that
            are apart by more than `ROUNDING`.
        samples: number of samples.
        first: first difference of each sample that has one.
        predictions_differing: samples whose largest summed output is another one.
    """

    decisions: int
    reference_spikes: int
    other_spikes: int
    common_spikes: int
    differing: int
    samples: int
    first: tuple[Difference, ...]
    predictions_differing: int

    @property
    def f1(self) -> float:
        """F1 of the spikes: 2 common / (reference + other); 1 if both are silent."""
        total = self.reference_spikes + self.other_spikes
        return 2 * self.common_spikes / total if total else 1.0

    @property
    def explained(self) -> bool:
        """Whether every first difference is a threshold tie."""
        return all(d.tie for d in self.first)

    def __add__(self, other: Agreement) -> Agreement:
        if not isinstance(other, Agreement):
            raise UnsupportedError(f"Agreement: found {type(other).__name__} to add; expected an Agreement")
        moved = tuple(
            Difference(d.sample + self.samples, d.step, d.population, d.neurons, d.distance) for d in other.first
        )
        return Agreement(
            self.decisions + other.decisions,
            self.reference_spikes + other.reference_spikes,
            self.other_spikes + other.other_spikes,
            self.common_spikes + other.common_spikes,
            self.differing + other.differing,
            self.samples + other.samples,
            self.first + moved,
            self.predictions_differing + other.predictions_differing,
        )

    def __str__(self) -> str:
        text = f"{self.differing} of {self.decisions:,} spike decisions differ (F1 {self.f1:.6f})"
        if self.first:
            ties = sum(d.tie for d in self.first)
            text += f"; {len(self.first)} of {self.samples} samples, {ties} traced to a threshold tie"
        return f"{text}; {self.predictions_differing} of {self.samples} predictions differ"


def spike_f1(a: NDArray[Any], b: NDArray[Any]) -> float:
    """F1 of two spike arrays of one shape; 1 if both are silent.

    Example:
        >>> spike_f1(np.array([1, 0, 1, 0]), np.array([1, 0, 0, 0]))
        0.6666666666666666
    """
    a, b = _finite(a, "spike_f1"), _finite(b, "spike_f1")
    if a.shape != b.shape:
        raise ShapeError(f"spike_f1: shapes {a.shape} and {b.shape}; expected one")
    common = float(np.minimum(a, b).sum(dtype=np.float64))
    total = float(a.sum(dtype=np.float64) + b.sum(dtype=np.float64))
    return 2 * common / total if total else 1.0


def agreement(net: Network, x: Any, spikes: Mapping[str, Any], reference: Float32 | None = None) -> Agreement:
    """Compare the spikes of another run with those of the float32 reference on the same input.

    Args:
        net: the network.
        x: [T, B, *shape] input, as in `Float32.run`.
        spikes: per population [T, B, *shape] of the other run; outputs without spikes are compared by prediction.
        reference: the reference target; `Float32()` if None.

    Returns:
        Counts of what agrees, and the first difference of each sample.

    Raises:
        ShapeError: a population is unknown, has another shape, or holds no finite numbers.
        UnsupportedError: no spikes by name, or a reference that is no target.
    """
    if not isinstance(spikes, Mapping) or not spikes:
        raise UnsupportedError(
            f"agreement: found spikes of {'nobody' if spikes == {} else type(spikes).__name__}; "
            "expected arrays by population; pass run.spikes"
        )
    target = Float32() if reference is None else reference
    if not isinstance(target, Float32):
        raise UnsupportedError(
            f"agreement: found a reference of {type(target).__name__}; expected a target; leave it out"
        )
    must_be_network(net, "agreement")
    firing = {n for n, p in net.populations.items() if p.model is not None and p.model.spiking and n in spikes}
    run = target.run(net, x, traces=dict.fromkeys(firing, ("margin",)))
    other = {n: _finite(v, f"agreement: {n}") for n, v in spikes.items()}
    for n, value in other.items():
        if n not in run.spikes or value.shape != run.spikes[n].shape:
            expected = run.spikes[n].shape if n in run.spikes else "a population of the network"
            raise ShapeError(f"agreement: {n} of shape {value.shape}; expected {expected}")
    order = [n for component in net.order() for n in component if n in firing]
    batch = next(iter(run.spikes.values())).shape[1]
    sums = np.zeros(5, np.int64)
    for n in order:
        a, b = run.spikes[n], other[n]
        whole = [v.sum(dtype=np.float64) for v in (a, b, np.minimum(a, b))]
        sums += np.array([a.size, *whole, np.count_nonzero(_differ(a, b))], np.int64)
    first = [d for k in range(batch) if (d := _first(net, run, other, order, k)) is not None]
    wrong = 0
    if len(net.outputs) == 1 and net.outputs[0] in other:
        out = net.outputs[0]
        guesses = [
            v.sum(axis=0, dtype=np.float64).reshape(batch, -1).argmax(axis=1) for v in (run.spikes[out], other[out])
        ]
        wrong = int(np.count_nonzero(guesses[0] != guesses[1]))
    decisions, reference_spikes, other_spikes, common, differing = (int(v) for v in sums)
    return Agreement(decisions, reference_spikes, other_spikes, common, differing, batch, tuple(first), wrong)


def _finite(value: Any, where: str) -> NDArray[Any]:
    array = to_array(value, where)
    if not np.isfinite(array).all():
        raise ShapeError(f"{where}: found NaN or infinity; expected finite numbers; mend the run that gave them")
    return array


def _differ(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two outputs decide otherwise: whole spikes by number, values by whether they are sent, and their size."""
    apart: NDArray[np.bool_] = a != b
    if not apart.any() or (whole := np.rint(a) == a).all():
        return apart
    near = np.abs(a - b) <= ROUNDING * np.maximum(np.abs(a), np.abs(b))
    return np.asarray(apart & (whole | ~near | ((a != 0) != (b != 0))), np.bool_)


def _first(net: Network, run: Any, other: Mapping[str, Any], order: list[str], sample: int) -> Difference | None:
    at: dict[str, int] = {}
    for n in order:
        differs = np.any(_differ(run.spikes[n][:, sample], other[n][:, sample]).reshape(len(other[n]), -1), axis=1)
        if differs.any():
            at[n] = int(np.argmax(differs))
    if not at:
        return None
    step = min(at.values())
    name = next(n for n in order if at.get(n) == step)
    mask = _differ(run.spikes[name][step, sample], other[name][step, sample])
    margins = np.abs(run.traces[name]["margin"].astype(np.float64))
    margin = margins[step, sample]
    scale = getattr(net.populations[name].model, "v_threshold", None)
    scale = np.median(margins) if scale is None else np.abs(to_array(scale, name).astype(np.float64))
    threshold = np.broadcast_to(scale, mask.shape)
    relative = np.divide(margin, threshold, out=np.where(margin > 0, np.inf, 0.0), where=threshold > 0)
    return Difference(sample, step, name, int(mask.sum()), float(relative[mask].max()))
