"""Event-driven simulator: work is done where spikes arrive, in Numba, for any neuron model.

Exact mode gives the bits of the float32 reference: it adds the same numbers in the same order, steps
a neuron while its state moves and skips it while a step would change nothing. Fast mode also skips
the steps in which a neuron decays without a chance to spike, and makes them up in closed form; that
may flip a spike where the membrane meets the threshold to within rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.clocked import Float32, LinearMap, Run, RunState, begin, population_count
from spikelab.counts import Counts
from spikelab.errors import UnsupportedError, unknown_name
from spikelab.hardware.event_kernel import event_kernel
from spikelab.network import Network, Projection
from spikelab.neurons.threads import usable
from spikelab.ops import Flatten, OpCount
from spikelab.ops.scatter import Active, active

__all__ = ["EventDriven"]

Array = NDArray[Any]
_JIT: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_JIT)
def _tally(start: Any, index: Any, value: Any, fan: Any, hit: Any) -> Any:
    """Active inputs, synaptic operations, and 0 / 1 / 2 for binary, integer, real; `hit` gets inputs per row."""
    ops = 0
    rank = 0
    for r in range(start.shape[0] - 1):
        hit[r] += start[r + 1] - start[r]
    for k in range(start[0], start[-1]):
        ops += fan[index[k]]
        v = value[k]
        if v != 1:
            rank = max(rank, 1 if v == np.rint(v) else 2)
    return start[-1] - start[0], ops, rank


@njit(**_JIT)
def _collect(index: Any, value: Any, found: Any, start: Any, out: Any) -> Any:
    """Join the rows' events into one list; write them into `out` [B, N] as well."""
    total = 0
    for b in range(found.shape[0]):
        start[b] = total
        total += found[b]
    start[found.shape[0]] = total
    joined = np.empty(total, np.int32)
    values = np.empty(total, np.float32)
    for b in range(found.shape[0]):
        at = start[b]
        for k in range(found[b]):
            joined[at + k] = index[b, k]
            values[at + k] = value[b, k]
            out[b, index[b, k]] = value[b, k]
    return joined, values


@njit(**_JIT)
def _advance_junction(
    acc: Any, touched: Any, layout: Any, divisor: Any, bias: Any, index: Any, value: Any, found: Any
) -> None:
    terms, rows, n = acc.shape
    for b in range(rows):
        m = 0
        for j in range(n):
            x = np.float32(0)
            for k in range(terms):
                at = layout[k, j]
                x += acc[k, b, at] / divisor[k] + bias[k, j]
                acc[k, b, at] = 0
                touched[k, b, at] = 0
            if x != 0:
                index[b, m] = j
                value[b, m] = x
                m += 1
        found[b] = m


@njit(**_JIT)
def _identity(start: Any, index: Any, value: Any, acc: Any, touched: Any) -> None:
    for b in range(acc.shape[0]):
        for k in range(start[b], start[b + 1]):
            acc[b, index[k]] += value[k]
            touched[b, index[k]] = 1


class _Line:
    """One projection at one delay: ops that turn the events of a step into additions to an accumulator."""

    def __init__(self, delay: int, maps: list[LinearMap]):
        self.delay, self.maps = delay, maps
        self.counters = np.zeros((len(maps), 3), np.int64)
        self.fans = [m.fan_out.reshape(-1) for m in maps]
        computing = [k for k, m in enumerate(maps) if not isinstance(m.op, Flatten)]
        self.final = computing[-1] if computing else -1  # Flatten moves nothing: indices stay as they are
        self.always = any(maps[k].scatter.bias is not None for k in computing[:-1])

    @property
    def last(self) -> LinearMap | None:
        """The op whose accumulator the neurons read."""
        return self.maps[self.final] if self.final >= 0 else None

    def send(self, a: Active, acc: Array, touched: Array, hit: Array, threads: int) -> None:
        """Add what the events of one step contribute; `hit` [B] counts what arrived per sample."""
        rows = len(hit)
        for k, m in enumerate(self.maps):
            arrived = np.zeros(rows, np.int64)
            n, ops, rank = _tally(a.start, a.index, a.value, self.fans[k], arrived)
            counter = self.counters[k]
            counter[0] += n
            counter[1] += ops
            counter[2] = max(counter[2], rank)
            if k == self.final:
                m.scatter.add(a, acc, touched, threads)
                hit += arrived
            elif k < self.final and not isinstance(m.op, Flatten):
                between = np.zeros((rows, m.scatter.outputs), np.float32)
                m.scatter.add(a, between, None, threads)
                a = active(m.scatter.finish(between))
        if self.final < 0:
            _identity(a.start, a.index, a.value, acc, touched)
            hit += np.diff(a.start)

    def count(self, first: bool, steps: int) -> list[OpCount]:
        """Counts of the ops; steps and inputs belong to the first line of a projection."""
        kinds = ("binary", "integer", "real")
        return [
            OpCount(
                m.op.kind,
                kinds[int(c[2])],  # type: ignore[arg-type]
                int(c[0]) if first else 0,
                int(c[1]),
                m.op.dense_ops(m.in_shape) * steps,
                steps if first else 0,
                m.op.weighted,
            )
            for m, c in zip(self.maps, self.counters, strict=True)
        ]


