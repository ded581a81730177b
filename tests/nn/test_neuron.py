"""Neuron layers: the fused kernels are the plain loop, state is explicit, mistakes are named."""

from __future__ import annotations

import copy
import inspect
import io
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikelab import nn
from spikelab.clocked import run
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.neurons import threads
from spikelab.neurons.model import parameters
from spikelab.nn.neuron import LayerState

# Few combinations of model, flags, surrogate, dtype and learnt parameters: each is a kernel to compile.
LAYERS: dict[str, Callable[..., nn.Neuron]] = {
    "LIF": lambda **k: nn.LIF(tau_mem="8 ms", v_threshold=0.6, v_leak=0.05, dt="1 ms", **k),
    "CubaLIF": lambda **k: nn.CubaLIF(tau_syn="3 ms", tau_mem="8 ms", v_threshold=1.5, reset="soft", dt="1 ms", **k),
    "IF": lambda **k: nn.IF(v_threshold=1.5, reset="soft", comparison=">=", dt="1 ms", **k),
    "LI": lambda **k: nn.LI(tau_mem="8 ms", dt="1 ms", **k),
    "CubaLI": lambda **k: nn.CubaLI(tau_syn="3 ms", input_gain="1-a", dt="1 ms", **k),
}


def learning(name: str, shape: Any, **more: Any) -> nn.Neuron:
    """A layer that learns all of its parameters."""
    return LAYERS[name](learn=tuple(parameters(LAYERS[name]().model)), shape=shape, **more)


def signal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(0.15, 0.4, shape), dtype=dtype, requires_grad=True)


