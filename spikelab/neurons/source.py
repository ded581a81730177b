"""Write the source of fused kernels from a traced `step`: forward and adjoint over all T steps.

Why it is fast: the neurons are cut into blocks; a block walks all T steps while its states lie in one
local array in the first caches, so that main memory sees the input and the output once. The adjoint
needs the state at every step: the forward pass stores it every few steps (the checkpoints), and the
backward pass recomputes the steps between into a buffer that fits the second cache. Without
checkpoints (`recompute`) it first runs a block forward once more and keeps them for that block alone.
Exponentials that a gradient needs lie beside the states in that buffer: they cost more than their memory.

Every row loop is a function of its own over contiguous rows at constant distances, which is what lets
the compiler prove that they do not overlap and use packed instructions; rows are cut out inside of
that function, because handing over a view costs as much as eighty neurons. The loop over threads is
`prange`; each has its own blocks and its own buffers. Neither `fastmath` nor multiply-add fusion is
allowed: the bits must be those of `step` on arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spikelab.neurons.model import NeuronModel
from spikelab.neurons.primitives import PRIMITIVES, exp_numba_source
from spikelab.neurons.trace import LEAVES, OUTPUT, Slope, Tape, adjoint, trace

__all__ = ["BLOCK", "MAGNITUDE", "Writer", "step_source"]

KEPT = frozenset({"exp", "exprel", "sigmoid", "tanh"})
"""Operations whose results the replay of a step keeps for its gradients."""
BLOCK = 4096
"""Neurons per block at most: 16 KB of each row in a row, which the memory reads half again as fast as 4 KB. Rows of a
local array lie a cache line further apart, so that those of one neuron do not fall on the same lines of the cache."""

MAGNITUDE = {"int32": 0x7FFFFFFF, "int64": 0x7FFFFFFFFFFFFFFF}
"""Bits of a float without its sign: as integers they are in the order of its size, with infinity and NaN on top."""

_PRELUDE = """\
import math

import numpy as np
from numba import njit, prange

F = np.{dtype}
I = np.{integer}
P = {block}
R = {distance}

"""
_JIT = "@njit(error_model='numpy', nogil=True, cache=True)"
_MOVE = f"""\
{_JIT}
def move(source, o, target, p, n):
    x = source[o:o + n]
    y = target[p:p + n]
    for i in range(n):
        y[i] = x[i]
"""
_LARGEST = f"""\
{_JIT}
def largest(source, o, n):
    x = source[o:o + n].view(I)
    top = I(0)
    for i in range(n):
        size = I(x[i] & I({{mask}}))
        top = I(size if size > top else top)  # I(...): int32 would grow to int64, at seven times the cost
    return top
"""
_DRIVE = f"""\
{_JIT}
def spikes(Z, o, index, value, n):
    z = Z[o:o + n]
    count = 0
    for j in range(n):
        index[count] = j
        value[count] = z[j]
        count += z[j] != 0
    return count


{_JIT}
def add_four(W, index, value, q, u):
    a, b, c, d = W[index[q]], W[index[q + 1]], W[index[q + 2]], W[index[q + 3]]
    e, f, g, h = value[q], value[q + 1], value[q + 2], value[q + 3]
    for j in range(len(u)):
        u[j] = (((u[j] + a[j] * e) + b[j] * f) + c[j] * g) + d[j] * h


{_JIT}
def add_one(W, index, value, q, u):
    a = W[index[q]]
    e = value[q]
    for j in range(len(u)):
        u[j] += a[j] * e


{_JIT}
def drive(X, o, W, index, value, count, u, n):
    x = X[o:o + n]
    u[:] = F(0.0)
    four = count // 4 * 4
    for q in range(0, four, 4):
        add_four(W, index, value, q, u)
    for q in range(four, count):
        add_one(W, index, value, q, u)
    for j in range(n):
        u[j] = x[j] + u[j]
