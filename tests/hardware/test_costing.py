"""The shipped tables hold what was read, and a table that does not hold up is refused with its place."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError, UnitError, UnsupportedError
from spikelab.hardware.costing import (
    BASES,
    COUNTED,
    Interval,
    capacity_bytes,
    cost_table,
    cost_tables,
)

GOOD = """
name = "mine"
title = "my chip"
node = "28 nm"

[sources]
me = "N. N., My Chip, 2026, Table 2"

[entry.synapse]
value = "2.5 pJ"
low = "2 pJ"
high = "3 pJ"
per = "synaptic event"
ops = ["Linear"]
basis = "measured"
source = "me"

[entry.wake]
value = "1 nJ"
per = "message"
basis = "proxy"
source = "me"
node = "22 nm"
note = "of another chip"

[memory.block]
level = "sram"
points = [[0, "1 pJ"], [1024, "2 pJ"]]
word_bits = 32
shared = false
basis = "derived"
source = "me"

[mapping]
neurons_per_core = 64
cores_per_chip = 8
basis = "derived"
source = "me"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    table = cost_table(written(tmp_path, GOOD))
    synapse, wake = table.entries["synapse"], table.entries["wake"]
    assert (table.name, table.node, synapse.node, wake.node) == ("mine", "28 nm", "28 nm", "22 nm")
    assert synapse.each == Interval(2.5e-12, 2e-12, 3e-12, "J")
    assert wake.each.low == wake.each.high == wake.each.value == 1e-9
    assert synapse.source == "N. N., My Chip, 2026, Table 2"
    assert table.synapse("Linear") is synapse
    assert table.synapse("Conv2d") is None
    assert table.mapping is not None
    assert table.mapping.neurons_per_core == 64
    assert cost_table(table) is table
    assert cost_table(str(tmp_path / "mine.toml")).name == "mine"


@pytest.mark.parametrize("name", cost_tables())
def test_every_shipped_figure_has_unit_basis_node_and_source(name: str) -> None:
    table = cost_table(name)
    assert table.title
    assert table.note
    for e in (*table.entries.values(), *table.memory.values()):
        assert e.basis in BASES
        assert e.node.endswith("nm")
        assert len(e.source) > 20, e.name
        assert "recalled" not in e.source
    for e in table.entries.values():
        assert e.each.unit == COUNTED[e.per][0]
        assert 0 < e.each.low <= e.each.value <= e.each.high


def test_45nm_holds_the_figures_of_horowitz() -> None:
    table = cost_table("45nm")
    figures = {e.name: e.each.value for e in table.entries.values()}
    assert figures == pytest.approx(
        {
            "int8_add": 0.03e-12,
            "int8_mul": 0.2e-12,
            "int32_add": 0.1e-12,
            "int32_mul": 3.1e-12,
            "fp16_add": 0.4e-12,
            "fp16_mul": 1.1e-12,
            "fp32_add": 0.9e-12,
            "fp32_mul": 3.7e-12,
            "fp32_compare": 0.9e-12,
            "fp32_divide": 26.3e-12,
        },
        rel=1e-12,
    )
    mac = table.mac("fp32")
    assert mac is not None
    assert mac.each.value == pytest.approx(4.6e-12, rel=1e-12)
    assert table.mac("int16") is None


def test_loihi_holds_the_figures_of_the_sana_fe_file() -> None:
    figures = {e.name: e.each.value * 1e12 for e in cost_table("loihi-2018").entries.values()}
    assert figures == pytest.approx(
        {
            "synapse_dense": 35.5,
            "synapse_sparse": 33.6,
            "synapse_conv": 24.0,
            "soma_access": 51.2,
            "soma_update": 21.6,
            "spike_out": 69.3,
            "message_out": 111.0,
            "hop_east_west": 3.0,
            "hop_north_south": 4.2,
        },
        rel=1e-12,
    )


def test_spinnaker_has_no_figure_per_synaptic_event() -> None:
    table = cost_table("spinnaker-1")
    assert not table.per("synaptic event")
    assert {e.name: (e.each.value, e.each.unit) for e in table.entries.values()} == {
        "packet": (1e-9, "J"),
        "core_active": (0.034, "W"),
        "chip_idle": (0.35, "W"),
        "packet_payload": (1.8e-9, "J"),
        "router_pass": (1e-9, "J"),
        "board_idle": (26.84, "W"),
        "box_overhead": (5.04, "W"),
    }


