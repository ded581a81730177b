"""`agreement`: planted flips are found where they are, ties told from others, figures in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spikelab.agreement import TIE, Agreement, Difference, agreement, spike_f1
from spikelab.clocked import run
from spikelab.errors import ShapeError, SpikelabError, UnsupportedError
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LI, LIF, NeuronModel, SigmaDelta
from spikelab.neurons.model import parameter
from spikelab.ops import Linear


def chain(threshold: Any = 1.0) -> Network:
    rng = np.random.default_rng(0)
    return Network(
        {
            "in": Population((5,), kind="input"),
            "late": Population((4,), LIF(tau_mem="8 ms")),
            "early": Population((6,), LIF(v_threshold=threshold)),
            "out": Population((3,), LI()),
        },
        [
            Projection("early", "late", Linear(rng.normal(0, 0.8, (4, 6)))),
            Projection("in", "early", Linear(rng.normal(0, 0.8, (6, 5)))),
            Projection("late", "out", Linear(rng.normal(0, 0.8, (3, 4)))),
        ],
        dt="1 ms",
    )


def sample(steps: int = 30, samples: int = 4) -> np.ndarray:
    return (np.random.default_rng(1).random((steps, samples, 5)) < 0.4).astype(np.float32)


def flipped(spikes: dict[str, np.ndarray], *at: tuple[str, int, int, int]) -> dict[str, np.ndarray]:
    result = {n: z.copy() for n, z in spikes.items()}
    for name, t, b, j in at:
        result[name][t, b, j] = 1 - result[name][t, b, j]
    return result


def test_a_run_agrees_with_itself() -> None:
    reference = run(chain(), sample())
    found = agreement(chain(), sample(), reference.spikes)
    assert (found.differing, found.first, found.predictions_differing, found.f1) == (0, (), 0, 1.0)
    assert found.decisions == 30 * 4 * (6 + 4) and found.samples == 4
    assert found.reference_spikes == found.other_spikes == found.common_spikes == reference.counts.spikes > 50
    assert found.explained
    assert "0 of 1,200 spike decisions differ" in str(found)


@given(
    flips=st.sets(
        st.tuples(st.sampled_from(["early", "late"]), st.integers(0, 29), st.integers(0, 3), st.integers(0, 3)),
        max_size=8,
    )
)
def test_planted_flips_are_found_where_they_are(flips: set[tuple[str, int, int, int]]) -> None:
    net, x = chain(), sample()
    reference = run(net, x, traces={"early": ["margin"], "late": ["margin"]})
    found = agreement(net, x, flipped(dict(reference.spikes), *flips))
    assert found.differing == len(flips)
    expected = []
    for b in range(4):
        mine = sorted((t, ["early", "late"].index(name), j) for name, t, k, j in flips if k == b)
        if mine:
            t, which, _ = mine[0]
            name = ("early", "late")[which]
            neurons = [j for s, w, j in mine if (s, w) == (t, which)]
            margin = np.abs(reference.traces[name]["margin"][t, b, neurons]).max()
            expected.append(Difference(b, t, name, len(neurons), pytest.approx(float(margin), rel=1e-6)))
    assert list(found.first) == expected


def test_ties_are_told_from_other_differences() -> None:
    one = Network(
        {"in": Population((1,), kind="input"), "out": Population((3,), IF(v_threshold=np.array([2.0, 2.0, 0.5])))},
        [Projection("in", "out", Linear([[1.0], [1.0 + 4e-6], [0.5 + 1e-4]]))],
        dt="1 ms",
    )
    x = np.ones((2, 1, 1), np.float32)
    reference = run(one, x).spikes
    assert reference["out"][:, 0].tolist() == [[0, 0, 1], [0, 1, 1]]
    for neuron, step, tie in ((0, 1, True), (1, 1, True), (2, 0, False), (1, 0, False)):
        (first,) = agreement(one, x, flipped(dict(reference), ("out", step, 0, neuron))).first
        assert (first.tie, first.step, first.population) == (tie, step, "out")
    assert agreement(one, x, flipped(dict(reference), ("out", 1, 0, 0))).first[0].distance == 0.0
    relative = agreement(one, x, flipped(dict(reference), ("out", 0, 0, 2))).first[0].distance
    assert relative == pytest.approx(1e-4 / 0.5, rel=1e-3)  # relative to the neuron's own threshold


def test_one_neuron_far_from_its_threshold_is_not_excused_by_another_at_it() -> None:
    net = Network(
        {"in": Population((2,), kind="input"), "out": Population((2,), IF())},
        [Projection("in", "out", Linear([[1.0, 0.0], [0.0, 0.3]]))],
        dt="1 ms",
    )
    x = np.ones((1, 1, 2), np.float32)
    found = agreement(net, x, {"out": np.ones((1, 1, 2))})
    assert found.first[0].neurons == 2 and not found.explained


def test_a_threshold_of_zero_has_exact_ties_only() -> None:
    net = Network(
        {"in": Population((2,), kind="input"), "out": Population((2,), IF(v_threshold=0.0))},
        [Projection("in", "out")],
        dt="1 ms",
    )
    x = np.array([[[0.0, 1e-9]]], np.float32)
    distances = [
        agreement(net, x, flipped(dict(run(net, x).spikes), ("out", 0, 0, j))).first[0].distance for j in (0, 1)
    ]
    assert distances == [0.0, np.inf]


def test_predictions_are_compared_at_the_output() -> None:
    net, x = chain(), sample()
    reference = dict(run(net, x).spikes)
    guess = reference["out"].sum(axis=0).argmax(axis=1)
    other = {n: z.copy() for n, z in reference.items()}
    other["out"][:, 1, (guess[1] + 1) % 3] += 100
    found = agreement(net, x, other)
    assert (found.predictions_differing, found.differing) == (1, 0)


def test_tensors_and_part_of_the_populations_may_be_given() -> None:
    net, x = chain(), sample()
    early = torch.tensor(run(net, x).spikes["early"], requires_grad=True)
    found = agreement(net, x, {"early": early})
    assert (found.differing, found.decisions) == (0, 30 * 4 * 6)


def test_unknown_populations_and_wrong_shapes_are_refused() -> None:
    net, x = chain(), sample()
    with pytest.raises(ShapeError, match="nobody of shape"):
        agreement(net, x, {"nobody": np.zeros((30, 4, 6))})
    with pytest.raises(ShapeError, match=r"early of shape \(29, 4, 6\); expected \(30, 4, 6\)"):
        agreement(net, x, {"early": np.zeros((29, 4, 6))})


@given(a=arrays(np.float32, 40, elements=st.integers(0, 2)), b=arrays(np.float32, 40, elements=st.integers(0, 2)))
def test_f1_is_twice_precision_times_recall_over_their_sum(a: np.ndarray, b: np.ndarray) -> None:
    common = sum(min(p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True))
    precision, recall = (common / s if (s := float(v.sum())) else 1.0 for v in (b, a))
    expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    if bool(a.any()) != bool(b.any()):
        expected = 0.0
    assert spike_f1(a, b) == pytest.approx(expected)
    assert spike_f1(a, b) == spike_f1(b, a)


def test_silence_is_no_agreement() -> None:
    silent, active = np.zeros(1000), np.zeros(1000)
    active[:30] = 1
    assert spike_f1(silent, active) == 0.0
    assert spike_f1(silent, silent) == 1.0
    with pytest.raises(ShapeError, match="expected one"):
        spike_f1(silent, active[:10])


def test_sums_of_many_spikes_are_exact() -> None:
    n = 2**24 + 2
    a = np.ones(n, np.float32)
    b = a.copy()
    b[0] = 0
    assert spike_f1(a, b) == 2 * (n - 1) / (2 * n - 1)


def test_agreements_add_and_renumber_samples() -> None:
    net, x = chain(), sample()
    reference = dict(run(net, x).spikes)
    other = flipped(reference, ("early", 3, 0, 1), ("late", 7, 3, 2))
    whole = agreement(net, x, other)
    halves = [agreement(net, x[:, s], {n: z[:, s] for n, z in other.items()}) for s in (slice(0, 2), slice(2, 4))]
    assert halves[0] + halves[1] == whole
    assert [d.sample for d in whole.first] == [0, 3]


def test_explained_asks_every_first_difference() -> None:
    tie, far = Difference(0, 0, "a", 1, TIE), Difference(1, 0, "a", 1, 1.01 * TIE)
    base = {"decisions": 10, "reference_spikes": 4, "other_spikes": 4, "common_spikes": 3, "differing": 2}
    assert Agreement(**base, samples=2, first=(tie,), predictions_differing=0).explained
    both = Agreement(**base, samples=2, first=(tie, far), predictions_differing=1)
    assert not both.explained and both.f1 == 0.75
    assert "2 of 2 samples, 1 traced to a threshold tie; 1 of 2 predictions differ" in str(both)


class BareState(NamedTuple):
    """v: a potential [V]."""

    v: Any


@dataclass(frozen=True, eq=False)
class Bare(NeuronModel):
    """A third party's neuron without memory, whose threshold has a name of its own."""

    theta: Any = parameter(1.0, unit="V", doc="threshold")

    State = Coefficients = BareState
    state_units = coefficient_units = ("V",)

    @property
    def step(self) -> Any:
        """Compare the input."""
        return lambda x, s, c, f: (f.spike(x - c.v), s)

    def coefficients(self, dt: float, discretisation: Any, m: Any = None) -> BareState:
        """The threshold."""
        return BareState(self.theta)

    def initial(self) -> BareState:
        """Nothing."""
        return BareState(0.0)