"""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.splitlines())


def _expression(tape: Tape, index: int, names: dict[int, str]) -> str:
    node = tape.nodes[index]
    if node.op == "constant":
        return f"F({node.args[0]!r})"
    operands = [names[a] for a in node.args]
    if node.op in ("add", "sub", "mul"):
        return f"{operands[0]} {dict(add='+', sub='-', mul='*')[node.op]} {operands[1]}"
    return PRIMITIVES[node.op].source.format(*operands)


def step_source(
    tape: Tape,
    roots: list[int],
    leaf: Callable[[str, Any], str],
    indent: str,
    expression: Callable[[Tape, int, dict[int, str]], str] = _expression,
    given: Mapping[int, str] | None = None,
) -> tuple[list[str], list[str]]:
    """Lines that compute `roots`, and the names of the results.

    Args:
        tape: the nodes.
        roots: nodes wanted.
        leaf: `(op, name) -> expression` of an input, state, coefficient or seed.
        indent: spaces before each line.
        expression: `(tape, node, names) -> text` of one operation; Numba's if not given.
        given: nodes that are there already, and the expression that reads them.
    """
    lines: list[str] = []
    names: dict[int, str] = {}
    given = given or {}
    for index in tape.live(roots, given):
        node = tape.nodes[index]
        if index in given:
            lines.append(f"{indent}n{index} = {given[index]}")
        elif node.op in LEAVES and node.op != "constant":
            names[index] = leaf(node.op, node.args[0])
            if names[index].isidentifier():
                continue
            lines.append(f"{indent}n{index} = {names[index]}")
        else:
            lines.append(f"{indent}n{index} = {expression(tape, index, names)}")
        names[index] = f"n{index}"
    return lines, [names[r] for r in roots]


class Writer:
    """Source of one kernel module: which coefficients are arrays, which want gradients.

    Args:
        model: the neuron; only its flags matter.
        slope: surrogate derivative; None writes no backward.
        dtype: `"float32"` or `"float64"`.
        arrays: coefficients given as arrays over the neurons.
        wanted: coefficients that get a gradient.
        options: of `trace`.
    """

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
        self.tape = self.traced.tape
        self.forward_roots = [self.traced.output, *self.traced.new_states]
        self.gradients = adjoint(self.traced, slope) if slope is not None else None
        self.ports, self.states = self.traced.ports, self.traced.states
        self.scalars = tuple(c for c in self.traced.coefficients if c not in arrays)
        self.arrays = tuple(c for c in self.traced.coefficients if c in arrays)
        self.wanted = tuple(c for c in self.traced.coefficients if c in wanted)
        self.kept = self._expensive() if self.gradients is not None else []

    def _expensive(self) -> list[int]:
        """Nodes of the step that gradients need and that are worth a row of the history."""
        forward = set(self.tape.live(self.forward_roots))
        return [i for i in self.tape.live(self._gradient_roots()) if i in forward and self.tape.nodes[i].op in KEPT]

    def _gradient_roots(self) -> list[int]:
        g = self.gradients
        assert g is not None
        wanted = (g.coefficients[c] for c in self.wanted if c in g.coefficients)
        return [*g.ports.values(), *g.states.values(), *wanted]

    # Rows of a block's local array: states, array coefficients, state gradients, coefficient gradients.
    def _row(self, kind: str, name: str) -> int:
        ns, na = len(self.states), len(self.arrays)
        return {
            "state": lambda: self.states.index(name),
            "coefficient": lambda: ns + self.arrays.index(name),
            "seed": lambda: ns + na + self.states.index(name),
            "wanted": lambda: 2 * ns + na + self.wanted.index(name),
        }[kind]()

    @property
    def rows(self) -> int:
        """Rows of the local array of a backward pass."""
        return 2 * len(self.states) + len(self.arrays) + len(self.wanted)

    def _at(self, kind: str, name: str) -> str:
        k = self._row(kind, name)
        return f"L[{k} * R + i]" if k else "L[i]"

    def _leaf(self, where: str) -> Callable[[str, Any], str]:
        """Reader of leaves; `where` says whether old states lie in L ('local') or in a row of H ('history')."""

        def read(op: str, name: Any) -> str:
            if op == "input":
                return f"x_{name}[i]"
            if op == "state":
                if where == "local":
                    return self._at("state", name)
                k = self.states.index(name)
                return f"h[{k} * R + i]" if k else "h[i]"
            if op == "seed":
                return "gz[i]" if name == OUTPUT else self._at("seed", name)
            return self._at("coefficient", name) if name in self.arrays else f"c_{name}"

        return read

    @property
    def x(self) -> str:
        """Arguments: the input of each port."""
        return ", ".join(f"X_{p}" for p in self.ports)

    @property
    def gx(self) -> str:
        """Arguments: the gradient of each port."""
        return ", ".join(f"GX_{p}" for p in self.ports)

    @property
    def c(self) -> str:
        """Arguments: the scalar coefficients, each with a comma behind."""
        return "".join(f"c_{c}, " for c in self.scalars)

    def _cut(self) -> list[str]:
        return [f"    x_{p} = X_{p}[o:o + n]" for p in self.ports]

    def forward_row(self) -> str:
        """One step of n neurons: inputs from `o` on, outputs from `oz` on, states in L."""
        lines, (z, *new) = step_source(self.tape, self.forward_roots, self._leaf("local"), " " * 8)
        out = [_JIT, f"def forward_row({self.x}, o, L, {self.c}Z, oz, n):", *self._cut(), "    z = Z[oz:oz + n]"]
        out += ["    for i in range(n):", *lines, f"        z[i] = {z}"]
        out += [f"        {self._at('state', s)} = {v}" for s, v in zip(self.states, new, strict=True)]
        return "\n".join(out)

    def replay_row(self) -> str:
        """The states after a step, from row k of H into row k + 1; what is kept of the step goes beside row k."""
        roots = [*self.traced.new_states, *self.kept]
        lines, found = step_source(self.tape, roots, self._leaf("history"), " " * 8)
        new, kept = found[: len(self.states)], found[len(self.states) :]
        out = [_JIT, f"def replay_row({self.x}, o, L, {self.c}H, k, n):", *self._cut()]
        out += ["    h = H[k]", "    g = H[k + 1]", "    for i in range(n):", *lines]
        out += [f"        g[{k} * R + i] = {v}" for k, v in enumerate(new)]
        out += [f"        h[{k} * R + i] = {v}" for k, v in enumerate(kept, len(self.states))]
        return "\n".join(out)

    def backward_row(self) -> str:
        """Gradients of one step whose old states are row k of H; those of states and coefficients lie in L."""
        g = self.gradients
        assert g is not None
        roots = self._gradient_roots()
        given = {index: f"h[{k} * R + i]" for k, index in enumerate(self.kept, len(self.states))}
        lines, names = step_source(self.tape, roots, self._leaf("history"), " " * 8, given=given)
        found = dict(zip(roots, names, strict=True))
        out = [_JIT, f"def backward_row({self.x}, o, L, {self.c}H, k, GZ, {self.gx}, n):", *self._cut()]
        out += ["    h = H[k]", "    gz = GZ[o:o + n]", *(f"    gx_{p} = GX_{p}[o:o + n]" for p in self.ports)]
        out += ["    for i in range(n):", *lines]
        for p in self.ports:
            out.append(f"        gx_{p}[i] = {found[g.ports[p]] if p in g.ports else 'F(0.0)'}")
        for s in self.states:
            out.append(f"        {self._at('seed', s)} = {found[g.states[s]] if s in g.states else 'F(0.0)'}")
        for c in self.wanted:
            if c in g.coefficients:
                out.append(f"        {self._at('wanted', c)} += {found[g.coefficients[c]]}")
        return "\n".join(out)

    def _blocks(self, name: str, arguments: str, buffers: list[str], parallel: bool) -> str:
        """Head of a kernel: each of `parts` threads walks its blocks [lo, lo + n)."""
        made = "\n".join(f"        {b}" for b in buffers)
        return f"""\
{_JIT.replace("cache=True", f"cache=True, parallel={parallel}")}
def {name}({self.x}, {self.c}A, {arguments}, M, block, parts):
    blocks = (M + block - 1) // block
    for part in {"prange" if parallel else "range"}(parts):
{made}
        for b in range(blocks * part // parts, blocks * (part + 1) // parts):
            lo = b * block
            n = min(block, M - lo)
{self._load_arrays()}"""

    def _load_arrays(self) -> str:
        return f"""\
            for k in range({len(self.arrays)}):
                done = 0
                while done < n:  # neuron j has column j mod P
                    q = (lo + done) % A.shape[1]
                    size = min(n - done, A.shape[1] - q)
                    move(A[k], q, L, ({len(self.states)} + k) * R + done, size)
                    done += size
"""

    def forward(self, name: str, parallel: bool) -> str:
        """All steps of all blocks."""
        ns = len(self.states)
        buffers = [f"L = np.empty({max(ns + len(self.arrays), 1)} * R, F)"]
        return (
            self._blocks(name, "s0, z, s1, K, every, worst", buffers, parallel)
            + f"""\
            for k in range({ns}):
                move(s0[k], lo, L, k * R, n)
                worst[part] = max(worst[part], largest(s0[k], lo, n))
            for t in range(z.size // M):
                if every > 0 and t % every == 0:
                    for k in range({ns}):
                        move(L, k * R, K[t // every, k], lo, n)
                forward_row({self.x}, t * M + lo, L, {self.c}z, t * M + lo, n)
{self._look()}
            for k in range({ns}):
                move(L, k * R, s1[k], lo, n)
"""
        )

    def _look(self) -> str:
        """Take note of the largest input while its row lies in the first cache."""
        line = "                worst[part] = max(worst[part], largest(X_{}, t * M + lo, n))"
        return "\n".join(line.format(p) for p in self.ports)

    def backward(self, name: str, parallel: bool) -> str:
        """All steps of all blocks in reverse; without checkpoints K they are made anew from s0."""
        ns, na, nw = len(self.states), len(self.arrays), len(self.wanted)
        buffers = [
            "T = GZ.size // M",
            "segments = (T + every - 1) // every",
            f"L = np.empty({max(self.rows, 1)} * R, F)",
            f"H = np.empty((min(every, T) + 1, {max(ns + len(self.kept), 1)} * R), F)",
            f"C = np.empty((segments if len(K) == 0 else 0, {max(ns, 1)} * block), F)",
        ]
        return (
            self._blocks(name, f"s0, K, GZ, gs1, {self.gx}, gs0, gA, every", buffers, parallel)
            + f"""\
            for k in range({ns}):
                move(gs1[k], lo, L, ({ns + na} + k) * R, n)
            for k in range({nw}):
                move(gA[k], lo, L, ({2 * ns + na} + k) * R, n)
            if len(K) == 0:
                for k in range({ns}):
                    move(s0[k], lo, H[0], k * R, n)
                for segment in range(segments):
                    for k in range({ns}):
                        move(H[0], k * R, C[segment], k * block, n)
                    first = segment * every
                    if segment < segments - 1:
                        for t in range(first, first + every):
                            replay_row({self.x}, t * M + lo, L, {self.c}H, t - first, n)
                        for k in range({ns}):
                            move(H[every], k * R, H[0], k * R, n)
            for segment in range(segments - 1, -1, -1):
                first = segment * every
                last = min(first + every, T)
                for k in range({ns}):
                    if len(K) > 0:
                        move(K[segment, k], lo, H[0], k * R, n)
                    else:
                        move(C[segment], k * block, H[0], k * R, n)
                for t in range(first, last{"" if self.kept else " - 1"}):
                    replay_row({self.x}, t * M + lo, L, {self.c}H, t - first, n)
                for t in range(last - 1, first - 1, -1):
                    backward_row({self.x}, t * M + lo, L, {self.c}H, t - first, GZ, {self.gx}, n)
            for k in range({ns}):
                move(L, ({ns + na} + k) * R, gs0[k], lo, n)
            for k in range({nw}):
                move(L, ({2 * ns + na} + k) * R, gA[k], lo, n)
"""
        )

    def recurrent(self, name: str, parallel: bool) -> str:
        """T steps with recurrent weights, sample by sample: the rows of W that belong to spikes are added to the input.

        Row k of W holds the weights from neuron k. U [T, M] and S [T, states, M] get drive and old state of each
        step unless they are empty; `found` [B] the number of spikes. The sum over spikes begins at 0 and is added to
        the input as a whole, in the order of the reference.
        """
        ns, fr = len(self.states), max(len(self.states) + len(self.arrays), 1)
        return f"""\
{_JIT.replace("cache=True", f"cache=True, parallel={parallel}")}
def {name}(X, {self.c}A, W, z0, s0, Z, s1, U, S, found, worst, N, parts):
    M = s0.shape[1] if {ns} > 0 else z0.size
    B = M // N
    pieces = (N + P - 1) // P
    for part in {"prange" if parallel else "range"}(parts):
        LL = np.empty((pieces, {fr} * R), F)
        u = np.empty(N, F)
        index = np.empty(N, np.int64)
        value = np.empty(N, F)
        for b in range(B * part // parts, B * (part + 1) // parts):
            for p in range(pieces):
                L = LL[p]
                lo = b * N + p * P
                n = min(P, N - p * P)
                for k in range({ns}):
                    move(s0[k], lo, L, k * R, n)
                    worst[part] = max(worst[part], largest(s0[k], lo, n))
{_indented(self._load_arrays())}
            count = spikes(z0, b * N, index, value, N)
            found[b] = 0
            for t in range(Z.size // M):
                drive(X, t * M + b * N, W, index, value, count, u, N)
                worst[part] = max(worst[part], largest(u, 0, N))
                if U.size > 0:
                    move(u, 0, U[t], b * N, N)
                for p in range(pieces):
                    L = LL[p]
                    lo = b * N + p * P
                    n = min(P, N - p * P)
                    if S.size > 0:
                        for k in range({ns}):
                            move(L, k * R, S[t, k], lo, n)
                    forward_row(u, p * P, L, {self.c}Z, t * M + lo, n)
                count = spikes(Z, t * M + b * N, index, value, N)
                found[b] += count
            for p in range(pieces):
                L = LL[p]
                lo = b * N + p * P
                for k in range({ns}):
                    move(L, k * R, s1[k], lo, min(P, N - p * P))
"""

    def source(self) -> str:
        """The module's text."""
        integer = self.dtype.replace("float", "int")
        parts = [
            _PRELUDE.format(dtype=self.dtype, integer=integer, block=BLOCK, distance=BLOCK + 16)
            + exp_numba_source(self.dtype),
            _MOVE,
            _LARGEST.format(mask=MAGNITUDE[integer]),
            self.forward_row(),
        ]
        parts += [self.forward("forward", True), self.forward("forward_serial", False)]
        if len(self.ports) == 1:
            parts += [_DRIVE, self.recurrent("recurrent", True), self.recurrent("recurrent_serial", False)]
        if self.gradients is not None:
            parts += [self.replay_row(), self.backward_row()]
            parts += [self.backward("backward", True), self.backward("backward_serial", False)]
        return "\n\n\n".join(p.rstrip() for p in parts) + "\n"
