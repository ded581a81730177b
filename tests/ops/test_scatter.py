"""Spreading active inputs: any number of threads, any dtype of the input, touched outputs."""

from typing import Any

import numpy as np
import pytest

from spikelab.ops import AvgPool2d, Conv2d, Linear, Op, Sparse
from spikelab.ops.scatter import Active, active, apply

RNG = np.random.default_rng(0)
OPS: dict[str, tuple[Op, tuple[int, ...]]] = {
    "dense": (Linear(RNG.normal(size=(300, 200)), RNG.normal(size=300)), (200,)),
    "sparse": (
        Sparse(RNG.integers(0, 200, 9000), RNG.integers(0, 300, 9000), RNG.normal(size=9000), (300, 200)),
        (200,),
    ),
    "conv": (Conv2d(RNG.normal(size=(8, 2, 5, 3)), RNG.normal(size=8), 2, 1, groups=2), (4, 12, 11)),
    "pool": (AvgPool2d((2, 3), padding=1), (4, 12, 11)),
}


def spikes(shape: tuple[int, ...], rows: int) -> np.ndarray:
    rng = np.random.default_rng(rows)
    return (rng.normal(size=(rows, *shape)) * (rng.random((rows, *shape)) < 0.3)).astype(np.float32)


@pytest.mark.parametrize("name", OPS)
def test_the_number_of_threads_changes_no_bit(name: str) -> None:
    op, shape = OPS[name]
    scatter, x = op.scatter(shape), spikes(shape, 1500).reshape(1500, -1)
    a, found = active(x), []
    for threads in (1, 2, 3, 0):
        acc = np.zeros((len(x), scatter.outputs), np.float32)
        touched = np.zeros(acc.shape, np.uint8)
        scatter.add(a, acc, touched, threads)
        found.append((acc, touched))
    for acc, touched in found[1:]:
        assert np.array_equal(acc, found[0][0]) and np.array_equal(touched, found[0][1])
    one_by_one = np.concatenate([apply(scatter, row[None], (scatter.outputs,)) for row in x[:40]])
    assert np.array_equal(one_by_one, scatter.finish(found[0][0])[:40])


@pytest.mark.parametrize("name", OPS)
def test_what_was_touched_is_what_an_active_input_reaches(name: str) -> None:
    op, shape = OPS[name]
    scatter, x = op.scatter(shape), np.zeros((3, int(np.prod(shape))), np.float32)
    x[1, 7], x[2, [0, 9]] = 1, -2
    acc = np.zeros((3, scatter.outputs), np.float32)
    touched = np.zeros(acc.shape, np.uint8)
    scatter.add(active(x), acc, touched)
    assert not touched[0].any() and touched[1].any() and touched[2].any()
    assert np.all(touched[acc != 0] == 1)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float64, np.float32])
@pytest.mark.parametrize("name", OPS)
def test_inputs_of_any_dtype_give_the_same(name: str, dtype: Any) -> None:
    op, shape = OPS[name]
    x = spikes(shape, 3) > 0
    expected = apply(op.scatter(shape), x.astype(np.float32), op.out_shape(shape))
    assert np.array_equal(apply(op.scatter(shape), x.astype(dtype), op.out_shape(shape)), expected)


@pytest.mark.parametrize("name", OPS)
def test_samples_do_not_influence_each_other_nor_change(name: str) -> None:
    op, shape = OPS[name]
    x = spikes(shape, 6)
    before, order = x.copy(), np.array([3, 0, 5, 1, 4, 2])
    whole = apply(op.scatter(shape), x, op.out_shape(shape))
    assert np.array_equal(apply(op.scatter(shape), x[order], op.out_shape(shape)), whole[order])
    assert np.array_equal(x, before)


@pytest.mark.parametrize("name", OPS)
def test_no_rows_and_no_activity_give_the_bias(name: str) -> None:
    op, shape = OPS[name]
    out = op.out_shape(shape)
    assert apply(op.scatter(shape), np.zeros((0, *shape)), out).shape == (0, *out)
    silent = apply(op.scatter(shape), np.zeros((2, *shape)), out)
    bias = getattr(op, "bias", None)
    assert np.array_equal(
        silent,
        np.zeros((2, *out)) if bias is None else np.broadcast_to(bias.reshape(-1, *(1,) * (len(out) - 1)), (2, *out)),
    )


def test_active_values_come_row_by_row_in_order() -> None:
    a = active(np.array([[0, 3, 0, -1], [0, 0, 0, 0], [2, 0, 0, 0]], np.float64))
    expected = Active(np.array([0, 2, 2, 3]), np.array([1, 3, 0]), np.array([3.0, -1.0, 2.0]))  # type: ignore[arg-type]
    assert all(np.array_equal(u, v) for u, v in zip(a, expected, strict=True))
    assert a.value.dtype == np.float32 and a.index.dtype == np.int32


def test_views_and_transposed_inputs_are_read_right() -> None:
    x = spikes((8,), 6)
    assert all(np.array_equal(u, v) for u, v in zip(active(x[::2, ::-1]), active(x[::2, ::-1].copy()), strict=True))
    assert all(np.array_equal(u, v) for u, v in zip(active(x.T), active(np.ascontiguousarray(x.T)), strict=True))


def test_not_a_number_is_not_lost_on_the_way() -> None:
    x = np.zeros((2, 200), np.float32)
    x[1, 5] = np.nan
    y = apply(OPS["dense"][0].scatter((200,)), x, (300,))
    assert not np.isnan(y[0]).any() and np.isnan(y[1]).all()
