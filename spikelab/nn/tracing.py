"""From a torch module to a `Network`: the only place that walks modules.

`nn.Sequential` is read layer by layer; any other module is traced by `torch.fx`, with our layers and
known torch modules as leaves. What cannot be carried is refused by name before anything is made.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelab import ops
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.network import Network, Population, Projection
from spikelab.nn.graph import NetworkModule
from spikelab.nn.layers import Flatten, Sequential, SumPool2d, whole_flatten
from spikelab.nn.neuron import Neuron, check_dt
from spikelab.nn.psn import PSN
from spikelab.ops import Op
from spikelab.units import Quantity, seconds

__all__ = ["named_layers", "to_network"]


@dataclass(frozen=True)
class _Signal:
    """What flows along an edge: the output of a population behind some ops."""

    population: str
    ops: tuple[Op, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _State:
    """The state that a neuron layer returned: it may only leave the module."""

    layer: str


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


class _Builder:
    """Collects populations and projections while modules are visited."""

    def __init__(self, input_shape: tuple[int, ...]):
        self.populations: dict[str, Population] = {"input": Population(input_shape, kind="input")}
        self.projections: list[Projection] = []
        self.layers: list[tuple[str, Neuron]] = []

    def name(self, path: str, kind: str) -> str:
        """A free name for a population made by the module at `path`."""
        base = path.replace("/", "_") or kind.lower()
        if base.split(".")[-1].isdigit():
            base = ".".join([*base.split(".")[:-1], f"{kind.lower()}_{base.split('.')[-1]}"])
        found, k = base, 2
        while found in self.populations:
            found, k = f"{base}_{k}", k + 1
        return found

    def through(self, signal: _Signal, op: Op, where: str) -> _Signal:
        try:
            shape = op.out_shape(signal.shape)
        except ShapeError as error:
            raise ShapeError(f"layer {where}: {error}") from None
        return _Signal(signal.population, (*signal.ops, op), shape)

    def neuron(self, signals: dict[str, _Signal], layer: Neuron, path: str) -> _Signal:
        """A population that is fed one signal per port."""
        if any(layer is known for _, known in self.layers):
            raise UnsupportedError(
                f"layer {path}: the same neuron layer is called twice; "
                "a population runs once a step, so give each call its own layer"
            )
        if len(shapes := {s.shape for s in signals.values()}) > 1:
            raise ShapeError(f"layer {path}: its inputs have the shapes {sorted(shapes)}; expected one")
        (shape,) = shapes
        name = self.name(path, type(layer).__name__)
        model = layer.frozen_model()
        self.populations[name] = Population(shape, model)
        for port, s in signals.items():
            self.projections.append(Projection(s.population, name, s.ops, port=port))
        self.layers.append((name, layer))
        if layer.recurrent:
            if layer.weight_rec is None:
                raise ShapeError(f"layer {path}: recurrent=True, but the size is not known; pass shape={shape[0]}")
            self.projections.append(Projection(name, name, (ops.Linear(_numbers(layer.weight_rec)),), delay=1))
        return _Signal(name, (), shape)

    def add(self, signals: list[_Signal], path: str) -> _Signal:
        """A junction that adds signals."""
        shapes = {s.shape for s in signals}
        if len(shapes) > 1:
            raise ShapeError(f"sum at {path}: the operands have the shapes {sorted(shapes)}; expected one")
        name = self.name(path, "sum")
        self.populations[name] = Population(signals[0].shape, kind="junction")
        for s in signals:
            self.projections.append(Projection(s.population, name, s.ops))
        return _Signal(name, (), signals[0].shape)

    def _must_be_plain(self, module: torch.nn.Module, path: str) -> None:
        """Refuse a subclass that computes something else than the module that it inherits from."""
        if not type(module).forward.__module__.startswith(("torch.nn.", "spikelab.nn.")):
            raise UnsupportedError(
                f"layer {path}: {type(module).__name__} has a forward of its own, which cannot be carried into a "
                "Network; "
                f"known are the forward methods of torch.nn and spikelab.nn"
            )

    def visit(self, signal: _Signal | tuple[Any, ...], module: torch.nn.Module, path: str) -> _Signal:
        """Pass a signal through one module."""
        if isinstance(module, Neuron):
            self._must_be_plain(module, path)
            return self.neuron(_by_port(signal, module, path), module, path)
        if not isinstance(signal, _Signal):
            raise UnsupportedError(f"layer {path}: found several inputs; expected one, for {type(module).__name__}")
        if isinstance(module, torch.nn.Sequential):
            for key, child in module.named_children():
                signal = self.visit(signal, child, f"{path}.{key}" if path else key)
            return signal
        for kind, make in _OPS.items():
            if isinstance(module, kind):
                self._must_be_plain(module, path)
                op = make(module, signal, path)
                if op is None:
                    return signal
                if isinstance(op, _Fold):
                    return _Signal(signal.population, (*signal.ops[:-1], op.op), signal.shape)
                return self.through(signal, op, f"{path} ({type(module).__name__})")
        if isinstance(module, PSN):
            raise UnsupportedError(
                f"layer {path}: {type(module).__name__} cannot be carried into a Network: {module.why}"
            )
        known = ", ".join(sorted({k.__name__ for k in _OPS} | {"LIF and other neuron layers", "Sequential"}))
        raise UnsupportedError(
            f"layer {path}: {type(module).__name__} cannot be carried into a Network; known are {known}; "
            "keep it outside, or replace it before to_network"
        )


def _by_port(signal: _Signal | tuple[Any, ...], layer: Neuron, path: str) -> dict[str, _Signal]:
    """The signal of each port of a neuron layer."""
    ports = tuple(layer.model.ports)
    if len(ports) == 1 and isinstance(signal, _Signal):
        return {ports[0]: signal}
    if len(ports) == 1 or not isinstance(signal, layer.model.Inputs):  # type: ignore[attr-defined]
        expected = "one signal" if len(ports) == 1 else f"layer.model.Inputs({', '.join(ports)})"
        raise UnsupportedError(
            f"layer {path}: found {'one input' if isinstance(signal, _Signal) else 'several inputs'} for "
            f"{type(layer.model).__name__}; expected {expected} in its call"
        )
    return dict(zip(ports, signal, strict=True))


@dataclass(frozen=True)
class _Fold:
    """An op that takes the place of the last one."""

    op: Op


def _numbers(value: Tensor | None) -> Any:
    return None if value is None else value.detach().cpu().numpy()


def _conv(module: torch.nn.Conv2d, signal: _Signal, path: str) -> Op:
    if module.padding_mode != "zeros":
        raise UnsupportedError(f"layer {path}: padding_mode {module.padding_mode!r}; expected 'zeros'")
    padding: Any = module.padding
    if padding == "valid":
        padding = (0, 0)
    elif padding == "same":
        reach = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(r % 2 for r in reach):
            raise UnsupportedError(f"layer {path}: padding='same' with an even kernel is uneven; pad explicitly")
        padding = tuple(r // 2 for r in reach)
    return ops.Conv2d(
        _numbers(module.weight), _numbers(module.bias), module.stride, padding, module.dilation, module.groups
    )


def _pool(module: torch.nn.AvgPool2d, signal: _Signal, path: str) -> Op:
    plain = not module.ceil_mode and module.divisor_override is None
    if not plain or (not module.count_include_pad and _pair(module.padding) != (0, 0)):
        raise UnsupportedError(
            f"layer {path}: AvgPool2d with ceil_mode, divisor_override or without counting padding; use the defaults"
        )
    kind = ops.SumPool2d if isinstance(module, SumPool2d) else ops.AvgPool2d
    return kind(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding))


def _batch_norm(module: Any, signal: _Signal, path: str) -> _Fold:
    if module.training or module.running_mean is None:
        raise UnsupportedError(
            f"layer {path}: {type(module).__name__} in training mode uses statistics of the batch; "
            "call model.eval() first"
        )
    last = signal.ops[-1] if signal.ops else None
    if not isinstance(last, ops.Linear | ops.Conv2d):
        raise UnsupportedError(
            f"layer {path}: {type(module).__name__} must follow a Linear or Conv2d, into which it folds"
        )
    weight = module.weight.double() if module.affine else torch.ones_like(module.running_mean).double()
    shift = module.bias.double() if module.affine else torch.zeros_like(module.running_mean).double()
    factor = (weight / torch.sqrt(module.running_var.double() + module.eps)).detach().cpu().numpy()
    old = np.zeros(len(factor)) if last.bias is None else last.bias.astype(np.float64)
    bias = (old - module.running_mean.double().cpu().numpy()) * factor + shift.detach().cpu().numpy()
    scaled = last.weight.astype(np.float64) * factor.reshape(-1, *[1] * (last.weight.ndim - 1))
    if isinstance(last, ops.Linear):
        return _Fold(ops.Linear(scaled, bias))
    return _Fold(ops.Conv2d(scaled, bias, last.stride, last.padding, last.dilation, last.groups))


def _dropout(module: torch.nn.Module, signal: _Signal, path: str) -> None:
    if module.training and getattr(module, "p", 0) > 0:
        raise UnsupportedError(
            f"layer {path}: {type(module).__name__} in training mode drops values at random; call model.eval() first"
        )


_OPS: dict[type[torch.nn.Module], Callable[[Any, _Signal, str], Op | _Fold | None]] = {
    torch.nn.Linear: lambda m, s, p: ops.Linear(_numbers(m.weight), _numbers(m.bias)),
    torch.nn.Conv2d: _conv,
    torch.nn.AvgPool2d: _pool,
    torch.nn.BatchNorm1d: _batch_norm,
    torch.nn.BatchNorm2d: _batch_norm,
    Flatten: lambda m, s, p: ops.Flatten(),
    torch.nn.Flatten: lambda m, s, p: ops.Flatten(whole_flatten(m, f"layer {p}") - 2),
    torch.nn.Identity: lambda m, s, p: None,
    torch.nn.Dropout: _dropout,
    torch.nn.Dropout2d: _dropout,
}


class _Tracer(torch.fx.Tracer):
    """Stop at neuron layers, sequences and whatever torch ships."""

    def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (Neuron, PSN, torch.nn.Sequential, *_OPS)) or type(m).__module__.startswith("torch.nn")


def _walk(builder: _Builder, module: torch.nn.Module) -> _Signal:
    """Interpret the fx graph of a module."""
    try:
        graph = _Tracer().trace(module)
    except Exception as error:
        raise UnsupportedError(
            f"{type(module).__name__}: cannot be traced ({error}); "
            "loops over time, branches on data and len() of a tensor stay outside"
        ) from error
    children = dict(module.named_modules())
    values: dict[torch.fx.Node, Any] = {}
    result: Any = None
    inputs = 0
    for node in graph.nodes:
        args = [values.get(a) if isinstance(a, torch.fx.Node) else a for a in node.args]
        if node.op == "placeholder":
            inputs += 1
            if inputs == 1:
                values[node] = _Signal("input", (), builder.populations["input"].shape)
            else:  # a state argument with a default
                values[node] = None
        elif node.op == "call_module":
            child = children[str(node.target)]
            signal = _signals(args[0] if args else None, node)
            others = [*args[1:], *(values.get(v) if isinstance(v, torch.fx.Node) else v for v in node.kwargs.values())]
            if any(v is not None for v in others):
                raise UnsupportedError(
                    f"layer {node.target}: found a second argument in {node.format_node()}; "
                    "a network keeps its states itself: pass none, or the state that the module was given"
                )
            out = builder.visit(signal, child, str(node.target))
            values[node] = (out, _State(str(node.target))) if isinstance(child, Neuron | Sequential) else out
        elif node.op == "output":
            result = args[0]
            if isinstance(node.args[0], tuple | list):
                found = [values.get(v) if isinstance(v, torch.fx.Node) else None for v in node.args[0]]
                if any(isinstance(v, _Signal) for v in found[1:]):
                    raise UnsupportedError(f"output: found {node.format_node()}; expected one signal, or (y, state)")
                result = found[0] if found else None
        else:
            values[node] = _call(builder, node, args)
    return _need(result, None)


def _call(builder: _Builder, node: torch.fx.Node, args: list[Any]) -> Any:
    target = node.target
    if target is operator.getitem and isinstance(args[0], tuple):
        return args[0][args[1]]
    if isinstance(target, type) and hasattr(target, "_fields"):  # layer.model.Inputs(a, b)
        return target(*args)
    if target in (operator.add, torch.add, operator.iadd) or target in ("add", "add_"):
        if not all(isinstance(a, _Signal) for a in args[:2]) or node.kwargs:
            raise UnsupportedError(
                f"sum at {node.name}: found {node.format_node()}; expected two signals of the network"
            )
        return builder.add(args[:2], node.name)
    if target in (torch.flatten, "flatten"):
        start = args[1] if len(args) > 1 else node.kwargs.get("start_dim", 0)
        if start != 2 or len(args) > 2 or "end_dim" in node.kwargs:
            raise UnsupportedError(
                f"flatten at {node.name}: found start_dim={start}; expected x.flatten(2), which keeps time and batch"
            )
        return builder.through(_need(args[0], node), ops.Flatten(), node.name)
    what = node.format_node()
    raise UnsupportedError(
        f"{node.op} {target!r} cannot be carried into a Network (at {what}); use layers, + and x.flatten(2)"
    )


def _signals(value: Any, node: torch.fx.Node) -> Any:
    """The signal that a layer is given, or the named tuple of signals of one with several inputs."""
    if hasattr(value, "_fields"):
        return type(value)(*(_need(v, node) for v in value))
    return _need(value, node)


def _need(value: Any, node: torch.fx.Node | None) -> _Signal:
    if isinstance(value, tuple) and value and isinstance(value[0], _Signal):
        raise UnsupportedError(
            f"at {node.format_node() if node else 'the output'}: a neuron layer returns (y, state); "
            "take y with y, state = layer(x)"
        )
    if not isinstance(value, _Signal):
        raise UnsupportedError(
            f"at {node.format_node() if node else 'the output'}: found {value!r}; "
            "expected a signal that comes from the input"
        )
    return value


def to_network(module: torch.nn.Module, input_shape: int | tuple[int, ...], dt: Quantity | None = None) -> Network:
    """Turn a module into a `Network`.

    Weights become float32 arrays, learnt parameters numbers; batch norm folds into the layer before
    it; dropout and identity vanish. `nn.compare` then counts the spikes that differ on a sample.

    Args:
        module: `nn.Sequential`, a neuron layer, a module that torch.fx can trace, or what `from_network` made.
        input_shape: shape of one input without time and batch.
        dt: [s] time step; may be left out if the layers know it.

    Returns:
        A network with the input `"input"`; populations are named after their modules.

    Raises:
        UnsupportedError: a module or operation that a network cannot carry, by name.
        ShapeError: shapes that do not fit.
        UnitError: dt unknown, or other than that of a layer.

    Example:
        >>> from spikelab import nn
        >>> net = to_network(nn.Sequential(nn.Linear(3, 2), nn.LIF()), input_shape=(3,), dt="1 ms")
        >>> list(net.populations)
        ['input', 'lif_1']
    """
    shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
    if isinstance(module, NetworkModule):
        return _given_back(module, shape, dt)
    builder = _build(module, shape)
    return Network(builder.populations, builder.projections, *_time(builder, dt))


def named_layers(module: torch.nn.Module, net: Network) -> list[tuple[str, Neuron]]:
    """The neuron layers of a module with the names of their populations in its network."""
    if isinstance(module, NetworkModule):
        return module.layers()
    return _build(module, net.populations[net.inputs[0]].shape).layers


def _given_back(module: NetworkModule, shape: tuple[int, ...], dt: Quantity | None) -> Network:
    if shape != module.net_shape:
        raise ShapeError(f"to_network: found input_shape={shape}; expected {module.net_shape}, as the network has it")
    if dt is not None:
        check_dt(module, dt, "to_network")
    return module.network()


def _build(module: torch.nn.Module, shape: tuple[int, ...]) -> _Builder:
    builder = _Builder(shape)
    if isinstance(module, Neuron | torch.nn.Sequential):
        signal = builder.visit(_Signal("input", (), shape), module, "")
    else:
        signal = _walk(builder, module)
    tapped = any(p.pre == signal.population and p.post != signal.population for p in builder.projections)
    if signal.ops or signal.population == "input" or tapped:  # what leaves must be a population that feeds no other
        builder.add([signal], "output")
    return builder


def _time(builder: _Builder, dt: Quantity | None) -> tuple[float, Any]:
    """dt and discretisation on which all layers agree."""
    value = None if dt is None else seconds(dt, "to_network: dt")
    discretisation = None
    for name, layer in builder.layers:
        if value is None:
            value = layer.dt
        elif layer.dt is not None and not math.isclose(layer.dt, value, rel_tol=1e-9):
            raise UnitError(
                f"layer {name}: found dt {layer.dt} s; expected {value} s, as elsewhere; a network has one dt"
            )
        if discretisation is not None and layer.discretisation != discretisation:
            raise UnsupportedError(
                f"layer {name}: found discretisation {layer.discretisation!r}; "
                f"expected {discretisation!r}, as elsewhere"
            )
        discretisation = layer.discretisation
    if value is None:
        raise UnitError("to_network: dt is not known; pass dt='1 ms', or set it with nn.set_dt(model, '1 ms')")
    return value, discretisation or "exponential"
