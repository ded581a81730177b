"""Energy as bars and as a section: nothing invisible, nothing added up that does not belong together."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikelab.counts import Counts, PopulationCount
from spikelab.errors import UnsupportedError
from spikelab.hardware.accounting import EnergyReport, EnergyRow, energy
from spikelab.hardware.costing import Interval, cost_table
from spikelab.ops import OpCount
from spikelab.report import energy_bars, energy_basis, energy_section, energy_text


def row(
    place: str, term: str, joules: float, category: str = "dynamic", bounds: tuple[float, float] | None = None
) -> EnergyRow:
    low, high = bounds or (joules, joules)
    return EnergyRow(
        place, term, category, 10, Interval(joules / 10), Interval(joules, low, high), "derived", "a paper"
    )


def report(*rows: EnergyRow, samples: int = 2, **more: Any) -> EnergyReport:
    options = {"not_counted": ("static power",), "notes": ("one state each",)} | more
    return EnergyReport(cost_table("45nm"), "a run", samples, 20, rows=rows, **options)


def drawn(energies: EnergyReport, category: str = "dynamic") -> Axes:
    ax = Figure(figsize=(5, 6), layout="constrained").add_subplot()
    energy_bars(ax, energies, category)
    ax.figure.savefig("/dev/null", format="svg")
    return ax


def counted() -> Counts:
    """A run of a real shape: 100 -> 20, spikes in, 3 samples of 10 steps."""
    op = OpCount("Linear", "binary", 300, 6000, 60000, 30, True)
    populations = {
        "in": PopulationCount("input", 100, 0, 300, {}, True),
        "out": PopulationCount("LIF", 20, 600, 50, {"add": 2, "mul": 1, "compare": 1}, True),
    }
    return Counts("float", 3, 30, 1e-3, {"in->out": (op,)}, populations)


def test_terms_of_a_place_are_stacked_per_inference() -> None:
    ax = drawn(report(row("a", "AC", 4e-9), row("a", "neuron add", 2e-9), row("b", "AC", 6e-9)))
    assert ax.get_xscale() == "linear"
    assert [p.get_x() for p in ax.patches] == pytest.approx([0, 2, 0])
    assert [p.get_width() for p in ax.patches] == pytest.approx([2, 1, 3])
    assert ax.get_xlabel() == "dynamic energy of an inference (nJ)"
    assert [t.get_text() for t in ax.texts] == ["a", "3.00 nJ", "b", "3.00 nJ"]


def test_a_place_a_thousand_times_larger_makes_the_axis_logarithmic() -> None:
    ax = drawn(report(row("large", "AC", 1e-6), row("small", "AC", 1e-9), row("nothing", "AC", 0.0)))
    assert ax.get_xscale() == "log"
    left, right = ax.get_xlim()
    assert len(ax.patches) == 2
    assert all(left < p.get_width() < right for p in ax.patches)
    assert "logarithmic: lengths do not add up" in ax.get_xlabel()
    assert "0 J" in [t.get_text() for t in ax.texts]


def test_bounds_are_drawn_where_they_differ() -> None:
    ax = drawn(report(row("a", "weight read", 4e-9, "memory", (2e-9, 8e-9)), samples=1), "memory")
    assert ax.lines[0].get_xdata().tolist() == pytest.approx([2, 8])
    assert not drawn(report(row("a", "AC", 4e-9))).lines


def test_all_zero_still_has_an_axis() -> None:
    assert drawn(report(row("a", "AC", 0.0))).get_xlim() == (0, 1)


def test_the_ann_of_equal_shape_stands_beside_its_place() -> None:
    ax = drawn(energy(counted()))
    legend = ax.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()][-1] == "ANN of equal shape"


def test_more_terms_than_colours_differ_by_hatching() -> None:
    ax = drawn(report(*[row("a", f"term {k}", 1e-9) for k in range(12)]))
    assert len({(p.get_facecolor(), p.get_hatch()) for p in ax.patches}) == 12


@pytest.mark.parametrize(
    ("category", "message"), [("dynamics", "did you mean 'dynamic'"), ("static", "one of dynamic")]
)
def test_bars_refuse_a_category_that_is_not_there(category: str, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        drawn(report(row("a", "AC", 1e-9)), category)


def test_text_keeps_the_sums_apart_and_says_what_is_missing() -> None:
    text = energy_text(report(row("a", "AC", 4e-9), row("a", "weight read", 8e-9, "memory", (2e-9, 2e-8))))
    assert text == "2.00 nJ dynamic; 4.00 nJ memory (1.00 nJ to 10.0 nJ); static not counted"
    assert (
        energy_basis(report(row("a", "AC", 1e-9))) == "Estimate: counted operations x cost table 45nm (basis: derived)."
    )


def test_section_has_every_row_its_source_and_what_is_not_counted() -> None:
    energies = energy(counted())
    section = energy_section(energies)
    lines, ann, left_out = section.tables.values()
    assert [(r["place"], r["term"], r["category"]) for r in lines] == [
        (r.place, r.term, r.category) for r in energies.rows
    ]
    assert energies.ann is not None
    assert len(ann) == len(energies.ann.ann.rows)
    for shown, known in zip(lines, energies.rows, strict=True):
        assert section.notes[int(str(shown["source"]).strip("[]")) - 1] == known.source
        assert shown["basis"] == known.basis
    assert [r["what"] for r in left_out] == [*energies.not_counted, *energies.notes]
    assert "estimates, not measurements" in section.text[0]
    assert len(section.pictures) == 2  # dynamic and memory; the table knows no static power


@pytest.mark.parametrize("table", ["45nm", "loihi-2018", "spinnaker-1"])
def test_section_of_every_table_can_be_drawn(table: str) -> None:
    for picture in energy_section(energy(counted(), table)).pictures:
        ax = Figure(layout="constrained").add_subplot()
        picture.draw(ax)
        assert ax.get_xlabel().partition("\n")[0].rstrip(",").endswith("J)")


def test_section_without_an_ann_says_so() -> None:
    section = energy_section(report(row("a", "AC", 1e-9)))
    assert any(t.startswith("No ANN stands beside it") for t in section.text)