@pytest.mark.parametrize("volt", [1.0, 1e-3])
def test_without_v_threshold_a_tie_is_relative_to_what_the_population_sees(volt: float) -> None:
    net = Network(
        {"in": Population((1,), kind="input"), "out": Population((5,), Bare(volt))},
        [Projection("in", "out", Linear(volt * np.array([[1.0 + 1e-7], [0.995], [0.1], [0.0], [0.2]])))],
        dt="1 ms",
    )
    x = np.ones((1, 1, 1), np.float32)
    reference = dict(run(net, x).spikes)
    ties = [agreement(net, x, flipped(reference, ("out", 0, 0, j))).explained for j in range(3)]
    assert ties == [True, False, False]  # whatever the scale of the potentials


def test_readouts_are_compared_by_prediction_only() -> None:
    net, x = chain(), sample()
    out = run(net, x).spikes["out"]
    found = agreement(net, x, {"out": out})
    assert (found.decisions, found.differing, found.predictions_differing, found.first) == (0, 0, 0, ())
    found = agreement(net, x, {"out": -out})
    assert (found.differing, found.explained, found.predictions_differing) == (0, True, 4)


def test_learnt_thresholds_are_read() -> None:
    net = chain(torch.tensor(1.0, requires_grad=True))
    found = agreement(net, sample(), flipped(dict(run(net, sample()).spikes), ("early", 3, 0, 0)))
    assert found.differing == 1


