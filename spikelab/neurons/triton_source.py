"""Write Triton kernels from a traced `step`: forward and adjoint over all T steps, for a GPU.

What bounds such a kernel is memory: a step of a neuron is a few operations on a few bytes. So one
program takes a block of neurons and walks all T steps with states, coefficients and accumulators in
registers; input and output cross the memory once. Steps go in segments of `every`, written out one
after the other, because registers have no index: the loads of a whole segment stand before its
arithmetic, so that each thread has many of them under way at once, which a GPU needs because there are
far fewer neurons than it has threads. A model with many operations is bound by those instead and gets
shorter segments.

The forward pass stores the state at the start of each segment (the checkpoints). The backward pass
loads input and output gradient of a segment, recomputes its states into registers and goes back
through them: five streams for forward and backward together, and 2 / `every` of a stream per state
variable for the checkpoints. Storing each step's state would make it seven.

The arithmetic is float32 whatever the tensors are: input, output and their gradients may be bfloat16;
states, coefficients, their gradients and checkpoints stay float32. Each element of a coefficient is
owned by one thread, which adds up its gradient over T in registers: no atomics, the same bits each time.
The text is the same for all sizes and dtypes; Triton specialises it when it compiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikelab.neurons.kernel import EVERY
from spikelab.neurons.model import NeuronModel
from spikelab.neurons.primitives import PRIMITIVES, triton_functions
from spikelab.neurons.source import step_source
from spikelab.neurons.trace import LEAVES, OUTPUT, Slope, Tape, adjoint, trace

__all__ = ["OPERATIONS", "TritonSource"]


_PRELUDE = """\
import triton
import triton.language as tl


"""
_SIZES = ("period", "steps", "neurons")
"""Neurons after which array coefficients repeat, T, and neurons in all."""
OPERATIONS = 512
"""Operations that a kernel writes out, or so: the time of the compiler grows with their square or cube."""


def _expression(tape: Tape, index: int, names: dict[int, str]) -> str:
    node = tape.nodes[index]
    if node.op == "constant":
        return f"tl.full([], {node.args[0]!r}, tl.float32)"
    operands = [names[a] for a in node.args]
    if node.op in ("add", "sub", "mul"):
        return f"{operands[0]} {dict(add='+', sub='-', mul='*')[node.op]} {operands[1]}"
    return PRIMITIVES[node.op].triton.format(*operands)


def _leaf(op: str, name: Any) -> str:
    """Name of a step function's argument: x_ input, s_ state, c_ coefficient, g_ gradient of a new state or output."""
    if op == "seed":
        return "gz" if name == OUTPUT else f"g_{name}"
    return {"input": "x_", "state": "s_", "coefficient": "c_"}[op] + str(name)


def _assigned(targets: Sequence[str], call: str) -> str:
    return f"{', '.join(targets)} = {call}"


