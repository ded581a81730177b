"""Write the event-driven update of one neuron model from its traced `step`.

A neuron is looked at when something arrives or while it is awake. Falling asleep is safe in two ways.
Exact: a step under the resting drive left the state as it was, so every later one would too. Fast:
the model says that it stays quiet under that drive; the silent steps are made up in one `leap` when
the next input arrives.
"""

from __future__ import annotations

import hashlib
import inspect
from functools import cache
from typing import Any

from spikelab.errors import UnsupportedError
from spikelab.neurons.generated import load
from spikelab.neurons.model import NeuronModel
from spikelab.neurons.primitives import exp_numba_source
from spikelab.neurons.source import step_source
from spikelab.neurons.trace import trace

__all__ = ["advance_source", "event_kernel"]

_JIT = "@njit(error_model='numpy', nogil=True, cache=True, parallel={parallel})"


def _imports(model: NeuronModel, names: tuple[str, ...]) -> list[str]:
    """Import the closed forms of the model; the digest of their text keeps caches apart."""
    state = type(model.initial())
    lines = [
        f"from {state.__module__} import {state.__name__} as State",
        f"from {model.Coefficients.__module__} import {model.Coefficients.__name__} as Coefficients",
    ]
    if len(model.ports) > 1:
        inputs: Any = model.Inputs  # type: ignore[attr-defined]
        lines.append(f"from {inputs.__module__} import {inputs.__name__} as Inputs")
    for name in names:
        function: Any = getattr(model, name)
        module = inspect.getmodule(function)
        if module is None or id(getattr(module, function.__name__, None)) != id(function):
            raise UnsupportedError(
                f"{type(model).__name__}.{name}: found {function.__qualname__}, which no import can reach; "
                "expected a function at the top of a module (Numba compiles it by name); move it there"
            )
        digest = hashlib.sha256(inspect.getsource(module).encode()).hexdigest()[:16]
        lines.append(f"from {module.__name__} import {function.__name__} as _{name}  # {digest}")
        for other in function.__code__.co_names:  # functions that it calls must be compiled too
            value = getattr(module, other, None)
            if inspect.isfunction(value):
                lines.append(f"import {module.__name__} as _module\n_module_{other} = njit(_module.{other})")
                lines.append(f"_{name} = _with(_{name}, {other!r}, _module_{other})")
        lines.append(f"_{name} = njit(error_model='numpy')(_{name})")
    return lines


_WITH = '''
def _with(function, name, compiled):
    """The function with one of its globals compiled."""
    return FunctionType(function.__code__, {**function.__globals__, name: compiled}, function.__name__)
'''


