"""Trace a `step` into a tape of operations, and write its adjoint.

Running `step` on `Symbol`s records one node per operation. The tape is what kernels, the
event-driven simulator and the operation counts read. `adjoint` visits the tape backwards and appends
the nodes of the gradients: a gradient from the next step comes first, then the uses of this step,
latest first, and nothing is reassociated, which gives the bits that autograd gives.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spikelab.errors import UnsupportedError, brief
from spikelab.neurons.model import NeuronModel
from spikelab.neurons.primitives import PRIMITIVES

__all__ = [
    "LEAVES",
    "OUTPUT",
    "Adjoint",
    "Node",
    "Primitives",
    "Slope",
    "Symbol",
    "Tape",
    "Traced",
    "adjoint",
    "operations",
    "trace",
]

Slope = Callable[[Any, Any], Any]
"""Surrogate derivative `(d, f) -> slope` of a spike, written with `+ - *`, primitives and `f.constant`."""


class Node(NamedTuple):
    """One operation: its name and operands (indices of earlier nodes, a name, or a number)."""

    op: str
    args: tuple[Any, ...]


class Tape:
    """A list of nodes; equal inputs and constants share one."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._leaves: dict[tuple[str, Any], int] = {}

    def add(self, op: str, *args: int) -> Symbol:
        """Append an operation."""
        self.nodes.append(Node(op, args))
        return Symbol(self, len(self.nodes) - 1)

    def leaf(self, op: str, value: Any) -> Symbol:
        """Input, state, coefficient, gradient seed or constant; made once."""
        key = (op, value)
        if key not in self._leaves:
            self.nodes.append(Node(op, (value,)))
            self._leaves[key] = len(self.nodes) - 1
        return Symbol(self, self._leaves[key])

    def live(self, roots: Sequence[int], given: Container[int] = ()) -> list[int]:
        """Indices of the nodes that the roots need, in order; nothing is needed for those that are given."""
        needed, stack = set(roots), list(roots)
        while stack:
            index = stack.pop()
            node = self.nodes[index]
            if node.op in LEAVES or index in given:
                continue
            for a in node.args:
                if a not in needed:
                    needed.add(a)
                    stack.append(a)
        return sorted(needed)


LEAVES = frozenset({"input", "state", "coefficient", "seed", "constant"})
"""Operations without operands on the tape."""
OUTPUT = "(output)"
"""Name of the output's gradient seed; no state can have it."""


def _refuse(sign: str, hint: str) -> Callable[..., Any]:
    def refused(self: Symbol, *_: Any) -> Any:
        raise UnsupportedError(f"step: operator {sign} is not traceable; {hint}")

    return refused


@dataclass(frozen=True, eq=False)
class Symbol:
    """Stands for a value while `step` is traced."""

    tape: Tape
    index: int

    def _operand(self, other: Any, sign: str) -> int:
        if not isinstance(other, Symbol):
            raise UnsupportedError(f"step: literal {other!r} in '{sign}'; make it a coefficient")
        return other.index

    def __add__(self, other: Any) -> Symbol:
        return self.tape.add("add", self.index, self._operand(other, "+"))

    def __sub__(self, other: Any) -> Symbol:
        return self.tape.add("sub", self.index, self._operand(other, "-"))

    def __mul__(self, other: Any) -> Symbol:
        return self.tape.add("mul", self.index, self._operand(other, "*"))

    __radd__ = _refuse("literal +", "make the literal a coefficient")
    __rsub__ = _refuse("literal -", "make the literal a coefficient")
    __rmul__ = _refuse("literal *", "make the literal a coefficient")
    __truediv__ = _refuse("/", "divide in coefficients(), or use f.divide")
    __rtruediv__ = _refuse("/", "divide in coefficients(), or use f.divide")
    __floordiv__ = __rfloordiv__ = _refuse("//", "use f.count")
    __mod__ = __rmod__ = _refuse("%", "use f.count")
    __pow__ = __rpow__ = _refuse("**", "multiply, or use f.exp")
    __neg__ = _refuse("unary -", "subtract from a coefficient that is 0")
    __pos__ = _refuse("unary +", "leave it out")
    __abs__ = _refuse("abs", "use f.maximum")
    __bool__ = _refuse("if, and, or, not", "use f.spike, f.gate and f.select")
    __eq__ = _refuse("==", "use f.gate and f.select")
    __ne__ = _refuse("!=", "use f.gate and f.select")
    __hash__ = object.__hash__
    __lt__ = _refuse("<", "use f.gate and f.select")
    __le__ = _refuse("<=", "use f.gate and f.select")
    __gt__ = _refuse(">", "use f.gate and f.select")
    __ge__ = _refuse(">=", "use f.gate and f.select")
    __float__ = _refuse("float()", "stay with the values given")
    __int__ = __index__ = _refuse("int()", "use f.count")
    __round__ = _refuse("round()", "use f.count")
    __getitem__ = __iter__ = _refuse("[]", "a step sees one neuron at a time")
    __array__ = _refuse("numpy", "use the primitives of f")