class _Cell:
    """One population: what arrives, the states, who is awake, what fired."""

    def __init__(self, target: EventDriven, net: Network, name: str, batch: int, s: Any):
        population = net.populations[name]
        self.name, self.model, self.batch, self.n = name, population.model, batch, population.size
        self.projections = net.incoming(name)
        self.lines = [_lines(target, net, p) for p in self.projections]
        k, n = len(self.projections), self.n
        self.acc, self.touched = np.zeros((k, batch, n), np.float32), np.zeros((k, batch, n), np.uint8)
        self.hit = np.zeros((k, batch), np.int64)
        self.layout = np.tile(np.arange(n, dtype=np.int32), (k, 1))
        self.divisor, self.bias = np.ones(k, np.float32), np.zeros((k, n), np.float32)
        self.port = np.zeros(k, np.int64)
        ports = list(population.model.ports) if population.model is not None else ["x"]
        self.rest = np.zeros((len(ports), n), np.float32)
        for q, (p, lines) in enumerate(zip(self.projections, self.lines, strict=True)):
            self.port[q] = ports.index(p.port)
            last = lines[-1].last
            if last is not None:
                scatter = last.scatter
                self.divisor[q] = scatter.divisor
                if scatter.layout is not None:
                    self.layout[q] = scatter.layout
                if scatter.bias is not None:
                    self.bias[q] = scatter.bias
            self.rest[self.port[q]] += self.bias[q]
        self.index, self.value = np.zeros((batch, n), np.int32), np.zeros((batch, n), np.float32)
        self.found, self.updates, self.active = (np.zeros(batch, np.int64) for _ in range(3))
        if population.model is not None:
            self.state_type = type(s)
            self.states = np.ascontiguousarray(np.stack([np.asarray(v).reshape(batch, n) for v in s]))
            c = target.coefficients(net, name)
            flat = [np.asarray(v) if np.ndim(v) == 0 else np.broadcast_to(v, population.shape).reshape(-1) for v in c]
            self.wide = np.array([v.ndim for v in flat], np.int64)
            self.c = np.zeros((len(flat), n if self.wide.any() else 1), np.float32)
            for row, v in zip(self.c, flat, strict=True):
                row[:] = v
            self.kernel = event_kernel(population.model, target.mode == "fast")
            self.last, self.awake = np.zeros((batch, n), np.int64), np.ones((batch, n), np.uint8)
            self.need = np.zeros((batch, n), np.uint8)

    def advance(self, t: int, threads: int, out: Array) -> Active:
        """Update who must be updated; write the outputs of the step into `out` [B, N]."""
        if self.model is None:
            _advance_junction(
                self.acc, self.touched, self.layout, self.divisor, self.bias, self.index, self.value, self.found
            )
        else:
            parallel = threads > 1 and usable(threads, self.batch * self.n) > 1
            run = self.kernel.advance_parallel if parallel else self.kernel.advance
            run(
                t,
                self.acc,
                self.touched,
                self.hit,
                self.layout,
                self.divisor,
                self.bias,
                self.port,
                self.rest,
                self.c,
                self.wide,
                self.states,
                self.last,
                self.awake,
                self.need,
                self.index,
                self.value,
                self.found,
                self.updates,
                self.active,
            )
        self.hit[:] = 0
        start = np.empty(self.batch + 1, np.int64)
        index, value = _collect(self.index, self.value, self.found, start, out)
        return Active(start, index, value)

    def finish(self, steps: int, shape: tuple[int, ...]) -> Any:
        """State after the last step, sleeping neurons brought up to it."""
        self.kernel.settle(steps, self.rest, self.c, self.wide, self.states, self.last, self.active)
        return self.state_type(*(s.reshape(self.batch, *shape).copy() for s in self.states))


def _lines(target: EventDriven, net: Network, p: Projection) -> list[_Line]:
    result = []
    for delay, ops in p.parts():
        shape, maps = net.populations[p.pre].shape, []
        for op in ops:
            maps.append(target.op(op, shape))
            shape = maps[-1].out_shape
        result.append(_Line(delay, maps))
    return result


