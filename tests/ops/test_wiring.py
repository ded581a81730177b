from typing import Any

import numpy as np
import pytest

from spikelab.errors import ShapeError
from spikelab.ops import Flatten
from spikelab.ops.scatter import apply


@pytest.mark.parametrize(
    ("op", "shape", "out"),
    [
        (Flatten(), (2, 3, 4), (24,)),
        (Flatten(), (5,), (5,)),
        (Flatten(1), (2, 3, 4), (2, 12)),
        (Flatten(0, 1), (2, 3, 4), (6, 4)),
        (Flatten(-2, -1), (2, 3, 4), (2, 12)),
        (Flatten(1, 1), (2, 3, 4), (2, 3, 4)),
    ],
)
def test_flatten_joins_the_axes_named_and_moves_no_value(
    op: Flatten, shape: tuple[int, ...], out: tuple[int, ...]
) -> None:
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    assert op.out_shape(shape) == out
    assert np.array_equal(apply(op.scatter(shape), x, out), x.reshape(2, *out))


def test_flatten_costs_nothing() -> None:
    count = Flatten().count(np.ones((3, 2, 2)))
    assert (count.synaptic_ops, count.dense_ops, count.weighted) == (0, 0, False)


@pytest.mark.parametrize(
    ("op", "shape"), [(Flatten(1), (3,)), (Flatten(0, 3), (2, 3)), (Flatten(2, 1), (2, 3, 4)), (Flatten(), ())]
)
def test_axes_that_are_not_there_are_refused(op: Flatten, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"Flatten\(\d, -?\d\) does not fit an input of \(.*\); use Flatten\(\)"):
        op.out_shape(shape)


@pytest.mark.parametrize("axis", ["1", None, 1.0, True, [0], np.array([1])])
def test_axes_that_are_no_whole_numbers_are_refused(axis: Any) -> None:
    for name in ("start", "end"):
        with pytest.raises(ShapeError, match=rf"Flatten\.{name}: found .*; expected an axis as a whole number"):
            Flatten(**{name: axis})
    assert Flatten(np.int64(1)).out_shape((2, 3, 4)) == (2, 12)
