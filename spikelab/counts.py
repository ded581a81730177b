"""What a run did, counted: operations per op of each projection, updates and spikes per population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spikelab.errors import ShapeError, UnsupportedError
from spikelab.ops.op import OpCount

__all__ = ["Counts", "PopulationCount"]


@dataclass(frozen=True)
class PopulationCount:
    """What the neurons of one population did.

    Args:
        model: class name of the model, or `"input"`, `"junction"`.
        neurons: number of neurons.
        updates: evaluations of `step` (a jump over silent steps counts once).
        spikes: spikes emitted, of either sign; whole numbers greater than one count as that many, a graded spike in
            volts as one.
        per_update: operations of one evaluation by kind (add, mul, compare, ...).
        spiking: whether the output is spikes.
        active_updates: neuron-steps with input other than 0 or a state that was not 0 before the step.
        states: state variables of one neuron.
    """

    model: str
    neurons: int
    updates: int
    spikes: int
    per_update: Mapping[str, int]
    spiking: bool
    active_updates: int = 0
    states: int = 1

    def __add__(self, other: PopulationCount) -> PopulationCount:
        return replace(
            self,
            updates=self.updates + other.updates,
            spikes=self.spikes + other.spikes,
            active_updates=self.active_updates + other.active_updates,
        )


@dataclass(frozen=True)
class Counts:
    """Counts of one run. `a + b` joins runs of other samples; `a.then(b)` continues the same samples.

    Args:
        back_end: name of the target that ran.
        samples: number of samples.
        sample_steps: time steps, summed over the samples.
        dt: [s] time step.
        projections: per projection label, the counts of its ops in turn.
        populations: per name.
    """

    back_end: str
    samples: int
    sample_steps: int
    dt: float
    projections: Mapping[str, tuple[OpCount, ...]]
    populations: Mapping[str, PopulationCount]

    @property
    def synaptic_ops(self) -> int:
        """Event-driven synaptic operations of all weighted ops."""
        return sum(c.synaptic_ops for ops in self.projections.values() for c in ops if c.weighted)

    @property
    def dense_ops(self) -> int:
        """The same if no zero were skipped."""
        return sum(c.dense_ops for ops in self.projections.values() for c in ops if c.weighted)

    @property
    def spikes(self) -> int:
        """Spikes of all spiking populations, inputs left out."""
        return sum(p.spikes for p in self.populations.values() if p.spiking and p.model != "input")

    @property
    def neuron_updates(self) -> int:
        """Evaluations of a neuron's step."""
        return sum(p.updates for p in self.populations.values())

    def __add__(self, other: Counts) -> Counts:
        return self._join(other)

    def then(self, other: Counts) -> Counts:
        """Counts of this run and of its continuation with the same samples."""
        joined = self._join(other)
        if self.samples != other.samples:
            raise ShapeError(
                f"Counts.then: {other.samples} samples continue {self.samples}; "
                "add them with + if they are other samples"
            )
        return replace(joined, samples=self.samples)

    def _join(self, other: Counts) -> Counts:
        if not isinstance(other, Counts):
            raise UnsupportedError(f"Counts: found {type(other).__name__}; expected Counts; pass run.counts")
        if set(self.projections) != set(other.projections) or set(self.populations) != set(other.populations):
            raise ShapeError("Counts: the runs are of different networks; add counts of one network only")
        if (self.dt, self.back_end) != (other.dt, other.back_end):
            raise ShapeError(
                f"Counts: found runs of {self.back_end} at dt {self.dt} s and of {other.back_end} at {other.dt} s; "
                "expected one back-end and one dt; account them one by one"
            )
        return Counts(
            self.back_end,
            self.samples + other.samples,
            self.sample_steps + other.sample_steps,
            self.dt,
            {
                n: tuple(a + b for a, b in zip(c, other.projections[n], strict=True))
                for n, c in self.projections.items()
            },
            {n: p + other.populations[n] for n, p in self.populations.items()},
        )