@pytest.mark.parametrize(
    ("capacity", "interpolated", "affine", "block"),
    [
        (1024, 1.25, 13.289, 5.0),
        (8 * 1024, 10.0, 13.914, 5.0),
        (32 * 1024, 20.0, 16.057, 5.0),
        (1024 * 1024, 100.0, 104.636, 5.0),
        (4 * 1024 * 1024, 100.0, 378.943, 5.0),
    ],
)
def test_the_three_readings_of_sram(capacity: int, interpolated: float, affine: float, block: float) -> None:
    table = cost_table("45nm")
    found = {m.name: m.access(capacity, 32) * 1e12 for m in table.readings("sram")}
    expected = {"sram-interpolated": interpolated, "sram-affine": affine, "sram-block": block}
    assert found == pytest.approx(expected, abs=5e-4)
    each = table.access("sram", 32, capacity).each
    values = sorted(v * 1e-12 for v in found.values())
    assert (each.low, each.value, each.high) == pytest.approx(values, rel=1e-9)


def test_narrow_words_share_an_access_only_where_the_reading_says_so() -> None:
    readings = {m.name: m for m in cost_table("45nm").readings("sram")}
    block, affine = readings["sram-block"], readings["sram-affine"]
    assert block.access(8192, 8) == pytest.approx(10e-12 / 8)
    assert affine.access(8192, 8) == affine.access(8192, 32)
    assert affine.access(8192, 128) == pytest.approx(2 * affine.access(8192, 64))


def test_a_capacity_that_is_not_given_widens_the_bounds() -> None:
    table = cost_table("45nm")
    given_, open_ = table.access("sram", 32, "32 KiB").each, table.access("sram", 32).each
    assert open_.value == given_.value
    assert open_.low <= given_.low
    assert open_.high == pytest.approx(104.6358e-12, rel=1e-4)
    dram = table.access("dram", 64).each
    assert (dram.low, dram.value, dram.high) == pytest.approx((1.3e-9, 1.95e-9, 2.6e-9))


@given(st.floats(1, 2**24), st.sampled_from([8, 16, 32, 64]))
def test_larger_memories_never_cost_less(capacity: float, bits: int) -> None:
    for m in cost_table("45nm").memory.values():
        assert 0 < m.access(capacity, bits) <= m.access(2 * capacity, bits)


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UnsupportedError, match="did you mean 'loihi-2018'"):
        cost_table("loihi-2017")
    with pytest.raises(UnsupportedError, match="did you mean 'sram-block'"):
        cost_table("45nm").access("sram-blok", 32)


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"absent\.toml: No such file.*45nm"):
        cost_table(tmp_path / "absent.toml")
    with pytest.raises(FormatError, match=r"mine\.toml: not TOML"):
        cost_table(written(tmp_path, "name = "))
    bad = tmp_path / "bytes.toml"
    bad.write_bytes(b'name = "\xff"')
    with pytest.raises(FormatError, match="not TOML"):
        cost_table(bad)


