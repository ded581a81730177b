"""Energy of a run: what was counted, times a cost table; every joule keeps its count, figure and source.

Three sums are kept apart and never added up: `dynamic` (operations, synaptic events, messages),
`memory` (accesses), `static` (power times time). What a table has no figure for is listed by name in
`not_counted`; nothing is silently zero. The conventions:

- A weighted op with binary inputs (spikes) is one addition (AC) per active input and non-zero weight, with
  others a multiplication too (MAC); the class is the op's for the whole run (`OpCount.operand`). Pooling is
  additions, `Scale` multiplications.
- A neuron pays what its `step` computes (`PopulationCount.per_update`) per evaluation.
- Memory: one weight read per synaptic operation, one read and one write of each state per evaluation.
- Populations share no core. A message goes to each core of the target, with a synapse there or not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from typing import Any

from spikelab.counts import Counts, PopulationCount
from spikelab.errors import ShapeError, UnsupportedError, unknown_name
from spikelab.hardware.costing import NUMBERS, CostEntry, CostTable, Interval, capacity_bytes, cost_table
from spikelab.network import Network
from spikelab.ops.op import OpCount

__all__ = ["AnnComparison", "EnergyReport", "EnergyRow", "ann_energy", "energy"]

Costs = str | PathLike[str] | CostTable
_WIRING = {"Flatten", "Reshape", "Permute", "Concat", "Slice"}
_POOLING = {"SumPool2d", "AvgPool2d", "SumPool", "AvgPool"}


@dataclass(frozen=True)
class EnergyRow:
    """One line of a report.

    Args:
        place: projection or population, or `"network"`.
        term: what was done there.
        category: `"dynamic"`, `"memory"` or `"static"`.
        count: how often; for powers, things times seconds [s].
        each: [J] energy of one, or [W] power of one.
        energy: [J] `count` times `each`; the bounds are those of count and figure.
        basis: how the figure came about, see `costing.BASES`.
        source: where it was read.
    """

    place: str
    term: str
    category: str
    count: float
    each: Interval
    energy: Interval
    basis: str
    source: str


@dataclass(frozen=True, eq=False)
class AnnComparison:
    """The run beside an ANN of equal shape, in the same table; dynamic energies of the whole run.

    Args:
        ann: the ANN, see `ann_energy`.
        dense: the same SNN with no zero skipped and every neuron evaluated at every step.
        ratio: energy of the run over that of the ANN.
        dense_ratio: energy of the dense SNN over that of the ANN.
        rate: share of the dense synaptic operations that were done.
        break_even_rate: share at which the SNN's synaptic additions alone cost what the ANN's MACs cost.
    """

    ann: EnergyReport
    dense: EnergyReport
    ratio: float
    dense_ratio: float
    rate: float
    break_even_rate: float


@dataclass(frozen=True, eq=False)
class EnergyReport:
    """Energies of a run, line by line; `print` it.

    Args:
        table: cost table.
        title: what was accounted for.
        samples: number of samples (inferences).
        sample_steps: time steps, summed over the samples.
        rows: the lines.
        not_counted: what the sums leave out, by name.
        notes: assumptions.
        ann: the ANN of equal shape beside it, where the table has additions and multiplications.
    """

    table: CostTable
    title: str
    samples: int
    sample_steps: int
    rows: tuple[EnergyRow, ...]
    not_counted: tuple[str, ...]
    notes: tuple[str, ...]
    ann: AnnComparison | None = None

    @property
    def totals(self) -> dict[str, Interval]:
        """[J] sums of `dynamic` (operations, events, messages), `memory` (accesses) and `static` (power x time)."""
        return _sums(self.rows)

    @property
    def per_sample(self) -> dict[str, Interval]:
        """[J] each category, for one sample."""
        return {c: e / max(self.samples, 1) for c, e in self.totals.items()}

    @property
    def layers(self) -> dict[str, dict[str, Interval]]:
        """[J] each category of each projection and population."""
        return {p: _sums(r for r in self.rows if r.place == p) for p in dict.fromkeys(r.place for r in self.rows)}

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, texts, lists and dicts, ready for JSON; energies in J."""
        result = {key: getattr(self, key) for key in ("title", "samples", "sample_steps")} | {
            "table": self.table.name,
            "node": self.table.node,
            "totals_J": {c: asdict(e) for c, e in self.totals.items()},
            "per_sample_J": {c: asdict(e) for c, e in self.per_sample.items()},
            "layers_J": {p: {c: asdict(e) for c, e in sums.items()} for p, sums in self.layers.items()},
            "rows": [asdict(r) for r in self.rows],
            "not_counted": list(self.not_counted),
            "notes": list(self.notes),
        }
        if self.ann is None:
            return result
        return result | {"ann": vars(self.ann) | {"ann": self.ann.ann.to_dict(), "dense": self.ann.dense.to_dict()}}

    def __str__(self) -> str:
        return "\n".join(_page(self))


