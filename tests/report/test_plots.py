"""The plots: what they draw, what they say in words, what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikelab.counts import Counts, PopulationCount
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.report import confusion, learning_curve, potentials, raster, spike_rates


def axes() -> Axes:
    return Figure(layout="constrained").add_subplot()


def texts(ax: Axes) -> list[str]:
    """All that is written, once drawn (drawing must raise no warning)."""
    ax.figure.savefig("/dev/null", format="svg")
    legend = ax.get_legend()
    return [t.get_text() for t in ax.texts] + ([t.get_text() for t in legend.get_texts()] if legend else [])


def rates(**spikes: int) -> Counts:
    rows = {n: PopulationCount("LIF", 10, 1000, s, {}, True) for n, s in spikes.items()}
    return Counts("float", 2, 200, 1e-3, {}, rows)


def test_raster_draws_every_spike_at_the_middle_of_its_step() -> None:
    z = np.zeros((5, 3))
    z[1, 2] = z[4, 0] = 1
    ax = axes()
    raster(ax, z, "1 ms")
    x, y = ax.lines[0].get_data()
    assert sorted(zip(x, y, strict=True)) == [(1.5, 2), (4.5, 0)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "neuron")
    assert ax.get_xlim() == (0, 5)


def test_raster_of_a_silent_population_says_so() -> None:
    ax = axes()
    raster(ax, np.zeros((4, 2)), 1e-3)
    assert texts(ax) == ["no spikes"]


def test_raster_of_thousands_draws_some_and_says_so() -> None:
    ax = axes()
    raster(ax, np.ones((3, 5000), bool), "1 ms", most=100)
    assert len(set(ax.lines[0].get_ydata())) == 100
    assert texts(ax) == ["100 of 5,000 neurons shown"]


def test_raster_says_that_inputs_are_more_than_one_spike() -> None:
    ax = axes()
    raster(ax, [[0, 3], [1, 0]], "1 s")
    assert texts(ax) == ["values 0 to 3"]
    assert ax.get_xlabel() == "time (s)"


@pytest.mark.parametrize(
    "z", [np.zeros(3), np.zeros((2, 3, 4)), np.zeros((0, 3)), np.array([["a"]]), [[1, 2], [3]], np.array([[1j]])]
)
def test_raster_refuses_what_is_not_steps_by_neurons(z: Any) -> None:
    with pytest.raises(ShapeError, match=r"raster: spikes: found .*; expected"):
        raster(axes(), z, 1e-3)


def test_raster_refuses_nan_with_its_place() -> None:
    with pytest.raises(ShapeError, match=r"found nan at \[1, 0\]"):
        raster(axes(), [[0.0, 1.0], [np.nan, 0.0]], 1e-3)


@pytest.mark.parametrize("dt", [0, -1e-3, "3 mV", "5"])
def test_raster_refuses_a_time_step_that_is_none(dt: Any) -> None:
    with pytest.raises(UnitError, match="raster: dt"):
        raster(axes(), [[1]], dt)


def test_raster_refuses_to_draw_no_neuron() -> None:
    with pytest.raises(ShapeError, match="most: found 0"):
        raster(axes(), [[1]], 1e-3, most=0)


def test_potentials_name_the_neurons_that_matter() -> None:
    ax = axes()
    potentials(ax, np.random.default_rng(0).normal(size=(20, 10)), "1 ms", named={3: "true: $three_", 5: "_five"})
    written = texts(ax)
    assert "true: $three_" in written
    assert any(t.endswith("_five") for t in written)
    assert len(ax.lines) == 10
    assert ax.get_ylabel() == "value (V)"


@pytest.mark.parametrize("named", [{10: "a"}, {-1: "a"}, dict.fromkeys(range(5), "a")])
def test_potentials_refuse_neurons_that_are_not_there(named: dict[int, str]) -> None:
    with pytest.raises(ShapeError, match="potentials: named"):
        potentials(axes(), np.zeros((3, 10)), 1e-3, named=named)


def test_learning_curve_draws_per_cent_and_leaves_gaps() -> None:
    ax = axes()
    learning_curve(
        ax,
        [
            {"epoch": 1, "accuracy": 0.5, "validation_accuracy": None},
            {"epoch": 3, "accuracy": 0.75, "validation_accuracy": 0.7},
        ],
    )
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[1, 50], [3, 75]], [[3, 70]]]
    assert texts(ax) == ["training", "validation"]


def test_learning_curve_counts_epochs_that_have_no_number() -> None:
    ax = axes()
    learning_curve(ax, [{"loss": 2.0}, {"loss": 1.0}], "loss")
    assert ax.lines[0].get_xdata().tolist() == [1, 2]
    assert ax.get_ylabel() == "loss"


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ([{"accuracy": float("nan")}], "nan"),
        ([{"accuracy": 97.0}], "97.0"),
        ([{"validation_accuracy": -0.1}], "-0.1"),
        ([{"accuracy": "0.5"}], "'0.5'"),
        ([{"accuracy": True}], "True"),
        ([{"epoch": None, "accuracy": 0.5}], "None"),
        ([{"loss": 1.0}], "1 epochs with loss"),
        ([], "0 epochs with nothing"),
    ],
)
def test_learning_curve_refuses(history: list[dict[str, Any]], found: str) -> None:
    with pytest.raises(ShapeError, match=f"learning_curve: .*found {found}.*; expected"):
        learning_curve(axes(), history)


def test_learning_curve_refuses_an_unknown_quantity() -> None:
    with pytest.raises(UnsupportedError, match="did you mean 'accuracy'"):
        learning_curve(axes(), [{"loss": 1.0}], "acuracy")  # type: ignore[arg-type]


def test_confusion_writes_the_samples_into_the_cells() -> None:
    ax = axes()
    confusion(ax, [[3, 1], [0, 2]], ["no", "yes"])
    assert sorted(texts(ax)) == ["1", "2", "3"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["no", "yes"]


def test_confusion_of_one_class_and_of_no_samples() -> None:
    confusion(axes(), [[7]], ["all"])
    ax = axes()
    confusion(ax, np.zeros((3, 3)), list("abc"))
    assert texts(ax) == []


@pytest.mark.parametrize("names", [[f"class {k}" for k in range(35)], ["x" * 40, "y"], ["漢字", "b"]])
def test_confusion_numbers_classes_that_cannot_be_named(names: list[str]) -> None:
    ax = axes()
    confusion(ax, np.eye(len(names)), names)
    texts(ax)
    assert ax.get_xlabel() == "predicted class (number)"
    assert [t.get_text() for t in ax.get_xticklabels()][:2] == (["0", "5"] if len(names) > 12 else ["0", "1"])


def test_names_are_never_read_as_formulas() -> None:
    ax = axes()
    confusion(ax, np.eye(2), ["a$b$", r"$\frac"])
    texts(ax)


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), [[0.5]], [[-1]], np.zeros((0, 0)), [[np.nan]], [1, 2]])
def test_confusion_refuses_what_is_no_matrix_of_counts(matrix: Any) -> None:
    with pytest.raises(ShapeError, match="confusion: matrix: found"):
        confusion(axes(), matrix, ["a"])


@pytest.mark.parametrize("classes", [["a"], ["a", "b", "c"], "ab"])
def test_confusion_refuses_names_that_do_not_fit(classes: Any) -> None:
    with pytest.raises(ShapeError, match="expected 2 names"):
        confusion(axes(), np.eye(2), classes)


def test_spike_rates_are_per_neuron_and_second() -> None:
    ax = axes()
    spike_rates(ax, rates(hidden=40, quiet=0))
    assert [p.get_width() for p in ax.patches] == pytest.approx([20, 0])  # 40 spikes / 10 neurons / 0.2 s
    assert texts(ax) == ["hidden", "20.0 Hz; 20 spikes", "quiet", "silent"]


def test_spike_rates_of_a_silent_network_have_an_axis() -> None:
    ax = axes()
    spike_rates(ax, rates(a=0))
    assert ax.get_xlim() == (0, 1)


def test_spike_rates_refuse_a_run_without_spiking_populations() -> None:
    row = PopulationCount("LI", 10, 1000, 0, {}, False)
    with pytest.raises(UnsupportedError, match="none of readout spikes"):
        spike_rates(axes(), Counts("float", 1, 1, 1e-3, {}, {"readout": row}))
    with pytest.raises(ShapeError, match="0 samples"):
        spike_rates(axes(), Counts("float", 0, 0, 1e-3, {}, {}))


def test_report_loads_neither_pyplot_nor_torch() -> None:
    import subprocess
    import sys

    heavy = {"matplotlib.pyplot", "torch", "norse", "tonic"}
    code = f"import sys, spikelab.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
