"""Contracts as executable checks: a neuron, op or target of your own proves itself with ours.

`check_model` holds a neuron model to what every reader relies on, `check_op` an op, `check_target` a
target. Each raises `AssertionError` with the place and the figures found, and returns nothing.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.agreement import agreement
from spikelab.clocked import Float32
from spikelab.errors import SpikelabError, UnsupportedError, brief
from spikelab.network import Network, Population, Projection
from spikelab.neurons.kernel import kernel
from spikelab.neurons.model import NeuronModel, parameters
from spikelab.neurons.primitives import NUMPY
from spikelab.neurons.trace import trace
from spikelab.ops import Linear, Op
from spikelab.ops.scatter import apply
from spikelab.units import Quantity, seconds

__all__ = ["check_model", "check_op", "check_target", "sample_network"]


def _must(holds: Any, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _must_be(value: Any, kind: type, where: str, expected: str) -> None:
    if isinstance(value, type) or not isinstance(value, kind):
        raise UnsupportedError(f"{where}: found {brief(value)} of type {type(value).__name__}; expected {expected}")


def _cast(c: Any, dtype: Any) -> Any:
    return type(c)(*(np.asarray(v, dtype)[()] for v in c))


def _start(model: NeuronModel, shape: tuple[int, ...], dtype: Any) -> Any:
    return type(model.initial())(*(np.full(shape, v, dtype) for v in model.initial()))


def check_model(
    model: NeuronModel,
    *,
    dt: Quantity = 1e-3,
    steps: int = 200,
    neurons: int = 64,
    drive: float | Mapping[str, float] = 0.4,
    seed: int = 0,
    discretisations: Sequence[str] = ("exponential", "euler"),
) -> None:
    """Hold a neuron model to the contract.

    Units close; the step can be traced; the fused kernel and the event-driven simulator give the bits
    of `step` on arrays; chunked runs equal whole ones; kernel gradients equal those of autograd to
    1e-5 (float32) and finite differences of a smooth stand-in (float64), for input, initial state and
    every parameter; `leap` equals repeated steps; `quiet` never promises too much; and the event-driven
    simulator in its fast mode differs at threshold ties only (`Agreement.explained`), or nowhere where the
    model has no `leap` and `quiet`.

    Args:
        model: the neuron, with the parameters to test.
        dt: [s] time step, or a string with a unit.
        steps: T, at least 50.
        neurons: number of neurons, at least 50.
        drive: scale of the random input, in the unit of the port; choose it so that some steps spike. For a
            neuron with several inputs a mapping from port to scale; an input that allows one sign gets that.
        seed: of the input.
        discretisations: which to test.

    Raises:
        AssertionError: what does not hold, with figures.
        SpikelabError: units that do not close, or a step that cannot be traced.
    """
    _must_be(model, NeuronModel, "check_model", "a neuron model, as in LIF()")
    if not isinstance(steps, int) or not isinstance(neurons, int) or min(steps, neurons) < 50 or not discretisations:
        raise UnsupportedError(
            f"check_model: found {steps!r} steps, {neurons!r} neurons, discretisations {discretisations!r}; "
            "expected at least 50, 50 and one; use the defaults"
        )
    dt = seconds(dt, "check_model: dt")
    _check_parts(model, dt, discretisations[0])
    trace(model)
    model.check_units()
    scales = dict(drive) if isinstance(drive, Mapping) else dict.fromkeys(model.ports, drive)
    if scales.keys() != model.ports.keys():
        raise UnsupportedError(f"check_model: found drive for {', '.join(scales)}; expected {', '.join(model.ports)}")
    rng = np.random.default_rng(seed)
    x = []
    for port, (_, sign) in model.ports.items():
        values = rng.normal(0.3, 1.0, (steps, neurons)) * scales[port]
        x.append((values if sign == 0 else sign * np.abs(values)).astype(np.float32))
    for discretisation in discretisations:
        _check_kernel(model, x, dt, discretisation)
        _check_leap(model, rng, scales, dt, discretisation)
        _check_events(model, x, dt, discretisation)
    _check_gradients(model, [p[:40, :8] for p in x], dt, discretisations[0])


def _check_parts(model: NeuronModel, dt: float, discretisation: Any) -> None:
    """What a neuron must bring with it is there and fits together."""
    name = type(model).__name__
    for part, holds in (("State", "the state variables"), ("Coefficients", "what step needs per time step")):
        kind = getattr(model, part, None)
        if not (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")):
            raise UnsupportedError(
                f"{name}.{part}: found {kind or 'none'}; expected a NamedTuple of {holds}; write "
                f"class {name}{part}(NamedTuple) outside of the class, and {part} = {name}{part} in it"
            )
    signatures = {"step": "(x, s, c, f)", "coefficients": "(self, dt, discretisation, m=MATHS)", "initial": "(self)"}
    for part, signature in signatures.items():
        if getattr(type(model), part) is getattr(NeuronModel, part):
            raise UnsupportedError(f"{name}.{part}: found none; expected a function; add def {part}{signature}")
    makes: dict[str, tuple[type[Any], tuple[Any, ...]]] = {
        "coefficients": (model.Coefficients, (dt, discretisation)),
        "initial": (model.State, ()),
    }
    for part, (kind, arguments) in makes.items():
        made = f"{kind.__name__}({', '.join(kind._fields)})"
        try:
            found = getattr(model, part)(*arguments)
        except TypeError as error:
            raise UnsupportedError(f"{name}.{part}: {error}; expected a {made}; return one") from error
        if not isinstance(found, kind):
            raise UnsupportedError(f"{name}.{part}: found a {type(found).__name__}; expected a {made}; return one")


def _joined(model: NeuronModel, x: Sequence[Any]) -> Any:
    """What a step takes: the value of the only port, or `Inputs`."""
    return x[0] if len(x) == 1 else model.Inputs(*x)  # type: ignore[attr-defined]


def _check_kernel(model: NeuronModel, x: list[NDArray[np.float32]], dt: float, discretisation: Any) -> None:
    name = type(model).__name__
    steps, n = x[0].shape
    for dtype in (np.float32, np.float64):
        c, s = _cast(model.coefficients(dt, discretisation), dtype), _start(model, (n,), dtype)
        z = np.zeros((steps, n), dtype)
        for t in range(steps):
            z[t], s = model.step(_joined(model, [p[t].astype(dtype) for p in x]), s, c, NUMPY)
        _must(
            z.any(), f"{name}, {discretisation}: the output is 0 throughout, which proves nothing; use a larger drive"
        )
        k = kernel(model, dtype=np.dtype(dtype).name)
        scalars, none = [getattr(c, f) for f in k.scalars], np.zeros((0, n), dtype)
        for cuts in ((0, steps), (0, 1, steps // 3, steps)):
            got, now = np.zeros_like(z), np.stack(_start(model, (n,), dtype))
            for a, b in itertools.pairwise(cuts):
                end = np.empty_like(now)
                k.forward(
                    [p[a:b].astype(dtype) for p in x],
                    scalars,
                    none,
                    now,
                    got[a:b],
                    end,
                    np.zeros((0, *now.shape), dtype),
                    0,
                )
                now = end
            wrong = int(np.count_nonzero(got != z))
            _must(
                wrong == 0,
                f"{name}, {discretisation}, {k.dtype}: {wrong} of {z.size} outputs of the kernel differ from step",
            )
            _must(
                np.array_equal(now, np.stack(s)),
                f"{name}, {discretisation}: the kernel's final state differs from step's",
            )


def _check_events(model: NeuronModel, x: list[NDArray[np.float32]], dt: float, discretisation: Any) -> None:
    from spikelab.hardware.event_driven import EventDriven

    n, rng = x[0].shape[1], np.random.default_rng(1)
    sparse: Any = {
        p: np.where(rng.random(v.shape) < 0.2, v, np.float32(0))[:, None] for p, v in zip(model.ports, x, strict=True)
    }
    net = Network(
        {**{p: Population((n,), kind="input") for p in model.ports}, "out": Population((n,), model)},
        [Projection(p, "out", port=p) for p in model.ports],
        dt,
        discretisation,
    )
    name, reference = f"{type(model).__name__}, {discretisation}", Float32().run(net, sparse)
    leaps = model.leap is not None and model.quiet is not None
    for mode in ("exact", "fast"):
        run = EventDriven(mode).run(net, sparse)
        differs = reference.spikes["out"] != run.spikes["out"]
        exact = mode == "exact" or not leaps
        if exact:
            _must(
                not differs.any(),
                f"{name}: {np.count_nonzero(differs)} outputs of the {mode} event-driven run differ from the reference",
            )
        else:
            found = agreement(net, sparse, run.spikes)
            _must(found.explained, f"{name}: the fast event-driven run differs beyond threshold ties: {found}")
        kept = ~differs.any(axis=0)  # after a flip a neuron's state is another
        for field, a, b in zip(
            model.State._fields, reference.state.neurons["out"], run.state.neurons["out"], strict=True
        ):
            off = np.abs(a - b)[kept] - (0 if exact else 1e-4 * np.maximum(np.abs(a[kept]), 0.1))
            _must(
                off.max(initial=0) <= 0,
                f"{name}: state {field} of the {mode} event-driven run differs from the reference",
            )


def _check_leap(
    model: NeuronModel, rng: np.random.Generator, scales: Mapping[str, float], dt: float, discretisation: Any
) -> None:
    name, c = type(model).__name__, model.coefficients(dt, discretisation)
    _must((model.quiet is None) or (model.leap is not None), f"{name}: quiet without leap")
    if model.leap is None:
        return
    for _ in range(200):
        drawn = {p: float(rng.normal(0, scale / 4)) for p, scale in scales.items()}
        x = _joined(model, [v if (sign := model.ports[p].sign) == 0 else sign * abs(v) for p, v in drawn.items()])
        s = model.State(*(float(v) for v in rng.normal(0, 0.3, len(model.State._fields))))
        quiet = model.quiet is not None and model.quiet(x, s, c)
        n, now, spiked = int(rng.integers(1, 300)), s, False
        for _ in range(n):
            z, now = model.step(x, now, c, NUMPY)
            spiked = spiked or (model.spiking and z != 0)
        _must(
            not (quiet and spiked), f"{name}, {discretisation}: quiet({x}, {s}) holds, yet it spikes within {n} steps"
        )
        if not spiked:
            leapt = model.leap(x, s, c, n)
            worst = max(abs(float(a) - float(b)) / max(1.0, abs(float(b))) for a, b in zip(leapt, now, strict=True))
            _must(worst <= 1e-9, f"{name}, {discretisation}: leap over {n} steps is off by {worst:.1e}")


def _check_gradients(model: NeuronModel, x: list[NDArray[np.float32]], dt: float, discretisation: str) -> None:
    import torch

    from spikelab.nn.neuron import LayerState, Neuron

    name, learn = type(model).__name__, tuple(parameters(model))
    g = np.random.default_rng(2).normal(size=(len(x[0]), 1, x[0].shape[1]))
    for through in (False, True):
        found = []
        for use in (True, False):
            layer = Neuron(
                model, learn=learn, dt=dt, discretisation=discretisation, detach_reset=not through, fused=use
            )
            u = [torch.tensor(p[:, None], requires_grad=True) for p in x]
            start = [v.clone().requires_grad_(True) for v in layer.initial(u[0]).neuron]
            for v in start:
                v.retain_grad()  # a learnt parameter may stand behind it
            y, _ = layer(_joined(model, u), LayerState(model.State(*start)))
            (y * torch.tensor(g, dtype=torch.float32)).sum().backward()
            found.append([*(p.grad for p in u), *(v.grad for v in start), *(p.grad for p in layer.parameters())])
        for k, (a, b) in enumerate(zip(*found, strict=True)):
            if a is None and b is None:
                continue
            a, b = (torch.zeros_like(a if a is not None else b) if v is None else v for v in (a, b))
            error = float((a - b).abs().max() / b.abs().max().clamp(min=1e-12))
            _must(
                error <= 1e-5,
                f"{name}: gradient {k} of the kernel is off by {error:.1e} from autograd (detach_reset={not through})",
            )
    _check_finite_differences(model, [p[:8, :3] for p in x], dt, discretisation, learn)


def _check_finite_differences(
    model: NeuronModel, x: list[NDArray[np.float32]], dt: float, discretisation: str, learn: tuple[str, ...]
) -> None:
    """gradcheck of the kernel in float64, with the spike replaced by a sigmoid and its true derivative."""
    import torch

    from spikelab.nn.neuron import LayerState, Neuron
    from spikelab.nn.surrogate import Sigmoid

    if any(node.op in ("count", "truncate") for node in trace(model).tape.nodes):
        return  # whole numbers have no smooth stand-in; autograd is the check
    smooth = Sigmoid(3.0)
    layer = Neuron(model, learn=learn, dt=dt, discretisation=discretisation, surrogate=smooth).double()
    layer.relaxed = lambda d, f: f.sigmoid(f.constant(smooth.steepness) * d)
    u = [torch.tensor(p[:, None], dtype=torch.float64, requires_grad=True) for p in x]
    start = [(v.detach() + 0.05).requires_grad_(True) for v in layer.initial(u[0]).neuron]
    names = [n for n, _ in layer.named_parameters()]
    values = [p.detach().clone().requires_grad_(True) for p in layer.parameters()]

    def run(*all_: Any) -> Any:
        inputs, rest = all_[: len(u)], all_[len(u) :]
        states, held = rest[: len(start)], rest[len(start) :]
        y, end = torch.func.functional_call(
            layer, dict(zip(names, held, strict=True)), (_joined(model, inputs), LayerState(model.State(*states)))
        )
        return (y, *end.neuron)

    _must(
        torch.autograd.gradcheck(run, (*u, *start, *values), eps=1e-6, atol=1e-6),
        f"{type(model).__name__}: gradcheck failed",
    )


def check_op(op: Op, in_shape: tuple[int, ...], *, rows: int = 7, density: float = 0.3, seed: int = 0) -> None:
    """Hold an op to the contract.

    Its application equals the matrix that `csr` gives (to rounding), is additive, and skips zeros
    without a trace; `fan_out` and the counts equal those of a brute-force walk over that matrix.

    Args:
        op: the op.
        in_shape: shape of one input.
        rows: samples.
        density: share of active inputs.
        seed: of the inputs.

    Raises:
        AssertionError: what does not hold, with figures.
    """
    _must_be(op, Op, "check_op", "an op, as in Linear(weight)")
    rng = np.random.default_rng(seed)
    n, out_shape = int(np.prod(in_shape)), op.out_shape(in_shape)
    x = np.where(rng.random((rows, *in_shape)) < density, rng.normal(size=(rows, *in_shape)), 0).astype(np.float32)
    scatter, csr = op.scatter(in_shape), op.csr(in_shape)
    matrix = np.zeros((n, int(np.prod(out_shape))))
    nonzero = np.zeros(n, np.int64)
    for i in range(n):
        at = slice(csr.indptr[i], csr.indptr[i + 1])
        np.add.at(matrix[i], csr.indices[at], csr.weights[at])
        nonzero[i] = np.count_nonzero(csr.weights[at])
    y = apply(scatter, x, out_shape)
    rest = apply(scatter, np.zeros_like(x[:1]), out_shape).reshape(1, -1)
    expected = x.reshape(rows, -1).astype(np.float64) @ matrix + rest
    error = float(np.max(np.abs(y.reshape(rows, -1) - expected), initial=0)) / max(
        1.0, float(np.abs(expected).max(initial=0))
    )
    _must(error <= 1e-5, f"{op.kind}: its application is off by {error:.1e} from its csr matrix")
    if op.weighted:
        _must(
            np.array_equal(op.fan_out(in_shape).reshape(-1), nonzero),
            f"{op.kind}: fan_out differs from the non-zero weights of csr",
        )
        brute = int(sum(nonzero[i] for row in x.reshape(rows, -1) for i in np.flatnonzero(row)))
        counted = op.count(x).synaptic_ops
        _must(counted == brute, f"{op.kind}: counted {counted} synaptic operations; a walk finds {brute}")
    one = np.zeros((1, *in_shape), np.float32)
    _must(op.count(one).synaptic_ops == 0, f"{op.kind}: silent input is counted as work")


def sample_network(
    seed: int = 0, inputs: int = 20, hidden: int = 30, outputs: int = 5
) -> tuple[Network, NDArray[np.float32]]:
    """A small recurrent network with delays and a residual sum, and 60 steps of input for 3 samples.

    Args:
        seed: of weights, delays and input.
        inputs: number of inputs.
        hidden: neurons of each hidden population.
        outputs: neurons of the output.

    Returns:
        The network, and x [60, 3, inputs].
    """
    from spikelab.neurons import LI, LIF, CubaLIF

    rng = np.random.default_rng(seed)

    def weights(n_out: int, n_in: int, gain: float) -> tuple[Op, ...]:
        weight = rng.normal(0, gain / np.sqrt(n_in), (n_out, n_in)).astype(np.float32)
        return (Linear(weight, rng.normal(0, 0.02, n_out).astype(np.float32)),)

    net = Network(
        {
            "input": Population((inputs,), kind="input"),
            "first": Population((hidden,), CubaLIF(tau_syn="3 ms", tau_mem="8 ms")),
            "second": Population((hidden,), LIF(tau_mem="10 ms", reset="soft")),
            "sum": Population((hidden,), kind="junction"),
            "output": Population((outputs,), LI(tau_mem="15 ms")),
        },
        [
            Projection("input", "first", weights(hidden, inputs, 2.0)),
            Projection("first", "first", weights(hidden, hidden, 0.6), delay=1),
            Projection("first", "second", weights(hidden, hidden, 2.0), delay=rng.integers(0, 4, (hidden, hidden))),
            Projection("first", "sum"),
            Projection("second", "sum"),
            Projection("sum", "output", weights(outputs, hidden, 1.0)),
        ],
        dt="1 ms",
    )
    return net, (rng.random((60, 3, inputs)) < 0.15).astype(np.float32)


def check_target(target: Any, *, tolerance: float = 0.0, seed: int = 0) -> None:
    """Hold a target to the contract, on a small recurrent network with delays and a residual sum.

    Two runs agree; a run in chunks that carries the state equals the whole; samples do not influence
    each other; the input is not changed; spikes differ from the reference in at most a share
    `tolerance`; and the counted synaptic operations follow from its own spikes.

    Args:
        target: has `name`, `check(net)` and `run(net, x, state=...)`.
        tolerance: largest share of spikes (of all that either run has) that may differ; 0 for exact targets.
        seed: of the network and its input.

    Raises:
        AssertionError: what does not hold, with figures.
    """
    from spikelab.hardware.target import Target

    _must_be(target, Target, "check_target", "a target with name, check and run, as in Float32()")
    net, x = sample_network(seed)
    name = target.name
    _must(list(target.check(net)) == [], f"{name}: check finds violations in the sample network: {target.check(net)}")
    before = copy.deepcopy(x)
    run = target.run(net, x)
    _must(np.array_equal(before, x), f"{name}: run changed its input")
    again = target.run(net, x)
    first, state, pieces = 0, None, []
    for last in (1, 20, len(x)):
        piece = target.run(net, x[first:last], state=state)
        first, state = last, piece.state
        pieces.append(piece)
    alone = target.run(net, x[:, 1:2])
    kept = target.run(net, x[20:, [2]], state=target.run(net, x[:20]).state.select([2]))
    reference = Float32().run(net, x)
    for n in net.populations:
        z = run.spikes[n]
        _must(z.shape == (*x.shape[:2], *net.populations[n].shape), f"{name}: spikes of {n} have the shape {z.shape}")
        _must(np.array_equal(z, again.spikes[n]), f"{name}: two runs of {n} differ")
        _must(
            np.array_equal(z, np.concatenate([p.spikes[n] for p in pieces])),
            f"{name}: a run of {n} in chunks differs from the whole",
        )
        _must(np.array_equal(z[:, 1:2], alone.spikes[n]), f"{name}: {n} of one sample depends on the others")
        _must(np.array_equal(z[20:, [2]], kept.spikes[n]), f"{name}: {n} differs after state.select")
        if net.populations[n].model is not None and net.populations[n].model.spiking:  # type: ignore[union-attr]
            wrong = int(np.count_nonzero(z != reference.spikes[n]))
            spikes = int(np.count_nonzero(z + reference.spikes[n]))
            _must(wrong <= tolerance * spikes, f"{name}: {wrong} of {spikes} spikes of {n} differ from the reference")
    for p in net.projections:
        if p.ops and p.longest == 0:
            shape = net.populations[p.pre].shape
            fan = p.ops[0].fan_out(shape).reshape(-1)
            expected = int((np.count_nonzero(run.spikes[p.pre].reshape(-1, fan.size), axis=0) * fan).sum())
            counted = run.counts.projections[net.label(p)][0].synaptic_ops
            _must(
                counted == expected,
                f"{name}: counted {counted} synaptic operations at {net.label(p)}; its spikes give {expected}",
            )
    try:
        target.run(net, x[:, :, :-1])
    except SpikelabError:
        return
    raise AssertionError(f"{name}: input of the wrong shape was not refused")
