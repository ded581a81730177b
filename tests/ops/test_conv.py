"""Windows: against torch, against loops in source order, and counted by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError
from spikelab.ops import AvgPool2d, Conv2d, SumPool2d
from spikelab.ops.scatter import apply

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADDING = st.tuples(st.integers(0, 2), st.integers(0, 2))


@st.composite
def convolutions(draw: Any) -> tuple[Conv2d, tuple[int, int, int]]:
    """A convolution of any geometry with some zero weights, and an input shape that it fits."""
    groups, kernel, dilation, padding = draw(st.integers(1, 3)), draw(PAIR), draw(PAIR), draw(PADDING)
    ci, co = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    sides = [max(1, r - 2 * p) + draw(st.integers(0, 4)) for r, p in zip(reach, padding, strict=True)]
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    weight = rng.normal(size=(co, ci // groups, *kernel)) * (rng.random((co, ci // groups, *kernel)) < 0.7)
    bias = rng.normal(size=co) if draw(st.booleans()) else None
    return Conv2d(weight, bias, draw(PAIR), padding, dilation, groups), (ci, *sides)


@st.composite
def pools(draw: Any) -> tuple[SumPool2d, tuple[int, int, int]]:
    """A pooling of any geometry, padded by at most half a window (torch takes no more), and its input shape."""
    kernel = draw(PAIR)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    sides = [max(1, k - 2 * p) + draw(st.integers(0, 4)) for k, p in zip(kernel, padding, strict=True)]
    stride = draw(st.one_of(st.none(), PAIR))
    return draw(st.sampled_from([SumPool2d, AvgPool2d]))(kernel, stride, padding), (draw(st.integers(1, 3)), *sides)


def inputs(shape: tuple[int, ...], rows: int = 2) -> np.ndarray:
    rng = np.random.default_rng(len(shape) + sum(shape))
    return (rng.normal(size=(rows, *shape)) * (rng.random((rows, *shape)) < 0.5)).astype(np.float32)


@given(convolutions())
def test_a_convolution_is_that_of_torch(case: tuple[Conv2d, tuple[int, int, int]]) -> None:
    op, shape = case
    x = inputs(shape)
    weight, bias = torch.tensor(op.weight), None if op.bias is None else torch.tensor(op.bias)
    expected = torch.nn.functional.conv2d(torch.tensor(x), weight, bias, op.stride, op.padding, op.dilation, op.groups)
    found = apply(op.scatter(shape), x, op.out_shape(shape))
    assert found.dtype == np.float32 and found.shape == tuple(expected.shape)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


@given(pools())
def test_a_pooling_is_that_of_torch(case: tuple[SumPool2d, tuple[int, int, int]]) -> None:
    op, shape = case
    x = inputs(shape)
    divisor = 1 if op.kind == "SumPool2d" else None
    expected = torch.nn.functional.avg_pool2d(
        torch.tensor(x), op.kernel_size, op.stride, op.padding, divisor_override=divisor
    )
    np.testing.assert_allclose(apply(op.scatter(shape), x, op.out_shape(shape)), expected.numpy(), rtol=1e-5, atol=1e-6)


@given(st.one_of(convolutions(), pools()))
def test_sums_have_the_bits_of_a_loop_in_source_order(applied, case: Any) -> None:
    op, shape = case
    x = inputs(shape)
    assert np.array_equal(apply(op.scatter(shape), x, op.out_shape(shape)), applied(op, x))


@given(st.one_of(convolutions(), pools()))
def test_counts_equal_those_of_a_walk_over_all_synapses(synapses, case: Any) -> None:
    op, shape = case
    x, walk = inputs(shape, rows=3), synapses(op, shape)
    count = op.count(x)
    assert count.synaptic_ops == sum(1 for row in x.reshape(3, -1) for i, _, w in walk if row[i] != 0 and w != 0)
    assert count.dense_ops == 3 * len(walk) and count.active == np.count_nonzero(x) and count.steps == 3
    fan = np.zeros(int(np.prod(shape)), int)
    for i, _, w in walk:
        fan[i] += w != 0
    assert np.array_equal(op.fan_out(shape).reshape(-1), fan)


@given(convolutions())
def test_dense_operations_are_those_of_ones_everywhere(case: tuple[Conv2d, tuple[int, int, int]]) -> None:
    op, shape = case
    ones = torch.ones(op.weight.shape)
    y = torch.nn.functional.conv2d(torch.ones(1, *shape), ones, None, op.stride, op.padding, op.dilation, op.groups)
    assert op.dense_ops(shape) == int(y.sum())


def test_counts_of_a_small_convolution_worked_out_by_hand() -> None:
    weight = np.ones((2, 1, 3, 3))
    weight[1, 0, 1, 1] = 0
    op, x = Conv2d(weight, padding=1), np.zeros((2, 1, 4, 4), np.float32)
    x[0, 0, 0, 0] = x[0, 0, 2, 2] = x[1, 0, 0, 1] = 1
    # The corner meets 4 taps of each output channel, the edge 6, the middle 9; the centre tap of the second is 0.
    count = op.count(x)
    assert count.synaptic_ops == (4 + 3) + (9 + 8) + (6 + 5)
    assert count.dense_ops == 2 * 2 * (4 * 4 + 8 * 6 + 4 * 9)
    assert (count.active, count.operand, count.weighted, count.kind) == (3, "binary", True, "Conv2d")


def test_pooling_is_not_counted_as_synapses() -> None:
    assert not SumPool2d(2).weighted and not AvgPool2d(2).weighted and Conv2d(np.ones((1, 1, 1, 1))).weighted


ONES = np.ones((4, 2, 3, 3))
WRONG: dict[str, tuple[Any, str]] = {
    "NaN": (
        lambda: Conv2d(np.where(ONES.cumsum().reshape(ONES.shape) == 6, np.nan, ONES)),
        r"Conv2d\.weight: found nan at \[0, 0, 1, 2\]; expected finite float32 numbers; mend",
    ),
    "infinity": (lambda: Conv2d(ONES * np.inf), r"Conv2d\.weight: found inf at \[0, 0, 0, 0\]; expected finite"),
    "axes": (lambda: Conv2d(ONES[0]), r"Conv2d\.weight: found shape \(2, 3, 3\); expected 4 axes; reshape"),
    "bias": (
        lambda: Conv2d(ONES, np.ones(3)),
        r"Conv2d\.bias: found shape \(3,\); expected \(4,\); give one number per output",
    ),
    "bias NaN": (lambda: Conv2d(ONES, [0, 0, 0, np.nan]), r"Conv2d\.bias: found nan at \[3\]; expected finite"),
    "objects": (
        lambda: Conv2d(ONES.astype(object)),
        r"Conv2d\.weight: found dtype object; expected real numbers; convert",
    ),
    "empty": (
        lambda: Conv2d(ONES[:, :0]),
        r"Conv2d\.weight: found an empty array of shape \(4, 0, 3, 3\); expected at least one number; leave",
    ),
    "no window": (lambda: Conv2d(ONES[..., :0]), r"Conv2d\.weight: found an empty array"),
    "negative padding": (
        lambda: Conv2d(ONES, padding=-1),
        r"Conv2d\.padding: found -1; expected an integer from 0 on; write one, or two as \(y, x\)",
    ),
    "padding by name": (
        lambda: Conv2d(ONES, padding="same"),
        r"Conv2d\.padding: found 'same'; expected an integer from 0 on",
    ),
    "no stride": (lambda: Conv2d(ONES, stride=0), r"Conv2d\.stride: found 0; expected an integer from 1 on"),
    "stride in three": (lambda: Conv2d(ONES, stride=(1, 1, 1)), r"Conv2d\.stride: found \(1, 1, 1\); expected"),
    "half a stride": (lambda: Conv2d(ONES, stride=1.5), r"Conv2d\.stride: found 1\.5; expected"),
    "dilation missing": (lambda: Conv2d(ONES, dilation=None), r"Conv2d\.dilation: found None; expected"),
    "groups": (
        lambda: Conv2d(ONES, groups=3),
        r"Conv2d\.groups: found 3; expected a divisor of 4 output channels; change",
    ),
    "no groups": (lambda: Conv2d(ONES, groups=0), r"Conv2d\.groups: found 0; expected a divisor of 4"),
    "broken groups": (lambda: Conv2d(ONES, groups=1.5), r"Conv2d\.groups: found 1\.5; expected a divisor of 4"),
    "channels": (
        lambda: Conv2d(ONES).out_shape((3, 8, 8)),
        r"Conv2d expects 2 channels, found 3 in \(3, 8, 8\); set in_channels=3",
    ),
    "channels of groups": (lambda: Conv2d(ONES, groups=2).out_shape((2, 8, 8)), r"Conv2d expects 4 channels, found 2"),
    "flat input": (
        lambda: Conv2d(ONES).out_shape((128,)),
        r"Conv2d expects an input \(C, H, W\), found \(128,\); reshape",
    ),
    "small input": (
        lambda: Conv2d(ONES, dilation=2).out_shape((2, 4, 8)),
        r"Conv2d: window of 5 does not fit an input of \(2, 4, 8\) padded by 0; use a smaller kernel",
    ),
    "window 0": (lambda: SumPool2d(0), r"SumPool2d\.kernel_size: found 0; expected an integer from 1 on"),
    "window 2.0": (lambda: AvgPool2d(2.0), r"AvgPool2d\.kernel_size: found 2\.0; expected an integer from 1 on"),
    "pooling beyond": (
        lambda: AvgPool2d(3).out_shape((1, 2, 9)),
        r"AvgPool2d: window of 3 does not fit an input of \(1, 2, 9\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_with_place_and_advice(case: str) -> None:
    make, message = WRONG[case]
    with pytest.raises(ShapeError, match=message):
        make()


def test_weights_are_a_copy_that_cannot_be_changed() -> None:
    weight, bias = ONES.astype(np.float32), np.zeros(4, np.float32)
    op = Conv2d(weight, bias)
    weight[:] = 7
    bias[:] = 7
    assert op.weight.max() == 1 and op.bias.max() == 0  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="read-only"):
        op.weight[0] = 0


@pytest.mark.parametrize(("kernel", "padding"), [(2, 2), (3, 2), (1, 1), ((2, 3), (1, 2)), ((4, 1), 1)])
@pytest.mark.parametrize("kind", [SumPool2d, AvgPool2d])
def test_padding_of_a_pool_beyond_half_its_window_is_refused_as_in_torch(kind: Any, kernel: Any, padding: Any) -> None:
    with pytest.raises(ShapeError, match=rf"{kind.__name__}\.padding: found .* expected at most half the kernel"):
        kind(kernel, padding=padding)
    with pytest.raises(RuntimeError, match="pad should be at most half"):
        torch.nn.functional.avg_pool2d(torch.ones(1, 1, 8, 8), kernel, padding=padding)


def test_a_number_may_come_as_an_array_without_axes_but_not_as_truth() -> None:
    assert Conv2d(np.ones((2, 2, 2, 2)), padding=np.array(1)).padding == (1, 1)
    assert AvgPool2d(np.array([2, 3])).kernel_size == (2, 3)
    for make in (lambda: AvgPool2d(True), lambda: Conv2d(np.ones((2, 2, 2, 2)), groups=True)):
        with pytest.raises(ShapeError, match="found True"):
            make()