def _sums(rows: Iterable[EnergyRow]) -> dict[str, Interval]:
    sums = dict.fromkeys(("dynamic", "memory", "static"), Interval())
    for r in rows:
        sums[r.category] += r.energy
    return sums


def energy(
    counts: Counts,
    costs: Costs = "45nm",
    *,
    number: str = "fp32",
    memory: str | None = "sram",
    capacity: float | str | None = None,
    neurons_per_core: int | None = None,
    extra: Mapping[str, float] | None = None,
) -> EnergyReport:
    """Energy of what a run counted.

    Args:
        counts: `Run.counts`; add the counts of several batches first.
        costs: name of a table, path of a TOML file, or a `CostTable`.
        number: number format of arithmetic, where the table has several.
        memory: `"sram"`, `"dram"`, one reading by name, or None to leave memory out; see `CostTable.access`.
        capacity: size of each memory, bytes or `"32 KiB"`; None prices 32 KiB with bounds from 8 KiB to 1 MiB.
        neurons_per_core: instead of the placement of the table.
        extra: how often, or how long [s], something happened that no run counts: `{"hop_east_west": 120}`.

    Returns:
        The report; `report.ann` sets an ANN of equal shape beside it.

    Raises:
        UnsupportedError: an unknown table, number format, memory or entry.
        FormatError, UnitError: a table or a quantity that does not hold up.

    Example:
        >>> import numpy as np
        >>> from spikelab.clocked import run
        >>> from spikelab.network import Network, Population, Projection
        >>> from spikelab.neurons import IF
        >>> from spikelab.ops import Linear
        >>> populations = {"in": Population((4,), kind="input"), "out": Population((3,), IF())}
        >>> net = Network(populations, [Projection("in", "out", (Linear(np.ones((3, 4))),))], dt="1 ms")
        >>> row = energy(run(net, np.ones((5, 1, 4))).counts).rows[0]
        >>> row.place, row.term, row.count, str(row.energy)
        ('in->out', 'AC', 60, '54 pJ')
    """
    if not isinstance(counts, Counts):
        raise UnsupportedError(f"energy: found {type(counts).__name__}; expected the counts of a run; pass run.counts")
    ledger = _Ledger(cost_table(costs), number, memory, capacity, neurons_per_core, extra or {})
    report = ledger.report(counts, f"run on {counts.back_end}")
    return replace(report, ann=_beside(counts, report, ledger))


def ann_energy(shape: Network | Counts, costs: Costs = "45nm", **options: Any) -> EnergyReport:
    """Energy of the ANN with the same layers: dense MACs on real values.

    Without a cycle each op is applied once per sample, not per step. With one the ANN is recurrent and reads
    the sequence: every op is applied once per step. Activation functions are not counted.

    Args:
        shape: counts of a run (its samples and steps), or a network (one sample of one step).
        costs: as in `energy`; the table must have additions and multiplications.
        **options: `number`, `memory` and `capacity` of `energy`.

    Raises:
        UnsupportedError: the table has no such arithmetic; what `energy` raises.

    Example:
        >>> import numpy as np
        >>> from spikelab.network import Population, Projection
        >>> from spikelab.neurons import IF
        >>> from spikelab.ops import Linear
        >>> populations = {"in": Population((4,), kind="input"), "out": Population((3,), IF())}
        >>> net = Network(populations, [Projection("in", "out", (Linear(np.ones((3, 4))),))], dt="1 ms")
        >>> f"{ann_energy(net).totals['dynamic']}"
        '55.2 pJ'
    """
    ledger = _Ledger(cost_table(costs), **options)
    if ledger.table.mac(ledger.number) is None:
        raise UnsupportedError(f"cost table {ledger.table.name}: no add and mul; an ANN needs both, as in '45nm'")
    counts = _dense_counts(shape) if isinstance(shape, Network) else shape
    if not isinstance(counts, Counts):
        raise UnsupportedError(f"ann_energy: found {type(counts).__name__}; expected a Network or Counts; pass net")
    return _ann(counts, ledger)


