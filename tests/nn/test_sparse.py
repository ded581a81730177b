"""Products by the non-zeros: right within float64 bounds, the reference's bits, the same for any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from spikelab.clocked.linear_map import LinearMap
from spikelab.nn.nonzero import find, positions
from spikelab.nn.sparse import product, sparse_up_to, weight_gradient
from spikelab.ops import Linear

RNG = np.random.default_rng(0)


def rows(shape: tuple[int, int], activity: float, kind: str = "binary", dtype: Any = np.float32) -> NDArray[Any]:
    """Values of which a share is not zero; the first and the last row are empty."""
    x = (RNG.random(shape) < activity).astype(dtype)
    if kind == "graded":
        x *= RNG.integers(-3, 4, shape)
    if kind == "real":
        x *= RNG.normal(0, 1, shape).astype(dtype)
    x[0] = x[-1] = 0
    return x


def multiplied(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], threads: int = 1) -> NDArray[Any]:
    found = find(x, 1.0, threads)
    assert found is not None
    y = np.full((len(x), len(weight)), np.nan, x.dtype)
    product(x, found, np.ascontiguousarray(weight.T), bias, y, threads)
    return y


@given(n=st.integers(1, 200), activity=st.sampled_from([0.0, 0.02, 0.5, 1.0]), seed=st.integers(0, 99))
def test_positions_are_those_of_numpy(n: int, activity: float, seed: int) -> None:
    x = (np.random.default_rng(seed).random((3, n)) < activity).astype(np.float32)
    found = find(x, 1.0, 1)
    assert found is not None and found.binary and found.counts.sum() == x.sum()
    at = np.empty(64 * found.bits.shape[1], np.int64)
    for row, bits in zip(x, found.bits, strict=True):
        np.testing.assert_array_equal(at[: positions(bits, at)], np.flatnonzero(row))


def test_every_place_of_a_word_is_found_alone_and_odd_values_count_right() -> None:
    at = np.empty(128, np.int64)
    found = find(np.eye(128, dtype=np.float32), 1.0, 1)
    assert found is not None
    for k, bits in enumerate(found.bits):
        assert positions(bits, at) == 1 and at[0] == k
    odd = find(np.array([[0.0, -0.0, np.nan, np.inf, 1e-45, 1.0]], np.float32), 1.0, 1)
    assert odd is not None and not odd.binary and positions(odd.bits[0], at) == 4
    np.testing.assert_array_equal(at[:4], [2, 3, 4, 5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["binary", "graded", "real"])
def test_products_equal_the_dense_ones(kind: str, dtype: Any) -> None:
    x = rows((300, 70), 0.15, kind, dtype)
    weight, bias = RNG.normal(0, 1, (33, 70)).astype(dtype), RNG.normal(0, 1, 33).astype(dtype)
    g = RNG.normal(0, 1, (300, 33)).astype(dtype)
    exact = [a.astype(np.float64) for a in (x, weight, bias, g)]
    eps = np.finfo(dtype).eps
    # A sum of n terms errs by at most n eps times the sum of their magnitudes (Higham 2002, section 4.2).
    bound = 71 * eps * (np.abs(exact[0]) @ np.abs(exact[1].T) + np.abs(exact[2]))
    assert np.all(np.abs(multiplied(x, weight, bias) - (exact[0] @ exact[1].T + exact[2])) <= bound)
    found = find(x, 1.0, 1)
    assert found is not None and found.binary == (kind == "binary")
    bound = 300 * eps * (np.abs(exact[0].T) @ np.abs(exact[3]))
    assert np.all(np.abs(weight_gradient(x, found, g, 1) - exact[0].T @ exact[3]) <= bound)


@pytest.mark.parametrize("kind", ["binary", "real"])
def test_sums_have_the_bits_of_the_reference(kind: str) -> None:
    x, weight, bias = rows((40, 90), 0.3, kind), RNG.normal(0, 1, (50, 90)), RNG.normal(0, 1, 50)
    op = Linear(weight, bias)
    reference = LinearMap(op, (90,))
    acc = reference.zeros(40)
    reference.add(x, acc)
    expected = reference.finish(acc)
    assert op.bias is not None
    np.testing.assert_array_equal(multiplied(x, op.weight, op.bias), expected)


def test_gradients_add_in_the_order_of_the_samples() -> None:
    x, g = rows((700, 5), 0.4, "real"), RNG.normal(0, 1, (700, 9)).astype(np.float32)
    expected = np.zeros((5, 9), np.float32)
    for row, line in zip(x, g, strict=True):
        for i in np.flatnonzero(row):
            expected[i] += row[i] * line
    found = find(x, 1.0, 1)
    assert found is not None
    np.testing.assert_array_equal(weight_gradient(x, found, g, 1), expected)


@pytest.mark.parametrize("kind", ["binary", "real"])
def test_any_number_of_threads_gives_the_same_bits(kind: str) -> None:
    x = rows((1100, 500), 0.2, kind)
    x[:, 3:400] = 0  # ranges of inputs of very different work
    weight, g = RNG.normal(0, 1, (300, 500)).astype(np.float32), RNG.normal(0, 1, (1100, 300)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        found = find(x, 1.0, threads)
        assert found is not None
        y = multiplied(x, weight, np.zeros(0, np.float32), threads)
        results.append((found.bits, found.counts, y, weight_gradient(x, found, g, threads)))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_silence_and_too_many_values() -> None:
    silent = np.zeros((300, 20), np.float32)
    found = find(silent, 0.1, 1)
    assert found is not None and found.binary
    assert not weight_gradient(silent, found, np.ones((300, 7), np.float32), 1).any()
    bias = np.arange(7, dtype=np.float32)
    np.testing.assert_array_equal(
        multiplied(silent, np.ones((7, 20), np.float32), bias), np.broadcast_to(bias, (300, 7))
    )
    assert find(np.ones((300, 20), np.float32), 0.1, 1) is None  # seen in the sample
    late = silent.copy()
    late[1::4] = 1  # a quarter of the rows, of which the sample sees none
    assert find(late, 0.2, 1) is None and find(late, 0.25, 1) is not None


def test_the_rule_leaves_small_products_to_torch() -> None:
    assert sparse_up_to(6400, 20) == sparse_up_to(64, 256) == 0
    assert 0 < sparse_up_to(6400, 64) < sparse_up_to(6400, 256) < 0.25
    assert 0 < sparse_up_to(128, 256) < sparse_up_to(6400, 256)
