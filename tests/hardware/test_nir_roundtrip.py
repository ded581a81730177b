"""A network that goes into a `.nir` file comes out the same, to the bit."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelab import neurons, nn
from spikelab.clocked import Float32
from spikelab.errors import FormatError, UnitError, UnsupportedError
from spikelab.hardware.loss import LossReport
from spikelab.hardware.nir import read, write
from spikelab.hardware.nir.neurons import MODELS
from spikelab.hardware.nir.readback import differences, weight_errors
from spikelab.hardware.nir.scaling import restore, scale, steps
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LI, LIF, PLIF, CubaLI, CubaLIF, NeuronModel
from spikelab.ops import Flatten, Linear, Op, Scale, Sparse
from tests.hardware.test_nir_networks import differing, only_ties_differ, random_input, random_network


def chain(model: Any, ops: tuple[Op, ...] = (), n: Any = (3,), m: Any = (3,), **options: Any) -> Network:
    populations = {"in": Population(n, kind="input"), "out": Population(m, model)}
    delay = options.pop("delay", 0)
    return Network(populations, [Projection("in", "out", ops, delay=delay)], **({"dt": 1e-3} | options))


def same(net: Network, path: Path, **options: Any) -> LossReport:
    report = write(net, path, **options)
    back = read(path)
    assert differences(net, back) == []
    assert weight_errors(net, back) == [0.0] * len(net.projections)
    return report


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_networks_come_back_with_identical_spikes(seed: int, tmp_path_factory: Any) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(rng, plain=False)
    path = tmp_path_factory.getbasetemp() / "random.nir"
    convention: Any = str(rng.choice(["nir", "step"]))
    report = same(net, path, extensions=True, if_convention=convention, compression=None)
    assert report.exact
    x = random_input(rng, net)
    assert differing(net, Float32().run(net, x), Float32().run(read(path), x)) == 0


EVERY_NEURON = [
    m for m in vars(neurons).values() if isinstance(m, type) and issubclass(m, NeuronModel) and m is not NeuronModel
]
WITHOUT_A_NODE = [m for m in EVERY_NEURON if m not in MODELS.values() and m is not PLIF]


@pytest.mark.parametrize("neuron", WITHOUT_A_NODE)
def test_every_neuron_without_a_node_is_refused_by_name(neuron: Any, tmp_path: Path) -> None:
    port = next(iter(neuron.ports))
    populations = {"in": Population((3,), kind="input"), "out": Population((3,), neuron())}
    net = Network(populations, [Projection("in", "out", port=port)], 1e-3)
    with pytest.raises(UnsupportedError, match=rf"found {neuron.__name__}; .*neuron_is_known"):
        write(net, tmp_path / "a.nir", extensions=True)


@pytest.mark.parametrize("neuron", MODELS.values())
@pytest.mark.parametrize("discretisation", ["exponential", "euler"])
def test_every_neuron_with_a_node_comes_back(neuron: Any, discretisation: Any, tmp_path: Path) -> None:
    net = chain(neuron(), (Linear(np.eye(3)),), discretisation=discretisation)
    assert same(net, tmp_path / "a.nir").exact
    bare = read(tmp_path / "a.nir", foreign=True)
    assert type(bare.populations["out"].model) is neuron
    x = np.random.default_rng(0).uniform(0, 0.5, (50, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(Float32().run(bare, x).output, Float32().run(net, x).output, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gain", ["one", "1-a", "dt/tau"])
@pytest.mark.parametrize("synapse", ["decay_then_add", "add_then_decay"])
@pytest.mark.parametrize("discretisation", ["exponential", "euler"])
def test_a_cuba_li_stands_in_a_node_of_its_kind(gain: str, synapse: str, discretisation: Any, tmp_path: Path) -> None:
    model = CubaLI("3 ms", "8 ms", np.array([0.1, 0.0, -0.2]), input_gain=gain, synapse=synapse)
    net = chain(model, (Linear(np.eye(3)),), discretisation=discretisation)
    same(net, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir") as f:
        assert f["node/nodes/out/type"][()] == b"CubaLI"
        assert {"tau_syn", "tau_mem", "r", "v_leak", "w_in"} <= set(f["node/nodes/out"])
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2, 3)).astype(np.float32)
    bare = Float32().run(read(tmp_path / "a.nir", foreign=True), x).output
    np.testing.assert_allclose(bare, Float32().run(net, x).output, rtol=1e-4, atol=1e-5)


def _writable(net: Network, path: Path) -> bool:
    """Whether NIR can say it; of plain networks it can only miss loops that close elsewhere, or lead nowhere."""
    try:
        write(net, path, compression=None)
    except UnsupportedError as error:
        known = {"loops_close_where_readers_close_them", "population_leads_from_input_to_output"}
        if not {v.rule for v in error.violations} <= known:
            raise
        return False
    return True


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_bare_graph_gives_the_same_spikes(seed: int, tmp_path_factory: Any) -> None:
    """What any forward-Euler reader sees: without our metadata, up to ties at the threshold."""
    rng = np.random.default_rng(seed)
    net = random_network(rng, plain=True)
    path = tmp_path_factory.getbasetemp() / "plain.nir"
    if not _writable(net, path):
        return
    bare = read(path, foreign=True)
    named = {n: n if p.kind == "junction" else _bare_name(bare, n) for n, p in net.populations.items()}
    renamed = Network(
        {named[n]: p for n, p in net.populations.items()},
        [Projection(named[p.pre], named[p.post], p.ops, p.port, p.delay) for p in net.projections],
        net.dt,
        net.discretisation,
    )
    assert bare.inputs == renamed.inputs and len(bare.outputs) == len(net.outputs)
    assert {named[n] for n, p in net.populations.items() if p.kind == "neurons"} <= set(bare.populations)
    assert only_ties_differ(renamed, bare, random_input(rng, renamed))


def _bare_name(bare: Network, name: str) -> str:
    written = "".join(ch if ch.isascii() and (ch.isalnum() or ch == "_") else "_" for ch in name)
    return f"{written}.lif" if f"{written}.lif" in bare.populations else written


@settings(max_examples=200, deadline=None)
@given(
    bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50),
    k=st.floats(1.0, 1e6) | st.floats(1e-3, 1.0),
)
def test_any_float32_survives_any_factor(bits: list[int], k: float) -> None:
    w = np.array(bits, np.uint32).view(np.float32)
    w = w[np.isfinite(w) & (np.abs(w) < 1e30) & (np.abs(w) > 1e-30) | (w == 0)]
    back = restore(scale(w, k), k, steps(w, k))
    assert back.tobytes() == w.tobytes()


@pytest.mark.parametrize("compression", ["gzip", "lzf", 0, 9, None])
def test_every_compression_reads_back(compression: Any, tmp_path: Path) -> None:
    w = np.random.default_rng(0).normal(size=(40, 30))
    same(chain(LIF(), (Linear(w),), 30, 40), tmp_path / "c.nir", compression=compression)


@pytest.mark.parametrize("compression", ["zip", 10, True, 1.5])
def test_an_unknown_compression_is_refused(compression: Any, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="compression"):
        write(chain(LIF()), tmp_path / "c.nir", compression=compression)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write(chain(LIF()), tmp_path / "net.nir")
    before = (tmp_path / "net.nir").read_bytes()
    with pytest.raises(UnsupportedError):
        write(chain(LIF(reset="soft")), tmp_path / "net.nir")
    assert (tmp_path / "net.nir").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.nir"]
    with pytest.raises(FormatError, match="its folder does not exist"):
        write(chain(LIF()), tmp_path / "missing" / "net.nir")


def test_sparse_keeps_its_synapses_even_several_between_one_pair(tmp_path: Path) -> None:
    sparse = Sparse([0, 0, 1, 2, 2], [1, 1, 0, 2, 2], [0.5, 0.25, 0.0, 1e-8, 1.0], (3, 3), [0.1, 0.2, 0.3])
    delay = np.array([4, 1, 2, 3, 0])
    for wait, options in ((0, {}), (2, {}), (delay, {"extensions": True})):
        report = same(chain(LIF(), (sparse,), delay=wait), tmp_path / "s.nir", **options)
        assert "Sparse as full matrix" in report.layers[-1].changed


def test_weights_and_factor_of_extremes_come_back(tmp_path: Path) -> None:
    w = np.float32([[1e-45, -0.0, 3e30], [1e-38, -1e-40, 0.1], [np.pi, -1e-30, 7.0]])
    model = LIF(tau_mem=np.array([0.004, 0.02, 77.7]))
    for discretisation in ("euler", "exponential"):
        same(chain(model, (Linear(w, w[1]),), discretisation=discretisation), tmp_path / "w.nir")
    with pytest.raises(UnsupportedError, match="weight_fits_float32"):
        write(chain(model, (Linear(w * 1e8),)), tmp_path / "w.nir")


def test_names_of_every_kind_come_back(tmp_path: Path) -> None:
    names = ["a b", "a_b", "ä", ".", "..", "a.lif", "output", "in->out", "for", "a\tb", "\ud800", "名前"]
    populations: dict[str, Population] = {"0": Population((2,), kind="input")}
    projections = []
    for name in names:
        populations[name] = Population((2,), LIF())
        projections.append(Projection(list(populations)[-2], name, (Linear(np.eye(2) * 3),)))
        projections.append(Projection(name, name, (Linear(np.eye(2)),), delay=1))
    same(Network(populations, projections, 1e-3), tmp_path / "n.nir")


def test_unconnected_inputs_and_silent_rings_come_back(tmp_path: Path) -> None:
    populations = {
        "used": Population((2,), kind="input"),
        "unused": Population((7,), kind="input"),
        "out": Population((2,), LIF()),
        "a": Population((2,), IF()),
        "b": Population((2,), IF()),
    }
    ring = [Projection("a", "b"), Projection("b", "a", delay=1)]
    same(Network(populations, [Projection("used", "out"), *ring], 1e-3), tmp_path / "r.nir", extensions=True)


def test_a_deep_network_comes_back(tmp_path: Path) -> None:
    populations: dict[str, Population] = {"in": Population((1,), kind="input")}
    for k in range(150):
        populations[f"{k}"] = Population((1,), IF())
    names = list(populations)
    projections = [Projection(a, b) for a, b in itertools.pairwise(names)]
    net = Network(populations, projections, 1e-3)
    same(net, tmp_path / "deep.nir", compression=None)
    assert len(read(tmp_path / "deep.nir", foreign=True).populations) == 151


def test_edited_weights_are_taken_as_they_are(tmp_path: Path) -> None:
    w = np.random.default_rng(1).normal(size=(3, 3))
    write(chain(LIF(), (Linear(w),)), tmp_path / "e.nir")
    with h5py.File(tmp_path / "e.nir", "r+") as f:
        f["node/nodes/out_fc/weight"][...] *= -2.5
    (op,) = read(tmp_path / "e.nir").projections[0].ops
    np.testing.assert_allclose(op.weight, -2.5 * w, rtol=3e-7)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda f: f["node/nodes/out/tau"].__setitem__(0, 0.5), "node out"),
        (lambda f: f["node/nodes/out"].create_dataset("v_reset", data=np.float32([1, 0, 0])), "node out"),
        (lambda f: f["node/edges"].__setitem__((0, 1), "out"), "the edges"),
        (lambda f: f["node/nodes"].move("out_fc", "other"), "out_fc"),
        (lambda f: f["node/nodes/out_fc/type"].__setitem__((), "Linear"), "out_fc"),
    ],
)
def test_a_changed_graph_is_refused_until_read_as_foreign(edit: Any, named: str, tmp_path: Path) -> None:
    path = tmp_path / "e.nir"
    write(chain(LIF(), (Linear(np.eye(3)),)), path)
    with h5py.File(path, "r+") as f:
        edit(f)
    with pytest.raises((UnsupportedError, FormatError), match=named):
        read(path)


def test_edits_outside_a_sparse_pattern_are_refused(tmp_path: Path) -> None:
    write(chain(LIF(), (Sparse([0], [1], [1.0], (3, 3)),)), tmp_path / "s.nir")
    with h5py.File(tmp_path / "s.nir", "r+") as f:
        f["node/nodes/out_fc/weight"][2, 2] = 1
    with pytest.raises(UnsupportedError, match="foreign=True"):
        read(tmp_path / "s.nir")
    assert read(tmp_path / "s.nir", foreign=True).dt == 1e-3


def test_another_dt_than_in_the_file_is_refused(tmp_path: Path) -> None:
    write(chain(LIF()), tmp_path / "d.nir")
    assert read(tmp_path / "d.nir", dt="1 ms").dt == 1e-3
    with pytest.raises(UnitError, match="leave dt out"):
        read(tmp_path / "d.nir", dt="2 ms")


def test_the_report_says_what_changed(tmp_path: Path) -> None:
    net = chain(LIF(tau_mem=0.02), (Flatten(), Linear(np.eye(3))), discretisation="euler")
    report = write(net, tmp_path / "r.nir")
    assert [layer.name for layer in report.layers] == ["in", "out", "in->out"]
    assert report.layers[2].changed == ("weights times 20 for r = 1 of out",)
    assert report.exact and report.weight_error == 0 and report.readers["spikingjelly"] == ()
    assert "snntorch: its dt is fixed at 1e-4 s, here it is 0.001 s" in str(report)
    report = write(chain(LI(), (Scale(2.0),), delay=3), tmp_path / "r.nir")
    assert "Delay of 3 dt" in report.layers[2].changed
    assert any("dropped" in why for why in report.readers["norse"])


def test_flags_and_parameters_of_each_neuron_come_back(tmp_path: Path) -> None:
    some = np.array([0.011, 0.02, 0.03])
    models = [
        LIF(tau_mem=some, v_leak=0.1, v_threshold=some * 7, v_reset=-some, reset="undecayed", input_gain="1-a"),
        CubaLIF(tau_syn=some[:1], reset="soft", comparison=">=", spikes="many", synapse="add_then_decay"),
        IF(v_threshold=1 / 3, v_reset=0.1, comparison=">="),
        LI(tau_mem=np.pi, input_gain="dt/tau"),
    ]
    for model in models:
        initial = {"v": np.array([0.1, 0.2, 1 / 3])}
        net = chain(model)
        net = Network(net.populations | {"out": Population((3,), model, initial=initial)}, net.projections, 1 / 3000)
        same(net, tmp_path / "m.nir", extensions=True)


def test_the_golden_file_of_format_1_gives_its_spikes() -> None:
    golden = Path(__file__).parents[1] / "golden"
    net, kept = read(golden / "nir_format_1.nir"), np.load(golden / "nir_format_1.npz")
    run = Float32().run(net, {n: kept[f"x_{n}"] for n in net.inputs})
    spiking = ("conv", "pooled", "memory", "out")
    assert all(kept[n].sum() > 5 for n in spiking)
    assert all(np.array_equal(run.spikes[n], kept[n]) for n in spiking)
    np.testing.assert_allclose(run.spikes["potential"], kept["potential"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("discretisation", ["exponential", "euler"])
def test_a_plif_travels_as_the_lif_that_it_is(discretisation: Any, tmp_path: Path) -> None:
    layer = nn.Sequential(nn.Linear(3, 4), nn.PLIF(shape=4, dt="1 ms", discretisation=discretisation))
    torch.nn.init.normal_(layer[1].w, std=2.0, generator=torch.Generator().manual_seed(0))
    net = nn.to_network(layer, input_shape=(3,))
    report = write(net, tmp_path / "a.nir")
    back = read(tmp_path / "a.nir")
    models = [p.model for p in back.populations.values() if p.model is not None]
    assert [type(m) for m in models] == [LIF] and report.exact
    assert any("written as the LIF of its leak" in layer.changed for layer in report.layers)
    x = np.random.default_rng(0).normal(0, 4, (200, 2, 3))
    ours, theirs = (Float32().run(n, x).spikes[n.outputs[0]] for n in (net, back))
    assert np.array_equal(ours, theirs) and ours.any()
