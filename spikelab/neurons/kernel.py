"""Write fused kernels from a traced `step`: forward and adjoint over all T steps.

Why it is fast: the neurons are cut into blocks of at most 1,024; a block walks all T steps while its
states lie in one local array that fits the first cache, so that main memory sees the input and the
output once. The adjoint needs the state at every step: the forward pass stores it every `every`
steps (the checkpoints), and the backward pass recomputes the steps between into a buffer that fits
the second cache. Every row loop is a function of its own over contiguous rows of one local array at
constant distances, which is what lets the compiler prove that they do not overlap and use packed
instructions; the loop over blocks is `prange`. Neither `fastmath` nor multiply-add fusion is
allowed: the bits must be those of `step` on arrays.

Generated modules are written once to the user's cache directory under a hash of their text, and
compiled by Numba with its own cache beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.neurons.generated import load
from spikelab.neurons.model import NeuronModel
from spikelab.neurons.primitives import PRIMITIVES, exp_numba_source
from spikelab.neurons.threads import usable
from spikelab.neurons.trace import LEAVES, OUTPUT, Slope, Tape, adjoint, trace

__all__ = ["BLOCK", "EVERY", "Kernel", "kernel", "step_source"]

BLOCK = 1024
"""Neurons per block, and the distance between rows of a block's local array."""
EVERY = 16
"""Steps between two checkpoints."""

_PRELUDE = """\
import math

import numpy as np
from numba import njit, prange

F = np.{dtype}
R = {block}

"""
_JIT = "@njit(error_model='numpy', nogil=True, cache=True)"


def _expression(tape: Tape, index: int, names: dict[int, str]) -> str:
    node = tape.nodes[index]
    if node.op == "constant":
        return f"F({node.args[0]!r})"
    operands = [names[a] for a in node.args]
    if node.op in ("add", "sub", "mul"):
        return f"{operands[0]} {dict(add='+', sub='-', mul='*')[node.op]} {operands[1]}"
    return PRIMITIVES[node.op].source.format(*operands)


def step_source(
    tape: Tape, roots: list[int], leaf: Callable[[str, Any], str], indent: str
) -> tuple[list[str], list[str]]:
    """Lines that compute `roots`, and the names of the results.

    Args:
        tape: the nodes.
        roots: nodes wanted.
        leaf: `(op, name) -> expression` of an input, state, coefficient or seed.
        indent: spaces before each line.
    """
    lines: list[str] = []
    names: dict[int, str] = {}
    for index in tape.live(roots):
        node = tape.nodes[index]
        if node.op in LEAVES and node.op != "constant":
            names[index] = leaf(node.op, node.args[0])
            if names[index].isidentifier():
                continue
            lines.append(f"{indent}n{index} = {names[index]}")
        else:
            lines.append(f"{indent}n{index} = {_expression(tape, index, names)}")
        names[index] = f"n{index}"
    return lines, [names[r] for r in roots]


