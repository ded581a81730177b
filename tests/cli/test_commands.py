"""The commands as a user calls them: files in, files out, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from spikelab.cli.main import app
from spikelab.clocked import Float32
from spikelab.hardware import nir
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LI, LIF, CubaLIF
from spikelab.ops import Linear

ROOT = Path(__file__).resolve().parents[2]


def call(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    net = Network(
        {
            "input": Population((6,), kind="input"),
            "hidden": Population((9,), CubaLIF()),
            "output": Population((3,), LI()),
        },
        [
            Projection("input", "hidden", Linear(rng.normal(0, 1, (9, 6)))),
            Projection("hidden", "hidden", Linear(rng.normal(0, 0.3, (9, 9))), delay=1),
            Projection("hidden", "output", Linear(rng.normal(0, 1, (3, 9)))),
        ],
        dt="1 ms",
    )
    nir.write(net, tmp_path / "model.nir")
    return tmp_path / "model.nir"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    x = (np.random.default_rng(1).random((30, 4, 6)) < 0.2).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=x)
    return tmp_path / "in.npz"


@pytest.mark.parametrize("on", ["float", "event"])
def test_run_writes_z_and_the_spikes_of_every_population(on: str, model: Path, inputs: Path, tmp_path: Path) -> None:
    result = call("run", model, "--on", on, "--input", inputs, "--output", tmp_path / "out.npz", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["samples"], facts["steps"], facts["outputs"]) == (4, 30, ["output"])
    reference = Float32().run(nir.read(model), np.load(inputs)["x"])
    with np.load(tmp_path / "out.npz", allow_pickle=False) as written:
        assert sorted(written.files) == ["spikes_hidden", "spikes_input", "spikes_output", "z"]
        assert np.array_equal(written["z"], reference.output)
        assert np.array_equal(written["spikes_hidden"], reference.spikes["hidden"])
    assert facts["synaptic_ops"] == reference.counts.synaptic_ops


def test_several_inputs_are_named_after_their_populations(tmp_path: Path) -> None:
    net = Network(
        {"a": Population((2,), kind="input"), "b": Population((2,), kind="input"), "out": Population((2,), LIF())},
        [Projection("a", "out"), Projection("b", "out")],
        dt="1 ms",
    )
    nir.write(net, tmp_path / "two.nir")
    x = np.ones((5, 1, 2), np.float32)
    np.savez(tmp_path / "both.npz", x_a=x, x_b=x)
    assert (
        call("run", tmp_path / "two.nir", "--input", tmp_path / "both.npz", "--output", tmp_path / "o.npz").exit_code
        == 0
    )
    np.savez(tmp_path / "one.npz", x=x)
    result = call("run", tmp_path / "two.nir", "--input", tmp_path / "one.npz", "--output", tmp_path / "o.npz")
    assert result.exit_code == 1
    assert "x_a, x_b" in result.stderr


def test_energy_prints_rows_and_json(model: Path, inputs: Path) -> None:
    result = call("energy", model, "--input", inputs, "--costs", "loihi-2018", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["table"] == "loihi-2018"
    assert report["samples"] == 4
    assert report["totals_J"]["dynamic"]["value"] > 0
    text = call("energy", model, "--input", inputs)
    assert text.exit_code == 0
    assert "Sources:" in text.stdout


def test_export_reports_what_was_changed(model: Path, tmp_path: Path) -> None:
    result = call("export", model, "--to", "nir", "--output", tmp_path / "copy.nir", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["target"] == "nir"
    x = (np.random.default_rng(2).random((20, 2, 6)) < 0.3).astype(np.float32)
    a, b = (Float32().run(nir.read(p), x).output for p in (model, tmp_path / "copy.nir"))
    assert np.array_equal(a, b)


def test_events_info_gives_the_contract() -> None:
    recordings = sorted((ROOT / "datasets" / "recordings").glob("*.bin"))
    if not recordings:
        pytest.skip("datasets/ is not in this source distribution")
    result = call("events", "info", recordings[0], "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    names = {"count", "t_first_us", "t_last_us", "x_max", "y_max", "on_count", "width", "height", "format"}
    assert names <= set(facts)
    assert (facts["count"], facts["t_first_us"], facts["t_last_us"], facts["on_count"]) == (4325, 654, 311175, 2145)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "missing.nir", "--input", "i.npz", "--output", "o.npz"], "missing.nir"),
        (["run", "MODEL", "--on", "loihi7", "--input", "INPUT", "--output", "o.npz"], "known are event, float"),
        (["run", "MODEL", "--input", "MODEL", "--output", "o.npz"], "npz"),
        (["run", "MODEL", "--input", "INPUT", "--output", "/nowhere/at/all/o.npz"], "folder"),
        (["energy", "MODEL", "--input", "INPUT", "--costs", "lohi-2018"], "did you mean 'loihi-2018'"),
        (["export", "MODEL", "--to", "xylo9", "--output", "o"], "known are nir"),
        (["events", "info", "INPUT"], "INPUT"),
        (["train", "fsdd-spike"], "did you mean 'fsdd-spikes'"),
    ],
)
def test_mistakes_exit_with_1_and_one_message(arguments: list[str], words: str, model: Path, inputs: Path) -> None:
    names = {"MODEL": str(model), "INPUT": str(inputs)}
    result = call(*(names.get(a, a) for a in arguments))
    assert result.exit_code == 1, result.output
    assert names.get(words, words) in result.stderr
    assert "Traceback" not in result.output
    as_json = call(*(names.get(a, a) for a in arguments), "--json")
    assert as_json.exit_code == 1
    assert set(json.loads(as_json.stdout)) == {"error", "message"}


def test_wrong_usage_exits_with_2() -> None:
    assert call("run").exit_code == 2
    assert call("nonsense").exit_code == 2
    assert call("demo", "--epochs", "0").exit_code == 2


def test_demo_ends_in_one_page_with_the_promises_kept(tmp_path: Path) -> None:
    result = call("demo", "--data", "fsdd-spikes-mini", "--epochs", 1, "--output", tmp_path / "demo", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["dataset"] == "fsdd-spikes-mini"
    assert facts["event_driven_differing"] == 0
    assert facts["nir_identical"] is True
    page = (tmp_path / "demo" / "index.html").read_text(encoding="utf-8")
    assert "simulated cochlea" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("arguments", "words", "never"),
    [
        (["run", "MODEL", "--input", "INPUT", "--output", "OUT", "--dt", "7 ms"], "pass --foreign", "foreign="),
        (["run", "MODEL", "--input", "INPUT", "--output", "OUT", "--dt", "10 sec"], "dt '10 sec'", "\nunit"),
        (["events", "info", "MODEL"], "found a NIR network", "layout"),
        (["train", "fsdd-spikes-mini", "--epochs", "1", "--root", "/nowhere"], "pass --root", "root="),
        (["bench", "accuracy", "fsdd-spikes-mini", "--only", "7"], "known are 0, 1, 2, 3, 4", "Traceback"),
        (["bench", "accuracy", "nmnist-sim", "--split", "speakers"], "speaker", "Traceback"),
    ],
)
def test_messages_speak_of_options(
    arguments: list[str], words: str, never: str, model: Path, inputs: Path, tmp_path: Path
) -> None:
    if "nmnist-sim" in arguments and not (ROOT / "datasets" / "nmnist-sim").is_dir():
        pytest.skip("datasets/ is not in this source distribution")
    names = {"MODEL": str(model), "INPUT": str(inputs), "OUT": str(tmp_path / "out.npz")}
    result = call(*(names.get(a, a) for a in arguments))
    assert result.exit_code == 1, result.output
    assert words in result.stderr and never not in result.stderr


def test_a_graph_is_read_as_other_programs_read_it_where_that_is_asked(
    model: Path, inputs: Path, tmp_path: Path
) -> None:
    result = call(
        "run", model, "--input", inputs, "--output", tmp_path / "o.npz", "--foreign", "--dt", "0.5 ms", "--json"
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["dt_s"] == 5e-4


def test_an_input_of_another_dt_is_refused(model: Path, inputs: Path, tmp_path: Path) -> None:
    x = np.load(inputs)["x"]
    np.savez(tmp_path / "fits.npz", x=x, dt=1e-3)
    np.savez(tmp_path / "other.npz", x=x, dt="5 ms")
    assert call("run", model, "--input", tmp_path / "fits.npz", "--output", tmp_path / "o.npz").exit_code == 0
    result = call("run", model, "--input", tmp_path / "other.npz", "--output", tmp_path / "o.npz")
    assert result.exit_code == 1 and "binned at dt 0.005 s; expected 0.001 s" in result.stderr


@pytest.mark.parametrize("name", ["foreign=True.npz", "dt=5.npz", "foreign=True", "root=, extensions=True; x.npz"])
def test_a_file_name_is_printed_as_it_is(name: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text("no npz")
    for bad in (tmp_path / name, tmp_path / "none" / name):
        result = call("run", model, "--input", bad, "--output", tmp_path / "out.npz")
        assert result.exit_code == 1 and str(bad) in result.stderr, result.stderr


def test_advice_of_the_commands(model: Path, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.npz"
    for arguments, words in (
        (("energy", model, "--input", inputs, "--costs", "b.py"), "your own PATH.toml"),
        (("events", "info", inputs), "found the arrays x; expected t, x, y, p"),
        (("export", model, "--output", tmp_path), "is a folder; expected the name of a file; add one"),
        (("run", model, "--input", inputs, "--output", out, "--mode", "fast"), "--mode: found 'fast' with --on float"),
        (("demo", "--data", "nope", "--output", tmp_path / "new"), "nope"),
    ):
        result = call(*arguments)
        assert result.exit_code == 1 and words in result.stderr, result.output
    assert not out.exists() and not (tmp_path / "new").exists()