class Primitives:
    """The `f` of a trace: each primitive appends a node; `detach` may be switched off.

    Args:
        tape: where the nodes go.
        through_reset: make `detach` the identity, so that gradients pass the reset.
        relaxed: `(d) -> z`, a smooth function in place of `spike` and `reach`; `select` then mixes. For
            checking gradients by finite differences.
    """

    def __init__(self, tape: Tape, *, through_reset: bool = False, relaxed: Callable[[Any, Any], Any] | None = None):
        self.tape, self.through_reset, self.relaxed = tape, through_reset, relaxed

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        if name not in PRIMITIVES:
            from spikelab.errors import unknown_name

            raise unknown_name("primitive", name, PRIMITIVES)

        def primitive(*args: Any, **named: Any) -> Symbol:
            if named:
                raise UnsupportedError(f"step: f.{name} takes operands by position, found {', '.join(named)}=")
            if len(args) != PRIMITIVES[name].arity:
                raise UnsupportedError(f"step: f.{name} takes {PRIMITIVES[name].arity} operands, found {len(args)}")
            for a in args:
                if not isinstance(a, Symbol):
                    raise UnsupportedError(f"step: literal {a!r} in f.{name}; make it a coefficient")
            if name == "detach" and self.through_reset:
                return args[0]  # type: ignore[no-any-return]
            if self.relaxed is not None and name in ("spike", "reach"):
                return self.relaxed(args[0], self)  # type: ignore[no-any-return]
            if self.relaxed is not None and name == "select":
                z, a, b = args
                return b + z * (a - b)  # type: ignore[no-any-return]
            return self.tape.add(name, *(a.index for a in args))

        return primitive

    def constant(self, value: float) -> Symbol:
        """A number; only for adjoints and surrogates, a `step` takes coefficients."""
        return self.tape.leaf("constant", float(value))


class _StepPrimitives(Primitives):
    constant = property(_refuse("f.constant", "make it a coefficient"))


@dataclass(frozen=True)
class Traced:
    """A traced `step`.

    Args:
        tape: all nodes.
        ports: input names.
        states: names of the state variables.
        coefficients: names of the coefficients that are used.
        output: node of the output.
        new_states: node of each new state.
    """

    tape: Tape
    ports: tuple[str, ...]
    states: tuple[str, ...]
    coefficients: tuple[str, ...]
    output: int
    new_states: tuple[int, ...]


def trace(
    model: NeuronModel, *, through_reset: bool = False, relaxed: Callable[[Any, Any], Any] | None = None
) -> Traced:
    """Run a model's `step` on symbols.

    Args:
        model: the neuron.
        through_reset: gradients pass the reset.
        relaxed: smooth stand-in for the spike, see `Primitives`.

    Raises:
        UnsupportedError: the step uses something that cannot be traced; it is named.

    Example:
        >>> from spikelab.neurons import LIF
        >>> traced = trace(LIF(v_leak=0.0))
        >>> traced.states, traced.coefficients
        (('v',), ('a_mem', 'v_leak', 'v_threshold', 'v_reset'))
    """
    tape = Tape()
    ports = tuple(model.ports)
    inputs = [tape.leaf("input", name) for name in ports]
    states = tuple(model.State._fields)
    s = model.State(*(tape.leaf("state", name) for name in states))
    c = model.Coefficients(*(tape.leaf("coefficient", name) for name in model.Coefficients._fields))
    x = inputs[0] if len(inputs) == 1 else model.Inputs(*inputs)  # type: ignore[attr-defined]
    f = _StepPrimitives(tape, through_reset=through_reset)
    if relaxed is not None:
        f = Primitives(tape, through_reset=True, relaxed=relaxed)  # type: ignore[assignment]
    name = type(model).__name__
    try:
        result = model.step(x, s, c, f)
    except (TypeError, ValueError, AttributeError) as error:
        raise UnsupportedError(
            f"{name}.step: {error}; expected + - * and primitives of f that give an output and a {model.State.__name__}"
        ) from error
    if not isinstance(result, tuple) or len(result) != 2:
        raise UnsupportedError(
            f"{name}.step: it returns {brief(result)}; expected an output and a {model.State.__name__}"
        )
    z, new = result
    if not isinstance(new, model.State):
        raise UnsupportedError(f"{name}.step: the new state is {brief(new)}; expected {model.State.__name__}{states}")
    for what, value in {"the output": z, **{f"state {n}": v for n, v in zip(states, new, strict=True)}}.items():
        if not isinstance(value, Symbol):
            raise UnsupportedError(f"{name}.step: {what} is {brief(value)}; expected a value made from x, s, c")
    roots = [z.index, *(v.index for v in new)]
    used = [tape.nodes[i].args[0] for i in tape.live(roots) if tape.nodes[i].op == "coefficient"]
    order = [n for n in model.Coefficients._fields if n in used]
    return Traced(tape, ports, states, tuple(order), z.index, tuple(v.index for v in new))


