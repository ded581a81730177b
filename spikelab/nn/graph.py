"""From a `Network` to a torch module that can be trained further."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spikelab import ops
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.network import Network, Projection, must_be_network
from spikelab.neurons.model import NeuronModel
from spikelab.nn.inputs import must_be_tensor
from spikelab.nn.layers import AvgPool2d, Conv2d, Flatten, SumPool2d
from spikelab.nn.linear import Linear
from spikelab.nn.neuron import LayerState, Neuron
from spikelab.nn.surrogate import Surrogate

__all__ = ["NetworkModule", "Scale", "SparseLinear", "from_network"]


class Scale(torch.nn.Module):
    """Multiply element by element by a fixed factor."""

    scale: Tensor

    def __init__(self, scale: Any) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, *shape] times the factor."""
        return x * self.scale


class SparseLinear(torch.nn.Module):
    """Synapses as a list: y[target] += weight * x[source]."""

    source: Tensor
    target: Tensor

    def __init__(self, op: ops.Sparse) -> None:
        super().__init__()
        self.register_buffer("source", torch.tensor(op.source, dtype=torch.int64))
        self.register_buffer("target", torch.tensor(op.target, dtype=torch.int64))
        self.weight = torch.nn.Parameter(torch.tensor(op.weight))
        self.bias = None if op.bias is None else torch.nn.Parameter(torch.tensor(op.bias))
        self.features = op.shape[0]

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, in] to [T, B, out]."""
        y = x.new_zeros(*x.shape[:-1], self.features)
        y = y.index_add(-1, self.target, x[..., self.source] * self.weight)
        return y if self.bias is None else y + self.bias


def _module(op: ops.Op, where: str) -> torch.nn.Module:
    if isinstance(op, ops.Linear):
        layer: Any = Linear(op.weight.shape[1], op.weight.shape[0], bias=op.bias is not None)
    elif isinstance(op, ops.Conv2d):
        out, group, kh, kw = op.weight.shape
        layer = Conv2d(
            group * op.groups, out, (kh, kw), op.stride, op.padding, op.dilation, op.groups, op.bias is not None
        )
    elif isinstance(op, ops.AvgPool2d):
        return AvgPool2d(op.kernel_size, op.stride, op.padding)
    elif isinstance(op, ops.SumPool2d):
        return SumPool2d(op.kernel_size, op.stride, op.padding)
    elif isinstance(op, ops.Flatten) and (op.start, op.end) == (0, -1):
        return Flatten()
    elif isinstance(op, ops.Scale):
        return Scale(op.scale)
    elif isinstance(op, ops.Sparse):
        return SparseLinear(op)
    else:
        raise UnsupportedError(f"{where}: op {op} has no torch layer here")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(op.weight))
        if op.bias is not None:
            layer.bias.copy_(torch.tensor(op.bias))
    return layer  # type: ignore[no-any-return]


def _op(op: ops.Op, module: torch.nn.Module) -> ops.Op:
    """The op with the weights that its module has now."""
    return replace(op, **{n: _numbers(p) for n, p in module.named_parameters()})


def _numbers(value: Any) -> Any:
    return value.detach().cpu().numpy()


class NetworkModule(torch.nn.Module):
    """A `Network` as a module: `y, state = module(x, state)`.

    Weights are parameters; neuron parameters are fixed. State holds one entry per population, and
    the last outputs where a projection is delayed. `network()`, or `nn.to_network(module)`, is the way back.
    """

    def __init__(self, net: Network, surrogate: str | Surrogate) -> None:
        super().__init__()
        if len(net.inputs) != 1 or len(net.outputs) != 1:
            raise UnsupportedError(
                f"from_network: found the inputs {net.inputs} and outputs {net.outputs}; expected one of each"
            )
        self.made_from = net
        self.order: list[str] = []
        self.net_shape = net.populations[net.inputs[0]].shape
        self.input, self.output = net.inputs[0], net.outputs[0]
        self.neurons = torch.nn.ModuleDict()
        self.ops = torch.nn.ModuleDict()
        self.feeds: dict[str, list[tuple[str, str, int, str]]] = {}
        self.keys: dict[str, str] = {}
        self.history = {n: net.history(n) for n in net.populations}
        for component in net.order():
            self._add(net, component, surrogate)

    def _add(self, net: Network, component: tuple[str, ...], surrogate: str | Surrogate) -> None:
        (name, *others) = component
        loops = [p for p in net.projections if p.pre in component and p.post in component]
        population = net.populations[name]
        if others or len(loops) > 1 or (loops and not _plain_recurrence(loops[0], population.shape)):
            raise UnsupportedError(
                f"from_network: the cycle through {', '.join(component)} is not a dense recurrence with delay 1 "
                "within one population; "
                "torch layers know no other; run the network with sl.run or EventDriven"
            )
        self.order.append(name)
        key = name.replace(".", "_dot_")
        while key in self.keys.values() or hasattr(self.neurons, key):  # torch keeps some names for itself
            key += "_"
        self.keys[name] = key
        if population.kind == "input":
            return
        self.feeds[name] = []
        for p in net.incoming(name):
            if p in loops:
                continue
            if not isinstance(p.delay, int):
                raise UnsupportedError(
                    f"from_network: projection {net.label(p)} has a delay per synapse; torch layers take one delay"
                )
            op_key = f"op{net.projections.index(p)}"
            self.ops[op_key] = torch.nn.Sequential(*(_module(op, net.label(p)) for op in p.ops))
            self.feeds[name].append((p.pre, op_key, p.delay, p.port))
        if population.model is not None:
            layer = Neuron(
                population.model,
                shape=population.shape,
                recurrent=bool(loops),
                surrogate=surrogate,
                dt=net.dt,
                discretisation=net.discretisation,
            )
            if loops:
                with torch.no_grad():
                    assert layer.weight_rec is not None
                    layer.weight_rec.copy_(torch.tensor(loops[0].ops[0].weight))  # type: ignore[attr-defined]
            layer.start = {n: torch.tensor(v, dtype=torch.float32) for n, v in population.initial.items()}  # type: ignore[assignment]
            self.neurons[key] = layer

    def layers(self) -> list[tuple[str, Neuron]]:
        """The neuron layers by the names of their populations."""
        found = dict(self.neurons.items())
        return [(n, found[self.keys[n]]) for n in self.order if self.keys[n] in found]  # type: ignore[misc]

    def network(self) -> Network:
        """The network that this module was made from, with the weights that it has now."""
        net, layers = self.made_from, dict(self.layers())
        populations = {
            n: replace(p, model=layers[n].frozen_model()) if n in layers else p for n, p in net.populations.items()
        }
        projections = []
        for k, p in enumerate(net.projections):
            made: tuple[ops.Op, ...]
            if p.pre == p.post:
                made = (replace(p.ops[0], weight=_numbers(layers[p.post].weight_rec)),)  # type: ignore[call-arg]
            else:
                made = tuple(_op(op, m) for op, m in zip(p.ops, self.ops[f"op{k}"], strict=True))  # type: ignore[call-overload]
            projections.append(replace(p, ops=made))
        return replace(net, populations=populations, projections=projections)

    def forward(self, x: Tensor, state: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """[T, B, *shape] input to [T, B, *out] output and the state to continue with."""
        must_be_tensor(x, "from_network module")
        if tuple(x.shape[2:]) != self.net_shape:
            axes = ", ".join(map(str, self.net_shape))
            raise ShapeError(f"from_network module: found input of shape {tuple(x.shape)}; expected [T, B, {axes}]")
        if state is not None:
            self._check_state(x, state)
        z: dict[str, Tensor] = {self.input: x}
        new: dict[str, Any] = {}
        for name in self.order:
            if name != self.input:
                total: dict[str, Tensor] = {}
                for pre, key, delay, port in self.feeds[name]:
                    y = self.ops[key](self._late(z[pre], pre, delay, state))
                    total[port] = total[port] + y if port in total else y
                layer: Any = dict(self.neurons.items()).get(self.keys[name])
                like = next(iter(total.values()))
                if layer is None:
                    z[name] = like
                else:
                    old = state[name] if state is not None else self._start(layer, like)
                    z[name], new[name] = layer(_joined(layer.model, total, like), old)
            depth = self.history[name]
            if depth:
                before = state[f"{name}/history"] if state is not None else z[name].new_zeros(depth, *z[name].shape[1:])
                new[f"{name}/history"] = torch.cat([before, z[name]])[-depth:]
        return z[self.output], new

    def _check_state(self, x: Tensor, state: dict[str, Any]) -> None:
        expected = {n for n in self.order if self.keys[n] in self.neurons}
        expected |= {f"{n}/history" for n, depth in self.history.items() if depth}
        found = set(state) if isinstance(state, dict) else type(state).__name__
        if found != expected:
            raise ShapeError(
                f"from_network module: found a state of {found}; expected the dict of {expected} it returned"
            )
        for n, depth in self.history.items():
            if depth and state[f"{n}/history"].shape[:2] != (depth, x.shape[1]):
                raise ShapeError(
                    f"from_network module: found a history of {n} of shape {tuple(state[f'{n}/history'].shape)}; "
                    "expected "
                    f"{depth} steps of {x.shape[1]} samples; "
                    "a state belongs to one batch: start the new one with state=None"
                )

    def _start(self, layer: Any, total: Tensor) -> LayerState:
        state: LayerState = layer.initial(total)
        values = {n: v.to(total.dtype).expand(total.shape[1:]) for n, v in layer.start.items()}
        return LayerState(state.neuron._replace(**values), state.z)

    def _late(self, z: Tensor, pre: str, delay: int, state: dict[str, Any] | None) -> Tensor:
        if not delay:
            return z
        depth = self.history[pre]
        before = state[f"{pre}/history"] if state is not None else z.new_zeros(depth, *z.shape[1:])
        return torch.cat([before, z])[depth - delay :][: len(z)]


def _joined(model: NeuronModel, total: dict[str, Tensor], like: Tensor) -> Any:
    """What the layer takes: one tensor, or `Inputs` with zeros at a port that nothing feeds."""
    ports = [total.get(port, torch.zeros_like(like)) for port in model.ports]
    return ports[0] if len(ports) == 1 else model.Inputs(*ports)  # type: ignore[attr-defined]


def _plain_recurrence(p: Projection, shape: tuple[int, ...]) -> bool:
    plain = len(p.ops) == 1 and isinstance(p.ops[0], ops.Linear) and p.ops[0].bias is None
    return plain and isinstance(p.delay, int) and p.delay == 1 and len(shape) == 1 and p.port == "x"


def from_network(net: Network, surrogate: str | Surrogate = "superspike") -> NetworkModule:
    """Turn a `Network` into a torch module.

    Args:
        net: one input, one output; cycles only as dense recurrence with delay 1.
        surrogate: derivative of the spike for further training.

    Returns:
        A module with the weights as parameters; `nn.to_network` turns it back with the weights it then has.

    Raises:
        UnsupportedError: something else than a network, or what torch layers cannot say, by name.

    Example:
        >>> from spikelab import nn
        >>> net = nn.to_network(nn.Sequential(nn.Linear(3, 2), nn.LIF()), 3, dt="1 ms")
        >>> module = from_network(net)
        >>> with torch.no_grad():
        ...     _ = module.ops["op0"][0].weight.fill_(0.5)
        >>> nn.to_network(module, 3).projections[0].ops[0].weight[0]
        array([0.5, 0.5, 0.5], dtype=float32)
    """
    must_be_network(net, "from_network")
    return NetworkModule(net, surrogate)
