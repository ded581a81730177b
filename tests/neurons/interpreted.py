"""Triton kernels in Triton's interpreter; `test_triton_kernel.py` runs this file in a process of its own.

`TRITON_INTERPRET=1` counts when Triton is imported, so the file is not collected with the others. The
interpreter walks through a kernel with NumPy, program by program: sizes are small, and blocks are smaller
than on a GPU so that there are several.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from spikelab.neurons import LIF, CubaLIF, NeuronModel, Port
from spikelab.neurons.kernel import Kernel, kernel
from spikelab.neurons.primitives import NUMPY, PRIMITIVES
from spikelab.neurons.triton_kernel import TritonKernel, triton_kernel
from spikelab.nn.surrogate import Sigmoid, SuperSpike, Surrogate

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton")  # beyond the last neuron it computes 0 / 0
STEPS, NEURONS, EVERY = 21, 70, 8
BLOCK = 64
GUARD = 12345.0


def small(model: NeuronModel, **options: Any) -> TritonKernel:
    return replace(triton_kernel(model, **options), block=BLOCK)


def bits(a: np.ndarray) -> np.ndarray:
    return a.view(np.int32 if a.dtype == np.float32 else np.int16)


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(bits(u), bits(v)) for u, v in zip(a, b, strict=True))


@dataclass(frozen=True)
class Problem:
    """Inputs of a forward and a backward pass."""

    x: list[np.ndarray]
    scalars: list[float]
    arrays: np.ndarray
    start: np.ndarray
    gz: np.ndarray
    gs: np.ndarray
    gc: np.ndarray

    def part(self, steps: slice, **other: Any) -> Problem:
        return replace(self, x=[p[steps] for p in self.x], gz=self.gz[steps], **other)


def problem(k: Any, model: NeuronModel, steps: int = STEPS, neurons: int = NEURONS) -> Problem:
    rng = np.random.default_rng(0)
    c = model.coefficients(1e-3, "exponential")._asdict()
    arrays = [c[a] * rng.uniform(0.8, 1.2, neurons) for a in k.arrays]
    return Problem(
        list(rng.normal(0.2, 0.6, (len(k.ports), steps, neurons)).astype("f")),
        [float(np.float32(c[s])) for s in k.scalars],
        np.array(arrays, "f").reshape(-1, neurons),
        rng.normal(0.1, 0.4, (len(k.states), neurons)).astype("f"),
        rng.normal(size=(steps, neurons)).astype("f"),
        rng.normal(size=(len(k.states), neurons)).astype("f"),
        rng.normal(size=(len(k.wanted), neurons)).astype("f"),
    )


def numba(k: Kernel, p: Problem, every: int) -> tuple[np.ndarray, ...]:
    """Output, last state, checkpoints; gradients of the inputs, of the first state, of the coefficients."""
    z, end = np.empty_like(p.gz), np.empty_like(p.start)
    kept = np.empty((-(-len(z) // every), *p.start.shape), "f")
    c = [np.float32(v) for v in p.scalars]
    k.forward(p.x, c, p.arrays, p.start, z, end, kept, every)
    gx, start, gc = [np.empty_like(v) for v in p.x], np.empty_like(p.gs), p.gc.copy()
    k.backward(p.x, c, p.arrays, kept, p.gz, p.gs, gx, start, gc, every)
    return z, end, kept, *gx, start, gc


def guarded(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """A tensor with undefined values, and the memory that it lies in, with a margin that must not change."""
    size = int(np.prod(shape))
    memory = torch.full((size + 2 * BLOCK,), GUARD, dtype=dtype)
    return memory[BLOCK : BLOCK + size].view(shape), memory


def triton(k: TritonKernel, p: Problem, every: int, dtype: torch.dtype = torch.float32) -> tuple[np.ndarray, ...]:
    """As `numba`, with input, output and their gradients in `dtype`, given back as float32."""
    x, gz = [torch.tensor(v).to(dtype) for v in p.x], torch.tensor(p.gz).to(dtype)
    arrays, start, gs = list(torch.tensor(p.arrays)), torch.tensor(p.start), torch.tensor(p.gs)
    made = [guarded(tuple(gz.shape), dtype) for _ in range(1 + len(x))]
    made += [guarded(tuple(start.shape), torch.float32) for _ in range(2)]
    made += [guarded((-(-len(gz) // every), *start.shape), torch.float32), guarded(p.gc.shape, torch.float32)]
    (z, *gx, end, first, kept, gc), memories = zip(*made, strict=True)
    gc.copy_(torch.tensor(p.gc))
    k.forward(x, p.scalars, arrays, start, z, end, kept, every)
    k.backward(x, p.scalars, arrays, kept, gz, gs, gx, first, gc, every)
    for memory in memories:
        assert (memory[:BLOCK] == memory[0]).all() and (memory[-BLOCK:] == memory[0]).all()
    return tuple(v.float().numpy() for v in (z, end, kept, *gx, first, gc))


LEARNT = ("a_mem", "v_threshold")
CASES = {  # LIF and CubaLIF are those of other tests, whose Numba kernels are compiled already
    "LIF": (LIF(), SuperSpike(10.0), LEARNT),
    "LIF soft, many, at or above": (LIF(reset="soft", spikes="many", comparison=">="), Sigmoid(), ("v_threshold",)),
    "CubaLIF": (CubaLIF(), SuperSpike(10.0), ()),
}


@pytest.mark.parametrize("name", [*CASES, "every primitive"])
def test_output_states_and_gradients_have_the_bits_of_numba(name: str, zoo: NeuronModel) -> None:
    model, surrogate, arrays = CASES.get(name, (zoo, Sigmoid(), tuple(zoo.Coefficients._fields[:4])))
    options: dict[str, Any] = {"slope": surrogate.slope, "arrays": arrays, "wanted": arrays}
    k = small(model, **options)
    p = problem(k, model)
    found, expected = triton(k, p, EVERY), numba(kernel(model, **options), p, EVERY)
    assert same(found, expected)
    z, gc = expected[0], expected[-1] - p.gc
    assert 0.05 < (z > 0).mean() < 0.8 and all(np.abs(g).max() > 0 for g in expected[3:-1])
    continuous = [np.abs(g).max() > 0 for c, g in zip(k.wanted, gc, strict=True) if c != "most"]
    assert all(continuous)


class Operands(NamedTuple):
    """Second and third operand."""

    b: Any
    c: Any


class One(NamedTuple):
    """The result of a primitive."""

    y: Any


@dataclass(frozen=True, eq=False)
class Alone(NeuronModel):
    """A single primitive of the input and two coefficients."""

    name: str = ""

    State, Coefficients = One, Operands
    ports = {"x": Port("1")}  # noqa: RUF012

    @property
    def step(self) -> Any:
        """The primitive is the state; the output is the input."""

        def step(x: Any, s: Any, c: Any, f: Any) -> Any:
            return x, One(getattr(f, self.name)(*(x, c.b, c.c)[: PRIMITIVES[self.name].arity]))

        return step


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_a_primitive_gives_the_bits_that_it_gives_on_arrays_ties_nan_and_infinity_too(name: str) -> None:
    rng = np.random.default_rng(0)
    odd = np.array([0.0, -0.0, 0.35, -0.35, 1e-40, 1e30, -1e30, 90, -90, np.inf, -np.inf, np.nan, 0.5, 1, -1.5], "f")
    b, x = (v.ravel() for v in np.meshgrid(odd, odd))
    x, b = (np.concatenate([v, rng.normal(size=255) * 10.0 ** rng.integers(-5, 3, 255)]).astype("f") for v in (x, b))
    b = np.abs(b) if name == "count" else b
    c = np.rint(np.abs(rng.normal(0, 5, len(x)))).astype("f")
    k = triton_kernel(Alone(name), arrays=("b", "c"))
    arrays = [torch.tensor({"b": b, "c": c}[a]) for a in k.arrays]
    z, end = torch.empty(1, len(x)), torch.empty(1, len(x))
    with np.errstate(all="ignore"):
        k.forward([torch.tensor(x)[None]], [], arrays, torch.zeros(1, len(x)), z, end, torch.empty(0), 0)
        expected = getattr(NUMPY, name)(*(x, b, c)[: PRIMITIVES[name].arity])
    assert np.array_equal(end[0].numpy(), expected, equal_nan=True)
    assert np.array_equal(z[0].numpy(), x, equal_nan=True)


@pytest.fixture(scope="module")
def learning() -> TritonKernel:
    return small(LIF(), slope=SuperSpike(10.0).slope, arrays=("v_threshold",), wanted=("v_threshold",))


def test_the_spacing_of_checkpoints_changes_no_bit(learning: TritonKernel) -> None:
    p = problem(learning, LIF())
    runs = [triton(learning, p, every) for every in (EVERY, 1, 3, STEPS)]
    for other in runs[1:]:
        assert same([*other[:2], *other[3:]], [*runs[0][:2], *runs[0][3:]])


@pytest.mark.parametrize("cut", [1, 13])
def test_chunks_give_the_bits_of_the_whole_gradients_included(learning: TritonKernel, cut: int) -> None:
    p = problem(learning, LIF())
    whole = triton(learning, p, EVERY)
    middle = triton(learning, p.part(slice(cut)), EVERY)[1]
    second = triton(learning, p.part(slice(cut, None), start=middle), EVERY)
    first = triton(learning, p.part(slice(cut), gs=second[4], gc=second[5]), EVERY)
    joined = [np.concatenate([first[i], second[i]]) for i in (0, 3)]
    assert same([joined[0], second[1], joined[1], first[4], first[5]], [whole[i] for i in (0, 1, 3, 4, 5)])


def test_coefficients_of_one_sample_serve_all_and_checkpoints_can_be_made_alone(learning: TritonKernel) -> None:
    p = problem(learning, LIF(), neurons=90)
    p = replace(p, arrays=np.tile(p.arrays[:, :30], 3))
    expected, once = triton(learning, p, EVERY), replace(p, arrays=p.arrays[:, :30])
    assert same(triton(learning, once, EVERY), expected)
    kept, end = torch.empty(3, 1, 90), torch.empty(1, 90)
    x, arrays = [torch.tensor(v) for v in p.x], list(torch.tensor(once.arrays))
    learning.forward(x, p.scalars, arrays, torch.tensor(p.start), None, end, kept, EVERY)
    assert same([end.numpy(), kept.numpy()], expected[1:3])


def test_no_steps_leave_the_state_as_it_was(learning: TritonKernel) -> None:
    p = problem(learning, LIF(), steps=0)
    _, end, _, _, first, gc = triton(learning, p, EVERY)
    assert same([end, first, gc], [p.start, p.gs, p.gc])


def cut_to_bfloat16(a: np.ndarray) -> np.ndarray:
    return (a.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


@pytest.mark.parametrize("surrogate", [SuperSpike(10.0), Sigmoid()])
def test_bfloat16_is_float32_arithmetic_on_rounded_input_with_rounded_output(surrogate: Surrogate) -> None:
    options: dict[str, Any] = {"slope": surrogate.slope, "arrays": ("a_mem",), "wanted": ("a_mem",)}
    k, half = (small(CubaLIF(), dtype=dtype, **options) for dtype in ("float32", "bfloat16"))
    p = problem(k, CubaLIF())
    p = replace(p, x=[torch.tensor(v).bfloat16().float().numpy() for v in p.x])
    p = replace(p, gz=torch.tensor(p.gz).bfloat16().float().numpy())
    full, found = triton(k, p, EVERY), triton(half, p, EVERY, torch.bfloat16)
    # States, checkpoints and their gradients, and the coefficients' are float32 in both.
    assert same([found[i] for i in (1, 2, 4, 5)], [full[i] for i in (1, 2, 4, 5)])
    assert same([found[0]], [full[0]])  # spikes are whole
    # The interpreter cuts digits off where a GPU rounds to nearest (`cvt.rn`, see test_triton_kernel.py).
    assert same([found[3]], [cut_to_bfloat16(full[3])]) and not same([found[3]], [full[3]])
