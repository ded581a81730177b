from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError
from spikelab.ops import Linear, Op, Scale, Sparse
from spikelab.ops.scatter import apply


@st.composite
def maps(draw: Any) -> tuple[Op, tuple[int, ...]]:
    """A dense, sparse or diagonal map with some zero weights, and its input shape."""
    n_in, n_out, rng = (
        draw(st.integers(1, 12)),
        draw(st.integers(1, 12)),
        np.random.default_rng(draw(st.integers(0, 999))),
    )
    bias = rng.normal(size=n_out) if draw(st.booleans()) else None
    kind = draw(st.sampled_from(["linear", "sparse", "scale"]))
    if kind == "linear":
        weight = rng.normal(size=(n_out, n_in)) * (rng.random((n_out, n_in)) < 0.7)
        return Linear(weight, bias), (n_in,)
    if kind == "scale":
        scale = rng.normal(size=(n_out, 1) if draw(st.booleans()) else (n_out, n_in))
        return Scale(scale * (rng.random(scale.shape) < 0.7)), (n_out, n_in)
    n = draw(st.integers(1, 30))
    weight = rng.normal(size=n) * (rng.random(n) < 0.7)
    return Sparse(rng.integers(0, n_in, n), rng.integers(0, n_out, n), weight, (n_out, n_in), bias), (n_in,)


