"""Fused kernels: the bits of `step` for any size, chunk, thread count and checkpoint spacing; packed arithmetic."""

import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelab import neurons
from spikelab.neurons import LIF, NeuronModel
from spikelab.neurons.generated import load
from spikelab.neurons.kernel import EVERY, Kernel, kernel
from spikelab.neurons.primitives import NUMPY
from spikelab.neurons.source import BLOCK
from spikelab.neurons.threads import PARALLEL_FROM
from spikelab.neurons.trace import trace
from spikelab.nn.surrogate import SuperSpike

DT = 1e-3
LEARNT = ("a_mem", "v_threshold")


def stepped(model: LIF, x: np.ndarray, c: Any, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, s = np.empty_like(x), model.State(v)
    for t, u in enumerate(x):
        z[t], s = model.step(u, s, c, NUMPY)
    return z, np.stack(s)


def coefficients(model: LIF, dtype: Any) -> Any:
    c = model.coefficients(DT, "exponential")
    return type(c)(*(np.asarray(v, dtype)[()] for v in c))


def forward(
    k: Kernel, c: Any, x: np.ndarray, start: np.ndarray, every: int = 0, threads: int = 1
) -> tuple[np.ndarray, ...]:
    """Outputs, last state and checkpoints; array coefficients are rows of `c`."""
    z, end = np.full_like(x, np.nan), np.full_like(start, np.nan)
    kept = np.full((-(-len(x) // every) if every else 0, *start.shape), np.nan, x.dtype)
    arrays = np.stack([getattr(c, a) for a in k.arrays]) if k.arrays else start[:0]
    k.forward([x], [getattr(c, s) for s in k.scalars], arrays, start, z, end, kept, every, threads)
    return z, end, kept


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("neurons", [1, 63, 64, 65, 4095, 4096, 4097, 9000])
def test_the_kernel_gives_the_bits_of_step_for_odd_sizes(neurons: int, dtype: str) -> None:
    model = LIF(v_leak=0.05, v_reset=-0.1)
    k, c, rng = kernel(model, dtype=dtype), coefficients(model, dtype), np.random.default_rng(neurons)
    for steps in (1, 17):
        x = rng.normal(0.1, 0.5, (steps, neurons)).astype(dtype)
        v = rng.normal(0.3, 0.4, neurons).astype(dtype)
        z, end = stepped(model, x, c, v)
        found, last, _ = forward(k, c, x, v[None])
        assert np.array_equal(found, z) and np.array_equal(last, end)
    assert neurons == 1 or z.any()


def test_no_steps_leave_the_state_as_it_was() -> None:
    k, start = kernel(LIF()), np.array([[0.3, 0.7]], np.float32)
    z, end, _ = forward(k, coefficients(LIF(), np.float32), np.zeros((0, 2), np.float32), start)
    assert z.shape == (0, 2) and np.array_equal(end, start)


@pytest.fixture(scope="module")
def learning() -> Kernel:
    """Kernel with a backward, in which decay and threshold are arrays that want gradients."""
    return kernel(LIF(), slope=SuperSpike(10.0).slope, arrays=LEARNT, wanted=LEARNT)


def problem(neurons: int, steps: int = 40) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, input, start, gradient of the output, gradient of the last state."""
    rng = np.random.default_rng(neurons)
    c = coefficients(LIF(), np.float32)
    decay, threshold = rng.uniform(0.8, 0.99, neurons), rng.uniform(0.7, 1.3, neurons)
    c = c._replace(a_mem=decay.astype(np.float32), v_threshold=threshold.astype(np.float32))
    x, gz = rng.normal(0.1, 0.5, (2, steps, neurons)).astype(np.float32)
    start, gs = rng.normal(0.2, 0.4, (2, 1, neurons)).astype(np.float32)
    return c, x, start, gz, gs


def backward(
    k: Kernel,
    c: Any,
    x: np.ndarray,
    kept: np.ndarray,
    gz: np.ndarray,
    gs: np.ndarray,
    ga: np.ndarray,
    every: int,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of input and start; `ga` is added to."""
    gx, start = np.full_like(x, np.nan), np.full_like(gs, np.nan)
    arrays = np.stack([getattr(c, a) for a in k.arrays])
    k.backward([x], [getattr(c, s) for s in k.scalars], arrays, kept, gz, gs, [gx], start, ga, every, threads)
    return gx, start


def run(k: Kernel, neurons: int, every: int, threads: int = 1) -> tuple[np.ndarray, ...]:
    c, x, start, gz, gs = problem(neurons)
    z, end, kept = forward(k, c, x, start, every, threads)
    ga = np.zeros((2, neurons), np.float32)
    gx, g0 = backward(k, c, x, kept, gz, gs, ga, every, threads)
    assert z.any() and np.abs(ga).min(axis=1).max() > 0
    return z, end, gx, g0, ga


def same(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(u, v) for u, v in zip(a, b, strict=True))


def test_array_coefficients_give_the_bits_of_step(learning: Kernel) -> None:
    c, x, start, _, _ = problem(1500)
    z, end = stepped(LIF(), x, c, start[0])
    assert same(forward(learning, c, x, start)[:2], (z, end))


@pytest.mark.parametrize("neurons", [1025, 5000])
def test_the_number_of_threads_changes_no_bit(learning: Kernel, neurons: int) -> None:
    assert 40 * neurons > PARALLEL_FROM > BLOCK
    alone = run(learning, neurons, 16)
    for threads in (2, 3, 8):
        assert same(alone, run(learning, neurons, 16, threads))


def test_the_spacing_of_checkpoints_changes_no_gradient(learning: Kernel) -> None:
    each = run(learning, 65, 1)
    for every in (2, 7, 16, 39, 40, 100):
        assert same(each, run(learning, 65, every))


@pytest.mark.parametrize("cut", [1, 16, 23])
def test_chunks_give_the_bits_of_the_whole_gradients_included(learning: Kernel, cut: int) -> None:
    c, x, start, gz, gs = problem(65)
    whole = run(learning, 65, 16)
    first, middle, kept = forward(learning, c, x[:cut], start, 16)
    second, end, later = forward(learning, c, x[cut:], middle, 16)
    ga = np.zeros((2, 65), np.float32)
    gx_second, g_middle = backward(learning, c, x[cut:], later, gz[cut:], gs, ga, 16)
    gx_first, g0 = backward(learning, c, x[:cut], kept, gz[:cut], g_middle, ga, 16)
    found = (np.concatenate([first, second]), end, np.concatenate([gx_first, gx_second]), g0, ga)
    assert same(found, whole)


@pytest.mark.parametrize("steps", [1, 2, 40, 41, 300, 3000])
def test_checkpoints_made_anew_change_no_bit(learning: Kernel, steps: int) -> None:
    c, x, start, gz, gs = problem(700, steps)
    expected = np.zeros((2, 700), np.float32)
    kept = forward(learning, c, x, start, 16)[2]
    gx, g0 = backward(learning, c, x, kept, gz, gs, expected, 16)
    for threads in (1, 2):
        ga, again, first = np.zeros((2, 700), np.float32), np.full_like(x, np.nan), np.full_like(gs, np.nan)
        arrays = np.stack([getattr(c, a) for a in learning.arrays])
        scalars = [getattr(c, s) for s in learning.scalars]
        given = [x], scalars, arrays, kept[:0], gz, gs, [again], first, ga
        learning.backward(*given, EVERY, threads, start)
        assert same((again, first, ga), (gx, g0, expected))


def test_array_coefficients_of_one_sample_serve_every_sample(learning: Kernel) -> None:
    c, x, start, _, _ = problem(3 * 50)
    one = c._replace(**{n: getattr(c, n)[:50] for n in LEARNT})
    every = c._replace(**{n: np.tile(getattr(one, n), 3) for n in LEARNT})
    assert same(forward(learning, one, x, start)[:2], forward(learning, every, x, start)[:2])


def test_nothing_that_was_passed_in_is_changed(learning: Kernel) -> None:
    given = problem(65)
    before = [np.copy(v) for v in (*given[0][:2], *given[1:])]
    c, x, start, gz, gs = given
    kept = forward(learning, c, x, start, 16)[2]
    backward(learning, c, x, kept, gz, gs, np.zeros((2, 65), np.float32), 16)
    assert same(tuple(before), (*c[:2], x, start, gz, gs))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="looks for x86 instructions")
def test_the_backward_row_is_compiled_to_packed_arithmetic(learning: Kernel, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SPIKELAB_CACHE", str(tmp_path))  # code from a cache does not show its assembly
    source = Path(learning.module.__file__).read_text()
    fresh = replace(learning, module=load.__wrapped__(source, "packed"))
    c, x, start, gz, gs = problem(65)
    kept = forward(learning, c, x, start, 16)[2]
    backward(fresh, c, x, kept, gz, gs, np.zeros((2, 65), np.float32), 16)
    (assembly,) = fresh.module.backward_row.inspect_asm().values()
    packed = {name: len(re.findall(rf"\bv?{name}ps\b", assembly)) for name in ("mul", "add", "sub", "div")}
    assert packed["mul"] >= 4 and packed["add"] >= 2 and packed["div"] >= 1, packed
    assert not re.findall(r"\bv?fn?m(?:add|sub)\d+[ps]s\b", assembly), "multiply-add is fused: other bits than step"


def test_a_kernel_without_a_slope_has_no_backward() -> None:
    assert not hasattr(kernel(LIF()).module, "backward")
    assert [n for n in vars(kernel(LIF()).module) if n.startswith("backward")] == []


EVERY_MODEL = sorted(
    (v for v in vars(neurons).values() if isinstance(v, type) and issubclass(v, NeuronModel) and v is not NeuronModel),
    key=lambda v: v.__name__,
)


@pytest.mark.parametrize("kind", EVERY_MODEL, ids=lambda v: v.__name__)
def test_a_thread_that_makes_checkpoints_anew_works_in_4_mb(kind: type[NeuronModel]) -> None:
    model = kind()
    every = tuple(trace(model).coefficients)
    k = kernel(model, slope=SuperSpike(10.0).slope, arrays=every, wanted=every)
    assert max(k.workspace(steps) for steps in (1, 100, 1000, 10_000)) <= 4 << 20
