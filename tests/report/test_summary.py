"""The page of a trained network: all of it is there, and what does not fit together is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelab.clocked import Run
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.hardware.accounting import energy
from spikelab.network import Network
from spikelab.report import report_page


@pytest.fixture(scope="module")
def small(network: Callable[..., Network], noise: Callable[[Network], Run]) -> tuple[Network, Run]:
    net = network()
    return net, noise(net)


def page(tmp_path: Path, small: tuple[Network, Run], **contents: Any) -> str:
    net, ran = small
    report_page(tmp_path / "page.html", **({"title": "T", "network": net, "run": ran} | contents))
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def rows(text: str, caption: str) -> list[list[str]]:
    """Cells of a table of the page."""
    table = text[text.index(f'<p class="caption">{caption}') :].partition("</table>")[0]
    return [re.findall(r"<td[^>]*>(.*?)</td>", r) for r in re.findall(r"<tr>(.*?)</tr>", table)[1:]]


def test_the_demo_page_has_all_its_parts(pages: dict[str, Path], facts: dict[str, str]) -> None:
    text = pages["demo"].read_text(encoding="utf-8")
    parts = [
        "One sample, from input to output",
        "Learning",
        "Test",
        "Spikes per layer",
        "Energy per layer",
        "Made with",
    ]
    assert re.findall(r"<h2>(.*?)</h2>", text) == parts
    assert text.count("<svg ") == 3 + 2 + 1 + 1 + 2
    for name, value in facts.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in text
    assert "Estimate: counted operations x cost table 45nm" in text
    assert "These are estimates, not measurements" in text


def test_the_accuracy_is_that_of_labels_and_predictions(pages: dict[str, Path], told: dict[str, Any]) -> None:
    right = int((told["labels"] == told["predictions"]).sum())
    text = pages["demo"].read_text(encoding="utf-8").replace("\u00a0", " ")
    assert f"<dt>Test accuracy</dt><dd>{100 * right / 8:.2f} %</dd><dd>{right} of 8 samples</dd>" in text


def test_every_energy_row_and_source_is_in_the_page(tmp_path: Path, small: tuple[Network, Run]) -> None:
    costs = energy(small[1].counts)
    text = page(tmp_path, small, energy=costs)
    shown = rows(text, "Energy of an inference, line by line")
    assert [r[:3] for r in shown] == [[escape(r.place), r.term, r.category] for r in costs.rows]
    notes = re.findall(r"<li>(.*?)</li>", text)
    assert [notes[int(r[-1].strip("[]")) - 1] for r in shown] == [escape(r.source) for r in costs.rows]
    assert {escape(w) for w in (*costs.not_counted, *costs.notes)} == {
        r[1] for r in rows(text, "What the sums leave out")
    }


def test_classes_are_counted_as_they_were_told(tmp_path: Path, small: tuple[Network, Run]) -> None:
    text = page(tmp_path, small, labels=[0, 0, 0, 1], predictions=[0, 1, 1, 1], classes=["<no>", "yes", "never"])
    assert rows(text, "Classes") == [
        ["0", "&lt;no&gt;", "3", "1", "33.3 %", "yes (2)"],
        ["1", "yes", "1", "1", "100.0 %", "-"],
        ["2", "never", "0", "0", "-", "-"],
    ]
    assert "It is of class &#x27;&lt;no&gt;&#x27;; the network said &#x27;&lt;no&gt;&#x27;." in text


def test_counts_of_the_page_are_those_of_the_run(tmp_path: Path, small: tuple[Network, Run]) -> None:
    text = page(tmp_path, small)
    counts = small[1].counts
    operations = rows(text, "Synaptic operations")
    assert [r[0] for r in operations] == [escape(label) for label in counts.projections]
    hidden = rows(text, "Populations")[1]
    assert hidden[:3] == ["hidden", "CubaLIF", "8"]
    assert float(hidden[3]) == pytest.approx(counts.populations["hidden"].spikes / 4, rel=0.01)
    never = (np.asarray(small[1].spikes["hidden"]) == 0).all(axis=(0, 1)).sum()
    assert int(hidden[5]) == never


def test_a_silent_population_is_named(pages: dict[str, Path]) -> None:
    text = pages["silent"].read_text(encoding="utf-8")
    assert "hidden is silent: none of its 128 neurons spiked in 2 samples." in text


def test_names_of_populations_are_escaped(
    tmp_path: Path, network: Callable[..., Network], noise: Callable[[Network], Run]
) -> None:
    net = network()
    name = "<b>hidden & co"
    renamed = {"hidden": name}
    populations = {renamed.get(n, n): p for n, p in net.populations.items()}
    wires = [replace(p, pre=renamed.get(p.pre, p.pre), post=renamed.get(p.post, p.post)) for p in net.projections]
    odd = Network(populations, wires, dt="1 ms")
    ran = noise(odd)
    report_page(tmp_path / "p.html", title="T", network=odd, run=ran, energy=energy(ran.counts))
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "&lt;b&gt;hidden &amp; co-&gt;readout" in text


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"labels": [0]}, "found labels alone"),
        ({"predictions": [0]}, "found predictions alone"),
        ({"labels": [0], "predictions": [0]}, "classes: found"),
        ({"labels": [0], "predictions": [0], "classes": "abc"}, "classes: found 'abc'"),
        ({"labels": [3], "predictions": [0], "classes": ["a", "b", "c"]}, "labels: found 3 to 3; expected 0 to 2"),
        ({"labels": [0], "predictions": [-1], "classes": ["a", "b", "c"]}, "predictions: found -1"),
        ({"labels": [0.5], "predictions": [0], "classes": ["a", "b", "c"]}, "labels: found float64"),
        ({"labels": [[0]], "predictions": [0], "classes": ["a", "b", "c"]}, "labels: found int64 of shape"),
        ({"labels": [], "predictions": [], "classes": ["a", "b", "c"]}, "labels: found"),
        ({"labels": [0, 1], "predictions": [0], "classes": ["a", "b", "c"]}, "2 labels and 1 predictions"),
        ({"sample": 4}, "sample: found 4; expected 0 to 3"),
        ({"sample": -1}, "sample: found -1"),
        ({"history": [{"epoch": 1}]}, "without accuracy and loss"),
        ({"history": [{"accuracy": float("nan")}]}, "found nan"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, small: tuple[Network, Run], contents: dict[str, Any], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        page(tmp_path, small, **contents)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_another_network_is_refused(
    tmp_path: Path, small: tuple[Network, Run], network: Callable[..., Network]
) -> None:
    with pytest.raises(ShapeError, match="hidden: found shape"):
        page(tmp_path, small, network=network(hidden=9))


def test_a_fact_that_the_page_works_out_is_refused(tmp_path: Path, small: tuple[Network, Run]) -> None:
    with pytest.raises(UnsupportedError, match="leave it out"):
        page(tmp_path, small, facts={"Test accuracy": "100 %"})
