import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import UnsupportedError
from spikelab.neurons import IF
from spikelab.neurons.integrate_and_fire import IFState

X = [0.5, 0.5, 0.75, 0.5, 2.0]
BY_HAND = {
    # convention: (v after each step, spikes)
    ("hard", ">", "one"): ([0.5, 1.0, 0.0, 0.5, 0.0], [0, 0, 1, 0, 1]),
    ("hard", ">=", "one"): ([0.5, 0.0, 0.75, 0.0, 0.0], [0, 1, 0, 1, 1]),
    ("soft", ">", "one"): ([0.5, 1.0, 0.75, 0.25, 1.25], [0, 0, 1, 1, 1]),
    ("soft", ">=", "one"): ([0.5, 0.0, 0.75, 0.25, 1.25], [0, 1, 0, 1, 1]),
    ("soft", ">=", "many"): ([0.5, 0.0, 0.75, 0.25, 0.25], [0, 1, 0, 1, 2]),
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags, walk) -> None:
    reset, comparison, spikes = flags
    z, _, v = walk(IF(reset=reset, comparison=comparison, spikes=spikes), X)
    assert (v, z.tolist()) == BY_HAND[flags]


@given(
    st.lists(st.integers(-8, 40), min_size=1, max_size=60),
    st.sampled_from([("one", ">"), ("one", ">="), ("many", ">=")]),
)
def test_what_came_in_went_out_as_spikes_or_is_still_there(walk, eighths: list[int], flags: tuple[str, str]) -> None:
    model = IF(v_threshold=0.75, reset="soft", spikes=flags[0], comparison=flags[1])
    z, s, _ = walk(model, np.array(eighths) / 8)
    assert z.sum() * 0.75 + s.v == sum(eighths) / 8  # exact in binary


def test_a_hard_reset_sets_the_value_asked_for_and_starts_there(walk) -> None:
    model = IF(v_reset=-0.25)
    assert model.initial() == IFState(-0.25)
    assert IF(v_reset=-0.25, reset="soft").initial() == IFState(0.0)
    z, _, v = walk(model, [1.0, 0.5, 0.5])
    assert (v, z.tolist()) == ([0.75, -0.25, 0.25], [0, 1, 0])


def test_undecayed_has_no_meaning_without_decay() -> None:
    with pytest.raises(UnsupportedError, match=r"IF\.reset 'undecayed': unknown; known are hard, soft"):
        IF(reset="undecayed")