class _Writer:
    """Source of one kernel module: which coefficients are arrays, which want gradients."""

    def __init__(
        self,
        model: NeuronModel,
        slope: Slope | None,
        dtype: str,
        arrays: tuple[str, ...],
        wanted: tuple[str, ...],
        options: dict[str, Any],
    ):
        self.traced = trace(model, **options)
        self.dtype = dtype
        tape = self.traced.tape
        self.forward_roots = [self.traced.output, *self.traced.new_states]
        self.gradients = adjoint(self.traced, slope) if slope is not None else None
        self.tape = tape
        self.ports, self.states = self.traced.ports, self.traced.states
        self.scalars = tuple(c for c in self.traced.coefficients if c not in arrays)
        self.arrays = tuple(c for c in self.traced.coefficients if c in arrays)
        self.wanted = tuple(c for c in self.traced.coefficients if c in wanted)

    # Rows of a block's local array: states, array coefficients, state gradients, coefficient gradients.
    def row(self, kind: str, name: str) -> int:
        ns, na = len(self.states), len(self.arrays)
        return {
            "state": lambda: self.states.index(name),
            "coefficient": lambda: ns + self.arrays.index(name),
            "seed": lambda: ns + na + self.states.index(name),
            "wanted": lambda: 2 * ns + na + self.wanted.index(name),
        }[kind]()

    @property
    def rows(self) -> int:
        return 2 * len(self.states) + len(self.arrays) + len(self.wanted)

    def at(self, kind: str, name: str) -> str:
        k = self.row(kind, name)
        return f"L[{k} * R + i]" if k else "L[i]"

    def leaf(self, where: str) -> Callable[[str, Any], str]:
        """Reader of leaves; `where` says whether old states lie in L ('local') or in H ('history')."""

        def read(op: str, name: Any) -> str:
            if op == "input":
                return f"x_{name}[i]"
            if op == "state":
                if where == "local":
                    return self.at("state", name)
                k = self.states.index(name)
                return f"H[{k} * R + i]" if k else "H[i]"
            if op == "seed":
                return "gz[i]" if name == OUTPUT else self.at("seed", name)
            return self.at("coefficient", name) if name in self.arrays else f"c_{name}"

        return read

    def signature(self, *groups: str) -> str:
        parts = {
            "x": [f"x_{p}" for p in self.ports],
            "c": [f"c_{c}" for c in self.scalars],
            "gx": [f"gx_{p}" for p in self.ports],
        }
        return ", ".join(n for g in groups for n in parts.get(g, [g]))

    def forward_row(self) -> str:
        lines, (z, *new) = step_source(self.tape, self.forward_roots, self.leaf("local"), " " * 8)
        out = [_JIT, f"def forward_row({self.signature('x', 'L', 'c', 'z', 'n')}):", "    for i in range(n):", *lines]
        out.append(f"        z[i] = {z}")
        out += [f"        {self.at('state', s)} = {v}" for s, v in zip(self.states, new, strict=True)]
        return "\n".join(out)

    def replay_row(self) -> str:
        lines, new = step_source(self.tape, list(self.traced.new_states), self.leaf("history"), " " * 8)
        out = [
            _JIT,
            f"def replay_row({self.signature('x', 'L', 'c', 'H', 'G', 'n')}):",
            "    for i in range(n):",
            *lines,
        ]
        out += [f"        G[{k} * R + i] = {v}" for k, v in enumerate(new)]
        return "\n".join(out)

    def backward_row(self) -> str:
        g = self.gradients
        assert g is not None
        roots = [
            *g.ports.values(),
            *g.states.values(),
            *(g.coefficients[c] for c in self.wanted if c in g.coefficients),
        ]
        lines, names = step_source(self.tape, roots, self.leaf("history"), " " * 8)
        found = dict(zip(roots, names, strict=True))
        out = [
            _JIT,
            f"def backward_row({self.signature('x', 'L', 'c', 'H', 'gz', 'gx', 'n')}):",
            "    for i in range(n):",
            *lines,
        ]
        for p in self.ports:
            out.append(f"        gx_{p}[i] = {found[g.ports[p]] if p in g.ports else 'F(0.0)'}")
        for s in self.states:
            out.append(f"        {self.at('seed', s)} = {found[g.states[s]] if s in g.states else 'F(0.0)'}")
        for c in self.wanted:
            if c in g.coefficients:
                out.append(f"        {self.at('wanted', c)} += {found[g.coefficients[c]]}")
        return "\n".join(out)

    def forward(self, name: str, parallel: bool) -> str:
        ns, na = len(self.states), len(self.arrays)
        x = ", ".join(f"x_{p}[t, lo:hi]" for p in self.ports)
        row = ", ".join([x, "L", *(f"c_{c}" for c in self.scalars), "z[t, lo:hi]", "n"])
        return f"""\
{_JIT.replace("cache=True", f"cache=True, parallel={parallel}")}
def {name}({self.signature("x", "c", "A", "s0", "z", "s1", "K", "every", "block")}):
    T, M = z.shape
    for b in {"prange" if parallel else "range"}((M + block - 1) // block):
        lo = b * block
        hi = min(lo + block, M)
        n = hi - lo
        L = np.empty({max(ns + na, 1)} * R, F)
        for k in range({ns}):
            for i in range(n):
                L[k * R + i] = s0[k, lo + i]
        for k in range({na}):
            for i in range(n):
                L[({ns} + k) * R + i] = A[k, lo + i]
        for t in range(T):
            if every > 0 and t % every == 0:
                for k in range({ns}):
                    for i in range(n):
                        K[t // every, k, lo + i] = L[k * R + i]
            forward_row({row})
        for k in range({ns}):
            for i in range(n):
                s1[k, lo + i] = L[k * R + i]
"""

    def backward(self, name: str, parallel: bool) -> str:
        ns, na, nw = len(self.states), len(self.arrays), len(self.wanted)
        x = ", ".join(f"x_{p}[t, lo:hi]" for p in self.ports)
        gx = ", ".join(f"gx_{p}[t, lo:hi]" for p in self.ports)
        c = "".join(f"c_{c}, " for c in self.scalars)
        return f"""\
{_JIT.replace("cache=True", f"cache=True, parallel={parallel}")}
def {name}({self.signature("x", "c", "A", "K", "gz", "gs1", "gx", "gs0", "gA", "every", "block")}):
    T, M = gz.shape
    for b in {"prange" if parallel else "range"}((M + block - 1) // block):
        lo = b * block
        hi = min(lo + block, M)
        n = hi - lo
        L = np.empty({max(self.rows, 1)} * R, F)
        H = np.empty((min(every, T), {max(ns, 1)} * R), F)
        for k in range({na}):
            for i in range(n):
                L[({ns} + k) * R + i] = A[k, lo + i]
        for k in range({ns}):
            for i in range(n):
                L[({ns + na} + k) * R + i] = gs1[k, lo + i]
        for k in range({nw}):
            for i in range(n):
                L[({2 * ns + na} + k) * R + i] = gA[k, lo + i]
        for seg in range((T + every - 1) // every - 1, -1, -1):
            first = seg * every
            last = min(first + every, T)
            for k in range({ns}):
                for i in range(n):
                    H[0, k * R + i] = K[seg, k, lo + i]
            for t in range(first, last - 1):
                replay_row({x}, L, {c}H[t - first], H[t - first + 1], n)
            for t in range(last - 1, first - 1, -1):
                backward_row({x}, L, {c}H[t - first], gz[t, lo:hi], {gx}, n)
        for k in range({ns}):
            for i in range(n):
                gs0[k, lo + i] = L[({ns + na} + k) * R + i]
        for k in range({nw}):
            for i in range(n):
                gA[k, lo + i] = L[({2 * ns + na} + k) * R + i]
"""

    def source(self) -> str:
        parts = [_PRELUDE.format(dtype=self.dtype, block=BLOCK) + exp_numba_source(self.dtype), self.forward_row()]
        parts += [self.forward("forward", True), self.forward("forward_serial", False)]
        if self.gradients is not None:
            parts += [self.replay_row(), self.backward_row()]
            parts += [self.backward("backward", True), self.backward("backward_serial", False)]
        return "\n\n\n".join(p.rstrip() for p in parts) + "\n"


