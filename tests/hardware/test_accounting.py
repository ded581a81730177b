"""Counts times figures: closed forms, SANA-FE's totals, spikingjelly's counts, and nothing silently zero."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.clocked import run
from spikelab.counts import Counts, PopulationCount
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.hardware.accounting import ann_energy, energy
from spikelab.hardware.costing import cost_table
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LI, LIF
from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Scale, SumPool2d
from spikelab.ops.op import OpCount

HERE = Path(__file__)
GOLDEN = HERE.parents[1] / "golden" / "sanafe_loihi.json"
ORACLE = HERE.parents[3] / "shared" / "oracles" / "energy"
PJ = 1e-12


def counts(synaptic_ops: int = 60, samples: int = 2, steps: int = 10, operand: Any = "binary", **more: Any) -> Counts:
    """One layer of 4 x 3 over `steps` steps in all."""
    op = OpCount("Linear", operand, synaptic_ops // 3, synaptic_ops, 12 * steps, steps, True)
    populations = {
        "in": PopulationCount("input", 4, 0, synaptic_ops // 3, {}, True),
        "out": PopulationCount("LIF", 3, 3 * steps, 7, {"add": 3, "mul": 1, "compare": 1}, True),
    }
    return replace(Counts("test", samples, steps, 1e-3, {"in->out": (op,)}, populations), **more)


def test_closed_form_of_one_layer_at_45_nm() -> None:
    report = energy(counts(), memory="sram-block")
    rows = {(r.place, r.term): r.energy.value / PJ for r in report.rows}
    assert rows == pytest.approx(
        {
            ("in->out", "AC"): 60 * 0.9,
            ("out", "neuron add"): 90 * 0.9,
            ("out", "neuron mul"): 30 * 3.7,
            ("out", "neuron compare"): 30 * 0.9,
            ("in->out", "weight read"): 60 * 5.0,
            ("out", "state read + write"): 60 * 5.0,
        }
    )
    assert report.totals["dynamic"].value / PJ == pytest.approx(60 * 0.9 + 90 * 0.9 + 30 * 3.7 + 30 * 0.9)
    assert report.totals["memory"].value / PJ == pytest.approx(600)
    assert report.totals["static"].value == 0
    assert "static power" in report.not_counted
    assert report.per_sample["dynamic"].value == pytest.approx(report.totals["dynamic"].value / 2)
    assert report.layers["in->out"]["memory"].value / PJ == pytest.approx(300)


@pytest.mark.parametrize(("operand", "each"), [("binary", 0.9), ("integer", 4.6), ("real", 4.6)])
def test_only_binary_operands_are_accumulates(operand: str, each: float) -> None:
    row = energy(counts(operand=operand)).rows[0]
    assert row.term == ("AC" if operand == "binary" else "MAC")
    assert row.energy.value == pytest.approx(60 * each * PJ)
    assert "Horowitz" in row.source
    assert row.basis == "derived"


@pytest.mark.parametrize(("number", "ac", "mac"), [("int8", 0.03, 0.23), ("int32", 0.1, 3.2), ("fp16", 0.4, 1.5)])
def test_number_formats(number: str, ac: float, mac: float) -> None:
    assert energy(counts(), number=number).rows[0].energy.value == pytest.approx(60 * ac * PJ)
    report = energy(counts(operand="real"), number=number)
    assert report.rows[0].energy.value == pytest.approx(60 * mac * PJ)
    assert any("neuron compare, 30 times" in x for x in report.not_counted)  # no figure: named, not zero


def test_memory_is_apart_and_carries_the_spread_of_its_readings() -> None:
    report = energy(counts())
    total = report.totals["memory"]
    assert total.low == pytest.approx(120 * 5 * PJ)
    assert total.value == pytest.approx(120 * 16.05737 * PJ, rel=1e-5)
    assert total.high == pytest.approx(120 * 104.6358 * PJ, rel=1e-4)
    assert report.totals["dynamic"].low == report.totals["dynamic"].high
    exact = energy(counts(), capacity="8 KiB").totals["memory"]
    assert (exact.low, exact.value) == pytest.approx((120 * 5 * PJ, 120 * 10 * PJ))
    without = energy(counts(), memory=None)
    assert not any(r.category == "memory" for r in without.rows)
    assert any(x.startswith("memory accesses") for x in without.not_counted)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(["45nm", "loihi-2018", "spinnaker-1"]))
def test_energies_of_two_runs_add_up(n: int, m: int, table: str) -> None:
    a, b = counts(3 * n, samples=2, steps=10), counts(3 * m, samples=5, steps=40)
    parts, whole = (energy(a, table), energy(b, table)), energy(a + b, table)
    for category, total in whole.totals.items():
        for bound in ("value", "low", "high"):
            split = sum(getattr(p.totals[category], bound) for p in parts)
            assert getattr(total, bound) == pytest.approx(split, rel=1e-12)
    assert whole.samples == 7


def test_counts_beyond_float32_stay_exact() -> None:
    big = counts(3 * (2**31 + 1))
    assert energy(big).rows[0].count == 3 * (2**31 + 1)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return dict(json.loads(GOLDEN.read_text())["cases"])


def sanafe_counts(case: dict[str, Any]) -> Counts:
    steps = case["steps"]
    populations: dict[str, PopulationCount] = {
        n: PopulationCount(
            "LIF", p["neurons"], p["neurons"] * steps, p["spikes"], {}, True, active_updates=p["active_updates"]
        )
        for n, p in case["populations"].items()
        if n != "in"
    }
    source = case["populations"]["in"]
    populations["in"] = PopulationCount("input", source["neurons"], 0, source["spikes"], {}, True)
    projections = {
        n: (OpCount("Linear", "binary", p["active"], p["synaptic_events"], 0, steps, True),)
        for n, p in case["projections"].items()
    }
    return Counts("sanafe", 1, steps, 1e-3, projections, populations)


@pytest.mark.parametrize("name", ["oracle", "spread", "silent"])
def test_loihi_totals_equal_sana_fe_on_equal_counts(name: str, golden: dict[str, Any]) -> None:
    case = golden[name]
    hops = {"hop_east_west": case["hops_east_west"], "hop_north_south": case["hops_north_south"]}
    report = energy(sanafe_counts(case), "loihi-2018", neurons_per_core=None if name == "oracle" else 20, extra=hops)
    part = {"synapse": 0.0, "soma": 0.0, "network": 0.0}
    for r in report.rows:
        part["synapse" if r.term.startswith("synapse") else "network" if r.term[:3] in ("mes", "hop") else "soma"] += (
            r.energy.value
        )
        assert r.energy.low == r.energy.high
        assert r.basis == "pre-silicon"
    for key, value in part.items():
        assert value == pytest.approx(case["energy_J"][key], rel=1e-12), key
    assert report.totals["dynamic"].value == pytest.approx(case["energy_J"]["total"], rel=1e-12)
    messages = sum(r.count for r in report.rows if r.term == "message_out")
    assert messages == case["packets"]
    assert "static power" in report.not_counted


def test_loihi_oracle_has_the_published_total(golden: dict[str, Any]) -> None:
    assert golden["oracle"]["energy_J"]["total"] == pytest.approx(366.0622e-9)


def test_loihi_takes_spikes_only() -> None:
    real = energy(counts(operand="real"), "loihi-2018")
    assert not any(r.term.startswith(("synapse", "message")) for r in real.rows)
    assert any("in->out: Linear, 60 operations" in x for x in real.not_counted)
    assert any("transport of values" in x for x in real.not_counted)
    graded = energy(counts(operand="integer"), "loihi-2018")
    assert any("lower bound" in n for n in graded.notes)


def test_hops_are_named_until_they_are_given() -> None:
    assert any(x.startswith("hop_east_west") for x in energy(counts(), "loihi-2018").not_counted)
    report = energy(counts(), "loihi-2018", extra={"hop_east_west": 100})
    assert not any(x.startswith("hop_east_west") for x in report.not_counted)
    assert report.layers["network"]["dynamic"].value == pytest.approx(300 * PJ)


def test_spinnaker_static_is_cores_and_chips_times_time() -> None:
    c = counts(steps=1000)
    report = energy(c, "spinnaker-1")
    assert report.totals["static"].value == pytest.approx((2 * 0.034 + 0.35) * 1.0)
    assert report.totals["dynamic"].value == pytest.approx(20 * 1e-9)
    assert any(x.startswith("synaptic operations: 60") for x in report.not_counted)
    assert any(x.startswith("neuron updates: 3,000") for x in report.not_counted)
    crowded = energy(c, "spinnaker-1", neurons_per_core=1)  # 7 cores
    assert crowded.totals["static"].value == pytest.approx(7 * 0.034 + 0.35)
    many = replace(c, populations=dict(c.populations) | {"x": PopulationCount("LIF", 4000, 0, 0, {}, True)})
    assert energy(many, "spinnaker-1").totals["static"].value == pytest.approx(18 * 0.034 + 2 * 0.35)
    board = energy(c, "spinnaker-1", extra={"board_idle": 1.0})  # in place of its chips
    assert board.totals["static"].value == pytest.approx(2 * 0.034 + 26.84)


def test_tables_without_multiplication_have_no_ann_beside_them() -> None:
    for table in ("loihi-2018", "spinnaker-1"):
        report = energy(counts(), table)
        assert report.ann is None
        assert "tables are not mixed" in str(report)
        with pytest.raises(UnsupportedError, match="an ANN needs both"):
            ann_energy(counts(), table)


def test_the_ann_of_equal_shape_does_its_macs_once_per_sample() -> None:
    c = counts(samples=2, steps=10)
    report = energy(c)
    beside = report.ann
    assert beside is not None
    assert beside.ann.totals["dynamic"].value == pytest.approx(2 * 12 * 4.6 * PJ)
    assert beside.dense.totals["dynamic"].value == pytest.approx((120 * 0.9 + 30 * (3 * 0.9 + 3.7 + 0.9)) * PJ)
    assert beside.ratio == pytest.approx(report.totals["dynamic"].value / (24 * 4.6 * PJ))
    assert beside.dense_ratio == pytest.approx(beside.dense.totals["dynamic"].value / (24 * 4.6 * PJ))
    assert beside.rate == 0.5
    assert beside.break_even_rate == pytest.approx(4.6 / (5 * 0.9))  # MAC over T additions, T = 5 steps a sample
    assert ann_energy(c).totals == beside.ann.totals
    assert "activation functions" in beside.ann.not_counted[0]


def test_at_the_break_even_rate_additions_cost_what_the_macs_cost() -> None:
    c = counts(samples=1, steps=20)
    beside = energy(c).ann
    assert beside is not None
    at = round(beside.break_even_rate * 12 * 20 * 10**6)
    additions = energy(counts(at, samples=1, steps=20)).rows[0].energy.value / 10**6
    assert additions == pytest.approx(beside.ann.totals["dynamic"].value, rel=1e-6)


def recurrent() -> Network:
    rng = np.random.default_rng(0)
    return Network(
        {
            "in": Population((6,), kind="input"),
            "hidden": Population((5,), LIF()),
            "out": Population((2,), LI()),
        },
        [
            Projection("in", "hidden", (Linear(rng.normal(size=(5, 6))),)),
            Projection("hidden", "hidden", (Linear(rng.normal(size=(5, 5))),), delay=1),
            Projection("hidden", "out", (Linear(rng.normal(size=(2, 5))),)),
        ],
        dt="1 ms",
    )


def test_a_recurrent_ann_reads_the_sequence_with_every_op() -> None:
    x = (np.random.default_rng(1).random((8, 3, 6)) < 0.4).astype(np.float32)
    c = run(recurrent(), x).counts
    report = ann_energy(c)
    assert {r.place: r.count for r in report.rows if r.term == "MAC"} == {
        "in->hidden": 8 * 3 * 30,
        "hidden->hidden": 8 * 3 * 25,
        "hidden->out": 8 * 3 * 10,
    }
    assert "recurrent (hidden->hidden): each op once per step" in report.notes[0]
    shape = ann_energy(recurrent())
    assert [r.count for r in shape.rows if r.term == "MAC"] == [30, 25, 10]
    assert report.notes[0] in str(energy(c))


def test_a_cycle_over_two_populations_is_found() -> None:
    net = Network(
        {"in": Population((2,), kind="input"), "a": Population((2,), IF()), "b": Population((2,), IF())},
        [
            Projection("in", "a", (Linear(np.eye(2)),)),
            Projection("a", "b", (Linear(np.eye(2)),)),
            Projection("b", "a", (Linear(np.eye(2)),), delay=1),
            Projection("in", "a", (Linear(np.eye(2)),)),
        ],
        dt="1 ms",
    )
    c = run(net, np.ones((4, 1, 2), np.float32)).counts
    report = ann_energy(c)
    assert "(a->b, b->a)" in report.notes[0]
    assert {r.place: r.count for r in report.rows if r.term == "MAC"} == {
        "in->a": 16,
        "a->b": 16,
        "b->a": 16,
        "in->a#2": 16,
    }
    messages = [r for r in energy(c, "loihi-2018").rows if r.term == "message_out"]
    assert [r.place for r in messages] == ["in->a", "a->b", "b->a"]  # the pair that is joined twice pays once


def test_pooling_and_scaling_are_counted_as_what_they_are() -> None:
    w = np.ones((3, 2 * 2 * 2), np.float32)
    for pool, missing in ((SumPool2d(2), False), (AvgPool2d(2), True)):
        net = Network(
            {"in": Population((2, 4, 4), kind="input"), "out": Population((3,), IF())},
            [Projection("in", "out", (pool, Scale(0.5), Flatten(), Linear(w)))],
            dt="1 ms",
        )
        c = run(net, np.ones((1, 1, 2, 4, 4), np.float32)).counts
        report = energy(c)
        assert [(r.term, r.count) for r in report.rows[:3]] == [(type(pool).__name__, 32), ("Scale", 8), ("MAC", 24)]
        assert report.layers["in->out"]["dynamic"].value == pytest.approx((32 * 0.9 + 8 * 3.7 + 24 * 4.6) * PJ)
        assert any("division of AvgPool2d" in x for x in report.not_counted) is missing
        loihi = energy(c, "loihi-2018")
        assert any(f"in->out: {type(pool).__name__}, 32 operations" in x for x in loihi.not_counted)


def test_an_op_without_a_rule_is_listed_by_name() -> None:
    c = counts()
    odd = OpCount("MaxPool2d", "binary", 5, 77, 80, 10, False)
    report = energy(replace(c, projections={"in->out": (odd, *c.projections["in->out"])}))
    assert any("in->out: MaxPool2d, 77 operations" in x for x in report.not_counted)
    assert not any(r.term == "MaxPool2d" for r in report.rows)


def test_a_neuron_operation_without_a_figure_is_listed_by_name() -> None:
    c = counts()
    odd = replace(c.populations["out"], per_update={"add": 1, "exp": 2})
    report = energy(replace(c, populations=dict(c.populations) | {"out": odd}))
    assert any("out: neuron exp, 60 times" in x for x in report.not_counted)


def test_junctions_pass_spikes_on_without_hardware_of_their_own() -> None:
    net = Network(
        {"a": Population((4,), kind="input"), "sum": Population((4,)), "out": Population((2,), IF())},
        [Projection("a", "sum"), Projection("sum", "out", (Linear(np.ones((2, 4))),))],
        dt="1 ms",
    )
    x = np.zeros((3, 1, 4), np.float32)
    x[0, 0, :2] = 1
    report = energy(run(net, x).counts, "loihi-2018")
    assert {r.place: r.count for r in report.rows if r.term == "message_out"} == {"sum->out": 2}
    assert any("a->sum: a junction is no hardware" in n for n in report.notes)
    assert "sum" not in report.layers


def test_labels_that_join_nothing_are_refused() -> None:
    with pytest.raises(ShapeError, match="'a->b'"):
        energy(replace(counts(), projections={"a->b": counts().projections["in->out"]}))


def test_nothing_counted_gives_zero_and_no_ann() -> None:
    report = energy(Counts("test", 0, 0, 1e-3, {}, {}))
    assert report.totals["dynamic"].value == 0
    assert report.ann is None
    assert "Sources:" in str(report)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"costs": "45"}, UnsupportedError, "cost table '45': unknown"),
        ({"number": "fp64"}, UnsupportedError, "number format 'fp64'.*fp16, fp32"),
        ({"memory": "flash"}, UnsupportedError, "memory 'flash'"),
        ({"capacity": "3 apples"}, UnitError, "capacity"),
        ({"neurons_per_core": 0}, UnsupportedError, "neurons_per_core: found 0"),
        ({"neurons_per_core": 2.5}, UnsupportedError, r"found 2\.5"),
        ({"extra": {"hop": 1}}, UnsupportedError, "extra 'hop'"),
        ({"costs": "loihi-2018", "extra": {"hop_east": 1}}, UnsupportedError, "did you mean 'hop_east_west'"),
        ({"costs": "loihi-2018", "extra": {"message_out": 1}}, UnsupportedError, "extra 'message_out'"),
        ({"costs": "loihi-2018", "extra": {"hop_east_west": -1}}, UnsupportedError, "0 or more"),
        ({"costs": "loihi-2018", "memory": "dram"}, UnsupportedError, "memory 'dram'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        energy(counts(), **options)


def test_the_printed_report_names_every_figure_and_what_is_missing() -> None:
    report = energy(counts())
    text = str(report)
    lines = text.splitlines()
    assert max(map(len, lines[3 : lines.index("", 3)])) <= 120
    for r in report.rows:
        assert any(r.place in line and r.term in line and str(r.energy) in line and r.basis in line for line in lines)
        assert r.source in text
    for x in (*report.not_counted, *report.notes):
        assert f"- {x}" in text
    assert "per sample" in text
    assert "ANN of equal shape, each op once per sample" in text
    header, *rows = lines[3 : lines.index("", 3)]
    column = header.index("basis")
    assert all(row[column:].startswith(("derived", "proxy")) for row in rows)  # aligned


@pytest.mark.parametrize("table", ["45nm", "loihi-2018", "spinnaker-1"])
def test_the_report_survives_json(table: str) -> None:
    report = energy(counts(), table)
    d = report.to_dict()
    assert json.loads(json.dumps(d)) == d
    assert d["totals_J"]["dynamic"]["value"] == report.totals["dynamic"].value
    assert sum(r["energy"]["value"] for r in d["rows"] if r["category"] == "dynamic") == pytest.approx(
        report.totals["dynamic"].value
    )
    assert ("ann" in d) is (table == "45nm")


def test_a_table_of_ones_own_is_used(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "m"\ntitle = "t"\nnode = "7 nm"\n[sources]\ns = "someone, 2026"\n[entry.syn]\nvalue = "2 pJ"\n'
        'low = "1 pJ"\nhigh = "5 pJ"\nper = "synaptic event"\nbasis = "measured"\nsource = "s"\n'
    )
    total = energy(counts(), path).totals["dynamic"]
    assert (total.low, total.value, total.high) == pytest.approx((60 * PJ, 120 * PJ, 300 * PJ))
    assert energy(counts(), cost_table(path)).totals["dynamic"] == total


@pytest.mark.skipif(not ORACLE.exists(), reason="../shared/oracles/energy is not there")
def test_synaptic_operations_and_accesses_equal_spikingjelly() -> None:
    """Their network on our clocked reference.

    Exact: spikes into each layer, synaptic operations (borders left out), bytes of weights and states,
    memory energy. Not compared: their `ac` of 189,102, which adds tensor operations inside their neurons to
    the 86,404 synaptic ones; "0.17 uJ" is that count times 0.9 pJ.
    """
    data, reference = (
        np.load(ORACLE / "spikingjelly_reference.npz"),
        json.loads((ORACLE / "spikingjelly_reference.json").read_text()),
    )
    fire, lif = IF(comparison=">="), LIF(tau_mem=2.0, input_gain="dt/tau", comparison=">=")  # tau = 2 steps, Euler
    net = Network(
        {
            "in": Population((2, 16, 16), kind="input"),
            "c1": Population((8, 16, 16), fire),
            "c2": Population((16, 8, 8), fire),
            "d1": Population((32,), lif),
            "d2": Population((10,), fire),
        },
        [
            Projection("in", "c1", (Conv2d(data["w0"], padding=1),)),
            Projection("c1", "c2", (Conv2d(data["w1"], padding=1, stride=2),)),
            Projection("c2", "d1", (Flatten(), Linear(data["w2"]))),
            Projection("d1", "d2", (Linear(data["w3"]),)),
        ],
        dt="1 s",
        discretisation="euler",
    )
    c = run(net, data["x"]).counts
    into = [ops[0].active for ops in c.projections.values()]
    assert into == list(reference["spikes_into_layer"].values())
    theirs = reference["simple"]["counts"]
    assert c.synaptic_ops == theirs["synop"] == 86_404
    report = energy(c, memory="step")
    accesses = {
        term: sum(r.count for r in report.rows if r.term == term) for term in ("weight read", "state read + write")
    }
    assert 4 * accesses["weight read"] == theirs["weight_read_bytes"]
    assert 4 * accesses["state read + write"] == theirs["neuron_state_read_bytes"] + theirs["neuron_state_write_bytes"]
    assert report.totals["memory"].value / PJ == pytest.approx(reference["simple"]["energy_memory_pj"], rel=1e-12)
    additions = sum(r.energy.value for r in report.rows if r.term == "AC")
    assert additions / PJ == pytest.approx(86_404 * 0.9, rel=1e-12)
    figure = cost_table("45nm").arithmetic("add", "fp32")
    assert figure is not None
    assert theirs["ac"] * figure.each.value / PJ == pytest.approx(reference["simple"]["energy_ac_pj"], rel=1e-12)


@pytest.mark.skipif(not ORACLE.exists(), reason="../shared/oracles/energy is not there")
def test_int32_arithmetic_and_interpolated_sram_equal_spikingjelly_lemaire() -> None:
    lemaire = json.loads((ORACLE / "spikingjelly_reference.json").read_text())["lemaire"]
    table, n = cost_table("45nm"), lemaire["counts"]
    add, mac = table.arithmetic("add", "int32"), table.mac("int32")
    assert add is not None
    assert mac is not None
    ops = (n["ac"] * add.each.value + n["mac"] * mac.each.value) / PJ
    addresses = (n["acc_addr"] * add.each.value + n["mac_addr"] * mac.each.value) / PJ
    assert ops == pytest.approx(lemaire["breakdown_pj"]["ops_pj"], rel=1e-12)
    assert addresses == pytest.approx(lemaire["breakdown_pj"]["addressing_pj"], rel=1e-12)


@pytest.mark.parametrize("wrong", [None, 3, "x"])
def test_only_networks_and_counts_have_an_ann(wrong: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"ann_energy: found .*; expected a Network or Counts"):
        ann_energy(wrong)


@pytest.mark.parametrize("table", ["45nm", "loihi-2018", "spinnaker-1"])
def test_a_report_has_no_empty_block(table: str) -> None:
    lines = str(energy(counts(), table)).splitlines()
    assert not any(
        a in ("Assumptions:", "Not counted:") and not b.startswith("-") for a, b in itertools.pairwise(lines)
    )
    assert "(pass extra" not in "".join(lines)