@pytest.mark.parametrize(
    "spikes", [None, {}, [1], "out", run(chain(), sample()), {"out": None}, {"out": "x"}, {"out": [[1], [1, 2]]}]
)
def test_what_is_not_spikes_by_population_is_refused(spikes: Any) -> None:
    with pytest.raises(SpikelabError, match="agreement: "):
        agreement(chain(), sample(), spikes)


def test_numbers_that_are_not_finite_are_refused() -> None:
    spikes = run(chain(), sample()).spikes["early"]
    for bad in (spikes * np.nan, spikes * 1j):
        with pytest.raises(ShapeError, match="agreement: early: found"):
            agreement(chain(), sample(), {"early": bad})
        with pytest.raises(ShapeError, match="spike_f1: found"):
            spike_f1(spikes, bad)


def test_a_network_and_a_reference_are_what_they_are_called() -> None:
    with pytest.raises(UnsupportedError, match=r"agreement: found Linear; expected a Network; .* nn\.to_network"):
        agreement(torch.nn.Linear(2, 2), sample(), {"early": sample()})  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="a reference of str"):
        agreement(chain(), sample(), {"early": sample()}, "float")  # type: ignore[arg-type]


def test_only_agreements_add_up() -> None:
    found = agreement(chain(), sample(), run(chain(), sample()).spikes)
    for wrong in (None, 3, {}):
        with pytest.raises(UnsupportedError, match=r"Agreement: found .* to add; expected an Agreement"):
            found + wrong


def test_real_valued_outputs_are_compared_beyond_rounding() -> None:
    net = Network(
        {"in": Population((3,), kind="input"), "out": Population((3,), SigmaDelta(v_threshold=0.1))},
        [Projection("in", "out", Linear(np.eye(3, dtype=np.float32)))],
        dt="1 ms",
    )
    x = np.random.default_rng(0).normal(0, 1, (20, 4, 3)).astype(np.float32)
    spikes = run(net, x).spikes["out"]
    assert (spikes != np.rint(spikes)).any()
    rounded = {"out": spikes * np.float32(1 + 1e-6)}
    assert agreement(net, x, rounded).differing == 0
    lost = spikes.copy()
    lost[3, 1, 2], lost[5, 0, 0] = (0.0 if spikes[3, 1, 2] else 1.0), spikes[5, 0, 0] + 0.5
    assert agreement(net, x, {"out": lost}).differing == 2