WRONG = {
    "no source": ('source = "me"\n\n[entry.wake]', "[entry.wake]", FormatError, r"entry\.synapse: found no source"),
    "unknown source": ('source = "me"\n\n[entry', 'source = "em"\n\n[entry', FormatError, r"source: 'em'.*mean 'me'"),
    "empty citation": ("N. N., My Chip, 2026, Table 2", " ", FormatError, r"sources\.me: found ' '; expected a text"),
    "unknown key": ("low =", "lwo =", FormatError, r"entry\.synapse: key 'lwo': unknown; .*did you mean 'low'"),
    "unknown section": ("[mapping]", "[maping]", FormatError, "key 'maping': unknown"),
    "no unit": ('"2.5 pJ"', '"2.5"', UnitError, r"mine\.toml: entry\.synapse\.value: found '2.5' without a unit"),
    "a bare float": ('"2.5 pJ"', "2.5e-12", UnitError, "expected a text with a unit"),
    "a power": ('"2.5 pJ"', '"2.5 mW"', UnitError, "which is in W; expected a quantity in J"),
    "unknown unit": ('"2.5 pJ"', '"2.5 pX"', UnitError, "unit 'pX'"),
    "negative": ('low = "2 pJ"', 'low = "-2 pJ"', UnitError, r"entry\.synapse\.low: found '-2 pJ'"),
    "not a number": ('"2.5 pJ"', '"nan pJ"', UnitError, r"entry\.synapse\.value"),
    "infinite": ('"1 nJ"', '"1e999 nJ"', UnitError, "finite"),
    "bounds": ('low = "2 pJ"', 'low = "2.6 pJ"', UnitError, "low <= value <= high"),
    "unknown per": ('per = "message"', 'per = "mesage"', FormatError, "did you mean 'message'"),
    "unknown basis": ('basis = "proxy"', 'basis = "guess"', FormatError, "'guess': unknown; known are derived"),
    "a number format": ('per = "message"', 'per = "message"\nnumber = "fp32"', FormatError, "expected no number"),
    "no number format": ('per = "message"', 'per = "add"', FormatError, "number = one of"),
    "unknown op": ('ops = ["Linear"]', 'ops = ["Linar"]', FormatError, "did you mean 'Linear'"),
    "ops elsewhere": ('per = "message"', 'per = "message"\nops = ["Linear"]', FormatError, "synaptic event"),
    "no mapping": (GOOD[GOOD.index("[mapping]") :], "", FormatError, r"entry\.wake: found a figure per message and no"),
    "two figures": (
        'per = "message"',
        'per = "synaptic event"',
        FormatError,
        "second figure per synaptic event Linear",
    ),
    "two accountings": ('per = "message"', 'per = "add"\nnumber = "fp32"', FormatError, "one accounting"),
    "no entry": (
        GOOD[GOOD.index("[entry.synapse]") : GOOD.index("[memory")],
        "[entry]\n",
        FormatError,
        "entry: found none",
    ),
    "entry no section": (
        "[entry.wake]",
        "[entry]\nwake = 3\n[memory.wake]",
        FormatError,
        "entry.wake: found 3; expected",
    ),
    "sources no section": ('[sources]\nme = "N', 'sources = "N', FormatError, "sources: found 'N. N.*a section"),
    "falling points": ('[[0, "1 pJ"], [1024, "2 pJ"]]', '[[9, "1 pJ"], [9, "2 pJ"]]', FormatError, "at least 10"),
    "no points": ('[[0, "1 pJ"], [1024, "2 pJ"]]', "[]", FormatError, r"memory\.block\.points"),
    "shared": ("shared = false", 'shared = "no"', FormatError, "true or false"),
    "word": ("word_bits = 32", "word_bits = 0", FormatError, "whole number of at least 1"),
    "level": ('level = "sram"', 'level = "flash"', FormatError, "'flash': unknown"),
    "cores": ("cores_per_chip = 8\n", "", FormatError, "mapping: found no cores_per_chip"),
    "neurons": (
        "neurons_per_core = 64",
        "neurons_per_core = true",
        FormatError,
        r"mapping\.neurons_per_core: found True",
    ),
    "no name": ('name = "mine"\n', "", FormatError, "table: found no name"),
    "node": ('node = "28 nm"', "node = 28", FormatError, r"table\.node: found 28; expected a text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_hold_up_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    old, new, error, message = WRONG[case]
    assert old in GOOD
    with pytest.raises(error, match=message) as caught:
        cost_table(written(tmp_path, GOOD.replace(old, new, 1)))
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize("value", ["32", "32 kB", "-1 KiB", "0 B", 0, -1, math.nan, True, "1e3 B"])
def test_a_capacity_needs_bytes(value: object) -> None:
    with pytest.raises(UnitError, match="capacity"):
        capacity_bytes(value)  # type: ignore[arg-type]


def test_capacities() -> None:
    assert [capacity_bytes(v) for v in ("1 B", "1.5 KiB", "2MiB", "1 GiB", 7)] == [1, 1536, 2**21, 2**30, 7]


def test_intervals_are_printed_with_a_fitting_prefix() -> None:
    values = (0.0, 3e-14, 9e-13, 2.36e-11, 9.99999e-10, 1e-9, 1.5e-6, 0.034, 2.5)
    texts = ["0 pJ", "0.03 pJ", "0.9 pJ", "23.6 pJ", "1 nJ", "1 nJ", "1.5 uJ", "34 mJ", "2.5 J"]
    assert [str(Interval(v, v, v)) for v in values] == texts
    assert Interval(1.0, 1.0, 1.0, "W").bounds == ""


@pytest.mark.parametrize("wrong", [None, 3, {}, b"45nm"])
def test_a_table_of_another_type_is_unknown(wrong: object) -> None:
    with pytest.raises(UnsupportedError, match=r"cost table .*: unknown; known are 45nm"):
        cost_table(wrong)  # type: ignore[arg-type]
