import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab import ops
from spikelab.errors import UnsupportedError
from spikelab.ops import Linear, Op, OpCount
from spikelab.ops.op import operand_of, size

MAP = Linear(np.arange(1, 7).reshape(2, 3))


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        ([0.0, 1.0, 1.0], "binary"),
        ([True, False], "binary"),
        ([0, 1], "binary"),
        ([], "binary"),
        ([0.0, 2.0, -1.0], "integer"),
        ([0, 7], "integer"),
        ([0.0, 0.5], "real"),
        ([1.0, np.nan], "real"),
        ([1.0, 1.0 + 2**-23], "real"),
    ],
)
def test_the_operand_is_told_from_its_values(x: list[float], kind: str) -> None:
    assert operand_of(np.array(x)) == kind


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.0, 0.5]), min_size=3, max_size=3), min_size=2, max_size=9),
    st.integers(1, 8),
)
def test_counts_of_parts_add_up_to_the_count_of_the_whole(rows: list[list[float]], cut: int) -> None:
    x = np.array(rows)
    cut = min(cut, len(x) - 1)
    assert MAP.count(x[:cut]) + MAP.count(x[cut:]) == MAP.count(x)


def test_counts_beyond_32_bits_are_exact() -> None:
    wide = Linear(np.ones((70_000, 3)))
    x = np.ones((30_000, 3), np.uint8)
    assert wide.count(x, wide.fan_out((3,))).synaptic_ops == 70_000 * 30_000 * 3 > 2**32
    assert size((70_000, 70_000)) == 4_900_000_000


def test_a_known_fan_out_gives_the_same_count() -> None:
    x = np.array([[1.0, 0.0, 2.0]])
    assert MAP.count(x, MAP.fan_out((3,))) == MAP.count(x)


def test_an_op_that_is_not_linear_refuses_to_scatter() -> None:
    class Square(Op):
        linear = False

    for call in (Square().scatter, Square().fan_out, Square().csr):
        with pytest.raises(UnsupportedError, match=r"Square is not linear; it has no (scatter|fan_out)"):
            call((3,))


def test_adding_counts_keeps_the_widest_operand() -> None:
    counts = {k: OpCount("Linear", k, 1, 2, 3, 4, True) for k in ("binary", "integer", "real")}
    assert (counts["binary"] + counts["real"]).operand == "real"
    assert (counts["integer"] + counts["binary"]).operand == "integer"
    assert counts["real"] + counts["real"] == OpCount("Linear", "real", 2, 4, 6, 8, True)


def test_the_list_of_ops_is_what_is_there() -> None:
    found = {n for n, v in vars(ops).items() if isinstance(v, type)}
    assert found == set(ops.__all__)