@dataclass(frozen=True)
class EventDriven(Float32):
    """Event-driven target. It refuses traces: states are not computed at every step.

    Args:
        mode: `"exact"` gives the spikes of `Float32` to the bit; `"fast"` leaps over silent steps.
        threads: most threads to use; the result does not depend on it.

    Raises:
        UnsupportedError: unknown mode, or fewer threads than one.

    Example:
        >>> EventDriven(threads=2).mode
        'exact'
    """

    mode: Literal["exact", "fast"] = "exact"
    threads: int = 1
    name: str = field(default="event", init=False)

    def __post_init__(self) -> None:
        if self.mode not in ("exact", "fast"):
            raise unknown_name("EventDriven.mode", self.mode, ("exact", "fast"))
        if not is_whole(self.threads) or self.threads < 1:
            raise UnsupportedError(f"EventDriven.threads: found {self.threads!r}; expected a whole number from 1")
        object.__setattr__(self, "threads", int(self.threads))

    def _simulate(
        self, net: Network, x: dict[str, Array], state: RunState | None, traces: dict[str, tuple[str, ...]]
    ) -> Run:
        if traces:
            raise UnsupportedError(
                "event: traces need the state at every step, which is not computed here; use Float32().run"
            )
        steps, batch = next(iter(x.values())).shape[:2]
        names = [n for component in net.order() for n in component]
        neurons, before = begin(net, batch, np.float32, state)
        events: dict[str, dict[int, Active]] = {}
        out: dict[str, Array] = {}
        for name in names:
            old = before.get(name, np.zeros((0, batch, 1), np.float32))
            events[name] = _by_step(old, -len(old))
            if name in x:
                out[name] = x[name]
                events[name] |= _by_step(x[name], 0)
            else:
                out[name] = np.zeros((steps, batch, *net.populations[name].shape), np.float32)
        cells = {n: _Cell(self, net, n, batch, neurons.get(n)) for n in names if n not in x}
        self._walk(net, steps, batch, cells, events, out)
        return self._result(net, steps, batch, cells, out, before, state)

    def _walk(
        self,
        net: Network,
        steps: int,
        batch: int,
        cells: dict[str, _Cell],
        events: dict[str, dict[int, Active]],
        out: dict[str, Array],
    ) -> None:
        flat = {n: out[n].reshape(steps, batch, -1) for n in cells}
        depth = {n: net.history(n) for n in events}
        for t in range(steps):
            for name, cell in cells.items():
                for q, (p, lines) in enumerate(zip(cell.projections, cell.lines, strict=True)):
                    for line in lines:
                        a = events[p.pre][t - line.delay]
                        if line.always or a.start[-1] > a.start[0]:
                            touched, hit = cell.touched[q], cell.hit[q]
                            line.send(a, cell.acc[q], touched, hit, self.threads)
                events[name][t] = cell.advance(t, self.threads, flat[name][t])
            for name, steps_back in depth.items():  # no delay reaches them any more
                events[name].pop(t - steps_back)

    def _result(
        self,
        net: Network,
        steps: int,
        batch: int,
        cells: dict[str, _Cell],
        out: dict[str, Array],
        before: dict[str, Array],
        state: RunState | None,
    ) -> Run:
        neurons = {
            n: cell.finish(steps, net.populations[n].shape) for n, cell in cells.items() if cell.model is not None
        }
        history = {n: np.concatenate([old, out[n]])[steps:].copy() for n, old in before.items()}
        rows = steps * batch
        projections = {}
        for cell in cells.values():
            for p, lines in zip(cell.projections, cell.lines, strict=True):
                counts = [line.count(k == 0, rows) for k, line in enumerate(lines)]
                projections[net.label(p)] = tuple(_sum(c) for c in zip(*counts, strict=True))
        populations = {}
        for n, population in net.populations.items():
            updates, active_ = (int(v.sum()) for v in (cells[n].updates, cells[n].active)) if n in cells else (0, 0)
            populations[n] = population_count(population, updates, active_, out[n])
        ordered = {net.label(p): projections[net.label(p)] for p in net.projections}
        counts_ = Counts(self.name, batch, rows, float(net.dt), ordered, populations)
        done = (state.step if state is not None else 0) + steps
        return Run(out, {}, RunState(neurons, history, done), counts_, net.outputs)


def _sum(counts: tuple[OpCount, ...]) -> OpCount:
    total = counts[0]
    for c in counts[1:]:
        total = total + c
    return total


def _by_step(x: Array, first: int) -> dict[int, Active]:
    """Events of [T, B, *shape] by step, the first one numbered `first`."""
    steps, batch = x.shape[:2]
    if not steps:
        return {}
    a = active(x.reshape(steps * batch, -1))
    return {first + t: Active(a.start[t * batch : (t + 1) * batch + 1], a.index, a.value) for t in range(steps)}
