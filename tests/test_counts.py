"""`Counts`: what adds up, what continues, what is not of one network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikelab.clocked import run
from spikelab.counts import Counts
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LI, LIF
from spikelab.ops import Flatten, Linear, Scale


def net(gain: float = 1.0) -> Network:
    rng = np.random.default_rng(3)
    weight = rng.normal(0, 1, (4, 6)) * (rng.random((4, 6)) < 0.5) * gain
    return Network(
        {"in": Population((6,), kind="input"), "mid": Population((4,), LIF()), "out": Population((2,), LI())},
        [
            Projection("in", "mid", (Scale(2.0), Linear(weight))),
            Projection("mid", "mid", Linear(np.full((4, 4), 0.1)), delay=1),
            Projection("mid", "out", (Flatten(), Linear(rng.normal(0, 1, (2, 4))))),
        ],
        dt="1 ms",
    )


def spikes(steps: int, samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((steps, samples, 6)) < 0.3).astype(np.float32)


def facts(c: Counts) -> tuple[object, ...]:
    return c.samples, c.sample_steps, c.dt, dict(c.projections), dict(c.populations)


def test_counts_of_batches_add_up_to_the_counts_of_all_samples() -> None:
    x = spikes(20, 5)
    whole = run(net(), x).counts
    parts = run(net(), x[:, :2]).counts + run(net(), x[:, 2:]).counts
    assert facts(parts) == facts(whole)


def test_counts_of_chunks_continue_to_the_counts_of_the_whole() -> None:
    x = spikes(20, 3)
    first = run(net(), x[:7])
    second = run(net(), x[7:], state=first.state)
    assert facts(first.counts.then(second.counts)) == facts(run(net(), x).counts)


def test_totals_leave_out_inputs_and_unweighted_ops() -> None:
    c = run(net(3.0), spikes(30, 2)).counts
    scaled, weighted = c.projections["in->mid"]
    assert not scaled.weighted and weighted.weighted and scaled.synaptic_ops > 0
    recurrent, (flat, last) = c.projections["mid->mid"][0], c.projections["mid->out"]
    assert (flat.synaptic_ops, flat.dense_ops) == (0, 0)
    assert c.synaptic_ops == weighted.synaptic_ops + recurrent.synaptic_ops + last.synaptic_ops
    assert c.dense_ops == 60 * (24 + 16 + 8)
    assert c.spikes == c.populations["mid"].spikes > 0
    assert c.populations["in"].spikes == int(spikes(30, 2).sum())
    assert c.neuron_updates == 60 * (4 + 2)
    assert [c.populations[n].model for n in ("in", "mid", "out")] == ["input", "LIF", "LI"]
    assert [c.populations[n].spiking for n in ("in", "mid", "out")] == [True, True, False]
    assert c.populations["mid"].per_update == {"add": 3, "mul": 1, "compare": 1}


def test_the_operand_of_a_sum_is_the_widest_one() -> None:
    x = spikes(10, 1)
    kinds = []
    for scale in (1, 2, 0.5):
        kinds.append(run(net(), scale * x).counts)
    assert [c.projections["in->mid"][0].operand for c in kinds] == ["binary", "integer", "real"]
    assert (kinds[0] + kinds[2] + kinds[1]).projections["in->mid"][0].operand == "real"
    assert (kinds[1] + kinds[0]).projections["in->mid"][0].operand == "integer"


def test_many_spikes_are_counted_exactly() -> None:
    # A float32 sum of more than 2^24 ones loses some of them.
    n = 2**24 + 3
    junction = Network(
        {"in": Population((n,), kind="input"), "out": Population((n,))}, [Projection("in", "out")], dt="1 ms"
    )
    assert run(junction, np.ones((1, 1, n), np.float32)).counts.populations["in"].spikes == n


def test_counts_that_do_not_belong_together_are_refused() -> None:
    a = run(net(), spikes(5, 2)).counts
    with pytest.raises(ShapeError, match="3 samples continue 2"):
        a.then(run(net(), spikes(5, 3)).counts)
    other = Network(
        {"in": Population((6,), kind="input"), "out": Population((6,))}, [Projection("in", "out")], dt="1 ms"
    )
    with pytest.raises(ShapeError, match="different networks"):
        a + run(other, spikes(5, 2)).counts
    for twin in (replace(a, dt=2e-3), replace(a, back_end="event")):
        with pytest.raises(ShapeError, match="expected one back-end and one dt"):
            a + twin
    for wrong in (None, 3, run(net(), spikes(5, 2))):
        for join in (a.then, a.__add__):
            with pytest.raises(UnsupportedError, match=r"expected Counts; pass run\.counts"):
                join(wrong)  # type: ignore[arg-type]