@dataclass(frozen=True)
class Adjoint:
    """Gradient nodes of a traced step: of each port, each state, each coefficient that is used."""

    ports: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)
    coefficients: Mapping[str, int] = field(default_factory=dict)


def adjoint(traced: Traced, slope: Slope) -> Adjoint:
    """Append the gradient nodes of a step to its tape.

    Seeds: `("seed", OUTPUT)` is the gradient of the output, `("seed", "<state>")` that of a new state.

    Args:
        traced: the step; its tape grows.
        slope: surrogate derivative of `spike`, `reach` and, at the nearest threshold, of `count`.

    Returns:
        Nodes of the gradients; a name that no gradient reaches is left out.
    """
    tape = traced.tape
    f = Primitives(tape)
    grads: dict[int, Symbol] = {}

    def give(index: int, g: Symbol) -> None:
        grads[index] = grads[index] + g if index in grads else g

    last = len(tape.nodes)
    live = set(tape.live([traced.output, *traced.new_states]))
    give(traced.output, tape.leaf("seed", OUTPUT))
    for name, index in zip(traced.states, traced.new_states, strict=True):
        give(index, tape.leaf("seed", name))
    for index in range(last - 1, -1, -1):
        if index not in grads or index not in live:
            continue
        node, g = tape.nodes[index], grads[index]
        if node.op in LEAVES:
            continue
        operands = tuple(Symbol(tape, a) for a in node.args)
        for a, contribution in zip(node.args, _local(f, node.op, operands, Symbol(tape, index), g, slope), strict=True):
            if contribution is not None:
                give(a, contribution)

    def of(op: str, names: Sequence[str]) -> dict[str, int]:
        leaves = {n: tape.leaf(op, n).index for n in names}
        return {n: grads[i].index for n, i in leaves.items() if i in grads}

    return Adjoint(of("input", traced.ports), of("state", traced.states), of("coefficient", traced.coefficients))


def _local(f: Primitives, op: str, a: tuple[Symbol, ...], y: Symbol, g: Symbol, slope: Slope) -> tuple[Any, ...]:
    if op == "add":
        return g, g
    if op == "sub":
        return g, f.constant(0.0) - g
    if op == "mul":
        return g * a[1], g * a[0]
    if op in ("spike", "reach"):
        return (g * slope(a[0], f),)
    if op == "count":
        # The slope at the threshold that lies nearest: the n-th for n = max(1, floor(v / threshold + 1/2)).
        v, threshold, most = a
        nearest = f.maximum(f.constant(1.0), f.count(v + f.constant(0.5) * threshold, threshold, most))
        through = g * slope(v - nearest * threshold, f)
        return through, f.constant(0.0) - through * nearest, None
    rule = PRIMITIVES[op].adjoint
    assert rule is not None
    return rule(f, a, y, g)


def operations(traced: Traced) -> dict[str, int]:
    """Operations of one step by kind: add, mul, compare, exp, divide (coefficients are prepared once).

    Example:
        >>> from spikelab.neurons import IF
        >>> operations(trace(IF()))
        {'add': 1, 'compare': 1}
    """
    total: dict[str, int] = {}
    for index in traced.tape.live([traced.output, *traced.new_states]):
        op = traced.tape.nodes[index].op
        if op in LEAVES:
            continue
        cost = {"add": 1} if op in ("add", "sub") else {"mul": 1} if op == "mul" else PRIMITIVES[op].cost
        if op == "sub" and any(traced.tape.nodes[i].op in ("spike", "reach") for i in _users(traced.tape, index)):
            cost = {}  # v - threshold is the comparison itself
        for kind, n in cost.items():
            total[kind] = total.get(kind, 0) + n
    return total


def _users(tape: Tape, index: int) -> list[int]:
    return [i for i, node in enumerate(tape.nodes) if node.op not in LEAVES and index in node.args]
