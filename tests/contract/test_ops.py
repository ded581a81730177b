"""The public contract of ops, on ours over many shapes and on wrong ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Op, Scale, Sparse, SumPool2d
from spikelab.testing import check_op


@given(
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 2),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    st.booleans(),
)
def test_a_convolution_of_any_geometry_keeps_the_contract(
    groups: int, ci: int, co: int, kernel: Any, stride: Any, padding: Any, dilation: Any, more: Any, bias: bool
) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(co * groups, ci, *kernel)) * (rng.random((co * groups, ci, *kernel)) < 0.8)
    sides = [max(1, d * (k - 1) + 1 - 2 * p) + m for k, d, p, m in zip(kernel, dilation, padding, more, strict=True)]
    op = Conv2d(weight, rng.normal(size=co * groups) if bias else None, stride, padding, dilation, groups)
    check_op(op, (ci * groups, *sides))


@given(
    st.sampled_from([SumPool2d, AvgPool2d]), st.integers(1, 4), st.integers(1, 3), st.integers(0, 1), st.integers(0, 5)
)
def test_a_pooling_of_any_geometry_keeps_the_contract(
    kind: Any, kernel: int, stride: int, padding: int, more: int
) -> None:
    check_op(kind((kernel, 2), stride, (padding * (kernel > 1), padding)), (2, kernel + more, 3 + more))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 60), st.booleans())
def test_dense_sparse_and_diagonal_maps_keep_the_contract(n_in: int, n_out: int, synapses: int, bias: bool) -> None:
    rng = np.random.default_rng(n_in)
    b = rng.normal(size=n_out) if bias else None
    check_op(Linear(rng.normal(size=(n_out, n_in)) * (rng.random((n_out, n_in)) < 0.7), b), (n_in,))
    ends = rng.integers(0, n_in, synapses), rng.integers(0, n_out, synapses)
    check_op(Sparse(*ends, rng.integers(-1, 2, synapses), (n_out, n_in), b), (n_in,))
    check_op(Scale(rng.integers(-1, 2, (n_out, n_in))), (n_out, n_in))
    check_op(Flatten(), (n_in, n_out))


@dataclass(frozen=True, eq=False)
class Wrong(Linear):
    """A Linear with one mistake, which the contract must find."""

    mistake: str = ""

    def fan_out(self, in_shape: Any) -> Any:
        """As Linear, but for the mistake."""
        return super().fan_out(in_shape) + (self.mistake == "fan_out")

    def count(self, x: Any, fan_out: Any = None) -> Any:
        """As Linear, but for the mistake."""
        return super().count(x + 1 if self.mistake == "silence" else x, fan_out)

    def csr(self, in_shape: Any) -> Any:
        """As Linear, but for the mistake."""
        right = super().csr(in_shape)
        return right._replace(weights=right.weights * 1.01) if self.mistake == "csr" else right


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("fan_out", "Wrong: fan_out differs from the non-zero weights of csr"),
        ("silence", r"Wrong: counted \d+ synaptic operations; a walk finds \d+"),
        ("csr", r"Wrong: its application is off by \d\.\de-0\d from its csr matrix"),
    ],
)
def test_the_contract_finds_a_mistake(mistake: str, message: str) -> None:
    op: Op = Wrong(np.random.default_rng(0).normal(size=(9, 8)), mistake=mistake)
    with pytest.raises(AssertionError, match=message):
        check_op(op, (8,))