@dataclass(frozen=True)
class Kernel:
    """Fused forward and adjoint of one model.

    Args:
        module: the generated module.
        ports: names of the inputs.
        states: names of the state variables.
        scalars: coefficients that are numbers, in the order of the arguments.
        arrays: coefficients that are arrays over the neurons: the rows of `A`.
        wanted: coefficients that get a gradient: the rows of `gA`.
        dtype: float32 or float64.
    """

    module: Any
    ports: tuple[str, ...]
    states: tuple[str, ...]
    scalars: tuple[str, ...]
    arrays: tuple[str, ...]
    wanted: tuple[str, ...]
    dtype: np.dtype[Any]

    def _function(self, name: str, steps: int, neurons: int, threads: int) -> tuple[Any, int]:
        """The parallel function, or the serial one for little work, one thread, or after a fork."""
        threads = usable(threads, steps * neurons)
        if threads == 1:
            return getattr(self.module, f"{name}_serial"), BLOCK
        share = -(-neurons // threads)
        return getattr(self.module, name), max(64, min(BLOCK, -(-share // 64) * 64))

    def forward(
        self,
        x: list[NDArray[Any]],
        c: list[Any],
        a: NDArray[Any],
        s0: NDArray[Any],
        z: NDArray[Any],
        s1: NDArray[Any],
        checkpoints: NDArray[Any],
        every: int,
        threads: int = 1,
    ) -> None:
        """Run T steps of M neurons.

        Args:
            x: per port [T, M] input.
            c: scalar coefficients.
            a: [rows, M] array coefficients.
            s0: [states, M] state at the start.
            z: [T, M] output, written.
            s1: [states, M] state at the end, written.
            checkpoints: [ceil(T / every), states, M], written; not touched where `every` is 0.
            every: steps between checkpoints.
            threads: most threads to use.
        """
        steps, neurons = z.shape
        run, block = self._function("forward", steps, neurons, threads)
        run(*x, *c, a, s0, z, s1, checkpoints, every, block)

    def backward(
        self,
        x: list[NDArray[Any]],
        c: list[Any],
        a: NDArray[Any],
        checkpoints: NDArray[Any],
        gz: NDArray[Any],
        gs1: NDArray[Any],
        gx: list[NDArray[Any]],
        gs0: NDArray[Any],
        ga: NDArray[Any],
        every: int,
        threads: int = 1,
    ) -> None:
        """Gradients of `forward`: `gx`, `gs0` are written, `ga` [wanted, M] is added to."""
        steps, neurons = gz.shape
        run, block = self._function("backward", steps, neurons, threads)
        run(*x, *c, a, checkpoints, gz, gs1, *gx, gs0, ga, every, block)


def kernel(
    model: NeuronModel,
    *,
    dtype: str = "float32",
    slope: Slope | None = None,
    arrays: tuple[str, ...] = (),
    wanted: tuple[str, ...] = (),
    through_reset: bool = False,
    relaxed: Callable[[Any, Any], Any] | None = None,
) -> Kernel:
    """Write, compile (lazily) and load the fused kernel of a model.

    Args:
        model: the neuron; only its flags matter, not its parameters.
        dtype: `"float32"` or `"float64"`.
        slope: surrogate derivative; None writes no backward.
        arrays: coefficients given as arrays over the neurons.
        wanted: coefficients that get a gradient (each must be among `arrays`).
        through_reset: let gradients pass the reset.
        relaxed: smooth stand-in for the spike, to check gradients by finite differences.

    Returns:
        The kernel; first use compiles for 2 to 7 s, later ones load from the cache.
    """
    writer = _Writer(model, slope, dtype, arrays, wanted, {"through_reset": through_reset, "relaxed": relaxed})
    module = load(writer.source(), f"kernel_{type(model).__name__.lower()}")
    return Kernel(module, writer.ports, writer.states, writer.scalars, writer.arrays, writer.wanted, np.dtype(dtype))