def inputs(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return (rng.normal(size=(4, *shape)) * (rng.random((4, *shape)) < 0.5)).astype(np.float32)


@given(maps())
def test_sums_have_the_bits_of_a_loop_in_source_order(applied, case: tuple[Op, tuple[int, ...]]) -> None:
    op, shape = case
    x = inputs(shape)
    found = apply(op.scatter(shape), x, op.out_shape(shape))
    assert found.dtype == np.float32 and np.array_equal(found, applied(op, x))


@given(maps())
def test_counts_equal_those_of_a_walk_over_all_synapses(synapses, case: tuple[Op, tuple[int, ...]]) -> None:
    op, shape = case
    x, walk = inputs(shape), synapses(op, shape)
    count = op.count(x)
    assert count.synaptic_ops == sum(1 for row in x.reshape(4, -1) for i, _, w in walk if row[i] != 0 and w != 0)
    assert count.dense_ops == 4 * len(walk) and count.active == np.count_nonzero(x)
    assert np.array_equal(
        op.fan_out(shape).reshape(-1), np.bincount([i for i, _, w in walk if w != 0], minlength=x[0].size)
    )


@given(maps())
def test_csr_is_the_matrix_of_the_map(synapses, case: tuple[Op, tuple[int, ...]]) -> None:
    op, shape = case
    n, out = int(np.prod(shape)), int(np.prod(op.out_shape(shape)))
    expected, found, csr = np.zeros((n, out)), np.zeros((n, out)), op.csr(shape)
    for i, o, w in synapses(op, shape):
        expected[i, o] += w
    assert len(csr.indptr) == n + 1 and csr.indptr[-1] == len(csr.indices) == len(csr.weights)
    for i in range(n):
        row = slice(csr.indptr[i], csr.indptr[i + 1])
        assert np.all(np.diff(csr.indices[row]) >= 0)
        np.add.at(found[i], csr.indices[row], csr.weights[row])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_a_linear_map_is_that_of_torch() -> None:
    rng = np.random.default_rng(0)
    op, x = Linear(rng.normal(size=(30, 200)), rng.normal(size=30)), rng.normal(size=(9, 200)).astype(np.float32)
    expected = torch.nn.functional.linear(torch.tensor(x), torch.tensor(op.weight), torch.tensor(op.bias))
    np.testing.assert_allclose(apply(op.scatter((200,)), x, (30,)), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_counts_worked_out_by_hand() -> None:
    op = Linear([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    count = op.count(np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0]]))
    assert (count.synaptic_ops, count.dense_ops, count.active, count.steps) == (3 + 2 + 0, 18, 5, 3)


def test_several_synapses_between_one_pair_add_up_and_count_each() -> None:
    op = Sparse([1, 1, 0], [0, 0, 1], [2.0, 0.5, 1.0], shape=(2, 2))
    assert apply(op.scatter((2,)), np.array([[1.0, 2.0]], np.float32), (2,)).tolist() == [[5.0, 1.0]]
    assert op.count(np.ones((1, 2))).synaptic_ops == 3


def test_synapses_may_come_in_any_order() -> None:
    rng = np.random.default_rng(0)
    source, target, weight = rng.integers(0, 9, 40), rng.integers(0, 7, 40), rng.normal(size=40)
    keep = np.unique(source * 7 + target, return_index=True)[1]
    source, target, weight = source[keep], target[keep], weight[keep]
    x, mixed = inputs((9,)), rng.permutation(len(keep))
    a, b = (Sparse(source[k], target[k], weight[k], (7, 9)) for k in (np.arange(len(keep)), mixed))
    assert np.array_equal(apply(a.scatter((9,)), x, (7,)), apply(b.scatter((9,)), x, (7,)))


W = np.ones((3, 2))
WRONG: dict[str, tuple[Any, str]] = {
    "NaN": (
        lambda: Linear([[1.0, np.nan]]),
        r"Linear\.weight: found nan at \[0, 1\]; expected finite float32 numbers; mend",
    ),
    "too large": (lambda: Linear([[1e300]]), r"Linear\.weight: found inf at \[0, 0\]; expected finite"),
    "axes": (lambda: Linear([1.0]), r"Linear\.weight: found shape \(1,\); expected 2 axes; reshape"),
    "ragged": (
        lambda: Linear([[1.0], [1.0, 2.0]]),
        r"Linear\.weight: found rows of unequal length; expected an array",
    ),
    "objects": (lambda: Linear([[None]]), r"Linear\.weight: found dtype object; expected real numbers; convert"),
    "text": (lambda: Linear([["1"]]), r"Linear\.weight: found dtype <U1; expected real numbers"),
    "complex": (lambda: Linear([[1j]]), r"Linear\.weight: found dtype complex128; expected real numbers"),
    "nothing": (lambda: Linear(None), r"Linear\.weight: found NoneType"),  # type: ignore[arg-type]
    "empty": (
        lambda: Linear(W[:0]),
        r"Linear\.weight: found an empty array of shape \(0, 2\); expected at least one number",
    ),
    "bias": (
        lambda: Linear(W, [1.0]),
        r"Linear\.bias: found shape \(1,\); expected \(3,\); give one number per output",
    ),
    "bias axes": (lambda: Linear(W, W), r"Linear\.bias: found shape \(3, 2\); expected 1 axis"),
    "inputs": (lambda: Linear(W).out_shape((4,)), r"Linear expects 2 inputs, found 4 from \(4,\); set in_features=4"),
    "image": (
        lambda: Linear(W).out_shape((1, 2)),
        r"Linear expects 2 inputs, found 2 from \(1, 2\); put Flatten\(\) before it",
    ),
    "source": (lambda: Sparse([2], [0], [1.0], (3, 2)), r"Sparse\.source: found 2 to 2; expected 0 to 1; set shape"),
    "target": (lambda: Sparse([0], [3], [1.0], (3, 2)), r"Sparse\.target: found 3 to 3; expected 0 to 2; set shape"),
    "negative": (
        lambda: Sparse([-1, 0], [0, 0], [1.0, 1.0], (3, 2)),
        r"Sparse\.source: found -1 to 0; expected 0 to 1",
    ),
    "real index": (
        lambda: Sparse([0.0], [0], [1.0], (3, 2)),
        r"Sparse\.source: found float64 of shape \(1,\); expected integers of shape \(1,\); give",
    ),
    "lengths": (
        lambda: Sparse([0, 1], [0], [1.0], (3, 2)),
        r"Sparse\.source: found int64 of shape \(2,\); expected integers of shape \(1,\)",
    ),
    "weight": (lambda: Sparse([0], [0], [np.inf], (3, 2)), r"Sparse\.weight: found inf at \[0\]"),
    "no synapse": (lambda: Sparse([], [], [], (3, 2)), r"Sparse\.weight: found an empty array"),
    "shape": (lambda: Sparse([0], [0], [1.0], 3), r"Sparse\.shape: found 3; expected two integers from 1 on; write"),  # type: ignore[arg-type]
    "zero shape": (
        lambda: Sparse([0], [0], [1.0], (0, 2)),
        r"Sparse\.shape: found \(0, 2\); expected two integers from 1 on",
    ),
    "sparse bias": (
        lambda: Sparse([0], [0], [1.0], (3, 2), [1.0]),
        r"Sparse\.bias: found shape \(1,\); expected \(3,\)",
    ),
    "sparse input": (
        lambda: Sparse([0], [0], [1.0], (3, 2)).out_shape((3,)),
        r"Sparse expects 2 inputs, found 3 from \(3,\); change its shape",
    ),
    "scale": (
        lambda: Scale(np.ones(3)).out_shape((2, 4)),
        r"Scale of shape \(3,\) does not broadcast to its input \(2, 4\); reshape",
    ),
    "scale widens": (lambda: Scale(np.ones((5, 3))).out_shape((3,)), r"Scale of shape \(5, 3\) does not broadcast"),
    "scale NaN": (lambda: Scale(np.nan), r"Scale\.scale: found nan at \[\]; expected finite"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_with_place_and_advice(case: str) -> None:
    make, message = WRONG[case]
    with pytest.raises(ShapeError, match=message):
        make()


def test_a_tensor_that_wants_gradients_is_taken_as_numbers() -> None:
    weight = torch.randn(3, 2, requires_grad=True)
    assert np.array_equal(Linear(weight).weight, weight.detach().numpy())  # type: ignore[arg-type]


def test_given_arrays_are_copied_and_kept_from_change() -> None:
    weight = np.ones((3, 2), np.float32)
    op = Linear(weight)
    weight[:] = 5
    assert op.weight.max() == 1
    for array in (op.weight, Sparse([0], [0], [1.0], (1, 1)).weight, Scale(2.0).scale):
        assert not array.flags.writeable


def test_weights_of_16_bits_are_taken_and_ragged_ends_refused() -> None:
    assert Linear(torch.ones(2, 3, dtype=torch.bfloat16)).weight.dtype == np.float32
    with pytest.raises(ShapeError, match=r"Sparse\.source: found rows of unequal length"):
        Sparse([[0], [1, 2]], [0, 1], [1.0, 2.0], shape=(2, 2))  # type: ignore[arg-type]
