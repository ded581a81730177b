"""The tracer: what a step may not use is refused by name, and the tape holds what the step does."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from spikelab.errors import UnsupportedError
from spikelab.neurons import IF, LI, LIF, CubaLIF, NeuronModel
from spikelab.neurons.trace import operations, trace


class State(NamedTuple):
    v: Any


class Coefficients(NamedTuple):
    a: Any


@dataclass(frozen=True, eq=False)
class Mine(NeuronModel):
    """A neuron of somebody else, whose step the test gives."""

    write: Any = None

    State, Coefficients = State, Coefficients
    state_units, coefficient_units = ("V",), ("1",)

    @property
    def step(self) -> Any:
        """Whatever the test gives."""
        return self.write


def new(v: Any) -> Any:
    """A step whose new state is `v(x, s, c, f)`."""
    return lambda x, s, c, f: (f.spike(x), State(v(x, s, c, f)))


REFUSED: dict[str, tuple[Any, str]] = {
    "literal on the right": (new(lambda x, s, c, f: x * 2), r"step: literal 2 in '\*'; make it a coefficient"),
    "literal on the left": (new(lambda x, s, c, f: 0.5 * x), r"literal \*.*; make the literal a coefficient"),
    "literal added": (new(lambda x, s, c, f: x + 1), r"step: literal 1 in '\+'; make it a coefficient"),
    "literal minus": (new(lambda x, s, c, f: 1 - x), r"literal -"),
    "numpy scalar": (new(lambda x, s, c, f: x * np.float32(2)), r"literal np\.float32\(2\.0\)"),
    "numpy scalar on the left": (new(lambda x, s, c, f: np.float32(2) * x), r"numpy.*use the primitives of f"),
    "sum()": (new(lambda x, s, c, f: sum([x, s.v])), r"literal \+"),
    "division": (new(lambda x, s, c, f: x / s.v), r"operator / .*divide in coefficients\(\), or use f\.divide"),
    "division of a literal": (new(lambda x, s, c, f: 1 / x), "operator / "),
    "whole division": (new(lambda x, s, c, f: x // s.v), r"operator // .*f\.count"),
    "remainder": (new(lambda x, s, c, f: x % s.v), "operator %"),
    "power": (new(lambda x, s, c, f: x**2), r"operator \*\* .*multiply, or use f\.exp"),
    "power of a literal": (new(lambda x, s, c, f: 2**x), r"operator \*\*"),
    "unary minus": (new(lambda x, s, c, f: -x), "unary -.*subtract from a coefficient that is 0"),
    "unary plus": (new(lambda x, s, c, f: +x), r"unary \+"),
    "abs": (new(lambda x, s, c, f: abs(x)), r"abs.*use f\.maximum"),
    "greater": (new(lambda x, s, c, f: x if x > s.v else s.v), r"operator > .*f\.gate and f\.select"),
    "at least": (new(lambda x, s, c, f: x >= s.v), "operator >= "),
    "less": (new(lambda x, s, c, f: x < s.v), "operator < "),
    "at most": (new(lambda x, s, c, f: x <= s.v), "operator <= "),
    "equal": (new(lambda x, s, c, f: x if x == s.v else s.v), "operator == .*f.gate and f.select"),
    "unequal": (new(lambda x, s, c, f: x if x != s.v else s.v), "operator != "),
    "in": (new(lambda x, s, c, f: x if x in (s.v, c.a) else s.v), "operator == "),
    "if": (new(lambda x, s, c, f: x if f.spike(x) else s.v), r"if, and, or, not.*f\.spike, f\.gate and f\.select"),
    "not": (new(lambda x, s, c, f: not x), "if, and, or, not"),
    "max()": (new(lambda x, s, c, f: max(x, s.v)), "operator > "),
    "float()": (new(lambda x, s, c, f: float(x)), r"float\(\)"),
    "int()": (new(lambda x, s, c, f: int(x)), r"int\(\)"),
    "round()": (new(lambda x, s, c, f: round(x)), r"round\(\)"),
    "range()": (new(lambda x, s, c, f: list(range(x))), r"int\(\)"),
    "index": (new(lambda x, s, c, f: x[0]), r"\[\].*one neuron at a time"),
    "iteration": (new(lambda x, s, c, f: list(x)), r"\[\].*one neuron at a time"),
    "math function": (new(lambda x, s, c, f: math.exp(x)), r"float\(\)"),
    "numpy function": (new(lambda x, s, c, f: np.exp(x)), "numpy.*use the primitives of f"),
    "torch function": (new(lambda x, s, c, f: torch.exp(x)), r"Mine\.step: .*must be Tensor"),
    "unknown primitive": (
        new(lambda x, s, c, f: f.sigmoyd(x)),
        "primitive 'sigmoyd': unknown; .*did you mean 'sigmoid'",
    ),
    "too many operands": (new(lambda x, s, c, f: f.exp(x, s.v)), r"f\.exp takes 1 operands, found 2"),
    "too few operands": (new(lambda x, s, c, f: f.select(x)), r"f\.select takes 3 operands, found 1"),
    "named operand": (new(lambda x, s, c, f: f.exp(x=x)), r"f\.exp takes operands by position, found x="),
    "literal operand": (
        new(lambda x, s, c, f: f.maximum(x, 0.0)),
        r"literal 0\.0 in f\.maximum; make it a coefficient",
    ),
    "constant": (new(lambda x, s, c, f: f.constant(1.0)), r"f\.constant.*make it a coefficient"),
    "unknown state": (new(lambda x, s, c, f: s.w), r"Mine\.step: .*'State' object has no attribute 'w'"),
    "unknown coefficient": (new(lambda x, s, c, f: c.tau * x), "'Coefficients' object has no attribute 'tau'"),
    "a float as state": (
        new(lambda x, s, c, f: 0.0),
        r"Mine\.step: state v is 0\.0; expected a value made from x, s, c",
    ),
    "a float as output": (lambda x, s, c, f: (1.0, State(x)), r"Mine\.step: the output is 1\.0"),
    "a missing state": (lambda x, s, c, f: (x, State()), r"Mine\.step: .*missing 1 required positional argument: 'v'"),
    "a bare tuple": (lambda x, s, c, f: (x, (x,)), r"Mine\.step: the new state is .*; expected State\('v',\)"),
    "no state": (lambda x, s, c, f: x, r"Mine\.step: it returns Symbol.*; expected an output and a State"),
    "nothing": (lambda x, s, c, f: None, r"Mine\.step: it returns None; expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_traced_is_refused_by_name(case: str) -> None:
    step, message = REFUSED[case]
    with pytest.raises(UnsupportedError, match=message):
        trace(Mine(write=step))
    with pytest.raises(UnsupportedError, match=message):
        Mine(write=step).check_units()


def test_a_trace_names_what_the_step_uses() -> None:
    traced = trace(CubaLIF(reset="soft"))
    assert traced.ports == ("x",) and traced.states == ("i", "v")
    assert traced.coefficients == ("a_syn", "a_mem", "v_leak", "v_threshold")
    assert trace(IF(reset="hard")).coefficients == ("v_threshold", "v_reset")


def test_dead_code_costs_nothing() -> None:
    def step(x: Any, s: Any, c: Any, f: Any) -> Any:
        f.exp(x * x)
        return f.spike(x), State(c.a * s.v)

    assert operations(trace(Mine(write=step))) == {"mul": 1, "compare": 1}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (LI(), {"add": 3, "mul": 1}),
        (LI(input_gain="1-a"), {"add": 3, "mul": 2}),
        (IF(), {"add": 1, "compare": 1}),
        (IF(reset="soft"), {"add": 2, "mul": 1, "compare": 1}),
        (LIF(), {"add": 3, "mul": 1, "compare": 1}),
        (LIF(comparison=">="), {"add": 3, "mul": 1, "compare": 1}),
        (CubaLIF(reset="soft", comparison=">=", spikes="many"), {"add": 5, "mul": 3, "compare": 2, "divide": 1}),
    ],
)
def test_operations_of_one_step_are_those_in_its_formula(model: NeuronModel, expected: dict[str, int]) -> None:
    assert operations(trace(model)) == expected


def test_detach_stops_the_gradient_unless_the_reset_lets_it_through() -> None:
    ops = lambda traced: [traced.tape.nodes[i].op for i in traced.tape.live(list(traced.new_states))]  # noqa: E731
    assert "detach" in ops(trace(LIF()))
    assert "detach" not in ops(trace(LIF(), through_reset=True))