def advance_source(model: NeuronModel, fast: bool) -> str:
    """Source of `advance` and `settle` for a model's flags.

    Args:
        model: the neuron; only its flags matter.
        fast: leap over silent steps where the model has closed forms.
    """
    traced = trace(model)
    leaps = fast and model.leap is not None and model.quiet is not None
    ports, states = traced.ports, traced.states
    used = traced.coefficients
    fields = model.Coefficients._fields

    def leaf(op: str, name: Any) -> str:
        return {"input": f"x_{name}", "state": f"s_{name}", "coefficient": f"c_{name}"}[op]

    lines, (z, *new) = step_source(traced.tape, [traced.output, *traced.new_states], leaf, " " * 12)
    coefficients = [f"            c_{c} = C[{fields.index(c)}, j * wide[{fields.index(c)}]]" for c in used]
    everything = ", ".join(f"np.float64(C[{k}, j * wide[{k}]])" for k in range(len(fields)))
    now = ", ".join(f"np.float64(S[{k}, b, j])" for k in range(len(states)))
    then = ", ".join(f"np.float64({v})" for v in new)
    rests = ", ".join(f"np.float64(rest[{k}, j])" for k in range(len(ports)))
    rests = rests if len(ports) == 1 else f"Inputs({rests})"
    still = " and ".join(
        [f"{v} == s_{s}" for s, v in zip(states, new, strict=True)]
        + [f"x_{p} == rest[{k}, j]" for k, p in enumerate(ports)]
        + [f"{z} == F(0.0)"]
    )
    out = [
        "import math",
        "from types import FunctionType",
        "",
        "import numpy as np",
        "from numba import njit, prange",
        "",
    ]
    if leaps:
        out += [_WITH, *_imports(model, ("leap", "quiet")), ""]
    out += ["F = np.float32", "", exp_numba_source("float32"), ""]
    for name, parallel in (("advance", False), ("advance_parallel", True)):
        out += [
            _JIT.format(parallel=parallel),
            (
                f"def {name}(t, acc, touched, hit, layout, divisor, bias, port, rest, C, wide, S, last, awake, need, "
                "index, value, found, updates, active):"
            ),
            "    K, B, N = acc.shape",
            f"    for b in {'prange' if parallel else 'range'}(B):",
            "        for j in range(N):",
            "            need[b, j] = awake[b, j]",
            "        for k in range(K):",
            "            if hit[k, b] > 0:",
            "                for j in range(N):",
            "                    need[b, j] |= touched[k, b, layout[k, j]]",
            "        n = 0",
            "        looked = 0",
            "        live = 0",
            "        for j in range(N):",
            "            if need[b, j] == 0:",
            "                continue",
            "            looked += 1",
        ]
        out += [f"            x_{p} = F(0.0)" for p in ports]
        out += ["            for k in range(K):", "                at = layout[k, j]"]
        out += ["                y = acc[k, b, at] / divisor[k] + bias[k, j]"]
        for q, p in enumerate(ports):
            guard = f"                if port[k] == {q}:\n    " if len(ports) > 1 else ""
            out.append(f"{guard}                x_{p} += y")
        out += ["                acc[k, b, at] = F(0.0)", "                touched[k, b, at] = 0"]
        out += coefficients
        moving = " or ".join(f"S[{k}, b, j] != F(0.0)" for k in range(len(states)))
        arrived = " or ".join(f"x_{p} != F(0.0)" for p in ports)
        out += [f"            if {moving}:", "                live += t - last[b, j]"]
        if leaps:
            out += [
                "            if last[b, j] < t:",
                f"                c = Coefficients({everything})",
                f"                s = _leap({rests}, State({now}), c, t - last[b, j])",
                *(f"                S[{k}, b, j] = F(s[{k}])" for k in range(len(states))),
            ]
        out += [f"            if {arrived} or {moving}:", "                live += 1"]
        out += [f"            s_{s} = S[{k}, b, j]" for k, s in enumerate(states)]
        out += lines
        out += [f"            S[{k}, b, j] = {v}" for k, v in enumerate(new)]
        out += ["            last[b, j] = t + 1"]
        if leaps:
            out += [
                f"            awake[b, j] = 0 if _quiet({rests}, State({then}), Coefficients({everything})) else 1",
            ]
        else:
            out += [f"            awake[b, j] = 0 if {still} else 1"]
        out += [
            f"            if {z} != F(0.0):",
            "                index[b, n] = j",
            f"                value[b, n] = {z}",
            "                n += 1",
            "        found[b] = n",
            "        updates[b] += looked",
            "        active[b] += live",
            "",
            "",
        ]
    out += [
        "@njit(error_model='numpy', nogil=True, cache=True)",
        "def settle(t, rest, C, wide, S, last, active):",
        "    for b in range(last.shape[0]):",
        "        for j in range(last.shape[1]):",
        "            if last[b, j] < t:",
        f"                if {moving}:",
        "                    active[b] += t - last[b, j]",
    ]
    if leaps:
        out += [
            f"                s = _leap({rests}, State({now}), Coefficients({everything}), t - last[b, j])",
            *(f"                S[{k}, b, j] = F(s[{k}])" for k in range(len(states))),
        ]
    out += ["                last[b, j] = t"]
    return "\n".join(out) + "\n"


@cache
def _loaded(source: str, name: str) -> Any:
    return load(source, name)


def event_kernel(model: NeuronModel, fast: bool) -> Any:
    """Module with `advance`, `advance_parallel` and `settle` for a model's flags."""
    return _loaded(advance_source(model, fast), f"event_{type(model).__name__.lower()}")
