"""Neuron layers: a model of `spikelab.neurons` as a torch module with explicit state.

`y, state = layer(x, state)` with x [T, B, *shape]. Nothing remembers the last call. Time constants
and thresholds may be learnt; positive parameters are learnt through their logarithm, so that they
stay positive. CPU tensors run on the fused kernels, CUDA tensors too where Triton is installed, others
on a loop over `step`. The arithmetic of half-precision input is float32, and so are its states.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikelab.errors import ShapeError, UnitError, UnsupportedError, unknown_name
from spikelab.neurons.model import NeuronModel, parameters, with_values
from spikelab.nn.devices import has_kernel
from spikelab.nn.fused import Coefficients, arithmetic, fused, kernel_of, named_kernel
from spikelab.nn.inputs import must_be_finite, must_be_tensor
from spikelab.nn.primitives import TorchPrimitives
from spikelab.nn.recurrent import fused_recurrent
from spikelab.nn.surrogate import Surrogate, surrogate
from spikelab.units import Quantity, seconds

__all__ = ["LayerState", "Neuron", "check_dt", "set_dt"]


class LayerState(NamedTuple):
    """State of a layer: the neuron's variables [B, *shape], and the last output of a recurrent layer."""

    neuron: Any
    z: Tensor | None = None

    def detach(self) -> LayerState:
        """The same values without their history, for truncated backpropagation."""
        z = None if self.z is None else self.z.detach()
        return LayerState(type(self.neuron)(*(v.detach() for v in self.neuron)), z)