class TritonSource:
    """Text of a model's Triton module.

    Args:
        model: the neuron; only its flags matter.
        slope: surrogate derivative; None writes no backward.
        arrays: coefficients given as arrays over the neurons.
        wanted: coefficients that get a gradient.
        options: of `trace`.
    """

    def __init__(
        self,
        model: NeuronModel,
        slope: Slope | None,
        arrays: tuple[str, ...],
        wanted: tuple[str, ...],
        options: dict[str, Any],
    ):
        self.traced = trace(model, **options)
        self.gradients = adjoint(self.traced, slope) if slope is not None else None
        self.ports, self.states = self.traced.ports, self.traced.states
        self.scalars = tuple(c for c in self.traced.coefficients if c not in arrays)
        self.arrays = tuple(c for c in self.traced.coefficients if c in arrays)
        self.wanted = tuple(c for c in self.traced.coefficients if c in wanted)

    @property
    def every(self) -> int:
        """Steps of a segment, 2 to 16: fewer for a model with many operations."""
        weight = max(sum(self._weight(node) for node in self._live()), 1)
        return max(n for n in (2, 4, 8, EVERY) if n == 2 or n * weight <= OPERATIONS)

    def _live(self) -> list[int]:
        roots = [self.traced.output, *self.traced.new_states] if self.gradients is None else self._gradient_roots()
        return [i for i in self.traced.tape.live(roots) if self.traced.tape.nodes[i].op not in LEAVES]

    def _weight(self, index: int) -> int:
        op = self.traced.tape.nodes[index].op
        cost = PRIMITIVES[op].cost if op in PRIMITIVES else {}
        return 1 + 20 * cost.get("exp", 0) + 3 * cost.get("divide", 0)

    def text(self, every: int) -> str:
        """The module.

        Args:
            every: steps between checkpoints, and steps of a segment.
        """
        z, new = self.traced.output, self.traced.new_states
        parts = [
            _PRELUDE + triton_functions(),
            self._function("forward_step", self._operands(), [z, *new]),
            self._forward(every),
        ]
        if self.gradients is not None:
            if self.states and every > 1:
                parts.append(self._function("replay_step", self._operands(), [*new]))
            if self._gradient_roots():
                seeds = ["gz", *(f"g_{s}" for s in self.states)]
                parts.append(self._function("backward_step", [*self._operands(), *seeds], self._gradient_roots()))
            parts.append(self._backward(every))
        return "\n\n\n".join(p.rstrip() for p in parts) + "\n"

    def _operands(self, step: str = "", state: str = "") -> list[str]:
        """Arguments of a step function: inputs, states, coefficients; with the suffixes of a step."""
        inputs, states = [f"x_{p}{step}" for p in self.ports], [f"s_{s}{state}" for s in self.states]
        return [*inputs, *states, *(f"c_{c}" for c in (*self.scalars, *self.arrays))]

    def _function(self, name: str, arguments: list[str], roots: list[int]) -> str:
        tape = self.traced.tape
        lines, results = step_source(tape, roots, _leaf, "    ", _expression)
        return "\n".join(
            ["@triton.jit", f"def {name}({', '.join(arguments)}):", *lines, f"    return {', '.join(results)}"]
        )

    def _gradients(self) -> list[tuple[str, str, int]]:
        """Kind, name and node of each gradient that exists, in the order that `backward_step` returns them."""
        g = self.gradients
        assert g is not None
        found = [("port", p, g.ports[p]) for p in self.ports if p in g.ports]
        found += [("state", s, g.states[s]) for s in self.states if s in g.states]
        return found + [("wanted", c, g.coefficients[c]) for c in self.wanted if c in g.coefficients]

    def _gradient_roots(self) -> list[int]:
        return [node for _, _, node in self._gradients()]

    def _kernel(self, name: str, rest: Sequence[str]) -> list[str]:
        """First lines of a kernel: which neurons, and their coefficients. `px_` and `p_` are pointers or scalars."""
        given = [*(f"px_{p}" for p in self.ports), *(f"p_{c}" for c in (*self.scalars, *self.arrays)), *rest]
        lines = ['@triton.jit(do_not_specialize=["steps"])', f"def {name}({', '.join(given)}):"]
        lines += [
            "    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)",
            "    inside = at < neurons",
            "    row = tl.cast(neurons, tl.int64)",
        ]
        lines += [f"    c_{c} = tl.cast(p_{c}, tl.float32)" for c in self.scalars]
        lines += [f"    c_{c} = tl.load(p_{c} + at % period, mask=inside, other=0.0)" for c in self.arrays]
        return lines

    def _rows(self, prefix: str, pointer: str, names: Sequence[str]) -> list[str]:
        """Load the rows of a [names, neurons] array."""
        return [
            f"    {prefix}{n} = tl.load({pointer} + {k} * row + at, mask=inside, other=0.0)"
            for k, n in enumerate(names)
        ]

    def _stored(self, pointer: str, prefix: str, names: Sequence[str]) -> list[str]:
        return [f"    tl.store({pointer} + {k} * row + at, {prefix}{n}, mask=inside)" for k, n in enumerate(names)]

    def _loads(self, every: int, streams: dict[str, str]) -> list[str]:
        """Load a segment of each [T, neurons] stream; `live_j` says which neurons have step j."""
        lines = [f"        live_{j} = inside & (first + {j} < steps)" for j in range(every)]
        for name, pointer in streams.items():
            for j in range(every):
                place = f"{pointer} + (first + {j}) * row + at"
                lines.append(f"        {name}_{j} = tl.load({place}, mask=live_{j}, other=0.0).to(tl.float32)")
        return lines

    def _kept(self, every: int, name: str) -> str:
        return f"kept + (first // {every} * {len(self.states)} + {self.states.index(name)}) * row + at"

    def _forward(self, every: int) -> str:
        results = ["s0", "z", "s1", "kept", *_SIZES, "WRITE: tl.constexpr", "KEEP: tl.constexpr"]
        lines = self._kernel("forward", [*results, "BLOCK: tl.constexpr"])
        lines += self._rows("s_", "s0", self.states)
        lines += [f"    for first in range(0, steps, {every}):"]
        if self.states:
            lines += ["        if KEEP:"]
            lines += [f"            tl.store({self._kept(every, s)}, s_{s}, mask=inside)" for s in self.states]
        lines += self._loads(every, {f"x_{p}": f"px_{p}" for p in self.ports})
        for j in range(every):
            call = f"forward_step({', '.join(self._operands(f'_{j}'))})"
            lines.append("        " + _assigned(["z_t", *(f"n_{s}" for s in self.states)], call))
            lines.append("        if WRITE:")
            lines.append(f"            tl.store(z + (first + {j}) * row + at, z_t, mask=live_{j})")
            lines += [f"        s_{s} = {self._if_live(j, f'n_{s}', f's_{s}')}" for s in self.states]
        return "\n".join(lines + self._stored("s1", "s_", self.states))

    def _backward(self, every: int) -> str:
        results = ["kept", "pgz", "gs1", *(f"gx_{p}" for p in self.ports), "gs0", "gc"]
        lines = self._kernel("backward", [*results, *_SIZES, "BLOCK: tl.constexpr"])
        lines += self._rows("g_", "gs1", self.states) + self._rows("d_", "gc", self.wanted)
        lines += [f"    segments = (steps + {every - 1}) // {every}", "    for behind in range(0, segments):"]
        lines += [f"        first = (segments - 1 - behind) * {every}"]
        lines += self._loads(every, {**{f"x_{p}": f"px_{p}" for p in self.ports}, "gz": "pgz"})
        lines += [f"        s_{s}_0 = tl.load({self._kept(every, s)}, mask=inside, other=0.0)" for s in self.states]
        for j in range(every - 1 if self.states else 0):
            call = f"replay_step({', '.join(self._operands(f'_{j}', f'_{j}'))})"
            lines.append("        " + _assigned([f"s_{s}_{j + 1}" for s in self.states], call))
        for j in reversed(range(every)):
            lines += self._step_back(j)
        return "\n".join(lines + self._stored("gs0", "g_", self.states) + self._stored("gc", "d_", self.wanted))

    def _step_back(self, j: int) -> list[str]:
        """One step of the adjoint: its gradients, and what becomes of them."""
        found = self._gradients()
        short = {"port": "q", "state": "n", "wanted": "e"}
        lines = []
        if found:
            seeds = [f"gz_{j}", *(f"g_{s}" for s in self.states)]
            call = f"backward_step({', '.join([*self._operands(f'_{j}', f'_{j}'), *seeds])})"
            lines.append("        " + _assigned([f"{short[kind]}_{name}" for kind, name, _ in found], call))
        known = {(kind, name) for kind, name, _ in found}
        for p in self.ports:
            value = f"q_{p}" if ("port", p) in known else "0.0"
            lines.append(f"        tl.store(gx_{p} + (first + {j}) * row + at, {value}, mask=live_{j})")
        for s in self.states:
            value = f"n_{s}" if ("state", s) in known else "0.0"
            lines.append(f"        g_{s} = {self._if_live(j, value, f'g_{s}')}")
        for c in self.wanted:
            if ("wanted", c) in known:
                lines.append(f"        d_{c} = {self._if_live(j, f'd_{c} + e_{c}', f'd_{c}')}")
        return lines

    @staticmethod
    def _if_live(j: int, new: str, old: str) -> str:
        """The new value where step j exists. Also where it surely does: a scalar becomes a block by it."""
        return f"tl.where(live_{j}, {new}, {old})"
