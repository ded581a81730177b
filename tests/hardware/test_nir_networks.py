"""Random networks for the NIR tests, and the claim that they are worth testing on."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.clocked import Float32, Run
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LI, LIF, CubaLI, CubaLIF
from spikelab.neurons.conventions import GAINS
from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Op, Scale, Sparse, SumPool2d

Rng = np.random.Generator
DTS = (1e-4, 1e-3, 3.7e-4)


def weights(rng: Rng, *shape: int) -> np.ndarray:
    return rng.normal(0.25, 1.0, shape) / np.sqrt(np.prod(shape[1:]) or 1)


def random_model(rng: Rng, shape: tuple[int, ...], dt: float, plain: bool, spiking: bool = True) -> Any:
    """A neuron with random flags; `plain` keeps to what NIR can say."""

    def value(low: float, high: float) -> Any:
        kind = rng.integers(3)
        if kind == 0:
            return float(rng.uniform(low, high))
        return rng.uniform(low, high, shape if kind == 1 else (shape[0], *[1] * (len(shape) - 1)))

    gain = str(rng.choice(GAINS))
    if not spiking:
        filters: dict[str, Any] = {
            "tau_mem": value(1.5 * dt, 30 * dt),
            "v_leak": value(-0.1, 0.1),
            "input_gain": gain,
        }
        if rng.random() < 0.5:
            return LI(**filters)
        order = str(rng.choice(["decay_then_add", "add_then_decay"]))
        return CubaLI(tau_syn=value(1.5 * dt, 10 * dt), synapse=order, **filters)
    flags: dict[str, Any] = {}
    if not plain:
        flags["reset"] = str(rng.choice(["hard", "soft"]))
        flags["comparison"] = str(rng.choice([">", ">="]))
        if flags["reset"] == "soft" and flags["comparison"] == ">=" and rng.random() < 0.5:
            flags["spikes"] = "many"
    reset = value(-0.3, 0.04) if rng.random() < 0.4 else 0.0
    kind = rng.integers(3)
    if kind == 0:
        if plain:
            reset = 0.0
        return IF(v_threshold=value(0.5, 1.5), v_reset=reset, **flags)
    if not plain and rng.random() < 0.3:
        flags |= {"reset": "undecayed"}
    common = {
        "tau_mem": value(1.5 * dt, 30 * dt),
        "v_threshold": value(0.05, 1.2),
        "v_reset": reset,
        "input_gain": gain,
    }
    common["v_leak"] = value(-0.1, 0.04)
    if kind == 1:
        return LIF(**common, **flags)
    synapse = str(rng.choice(["decay_then_add", "add_then_decay"]))
    return CubaLIF(tau_syn=value(1.5 * dt, 10 * dt), synapse=synapse, **common, **flags)


def random_ops(rng: Rng, shape: tuple[int, ...], goal: tuple[int, ...] | None) -> tuple[Op, ...]:
    """Ops from a shape to a goal (1-D), or to any shape."""
    ops: list[Op] = []

    def add(op: Op) -> None:
        nonlocal shape
        shape = op.out_shape(shape)
        ops.append(op)

    def bias(n: int) -> Any:
        return None if rng.random() < 0.5 else rng.normal(0.05, 0.05, n)

    if len(shape) == 3 and (goal is None or len(goal) == 3) and rng.random() < 0.8:
        c = shape[0]
        if rng.random() < 0.2:
            add(Scale(rng.uniform(0.5, 1.5, (c, 1, 1))))
        if rng.random() < 0.3 and min(shape[1:]) >= 4:
            add((SumPool2d if rng.random() < 0.5 else AvgPool2d)(2, padding=int(rng.integers(2))))
        groups = 2 if c % 2 == 0 and rng.random() < 0.4 else 1
        kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        w = weights(rng, 2 * groups, c // groups, *kernel)
        stride = 2 if rng.random() < 0.3 else 1
        add(Conv2d(w, bias(2 * groups), stride, (kernel[0] // 2, kernel[1] // 2), (1, 1), groups))
        if rng.random() < 0.2 and min(shape[1:]) >= 4:
            add(SumPool2d(2))
    elif goal is None and rng.random() < 0.1:
        add(Scale(rng.uniform(0.3, 1.5, shape)))
    if goal is None and (len(shape) == 3 or not ops) and rng.random() < 0.6:
        return tuple(ops)
    if goal == shape and rng.random() < 0.5:
        return tuple(ops)
    if len(shape) == 3:
        add(Flatten())
    if rng.random() < 0.2:
        add(Scale(float(rng.uniform(0.5, 1.5))))
    n = goal[0] if goal else int(rng.integers(2, 7))
    if rng.random() < 0.3:
        count = int(rng.integers(1, 2 * n * shape[0]))
        ends = rng.integers(0, shape[0], count), rng.integers(0, n, count)
        add(Sparse(*ends, weights(rng, count) * 2, (n, shape[0]), bias(n)))
    else:
        add(Linear(weights(rng, n, shape[0]) * 2, bias(n)))
    if rng.random() < 0.15:
        add(Scale(rng.uniform(0.5, 1.5, n)))
    return tuple(ops)


def random_network(rng: Rng, plain: bool) -> Network:
    """Inputs, layers, junctions, recurrence, delays, several outputs."""
    dt = float(rng.choice(DTS))
    populations: dict[str, Population] = {}
    projections: list[Projection] = []
    for k in range(int(rng.integers(1, 3))):
        shape = (int(rng.integers(1, 3)), 5, 4) if rng.random() < 0.4 else (int(rng.integers(2, 7)),)
        populations[f"in {k}"] = Population(shape, kind="input")

    def shape_of(pre: str, ops: tuple[Op, ...]) -> tuple[int, ...]:
        shape = populations[pre].shape
        for op in ops:
            shape = op.out_shape(shape)
        return shape

    def delay_of(ops: tuple[Op, ...], least: int = 0) -> Any:
        if not plain and len(ops) == 1 and isinstance(ops[0], Linear | Sparse) and rng.random() < 0.3:
            return rng.integers(least, least + 4, ops[0].weight.shape)
        return least + (int(rng.integers(1, 4)) if rng.random() < 0.2 else 0)

    layers = int(rng.integers(1, 5))
    for k in range(layers):
        pre = str(rng.choice(list(populations)))
        ops = random_ops(rng, populations[pre].shape, None)
        shape, name = shape_of(pre, ops), f"layer{k}" if rng.random() < 0.8 else f"läyer.{k}"
        junction = rng.random() < 0.25
        model = None if junction else random_model(rng, shape, dt, plain, spiking=rng.random() < 0.85)
        initial = {"v": float(rng.uniform(-0.1, 0.3))} if model is not None and not plain and rng.random() < 0.2 else {}
        populations[name] = Population(shape, model, initial=initial)
        projections.append(Projection(pre, name, ops, delay=delay_of(ops)))
        for _ in range(int(rng.integers(0, 3))):
            other = str(rng.choice([n for n in populations if n != name]))
            if len(shape) == 1 or populations[other].shape == shape:
                ops = random_ops(rng, populations[other].shape, shape) if len(shape) == 1 else ()
                projections.append(Projection(other, name, ops, delay=delay_of(ops)))
        if rng.random() < 0.3:
            ops = (Linear(weights(rng, shape[0], shape[0]) * 0.5),) if len(shape) == 1 else ()
            if junction:
                ops = (Scale(0.5),)
            if not (model is not None and not model.spiking and not ops):
                projections.append(Projection(name, name, ops, delay=delay_of(ops, 1)))
    dense = [n for n, p in populations.items() if p.kind == "neurons" and len(p.shape) == 1]
    if len(dense) > 1 and rng.random() < (0.2 if plain else 0.4):
        pre, post = dense[-1], dense[0]
        w = weights(rng, populations[post].shape[0], populations[pre].shape[0])
        projections.append(Projection(pre, post, (Linear(w),), delay=int(rng.integers(1, 3))))
    return Network(populations, projections, dt, "euler" if rng.random() < 0.5 else "exponential")


def random_input(rng: Rng, net: Network, steps: int = 40, batch: int = 2) -> dict[str, Any]:
    return {n: (rng.random((steps, batch, *net.populations[n].shape)) < 0.35).astype(np.float32) for n in net.inputs}


def differing(net: Network, a: Run, b: Run) -> int:
    """Differing outputs of all neurons."""
    return sum(int(np.sum(a.spikes[n] != b.spikes[n])) for n in net.populations if net.populations[n].kind == "neurons")


def only_ties_differ(net: Network, other: Network, x: dict[str, Any]) -> bool:
    """Whether the first differing step of each sample, if any, is a tie at the threshold."""
    spiking = [n for n, p in net.populations.items() if p.model is not None and p.model.spiking]
    traces = {n: ["margin"] for n in spiking}
    a, b = Float32().run(net, x, traces=traces), Float32().run(other, x, traces=traces)
    steps, batch = next(iter(x.values())).shape[:2]
    for row in range(batch):
        for t in range(steps):
            off = {n: a.spikes[n][t, row] != b.spikes[n][t, row] for n in spiking}
            if not any(v.any() for v in off.values()):
                continue
            near = [np.abs(a.traces[n]["margin"][t, row][off[n]]).min() for n in spiking if off[n].any()]
            if min(near) > 1e-5:
                return False
            break
    return True


def test_random_networks_hold_every_op_and_neuron() -> None:
    rng = np.random.default_rng(0)
    nets = [random_network(rng, plain=False) for _ in range(150)]
    ops = {op.kind for net in nets for p in net.projections for op in p.ops}
    assert ops == {"Linear", "Sparse", "Scale", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten"}
    models = {type(p.model).__name__ for net in nets for p in net.populations.values()}
    assert models == {"LIF", "IF", "LI", "CubaLIF", "CubaLI", "NoneType"}
    assert any(len(net.outputs) > 1 for net in nets) and any(len(net.inputs) > 1 for net in nets)
    assert any(not isinstance(p.delay, int) for net in nets for p in net.projections)
    flags = {(f, v) for net in nets for p in net.populations.values() if p.model for f, v in p.model.flags().items()}
    assert len(flags) == 3 + 2 + 2 + 3 + 2