class _Missing(str):
    """Something that the sums leave out."""


class _Note(str):
    """An assumption."""


_Line = EnergyRow | _Missing | _Note


def _row(place: str, term: str, n: float, e: CostEntry, category: str = "dynamic", least: Any = None) -> EnergyRow:
    """`n` times a figure, with `least` times at the lower bound."""
    amount = Interval(n * e.each.value, (n if least is None else least) * e.each.low, n * e.each.high)
    return EnergyRow(place, term, category, n, e.each, amount, e.basis, e.source)


@dataclass(frozen=True)
class _Ledger:
    """A table and what was asked of it; goes through counts once per kind of figure."""

    table: CostTable
    number: str = "fp32"
    memory: str | None = "sram"
    capacity: float | str | None = None
    neurons_per_core: int | None = None
    extra: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where, table = f"cost table {self.table.name}:", self.table
        if table.numbers and self.number not in table.numbers:
            raise unknown_name(f"{where} number format", self.number, table.numbers)
        if self.memory is not None and (table.memory or self.memory != "sram"):
            table.readings(self.memory)
        capacity_bytes(32 if self.capacity is None else self.capacity)
        if (n := self.neurons_per_core) is not None and (not isinstance(n, int) or n < 1):
            raise UnsupportedError(f"neurons_per_core: found {n}; expected a whole number above zero; or leave it out")
        for name, count in self.extra.items():
            if name not in (known := {e.name for e in table.entries.values() if e.given}):
                raise unknown_name(f"{where} extra", name, known)
            if not (math.isfinite(count) and count >= 0):
                raise UnsupportedError(f"extra[{name!r}]: found {count}; expected how often it happened, 0 or more")

    def report(self, counts: Counts, title: str, ops_only: bool = False) -> EnergyReport:
        """Lines of everything that the table prices, and of what it does not."""
        parts = [self._ops, self._accesses]
        if not ops_only:
            parts = [self._ops, self._neurons, self._transport, self._accesses, self._powers, self._extras]
        lines: list[_Line] = [line for part in parts for line in part(counts)]
        rows = tuple(x for x in lines if isinstance(x, EnergyRow))
        missing, notes = (tuple(dict.fromkeys(str(x) for x in lines if isinstance(x, k))) for k in (_Missing, _Note))
        return EnergyReport(self.table, title, counts.samples, counts.sample_steps, rows, missing, notes)

    def _ops(self, counts: Counts) -> Iterator[_Line]:
        """Additions and multiplications, or synaptic events."""
        lines = self._arithmetic if self.table.numbers else self._events
        if not (self.table.numbers or self.table.per("synaptic event")):
            yield _Missing(f"synaptic operations: {counts.synaptic_ops:,} have no figure of their own in this table")
            return
        for label, ops in counts.projections.items():
            for op in ops:
                yield from () if op.kind in _WIRING else lines(label, op)
        yield _Missing("biases, and sums of several projections at one port: the counts hold neither")

    def _arithmetic(self, label: str, op: OpCount) -> Iterator[_Line]:
        add, mul = self.table.arithmetic("add", self.number), self.table.arithmetic("mul", self.number)
        term, figure = op.kind, {"Scale": mul}.get(op.kind, add if op.kind in _POOLING else None)
        if op.weighted:
            term, figure = ("AC", add) if op.operand == "binary" else ("MAC", self.table.mac(self.number))
        missing = _Missing(f"{label}: {op.kind}, {op.synaptic_ops:,} operations (no rule or no {self.number} figure)")
        yield _row(label, term, op.synaptic_ops, figure) if figure else missing
        if op.kind.startswith("AvgPool"):
            yield _Missing(f"{label}: the division of {op.kind}, which folds into the next weights")

    def _events(self, label: str, op: OpCount) -> Iterator[_Line]:
        figure = self.table.synapse(op.kind) if op.weighted else None
        if figure is None or op.operand == "real":
            why = "no figure" if figure is None else "its inputs are no spikes"
            yield _Missing(f"{label}: {op.kind}, {op.synaptic_ops:,} operations ({why})")
            return
        yield _row(label, figure.name, op.synaptic_ops, figure)
        if op.operand == "integer":
            yield _Note(f"{label}: inputs are whole numbers, each taken as one event: a lower bound")

    def _neurons(self, counts: Counts) -> Iterator[_Line]:
        """Operations of `step`; or steps, updates and spikes of a chip's neurons."""
        steps, updates, spikes = (self.table.per(per) for per in ("neuron step", "neuron update", "spike"))
        if not (self.table.numbers or steps or updates or spikes):
            yield _Missing(f"neuron updates: {counts.neuron_updates:,} have no figure of their own in this table")
        for name, p in _computing(counts):
            for kind, n in p.per_update.items() if self.table.numbers else ():
                figure, times = self.table.arithmetic(kind, self.number), n * p.updates
                missing = _Missing(f"{name}: neuron {kind}, {times:,} times (no {self.number} figure)")
                yield _row(name, f"neuron {kind}", times, figure) if figure else missing
            yield from (_row(name, e.name, p.neurons * counts.sample_steps, e) for e in steps)
            yield from (_row(name, e.name, p.active_updates, e) for e in updates)
            yield from (_row(name, e.name, p.spikes, e) for e in (spikes if p.spiking else ()))

    def _transport(self, counts: Counts) -> Iterator[_Line]:
        """Spikes on their way: a message per target core, or one multicast packet."""
        messages, packets = self.table.per("message"), self.table.per("packet")
        if not (messages or packets):
            yield _Missing("transport of spikes between neurons")
            return
        ways = {_ends(label, counts): ops[0] if ops else None for label, ops in counts.projections.items()}
        sources: dict[str, int] = {}
        for (pre, post), first in ways.items():
            label, source = f"{pre}->{post}", counts.populations[pre]
            if counts.populations[post].model == "junction":
                yield _Note(f"{label}: a junction is no hardware; its spikes are counted where they leave it")
            elif not source.spiking if first is None else first.operand == "real":
                yield _Missing(f"{label}: transport of values that are no spikes, or not known to be")
            else:
                spikes = source.spikes if first is None else first.active
                sources[pre] = max(spikes, sources.get(pre, 0))
                cores = self._cores(counts.populations[post])
                least = spikes * (cores if first is not None and first.kind == "Linear" else 1)
                yield from (_row(label, e.name, spikes * cores, e, least=least) for e in messages)
        yield from (_row(pre, e.name, spikes, e) for e in packets for pre, spikes in sources.items())

    def _cores(self, p: PopulationCount) -> int:
        assert self.table.mapping is not None  # cost_table checked it
        return -(-p.neurons // (self.neurons_per_core or self.table.mapping.neurons_per_core))

    def _accesses(self, counts: Counts) -> Iterator[_Line]:
        """Reads and writes of weights and states."""
        if self.memory is None or not self.table.memory:
            yield _Missing("memory accesses, apart from what the other figures hold")
            return
        bits, names = NUMBERS[self.number], ", ".join(m.name for m in self.table.readings(self.memory))
        figure = self.table.access(self.memory, bits, self.capacity)
        size = self.capacity or "32 KiB, bounds from 8 KiB to 1 MiB as none was given"
        yield _Note(f"memory: {names}; {bits}-bit words; capacity {size}")
        for label, ops in counts.projections.items():
            yield from (_row(label, "weight read", op.synaptic_ops, figure, "memory") for op in ops if op.weighted)
        for name, p in _computing(counts):
            yield _row(name, "state read + write", 2 * p.updates * p.states, figure, "memory")
        yield _Missing("memory: queues of inputs and outputs, addresses, biases")

    def _powers(self, counts: Counts) -> Iterator[_Line]:
        """Power of cores and chips times the time of the run."""
        per_core, per_chip, m = self.table.per("core"), self.table.per("chip"), self.table.mapping
        if m is None or not (per_core or per_chip):
            yield _Missing("static power")
            return
        seconds = counts.sample_steps * counts.dt
        cores = {n: self._cores(p) for n, p in counts.populations.items() if p.model != "junction"}
        chips = -(-sum(cores.values()) // m.cores_per_chip)
        yield _Note(f"time: {seconds:.4g} s, all samples in turn, on {sum(cores.values())} cores of {chips} chips")
        for e in per_core:
            yield from (_row(name, e.name, n * seconds, e, "static") for name, n in cores.items())
        boards = any(e.name in self.extra for e in self.table.per("board time"))
        yield from () if boards else (_row("network", e.name, chips * seconds, e, "static") for e in per_chip)

    def _extras(self, counts: Counts) -> Iterator[_Line]:
        """What the caller counted."""
        for e in self.table.entries.values():
            if e.name in self.extra:
                yield _row("network", e.name, self.extra[e.name], e, "static" if e.each.unit == "W" else "dynamic")
            elif e.given:
                yield _Missing(f"{e.name}: {e.note or e.per} (in Python: energy(..., extra={{{e.name!r}: ...}}))")
        if m := self.table.mapping:
            placed = self.neurons_per_core or m.neurons_per_core
            yield _Note(f"placement: {placed} neurons a core; {m.note or 'none shared'} ({m.basis}: {m.source})")


def _computing(counts: Counts) -> list[tuple[str, PopulationCount]]:
    return [(n, p) for n, p in counts.populations.items() if p.model not in ("input", "junction")]


def _ends(label: str, counts: Counts) -> tuple[str, str]:
    """Populations that a label `pre->post` or `pre->post#2` joins."""
    parts, known = label.split("->"), counts.populations
    for k in range(1, len(parts)):
        pre, post = "->".join(parts[:k]), "->".join(parts[k:])
        for name in (post, post.rpartition("#")[0]):
            if pre in known and name in known:
                return pre, name
    raise ShapeError(f"projection {label!r}: joins none of {', '.join(known)}; pass the counts of a run")


def _cyclic(counts: Counts) -> list[str]:
    """Labels of the projections that lie on a cycle."""
    ends = {label: _ends(label, counts) for label in counts.projections}
    result = []
    for label, (pre, post) in ends.items():
        seen, front = {post}, {post}
        while front:
            front = {b for a, b in ends.values() if a in front} - seen
            seen |= front
        if pre in seen:
            result.append(label)
    return result


def _dense_counts(net: Network) -> Counts:
    """Counts of one sample of one step, from the shapes alone."""
    projections = {}
    for p in net.projections:
        dense = [(op, op.dense_ops(shape)) for op, shape in zip(p.ops, net.shapes(p), strict=False)]
        projections[net.label(p)] = tuple(OpCount(op.kind, "real", 0, n, n, 1, op.weighted) for op, n in dense)
    populations = {n: PopulationCount(str(p.kind), p.size, 0, 0, {}, False) for n, p in net.populations.items()}
    return Counts("network", 1, 1, float(net.dt), projections, populations)


def _ann(counts: Counts, ledger: _Ledger) -> EnergyReport:
    cyclic, projections = _cyclic(counts), {}
    for label, ops in counts.projections.items():
        dense = [c.dense_ops if cyclic else c.dense_ops // max(c.steps, 1) * counts.samples for c in ops]
        projections[label] = tuple(replace(c, synaptic_ops=n, operand="real") for c, n in zip(ops, dense, strict=True))
    counts = replace(counts, projections=projections, populations={})
    report = ledger.report(counts, "the ANN of equal shape", ops_only=True)
    once = f"recurrent ({', '.join(cyclic)}): each op once per step" if cyclic else "each op once per sample"
    missing = ("activation functions, reads and writes of activations", *report.not_counted)
    return replace(report, not_counted=missing, notes=(once, *report.notes))


def _beside(counts: Counts, report: EnergyReport, ledger: _Ledger) -> AnnComparison | None:
    """The ANN and the dense SNN of the same shape, where the table has arithmetic."""
    add = ledger.table.arithmetic("add", ledger.number)
    if add is None or ledger.table.mac(ledger.number) is None or not counts.dense_ops:
        return None
    projections = {n: tuple(replace(c, synaptic_ops=c.dense_ops) for c in ops) for n, ops in counts.projections.items()}
    populations = {n: replace(p, updates=p.neurons * counts.sample_steps) for n, p in counts.populations.items()}
    every = replace(counts, projections=projections, populations=populations)
    ann, dense = _ann(counts, ledger), ledger.report(every, "the same SNN, dense")
    ratios = [r.totals["dynamic"].value / ann.totals["dynamic"].value for r in (report, dense)]
    even = sum(r.energy.value for r in ann.rows if r.term == "MAC") / (add.each.value * counts.dense_ops)
    return AnnComparison(ann, dense, ratios[0], ratios[1], counts.synaptic_ops / counts.dense_ops, even)


def _aligned(lines: list[list[str]], right: tuple[int, ...]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [str.rjust if k in right else str.ljust for k in range(len(widths))]
    return ["  ".join(f(c, w) for f, c, w in zip(sides, line, widths, strict=True)).rstrip() for line in lines]


def _page(report: EnergyReport) -> list[str]:
    """Lines of the printed report."""
    t, sources = report.table, {s: f"[{k}]" for k, s in enumerate(dict.fromkeys(r.source for r in report.rows), 1)}
    page = [f"Energy of {report.title}: {report.samples} samples, {report.sample_steps:,} steps"]
    page += [f"Table {t.name}: {t.title}, {t.node}", ""]
    lines = [["place", "term", "count", "each", "energy", "bounds", "basis", "source"]]
    for r in report.rows:
        count = f"{r.count:,.0f}" if r.each.unit == "J" else f"{r.count:.4g} s"
        energy = [str(r.each), str(r.energy), r.energy.bounds]
        lines.append([r.place, r.term, count, *energy, r.basis, sources[r.source]])
    page += [*_aligned(lines, (2, 3, 4)), ""]
    lines = [["", "all samples", "bounds", "per sample", "bounds"]]
    for category, total in report.totals.items():
        one, counted = report.per_sample[category], any(r.category == category for r in report.rows)
        cells = [str(total), total.bounds, str(one), one.bounds] if counted else ["not counted", "", "", ""]
        lines.append([category, *cells])
    page += [*_aligned(lines, (1, 3)), ""]
    if report.ann is not None:
        page += _comparison(report.totals["dynamic"], report.ann)
    elif not t.numbers:
        page += ["No ANN beside it: this table has no multiplication, and tables are not mixed; '45nm' has one."]
    for title, texts in {"Assumptions": report.notes, "Not counted": report.not_counted}.items():
        page += ["", f"{title}:", *(f"- {x}" for x in texts)] if texts else []
    return [*page, "", "Sources:", *(f"{k} {s}" for s, k in sources.items()), t.note]


def _comparison(dynamic: Interval, c: AnnComparison) -> list[str]:
    lines = [
        ["dynamic energy beside it", "all samples", "of the ANN"],
        [f"ANN of equal shape, {c.ann.notes[0]}", str(c.ann.totals["dynamic"]), "1"],
        ["this run, zeros skipped", str(dynamic), f"{c.ratio:.3g}"],
        ["the same SNN, dense at every step", str(c.dense.totals["dynamic"]), f"{c.dense_ratio:.3g}"],
    ]
    even = f"{c.rate:.3g} of the dense synaptic operations were done; at {c.break_even_rate:.3g} their additions alone"
    return [*_aligned(lines, (1, 2)), f"{even} cost as much as the ANN's MACs."]