def gradients(layer: nn.Neuron, x: Tensor, state: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Output and last state in one, and gradients of input, parameters and states under a fixed random weighting."""
    x = x.detach().clone().requires_grad_(True)
    start = layer.initial(x) if state is None else state
    values = [v.detach().clone().requires_grad_(True) for v in start.neuron]
    y, end = layer(x, LayerState(type(start.neuron)(*values), start.z))
    weight = torch.tensor(np.random.default_rng(1).normal(size=tuple(y.shape)), dtype=x.dtype)
    layer.zero_grad()
    ((y * weight).sum() + sum(v.sum() for v in end.neuron)).backward()
    found = {"x": x.grad, **{f"state {k}": v.grad for k, v in enumerate(values)}}
    for n, p in layer.named_parameters():
        found[n] = torch.zeros_like(p) if p.grad is None else p.grad.clone()
    return torch.cat([y.detach().flatten(), *(v.detach().flatten() for v in end.neuron)]), found  # type: ignore[return-value]


@pytest.mark.parametrize("name", LAYERS)
def test_fused_kernels_equal_the_plain_loop_in_values_and_gradients(name: str) -> None:
    (y, ours), (z, theirs) = (gradients(learning(name, 7, fused=fused), signal(40, 3, 7)) for fused in (True, False))
    assert torch.equal(y, z)
    assert name.endswith("LI") or 10 < y.count_nonzero() < y.numel() / 2
    layer = learning(name, 7)
    assert ours.keys() == theirs.keys() and len(ours) == 1 + len(layer.model.initial()) + len(layer.learn)
    for key, value in ours.items():
        scale = theirs[key].abs().max()
        assert torch.allclose(value, theirs[key], rtol=1e-5, atol=float(1e-5 * scale)), key
    assert torch.equal(ours["x"], theirs["x"])  # sums in autograd's order: the same bits


@pytest.mark.parametrize(("name", "dtype"), [("LIF", torch.float32), ("LI", torch.float64)])
def test_recurrent_layers_equal_the_plain_loop(name: str, dtype: torch.dtype) -> None:
    found = []
    for fused in (True, False):
        torch.manual_seed(0)
        learn = () if name == "LIF" else ("tau_mem", "v_leak")
        layer = LAYERS[name](shape=6, recurrent=True, learn=learn, fused=fused).to(dtype)
        assert layer.weight_rec is not None
        found.append(gradients(layer, signal(30, 2, 6, dtype=dtype)))
    (y, ours), (z, theirs) = found
    assert y.dtype == dtype and y.abs().sum() > 20
    assert torch.equal(y, z) if name == "LIF" else torch.allclose(y, z, rtol=1e-12, atol=1e-12)
    for key, value in ours.items():
        assert torch.allclose(value, theirs[key], rtol=1e-4, atol=1e-5), key
    assert ours["weight_rec"].abs().max() > 0


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, 29), max_size=3, unique=True), recurrent=st.booleans())
def test_chunks_that_pass_the_state_equal_the_whole_with_gradients(cuts: list[int], recurrent: bool) -> None:
    torch.manual_seed(0)
    layer = LAYERS["LIF"](shape=6, recurrent=recurrent)
    results = []
    for bounds in ([0, 30], [0, *sorted(cuts), 30]):
        x, state, pieces = signal(30, 2, 6), None, []
        for a, b in itertools.pairwise(bounds):
            y, state = layer(x[a:b], state)
            pieces.append(y)
        whole = torch.cat(pieces)
        layer.zero_grad()
        (whole * torch.linspace(-1, 1, 30)[:, None, None]).sum().backward()
        results.append((whole, x.grad, state, layer.weight_rec.grad.clone() if layer.weight_rec is not None else None))
    (a, ga, sa, wa), (b, gb, sb, wb) = results
    assert torch.equal(a, b) and sa is not None and sb is not None and torch.equal(sa.neuron.v, sb.neuron.v)
    assert torch.allclose(ga, gb, rtol=1e-5, atol=1e-6)
    if wa is not None and wb is not None:
        assert torch.equal(sa.z, sb.z) and torch.allclose(wa, wb, rtol=1e-4, atol=1e-5)


def test_nothing_remembers_the_last_call() -> None:
    layer, x = LAYERS["LIF"](), signal(20, 2, 3)
    first, state = layer(x)
    assert torch.equal(layer(x)[0], first)
    assert not torch.equal(layer(x, state)[0], first)
    before = state.neuron.v.clone()
    layer(x, state)
    assert torch.equal(state.neuron.v, before)
    assert not state.detach().neuron.v.requires_grad and torch.equal(state.detach().neuron.v, state.neuron.v)


@pytest.mark.parametrize("fused", [True, False])
def test_states_that_do_not_belong_are_refused(fused: bool) -> None:
    x = torch.zeros(5, 2, 6)
    lif, cuba = LAYERS["LIF"](fused=fused), LAYERS["CubaLIF"](fused=fused)
    recurrent = LAYERS["LIF"](shape=6, recurrent=True, fused=fused)
    state = lif(x)[1]
    with pytest.raises(ShapeError, match="a state of LIFState; expected one of CubaLIFState"):
        cuba(x, state)
    with pytest.raises(ShapeError, match=r"state v of shape \(2, 6\); expected \(3, 6\).*one batch"):
        lif(torch.zeros(5, 3, 6), state)
    for bad in (x[0], (x[0],), 0, {"v": x[0]}, state.neuron):
        with pytest.raises(ShapeError, match="pass what this layer returned"):
            lif(x, bad)
    with pytest.raises(ShapeError, match=r"state v of shape \(\)"):
        lif(x, LayerState(type(state.neuron)(0.0)))
    with pytest.raises(ShapeError, match="with no last output"):
        recurrent(x, state)
    with pytest.raises(ShapeError, match=r"a last output of shape \(1, 6\)"):
        recurrent(x, LayerState(state.neuron, torch.zeros(1, 6)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5), "add axes"),
        (torch.zeros(5, 6), "add axes"),
        (torch.zeros(5, 2, 6, dtype=torch.int64), "torch.int64.*use x.float"),
        (torch.zeros(5, 2, 6, dtype=torch.bool), "torch.bool"),
        (torch.zeros(5, 2, 6, dtype=torch.complex64), "torch.complex64"),
        (np.zeros((5, 2, 6), np.float32), "ndarray"),
        (torch.zeros(0, 2, 6), "empty"),
        (torch.zeros(5, 0, 6), "empty"),
        (torch.zeros(5, 2, 7), r"expected \[T, B, 6\]"),
        (torch.zeros(5, 2, 6, 1), r"expected \[T, B, 6\]"),
    ],
)
def test_bad_input_is_refused_with_what_was_found(x: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        LAYERS["LIF"](shape=6)(x)


def test_the_time_step_must_be_known_and_one() -> None:
    with pytest.raises(UnitError, match=r"dt is not known.*set_dt"):
        nn.LIF()(torch.zeros(5, 2, 3))
    for bad in ("1", "1 V", 0, -1, float("nan")):
        with pytest.raises(UnitError, match=r"LIF\.dt"):
            nn.LIF(dt=bad)
    model = nn.Sequential(nn.Linear(3, 3), nn.LIF(), nn.LI(dt="2 ms"))
    with pytest.raises(UnitError, match=r"set_dt: found dt 0.001 s, but layer 2 has 0.002 s"):
        nn.set_dt(model, "1 ms")
    nn.set_dt(model, "2 ms")
    assert model[1].dt == 2e-3
    nn.set_dt(model, 2e-3 * (1 + 1e-12))  # rounding is no other step


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LIF(tau="10 ms"), "nn.LIF: argument 'tau'.*did you mean 'tau_mem'"),
        (lambda: nn.CubaLIF(recurent=True), "did you mean 'recurrent'"),
        (lambda: nn.LIF(surrogate="atann"), "did you mean 'atan'"),
        (lambda: nn.LIF(learn=("tau",)), "did you mean 'tau_mem'"),
        (lambda: nn.LIF(reset="softly"), "did you mean 'soft'"),
        (lambda: nn.LIF(discretisation="eulr"), "did you mean 'euler'"),
        (lambda: nn.IF(tau_mem="1 ms"), "argument 'tau_mem': unknown"),
    ],
)
def test_unknown_arguments_are_refused_with_the_nearest(make: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        make()


def test_a_recurrent_layer_needs_a_size_with_one_axis() -> None:
    with pytest.raises(ShapeError, match="the size is not known; pass shape=6"):
        LAYERS["LIF"](recurrent=True)(torch.zeros(5, 2, 6))
    with pytest.raises(ShapeError, match="expected one axis"):
        LAYERS["LIF"](recurrent=True, shape=(2, 3))


def test_gradients_of_parameters_equal_finite_differences_where_the_layer_is_smooth() -> None:
    layer = learning("LI", None).double()
    x = signal(12, 2, 3, dtype=torch.float64).detach()
    names = [n for n, _ in layer.named_parameters()]

    def output(*values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))[0]

    values = [p.detach().clone().requires_grad_(True) for p in layer.parameters()]
    assert names == ["log_tau_mem", "v_leak"]
    assert torch.autograd.gradcheck(output, values)


def test_time_constants_stay_positive_whatever_training_does() -> None:
    layer = learning("LIF", 3)
    optimiser = torch.optim.SGD(layer.parameters(), lr=1e4)
    for _ in range(3):
        optimiser.zero_grad()
        y, _ = layer(signal(20, 2, 3))
        (y.mean() + layer.learnt_model().tau_mem.sum()).backward()  # type: ignore[attr-defined]
        optimiser.step()
    tau = layer.frozen_model().tau_mem  # type: ignore[attr-defined]
    assert tau.shape == (3,) and (tau > 0).all() and np.isfinite(tau).all()


def test_the_reset_passes_gradients_only_when_asked_to() -> None:
    # One neuron that spikes at step 0: v1 = a (v0 - th z0) + x1, so dz1/dx0 = slope(v1 - th) a (1 - th slope(v0 - th)).
    x = torch.tensor([1.25, 0.5]).reshape(2, 1, 1)
    found = {}
    for detach, fused in ((True, False), (False, False), (False, True)):
        u = x.clone().requires_grad_(True)
        how = {"surrogate": nn.SuperSpike(1.0), "detach_reset": detach, "fused": fused}
        layer = nn.LIF(tau_mem="10 ms", reset="soft", dt="1 ms", **how)
        y, _ = layer(u)
        assert y.flatten().tolist() == [1.0, 0.0]
        y[1].sum().backward()
        found[detach, fused] = float(u.grad[0])  # type: ignore[index]
    a = np.exp(-0.1)

    def slope(d):
        return 1 / (abs(d) + 1) ** 2

    v1 = a * 0.25 + 0.5
    assert found[True, False] == pytest.approx(slope(v1 - 1) * a, rel=1e-5)
    for fused in (True, False):
        assert found[False, fused] == pytest.approx(slope(v1 - 1) * a * (1 - slope(0.25)), rel=1e-5)


def test_copies_and_state_dicts_carry_everything() -> None:
    torch.manual_seed(0)
    layer, x = learning("CubaLIF", 4, recurrent=True), signal(20, 2, 4)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.1)
    y = layer(x)[0]
    assert torch.equal(copy.deepcopy(layer)(x)[0], y)
    fresh = learning("CubaLIF", 4, recurrent=True)
    assert not torch.equal(fresh(x)[0], y)
    file = io.BytesIO()
    np.savez(file, **{k: v.numpy() for k, v in layer.state_dict().items()})
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        fresh.load_state_dict({k: torch.from_numpy(stored[k]) for k in stored.files})
    assert torch.equal(fresh(x)[0], y)


class Spiking(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """A data set that runs a layer in the worker."""

    def __init__(self, layer: nn.Neuron) -> None:
        self.layer = layer

    def __len__(self) -> int:
        return 4

    def __getitem__(self, k: int) -> Tensor:
        with torch.no_grad():
            return self.layer(signal(20, 2, 3, seed=k).detach())[0]


def test_layers_run_in_forked_workers_after_threads_were_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PARALLEL_FROM", 1)
    data = Spiking(LAYERS["LIF"]())
    here = [data[k] for k in range(4)]
    loader = torch.utils.data.DataLoader(data, num_workers=2, batch_size=None, multiprocessing_context="fork")
    assert all(torch.equal(a, b) for a, b in zip(here, loader, strict=True))


def test_learnt_parameters_must_broadcast_to_the_layer() -> None:
    with pytest.raises(
        ShapeError, match=r"LIF.tau_mem: found shape \(3,\); expected one that broadcasts to shape=\(7,\)"
    ):
        nn.LIF(tau_mem=np.full(3, 1e-2), learn=("tau_mem",), shape=7)


def test_per_channel_parameters_broadcast() -> None:
    tau = np.array([5e-3, 20e-3]).reshape(2, 1, 1)
    layer = nn.LI(tau_mem=tau, learn=("tau_mem", "v_leak"), shape=(2, 4, 5), dt="1 ms")
    y = layer(torch.ones(30, 3, 2, 4, 5))[0].detach()
    assert torch.equal(y[:, :, 0], y[:, :1, 0, :1, :1].expand(30, 3, 4, 5))
    expected = (1 - np.exp(-30e-3 / tau)) / (1 - np.exp(-1e-3 / tau))
    np.testing.assert_allclose(y[-1, 0, :, 0, 0], expected.ravel(), rtol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_the_bits_of_its_network(name: str) -> None:
    layer, x = learning(name, 7), signal(40, 3, 7).detach()
    with torch.no_grad():
        y, state = layer(x)
    result = run(nn.to_network(layer, 7), x)
    np.testing.assert_array_equal(y.numpy(), result.output)
    np.testing.assert_array_equal(torch.stack(list(state.neuron)).numpy(), np.stack(result.state.neurons[name.lower()]))


def test_a_single_name_may_be_learnt_and_a_shape_be_of_numpy() -> None:
    assert [n for n, _ in nn.LIF(learn="tau_mem").named_parameters()] == ["log_tau_mem"]
    assert nn.LIF(shape=np.int64(4), recurrent=True).weight_rec.shape == (4, 4)


@pytest.mark.parametrize("shape", ["a", 1.5, 0, (3, -1), ()])
def test_a_shape_that_is_none_is_refused(shape: Any) -> None:
    with pytest.raises(ShapeError, match="expected whole numbers above zero"):
        nn.LIF(shape=shape)


def test_something_else_than_a_model_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="found 'lif'; expected a neuron model"):
        nn.Neuron("lif")  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", [nn.LIF, nn.CubaLIF, nn.IF, nn.LI, nn.CubaLI])
def test_a_layer_shows_the_arguments_of_model_and_layer(layer: Any) -> None:
    shown = inspect.signature(layer).parameters
    assert set(inspect.signature(layer.kind).parameters) | {"shape", "recurrent", "learn", "dt"} <= set(shown)
    assert "model" not in shown


def test_a_recurrent_layer_continues_in_another_precision() -> None:
    layer = nn.LIF(dt="1 ms", shape=4, recurrent=True)
    x = torch.rand(6, 2, 4)
    _, state = layer(x)
    y, _ = layer(x.double(), state)
    assert y.dtype == torch.float64


def test_learn_that_is_no_names_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="learn"):
        nn.LIF(learn=3)  # type: ignore[arg-type]
