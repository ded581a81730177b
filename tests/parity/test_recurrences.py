"""The recurrences of other libraries against what those libraries themselves gave (`tests/golden/peers`)."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.golden.peers.vectors import Case, read
from tests.parity.recurrences import RECURRENCES

CASES = [case for peer in RECURRENCES for case in read(peer)]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.peer} {c.name}")
def test_no_output_differs(case: Case) -> None:
    z = RECURRENCES[case.peer][case.neuron](case.x, SimpleNamespace(**case.arguments))
    assert z.size >= (3_200 if "gradient" in case.also else 100_000)
    assert 0 < np.count_nonzero(case.z) < z.size
    assert np.count_nonzero(z != case.z) == 0


def test_the_integers_of_lava_dl_are_its_states_too() -> None:
    from tests.parity.recurrences.lava_dl import cuba_states

    for case in read("lava-dl"):
        if case.neuron == "CUBA":
            _, u, v = cuba_states(case.x, SimpleNamespace(**case.arguments))
            assert np.array_equal(u, case.also["u"]) and np.array_equal(v, case.also["v"])
