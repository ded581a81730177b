"""What layers refuse: numbers that are none, parameters, states and devices that do not fit; one error each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from spikelab import neurons, nn
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.neurons import NeuronModel
from spikelab.neurons.model import parameters

X = torch.rand(5, 2, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_numbers_that_are_not_finite_are_refused(value: float, recurrent: bool, fused: bool) -> None:
    layer = nn.LIF(dt="1 ms", shape=3, recurrent=recurrent, fused=fused)
    x = X.clone()
    x[3, 1, 2] = value
    with pytest.raises(ShapeError, match=r"LIF: found (nan|-?inf|NaN or infinity) in (x at step 3|the input)"):
        layer(x)
    _, state = layer(X)
    if fused:
        with pytest.raises(ShapeError, match=r"LIF: found .* in v"):
            layer(X, state._replace(neuron=state.neuron._replace(v=torch.full((2, 3), value))))


def test_weights_that_have_diverged_are_named() -> None:
    layer = nn.LIF(dt="1 ms", shape=3, recurrent=True)
    assert layer.weight_rec is not None
    layer.weight_rec.data[0, 1] = float("nan")
    with pytest.raises(ShapeError, match="found nan in weight_rec"):
        layer(X + 1.0)


def test_many_steps_of_many_neurons_are_looked_at_by_every_thread() -> None:
    x = torch.rand(20, 8, 1024)
    layer = nn.CubaLIF(dt="1 ms")
    layer(x)
    for place in ((0, 0, 0), (19, 7, 1023), (7, 4, 511)):
        broken = x.clone()
        broken[place] = float("nan")
        with pytest.raises(ShapeError, match=f"found nan in x at step {place[0]}"):
            layer(broken)


@pytest.mark.parametrize("layer", [nn.PSN(5), nn.MaskedPSN(5, 2), nn.SlidingPSN(weights=[0.5] * 40, dt="1 ms")])
def test_parallel_neurons_refuse_them_too(layer: torch.nn.Module) -> None:
    with pytest.raises(ShapeError, match="PSN: found NaN or infinity"):
        layer(X * float("nan"))


PLAIN = nn.LIF(dt="1 ms")
RECURRENT = nn.LIF(dt="1 ms", shape=3, recurrent=True)


def state_with(layer: nn.Neuron, **changes: Any) -> Any:
    _, state = layer(X)
    z = changes.pop("z", state.z)
    return state._replace(neuron=state.neuron._replace(**changes), z=z)


SIX = np.full(6, 0.02)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.LIF(tau_mem=SIX, dt="1 ms")(X), ShapeError, r"tau_mem: found shape \(6,\) for neurons of shape"),
        (lambda: nn.LIF(tau_mem=SIX, shape=3), ShapeError, r"tau_mem: found shape \(6,\) for neurons of shape"),
        (
            lambda: PLAIN(X, state_with(PLAIN, v=torch.zeros(2, 3, device="meta"))),
            ShapeError,
            "on meta; expected floats on",
        ),
        (
            lambda: PLAIN(X, state_with(PLAIN, v=torch.zeros(2, 3, dtype=torch.int64))),
            ShapeError,
            "state v of torch.int64",
        ),
        (lambda: PLAIN(X, state_with(RECURRENT)), ShapeError, "found the state of a recurrent layer"),
        (lambda: RECURRENT(X, state_with(RECURRENT, z=np.zeros((2, 3)))), ShapeError, "last output of ndarray"),
        (lambda: RECURRENT(X, state_with(RECURRENT, z=[1])), ShapeError, "last output of list"),
        (lambda: PLAIN(X.to_sparse()), ShapeError, "expected a dense tensor"),
        (lambda: PLAIN(X.to(torch.float8_e4m3fn)), ShapeError, "float8_e4m3fn; expected a dense tensor of float32"),
        (lambda: nn.LIF(learn="tau_mem", dt="1 ms").to("meta")(X), ShapeError, "input on cpu and log_tau_mem on meta"),
        (lambda: nn.LIF(recurrent="no"), UnsupportedError, "LIF.recurrent: found 'no'; expected True or False"),
        (lambda: nn.LIF(learn=[["a"]]), UnsupportedError, "expected names of parameters"),
        (lambda: nn.LIF(surrogate=[]), UnsupportedError, "surrogate"),
        (lambda: nn.SuperSpike(True), UnitError, "found True"),
        (lambda: nn.Sequential(nn.Linear(3, 3), PLAIN)(X, (1, None)), ShapeError, "layer 0 .* this layer has none"),
    ],
)
def test_what_does_not_fit_gets_one_error(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_one_parameter_per_neuron_goes_with_another_that_is_learnt() -> None:
    tried = 0
    for name in neurons.__all__:
        kind = getattr(neurons, name)
        if not (isinstance(kind, type) and issubclass(kind, NeuronModel)) or name in (
            "NeuronModel",
            "SlidingPSN",
            "FixedCubaLIF",
        ):
            continue
        model = kind()
        x: Any = X if len(model.ports) == 1 else model.Inputs(*[X] * len(model.ports))  # type: ignore[attr-defined]
        for given in parameters(model):
            for learnt in set(parameters(model)) - {given}:
                some = kind(**{given: np.full(3, getattr(model, given))})
                y, _ = nn.Neuron(some, learn=learnt, dt="1 ms", fused=False)(x)
                assert y.shape == X.shape
                tried += 1
    assert tried > 400


def test_recurrent_layers_train_inside_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        RECURRENT(X)[0].sum().backward()
    assert RECURRENT.weight_rec is not None and RECURRENT.weight_rec.grad is not None