class Neuron(torch.nn.Module):
    """Any neuron model as a layer.

    Args:
        model: the neuron, e.g. `spikelab.neurons.LIF()`.
        shape: shape of the layer; needed for `recurrent` outside `nn.Sequential`, and for per-neuron
            learnable parameters.
        recurrent: add weights from the layer's last output to its input.
        learn: names of parameters to learn, or one name; one value for the layer, or one per neuron if
            `shape` is given.
        surrogate: derivative of the spike, by name or as a `Surrogate`.
        detach_reset: keep gradients from passing the reset.
        dt: [s] time step; may be set later by `set_dt`, `fit` or `to_network`.
        discretisation: `"exponential"` or `"euler"`.
        fused: run on the fused kernels where the device has them; False forces the plain loop.
        recompute: keep nothing between forward and backward pass but input and output of the layer; the backward
            pass then runs the steps once more.

    Shape:
        x [T, B, *shape] -> y [T, B, *shape] and the state.

    Example:
        >>> from spikelab.neurons import LIF
        >>> layer = Neuron(LIF(tau_mem="20 ms"), dt="1 ms")
        >>> y, state = layer(torch.ones(5, 2, 3))
        >>> y.shape
        torch.Size([5, 2, 3])
    """

    relaxed: Callable[[Any, Any], Any] | None = None
    """Smooth function `(d, f) -> z` in place of the spike: `spikelab.testing.check_model` sets it on a layer of its
    own, so that finite differences exist for the gradients to be checked against. None runs the neuron as it is."""

    def __init__(
        self,
        model: NeuronModel,
        *,
        shape: int | Sequence[int] | None = None,
        recurrent: bool = False,
        learn: str | Sequence[str] = (),
        surrogate: str | Surrogate = "superspike",
        detach_reset: bool = True,
        dt: Quantity | None = None,
        discretisation: str = "exponential",
        fused: bool = True,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        where = type(self).__name__
        switches = {"recurrent": recurrent, "detach_reset": detach_reset, "fused": fused, "recompute": recompute}
        for name, switch in switches.items():
            if not isinstance(switch, bool):
                raise UnsupportedError(f"{where}.{name}: found {switch!r}; expected True or False; pass one of them")
        if not isinstance(model, NeuronModel):
            raise UnsupportedError(
                f"{type(self).__name__}: found {model!r}; expected a neuron model; pass spikelab.neurons.LIF(), say"
            )
        self.model = model
        self.shape = _axes(shape, type(self).__name__)
        self.recurrent, self.detach_reset, self.use_fused, self.recompute = recurrent, detach_reset, fused, recompute
        self.surrogate = _surrogate(surrogate)
        self.dt = None if dt is None else seconds(dt, f"{type(self).__name__}.dt")
        if recurrent and len(model.ports) > 1:
            raise UnsupportedError(
                f"{type(self).__name__}(recurrent=True): found {type(model).__name__} with the inputs "
                f"{', '.join(model.ports)}; expected a neuron with one; build the loop as a Network with ports"
            )
        if discretisation not in ("exponential", "euler"):
            raise unknown_name(f"{type(self).__name__}.discretisation", discretisation, ("exponential", "euler"))
        self.discretisation = discretisation
        if not isinstance(learn, str | Sequence) or not all(isinstance(name, str) for name in learn):
            raise UnsupportedError(
                f"{type(self).__name__}.learn: found {learn!r}; expected names of parameters, as in ('tau_mem',)"
            )
        self.learn = (learn,) if isinstance(learn, str) else tuple(dict.fromkeys(learn))
        known = parameters(model)
        for name in self.learn:
            if name not in known:
                raise unknown_name(f"{type(self).__name__}.learn: parameter", name, known)
            value = torch.as_tensor(np.array(getattr(model, name), np.float64))
            if self.shape is not None:
                try:
                    value = _per_neuron(value, self.shape, known[name]["vector"])
                except RuntimeError:
                    raise ShapeError(
                        f"{type(self).__name__}.{name}: found shape {tuple(value.shape)}; "
                        f"expected one that broadcasts to shape={self.shape}"
                    ) from None
            positive = known[name]["positive"]
            start = (value.log() if positive else value).to(torch.get_default_dtype()).clone()
            self.register_parameter(_stored(name, positive), torch.nn.Parameter(start))
        given = {name: np.shape(getattr(model, name)) for name in known if name not in self.learn}
        self._arrays = tuple(name for name, size in given.items() if size)
        if self.shape is not None:
            self._check_sizes(self.shape)
        self.weight_rec: torch.nn.Parameter | None
        self.register_parameter("weight_rec", None)
        if recurrent and self.shape is not None:
            self.make_recurrent(self.shape[0] if len(self.shape) == 1 else 0)

    def make_recurrent(self, features: int) -> None:
        """Create the recurrent weights [features, features], uniform within 1 / sqrt(features)."""
        if features < 1 or (self.shape is not None and self.shape != (features,)):
            raise ShapeError(
                f"{type(self).__name__}(recurrent=True): found shape {self.shape}; expected one axis, as in shape=128"
            )
        bound = 1 / math.sqrt(features)
        self.shape = (features,)
        self.weight_rec = torch.nn.Parameter(torch.empty(features, features).uniform_(-bound, bound))

    def learnt_model(self) -> NeuronModel:
        """The model with learnt parameters as float64 tensors that carry their gradient."""
        if not self.learn:
            return self.model
        known = parameters(self.model)
        values = {}
        for name in self.learn:
            positive = known[name]["positive"]
            stored: Tensor = getattr(self, _stored(name, positive)).double()
            values[name] = stored.exp() if positive else stored
        for name in self._arrays:  # arrays and tensors do not go into one formula
            values[name] = torch.tensor(np.array(getattr(self.model, name), np.float64), device=stored.device)
        return with_values(self.model, values)

    def frozen_model(self) -> NeuronModel:
        """The model with its present parameters as float64 numbers, for a `Network`."""
        model = self.learnt_model()
        values = {n: v.detach().cpu().numpy() for n in self.learn for v in [getattr(model, n)]}
        return dataclasses.replace(self.model, **{n: float(v) if v.ndim == 0 else v for n, v in values.items()})

    def _check_sizes(self, shape: tuple[int, ...]) -> None:
        """Refuse parameters that do not broadcast to neurons of this shape."""
        known = parameters(self.model)
        sizes = {name: np.shape(getattr(self.model, name)) for name in self._arrays}
        sizes |= {name: tuple(getattr(self, _stored(name, known[name]["positive"])).shape) for name in self.learn}
        for name, size in sizes.items():
            axes = size[1:] if known[name]["vector"] else size
            fits = len(axes) <= len(shape) and all(
                n in (1, m) for n, m in zip(reversed(axes), reversed(shape), strict=False)
            )
            if not fits:
                raise ShapeError(
                    f"{type(self).__name__}.{name}: found shape {size} for neurons of shape {shape}; expected one that "
                    "broadcasts to it; give one value, or one per neuron"
                )

    def _need_dt(self) -> float:
        if self.dt is None:
            raise UnitError(
                f"{type(self).__name__}: dt is not known; pass dt='1 ms' to the layer, or call nn.set_dt(model, '1 ms')"
            )
        return self.dt

    def initial(self, x: Any) -> LayerState:
        """State at the start for input x [T, B, *shape], or `model.Inputs` of such."""
        return self._start(x if isinstance(x, Tensor) else x[0], self.learnt_model())

    def _start(self, x: Tensor, model: NeuronModel) -> LayerState:
        state = model.initial()
        values = [_tensor(v, x).expand(x.shape[1:]) for v in state]
        z = x.new_zeros(()).expand(x.shape[1:]) if self.recurrent else None
        return LayerState(type(state)(*values), z)

    def forward(self, x: Any, state: LayerState | None = None) -> tuple[Tensor, LayerState]:
        """Run T steps.

        Args:
            x: [T, B, *shape] input; for a neuron with several, `model.Inputs` with one such tensor per port.
            state: of an earlier call, to continue it; None starts at rest.

        Returns:
            Output [T, B, *shape], and the state to continue with.

        Raises:
            ShapeError: no time and batch axes, a shape other than the layer's, a state of another batch.
            UnitError: dt is not known.
        """
        dt = self._need_dt()
        inputs = self._inputs(x)
        like = inputs[0]
        model = self.learnt_model()
        if state is None:
            state = self._start(like, model)
        self._check_state(like, state)
        c = model.coefficients(dt, self.discretisation)  # type: ignore[arg-type]
        if self.use_fused and has_kernel(like):
            result: tuple[Tensor, LayerState] = self._fused(inputs, state, c)
            return result
        return self._loop(inputs, state, model, c)

    def _inputs(self, x: Any) -> list[Tensor]:
        """The input of each port, checked."""
        ports = self.model.ports
        if len(ports) == 1:
            self._check(x)
            return [x]
        name, kind = type(self).__name__, self.model.Inputs  # type: ignore[attr-defined]
        if not isinstance(x, kind):
            raise ShapeError(
                f"{name}: found input of type {type(x).__name__}; expected one tensor per port; "
                f"pass layer.model.Inputs({', '.join(f'{p}=...' for p in ports)})"
            )
        for port, value in zip(ports, x, strict=True):
            self._check(value)
            if (value.shape, value.dtype, value.device) != (x[0].shape, x[0].dtype, x[0].device):
                raise ShapeError(
                    f"{name}: found {port} of shape {tuple(value.shape)}, {value.dtype}, {value.device}; expected "
                    f"{tuple(x[0].shape)}, {x[0].dtype}, {x[0].device}, as {next(iter(ports))} has"
                )
        return list(x)

    def _check(self, x: Tensor) -> None:
        name = type(self).__name__
        must_be_tensor(x, name)
        if not x.is_floating_point():
            raise ShapeError(f"{name}: found input of {x.dtype}; expected a float tensor [T, B, *shape]; use x.float()")
        if x.ndim < 3:
            raise ShapeError(
                f"{name}: found input of shape {tuple(x.shape)}; expected [T, B, *shape]; add axes with x[:, None]"
            )
        if x.numel() == 0:
            raise ShapeError(
                f"{name}: found empty input of shape {tuple(x.shape)}; expected at least one step and sample"
            )
        if self.shape is not None and tuple(x.shape[2:]) != self.shape:
            raise ShapeError(
                f"{name}: found input of shape {tuple(x.shape)}; expected [T, B, {', '.join(map(str, self.shape))}]"
            )
        if self._arrays or self.learn:
            self._check_sizes(tuple(x.shape[2:]))
        if x.layout is not torch.strided or x.element_size() < 2:
            raise ShapeError(
                f"{name}: found input of {x.layout}, {x.dtype}; expected a dense tensor of float32, float64, "
                "bfloat16 or float16; use x.to_dense() or x.float()"
            )
        for what, value in self.named_parameters(recurse=False):
            if value.device != x.device:
                raise ShapeError(
                    f"{name}: found input on {x.device} and {what} on {value.device}; expected one device; "
                    f"use x.to({str(value.device)!r}), or layer.to({str(x.device)!r})"
                )
        if self.recurrent and self.weight_rec is None:
            raise ShapeError(
                f"{name}(recurrent=True): the size is not known; "
                f"pass shape={x.shape[-1]}, or put it behind a Linear in nn.Sequential"
            )

    def _check_state(self, x: Tensor, state: LayerState) -> None:
        if not isinstance(state, LayerState) or type(state.neuron) is not self.model.State:
            found = type(state.neuron).__name__ if isinstance(state, LayerState) else type(state).__name__
            raise ShapeError(
                f"{type(self).__name__}: found a state of {found}; expected one of {self.model.State.__name__}; "
                "pass what this layer returned"
            )
        for name, value in zip(state.neuron._fields, state.neuron, strict=True):
            if not isinstance(value, Tensor) or value.shape != x.shape[1:]:
                raise ShapeError(
                    f"{type(self).__name__}: found state {name} of shape {tuple(np.shape(value))}; "
                    f"expected {tuple(x.shape[1:])}; "
                    "a state belongs to one batch: start the new one with state=None"
                )
            self._check_kind(x, name, value)
        if state.z is not None and not self.recurrent:
            raise ShapeError(
                f"{type(self).__name__}: found the state of a recurrent layer, with its last output; expected "
                "one without; pass what this layer returned"
            )
        if self.recurrent and isinstance(state.z, Tensor):
            self._check_kind(x, "z", state.z)
        if self.recurrent and (not isinstance(state.z, Tensor) or state.z.shape != x.shape[1:]):
            shown = (
                f"of shape {tuple(state.z.shape)}" if isinstance(state.z, Tensor) else f"of {type(state.z).__name__}"
            )
            found = "no last output" if state.z is None else f"a last output {shown}"
            raise ShapeError(
                f"{type(self).__name__}(recurrent=True): found a state with {found}; expected {tuple(x.shape[1:])}; "
                "pass what this layer returned, or None to start"
            )

    def _check_kind(self, x: Tensor, name: str, value: Tensor) -> None:
        if value.device != x.device or not value.is_floating_point():
            raise ShapeError(
                f"{type(self).__name__}: found state {name} of {value.dtype} on {value.device}; expected floats on "
                f"{x.device}; pass what this layer returned, or move it with .to()"
            )

    @torch.compiler.disable  # the kernels are compiled already; torch.compile runs them between its graphs
    def _fused(self, inputs: list[Tensor], state: LayerState, c: Any) -> tuple[Tensor, LayerState]:
        x = inputs[0]
        values = c._asdict()
        learnt = {n: v for n, v in values.items() if isinstance(v, Tensor) and v.requires_grad}
        arrays = tuple(n for n, v in values.items() if n in learnt or (not isinstance(v, float | int) and v.ndim > 0))
        through, device = not self.detach_reset, x.device.type
        key = named_kernel(self.model, self.surrogate, x.dtype, arrays, tuple(learnt), through, self.relaxed, device)
        k = kernel_of(key)
        given = Coefficients([float(values[n]) for n in k.scalars], [_tensor(values[n], x) for n in k.arrays])
        start = [v.to(arithmetic(x.dtype)) for v in state.neuron]
        if self.recurrent:
            assert self.weight_rec is not None and state.z is not None
            weight, before = self.weight_rec.to(x.dtype), state.z.to(x.dtype)
            y, end = fused_recurrent(x, weight, before, given, start, key, self.recompute)
        else:
            y, end = fused(inputs, given, start, key, self.recompute)
        return y, LayerState(self.model.State(*end.unbind(0)), y[-1] if self.recurrent else None)

    def _loop(self, inputs: list[Tensor], state: LayerState, model: NeuronModel, c: Any) -> tuple[Tensor, LayerState]:
        x = inputs[0]
        for p in inputs:
            must_be_finite(p, type(self).__name__)
        dtype = arithmetic(x.dtype)
        inputs = [p.to(dtype) for p in inputs]
        f = TorchPrimitives(self.surrogate, dtype, through_reset=not self.detach_reset, relaxed=self.relaxed)
        c = type(c)(*(_tensor(v, x) for v in c))
        s, z, outputs = state.neuron, state.z, []
        for now in zip(*(p.unbind(0) for p in inputs), strict=True):
            u = now[0] if len(now) == 1 else model.Inputs(*now)  # type: ignore[attr-defined]
            if self.recurrent:
                assert self.weight_rec is not None and z is not None
                u = u + z @ self.weight_rec.to(x.dtype).t()
            z, s = model.step(u, s, c, f)
            z = z.to(x.dtype)
            outputs.append(z)
        return torch.stack(outputs), LayerState(s, outputs[-1] if self.recurrent else None)

    def extra_repr(self) -> str:
        """Parameters in short."""
        known = ", ".join(f"{n}={getattr(self.model, n)!r}" for n in parameters(self.model) if n not in self.learn)
        known += "".join(f", {n}={v!r}" for n, v in self.model.flags().items())
        known += f", surrogate={self.surrogate!r}, discretisation={self.discretisation!r}"
        known += "" if self.detach_reset else ", detach_reset=False"
        known += ", recompute=True" if self.recompute else ""
        learnt = f", learn={self.learn}" if self.learn else ""
        return f"{known}{learnt}, recurrent={self.recurrent}, dt={self.dt}"


def _axes(shape: Any, where: str) -> tuple[int, ...] | None:
    if shape is None:
        return None
    sizes = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    if not sizes or not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
        raise ShapeError(f"{where}: found shape={shape!r}; expected whole numbers above zero, as in 128 or (32, 8, 8)")
    return tuple(int(n) for n in sizes)


def _per_neuron(value: Tensor, shape: tuple[int, ...], vector: bool) -> Tensor:
    """One value for each neuron; of a vector one along the first axis for each."""
    if not vector:
        return value.expand(shape)
    return torch.stack([v.expand(shape) for v in value])


def _surrogate(value: str | Surrogate) -> Surrogate:
    return surrogate(value)


def _stored(name: str, positive: bool) -> str:
    return f"log_{name}" if positive else name


def _tensor(value: Any, like: Tensor) -> Tensor:
    """In the dtype of the arithmetic, on the device of `like`."""
    dtype = arithmetic(like.dtype)
    if isinstance(value, Tensor):
        return value.to(like.device, dtype)
    if isinstance(value, int | float):  # filled on the device: a copy to it would wait for it
        return torch.full((), value, dtype=dtype, device=like.device)
    return torch.tensor(np.asarray(value, np.float64), dtype=dtype, device=like.device)


def check_dt(module: torch.nn.Module, dt: Quantity, where: str = "set_dt") -> None:
    """Refuse a time step that a neuron layer of the module contradicts.

    Args:
        module: the model.
        dt: [s] time step, or a string with a unit.
        where: what has this time step, for the error.

    Raises:
        UnitError: a layer has another dt.
    """
    value = seconds(dt, f"{where}: dt")
    for name, layer in module.named_modules():
        if isinstance(layer, Neuron) and layer.dt is not None and not math.isclose(layer.dt, value, rel_tol=1e-9):
            raise UnitError(
                f"{where}: found dt {value} s, but layer {name or type(layer).__name__} has {layer.dt} s; "
                "expected one dt for data, layers and network; bin the data anew, or build the layers with this dt"
            )


def set_dt(module: torch.nn.Module, dt: Quantity) -> None:
    """Set the time step of every neuron layer in a module.

    Args:
        module: the model.
        dt: [s] time step, or a string with a unit.

    Raises:
        UnitError: a layer has another dt already.

    Example:
        >>> from spikelab.neurons import LIF
        >>> layer = Neuron(LIF())
        >>> set_dt(layer, "5 ms")
        >>> layer.dt
        0.005
    """
    check_dt(module, dt)  # all are checked before one is changed
    for layer in module.modules():
        if isinstance(layer, Neuron):
            layer.dt = seconds(dt)
