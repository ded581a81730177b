"""Energy of a run as bars and as a table: estimates from counted operations, each figure with its source.

The sums of an `EnergyReport` (dynamic, memory, static) are never added up, so each is a plot of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from spikelab.errors import UnsupportedError, unknown_name
from spikelab.hardware.accounting import AnnComparison, EnergyReport
from spikelab.hardware.costing import BASES, Interval
from spikelab.report.lettering import common_prefix, count_text, share_text, shortened, with_prefix
from spikelab.report.page import Picture, Section
from spikelab.report.plots import COLOURS, GREY, bar_line

__all__ = ["energy_bars", "energy_basis", "energy_section", "energy_text"]

_CATEGORIES = ("dynamic", "memory", "static")
_VISIBLE = 0.015  # share of the longest bar below which a piece of a bar is no longer seen
_HATCHES = ("", "///", "xxx", "...")
_ANN = "ANN of equal shape"


class _Bars(NamedTuple):
    """Joules of an inference by place and term, of the ANN by place, all terms, and the kind of axis."""

    places: Mapping[str, Mapping[str, Interval]]
    ann: Mapping[str, Interval]
    terms: tuple[str, ...]
    stacked: bool

    @property
    def lines(self) -> float:
        """Height in lines of text."""
        bars = sum(
            1 if self.stacked else sum(1 for j in terms.values() if j.value > 0) for terms in self.places.values()
        )
        return 1.3 * len(self.places) + 0.62 * (bars + sum(1 for j in self.ann.values() if j.value > 0))


def energy_bars(ax: Axes, report: EnergyReport, category: str = "dynamic") -> None:
    """Draw the energy of an inference by place and term, with an ANN of equal shape beside it.

    The terms of a place are stacked on a linear axis if every piece can be seen; otherwise they stand
    one under the other on a logarithmic axis. A thin line gives the bounds where they differ. What
    costs nothing has a line of text and no bar.

    Args:
        ax: where to draw; each place takes three lines of text in height, or more if not stacked.
        report: energies of a run.
        category: `"dynamic"`, `"memory"` or `"static"`.

    Raises:
        UnsupportedError: an unknown category, or the report has no row of it.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from spikelab.hardware.accounting import EnergyRow
        >>> from spikelab.hardware.costing import cost_table
        >>> row = EnergyRow("in->out", "AC", "dynamic", 10, Interval(1e-12), Interval(1e-11), "derived", "a paper")
        >>> report = EnergyReport(cost_table("45nm"), "a run", 1, 5, rows=(row,), not_counted=(), notes=())
        >>> ax = Figure().add_subplot()
        >>> energy_bars(ax, report)
        >>> ax.get_xlabel()
        'dynamic energy of an inference (pJ)'
    """
    bars = _bars(report, category)
    every = [j for terms in bars.places.values() for j in terms.values()] + list(bars.ann.values())
    factor, prefix = common_prefix([max(j.value, j.high) for j in every])
    y = 0.0
    for place, terms in bars.places.items():
        total = sum(terms.values(), Interval())
        bar_line(ax, y, shortened(place, 24), with_prefix(total.value, "J"))
        y += 0.85
        if bars.stacked:
            left = 0.0
            for term, j in terms.items():
                ax.barh(y, j.value / factor, left=left, height=0.5, **_look(bars.terms.index(term)))
                left += j.value / factor
            _bounds(ax, y, total, factor)
            y += 0.62
        else:
            for term, j in terms.items():
                if j.value > 0:
                    ax.barh(y, j.value / factor, height=0.5, **_look(bars.terms.index(term)))
                    _bounds(ax, y, j, factor)
                    y += 0.62
        if place in bars.ann and bars.ann[place].value > 0:
            ax.barh(y, bars.ann[place].value / factor, height=0.5, color="#D9D9D9", edgecolor=GREY, hatch="\\\\")
            _bounds(ax, y, bars.ann[place], factor)
            y += 0.62
        y += 0.45
    ax.set_ylim(y - 0.45, -0.6)
    ax.set_yticks([])
    ax.spines[["top", "right"]].set_visible(False)
    _energy_axis(ax, bars, [j.value / factor for j in every], f"{category} energy of an inference ({prefix}J)")
    _legend(ax, bars)


def energy_text(report: EnergyReport) -> str:
    """Energy of an inference in one line, with its bounds; dynamic, memory and static apart.

    Args:
        report: energies of a run.

    Example:
        >>> from spikelab.hardware.costing import cost_table
        >>> energy_text(EnergyReport(cost_table("45nm"), "a run", 1, 5, rows=(), not_counted=(), notes=()))
        'dynamic, memory, static not counted'
    """
    parts, missing = [], []
    for category, j in report.per_sample.items():
        if any(r.category == category for r in report.rows):
            bounds = "" if j.low == j.high else f" ({_between(j)})"
            parts.append(f"{with_prefix(j.value, 'J')} {category}{bounds}")
        else:
            missing.append(category)
    if missing:
        parts.append(f"{', '.join(missing)} not counted")
    return "; ".join(parts)


def energy_basis(report: EnergyReport) -> str:
    """How the energies came about, in one sentence: that they are estimates, the table and the basis.

    Args:
        report: energies of a run.
    """
    basis = ", ".join(dict.fromkeys(b for r in report.rows for b in r.basis.split(", ")))
    return f"Estimate: counted operations x cost table {report.table.name}" + (f" (basis: {basis})." if basis else ".")


def energy_section(report: EnergyReport, title: str = "Energy per layer") -> Section:
    """Section of a page with the bars, every row behind them, the sources and what is not counted.

    Args:
        report: energies of a run.
        title: heading.

    Returns:
        A section for `write_page`.
    """
    table = report.table
    sources: dict[str, int] = {}
    tables: dict[str, list[dict[str, object]]] = {"Energy of an inference, line by line": _rows(report, sources)}
    estimate = (
        f"These are estimates, not measurements: operations counted in a run of {report.samples:,} samples, times the "
        f"figures of the cost table {table.name} ({table.title}, {table.node}). The sums (dynamic, memory, static) "
        "are kept apart and never added up."
    )
    text = [estimate]
    bases = dict.fromkeys(b for r in report.rows for b in r.basis.split(", "))
    text += [f"Basis {b}: {BASES.get(b, 'not explained')}." for b in bases]
    if any(r.term in ("AC", "MAC") for r in report.rows):
        text.append(
            "AC is an addition, for a spike at a weight; MAC is a multiplication and an addition, for any other number."
        )
    text += [table.note] if table.note else []
    if report.ann is not None:
        text.append(_comparison(report.ann))
        tables["The ANN of equal shape, line by line"] = _rows(report.ann.ann, sources)
    else:
        text.append("No ANN stands beside it: the table has no figures for an ANN's multiplications and additions.")
    tables["What the sums leave out and assume"] = [
        {"": kind, "what": what}
        for kind, lines in (("not counted", report.not_counted), ("assumed", report.notes))
        for what in lines
    ]
    pictures = [_picture(report, c) for c in _CATEGORIES if any(r.category == c for r in report.rows)]
    return Section(title, text=text, pictures=pictures, tables=tables, notes=list(sources))


def _bars(report: EnergyReport, category: str) -> _Bars:
    if category not in _CATEGORIES:
        raise unknown_name("energy_bars: category", category, _CATEGORIES)
    places = _by_term(report, category)
    if not places:
        found = ", ".join(dict.fromkeys(r.category for r in report.rows)) or "none"
        raise UnsupportedError(
            f"energy_bars: found no row of category {category!r}; expected one of {found}; draw one that is there"
        )
    ann: dict[str, Interval] = {}
    if report.ann is not None:
        ann = {p: sum(terms.values(), Interval()) for p, terms in _by_term(report.ann.ann, category).items()}
        places |= {p: {} for p in ann if p not in places}
    terms = tuple(dict.fromkeys(t for row in places.values() for t in row))
    places = {p: dict(sorted(row.items(), key=lambda item: terms.index(item[0]))) for p, row in places.items()}
    pieces = [j.value for row in places.values() for j in row.values()] + [j.value for j in ann.values()]
    totals = [sum(j.value for j in row.values()) for row in places.values()] + [j.value for j in ann.values()]
    stacked = all(v == 0 or v >= _VISIBLE * max(totals) for v in pieces)
    return _Bars(places, ann, terms, stacked)


def _by_term(report: EnergyReport, category: str) -> dict[str, dict[str, Interval]]:
    result: dict[str, dict[str, Interval]] = {}
    for r in report.rows:
        if r.category == category:
            terms = result.setdefault(r.place, {})
            terms[r.term] = terms.get(r.term, Interval()) + r.energy / max(report.samples, 1)
    return result


def _look(k: int) -> dict[str, Any]:
    return {
        "facecolor": COLOURS[k % len(COLOURS)],
        "hatch": _HATCHES[k // len(COLOURS) % len(_HATCHES)],
        "edgecolor": "white",
        "linewidth": 0.6,
    }


def _bounds(ax: Axes, y: float, j: Interval, factor: float) -> None:
    if j.high > j.low:
        ax.plot([j.low / factor, j.high / factor], [y, y], color="#333333", linewidth=1.2, marker="|", markersize=6)


def _energy_axis(ax: Axes, bars: _Bars, values: list[float], label: str) -> None:
    positive = [v for v in values if v > 0]
    if bars.stacked:
        ax.set_xlim(0, None if positive else 1)
        ax.xaxis.set_major_locator(MaxNLocator(5))
    else:
        ax.set_xscale("log")
        ax.set_xlim(min(positive) / 3, max(ax.get_xlim()[1], max(positive) * 1.5))
        ax.xaxis.set_major_locator(LogLocator(numticks=5))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        label += ",\nlogarithmic: lengths do not add up"
    ax.set_xlabel(label)


def _legend(ax: Axes, bars: _Bars) -> None:
    entries = [(Patch(**_look(k)), shortened(t, 38)) for k, t in enumerate(bars.terms)]
    if bars.ann:
        entries.append((Patch(facecolor="#D9D9D9", edgecolor=GREY, hatch="\\\\"), _ANN))
    columns = 2 if max(len(t) for _, t in entries) <= 16 else 1
    legend = ax.legend(
        [p for p, _ in entries],
        [t for _, t in entries],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        frameon=False,
        borderaxespad=0.2,
        handlelength=1.4,
        labelspacing=0.3,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _picture(report: EnergyReport, category: str) -> Picture:
    bars = _bars(report, category)
    legend = len(bars.terms) + (1 if bars.ann else 0)
    height = 0.9 + 0.21 * legend + 0.235 * bars.lines
    scale = (
        "terms stacked"
        if bars.stacked
        else "terms one under the other on a logarithmic axis, as some are too small to see beside the largest"
    )
    caption = f"Estimated {category} energy of an inference by place and term; {scale}."
    if any(j.high > j.low for row in bars.places.values() for j in row.values()):
        caption += " Thin lines: lower to upper bound."
    return Picture(caption, lambda ax: energy_bars(ax, report, category), height)


def _between(j: Interval) -> str:
    return f"{with_prefix(j.low, 'J')} to {with_prefix(j.high, 'J')}"


def _rows(report: EnergyReport, sources: dict[str, int]) -> list[dict[str, object]]:
    samples = max(report.samples, 1)
    return [
        {
            "place": r.place,
            "term": r.term,
            "category": r.category,
            "count": count_text(r.count / samples) if r.each.unit == "J" else with_prefix(r.count / samples, "s"),
            "each": with_prefix(r.each.value, r.each.unit),
            "energy": with_prefix(r.energy.value / samples, "J"),
            "low": with_prefix(r.energy.low / samples, "J") if r.energy.low != r.energy.value else "-",
            "high": with_prefix(r.energy.high / samples, "J") if r.energy.high != r.energy.value else "-",
            "share": share_text(r.energy.value, samples * report.per_sample[r.category].value),
            "basis": r.basis,
            "source": f"[{sources.setdefault(r.source, len(sources) + 1)}]",
        }
        for r in report.rows
    ]


def _comparison(c: AnnComparison) -> str:
    dense = c.ann.per_sample["dynamic"].value
    share = f"{100 * c.break_even_rate:.3g} %"
    even = f"its additions alone, without the neurons, would cost what the ANN's MACs cost at {share}"
    if c.break_even_rate >= 1:
        even = "its additions alone, without the neurons, cost less than the ANN's MACs at any share"
    return (
        f"An ANN of equal shape costs {with_prefix(dense, 'J')} dynamic energy an inference in the same table; "
        f"this run costs {c.ratio:.3g} times that, and {c.dense_ratio:.3g} times if no zero were skipped. "
        f"It did {100 * c.rate:.3g} % of the dense synaptic operations; {even}."
    )
