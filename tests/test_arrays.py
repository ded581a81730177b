"""`to_array`: what holds real numbers becomes an array, whatever it is; nothing else does."""

from typing import Any

import numpy as np
import pytest
import torch

from spikelab.arrays import is_whole, to_array
from spikelab.errors import ShapeError


@pytest.mark.parametrize(
    "value",
    [
        [[0, 1], [1, 0]],
        ((0.0, 1.0), (1.0, 0.0)),
        np.eye(2)[::-1],
        torch.tensor([[0, 1], [1, 0]]),
        torch.tensor([[0.0, 1.0], [1.0, 0.0]], requires_grad=True),
        torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.bfloat16),
        torch.tensor([[False, True], [True, False]]),
    ],
)
def test_arrays_tensors_and_lists_are_taken(value: Any) -> None:
    assert np.array_equal(to_array(value, "x"), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([[1, 2], [3]], "rows of unequal length"),
        (np.ones(2) * 1j, "dtype complex128"),
        (torch.ones(2) * 1j, "dtype complex64"),
        (["a"], "dtype <U1"),
        ([None, 1], "dtype object"),
        (None, "NoneType"),
        (torch.nn.Linear(2, 2), "Linear"),
        (torch.ones(2, 2).to_sparse(), "a Tensor of no numbers"),
        (torch.ones(2, device="meta"), "a Tensor of no numbers"),
        (np.zeros(2, "M8[s]"), r"dtype datetime64\[s\]"),
    ],
)
def test_what_holds_no_real_numbers_is_refused(value: Any, found: str) -> None:
    with pytest.raises(ShapeError, match=f"weight: found {found}; expected"):
        to_array(value, "weight")


def test_whole_numbers() -> None:
    assert [is_whole(v) for v in (0, -1, np.int8(2), True, np.bool_(1), 1.0, "1", None)] == [True] * 3 + [False] * 5
