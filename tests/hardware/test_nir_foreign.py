"""Files of other programs: the graph is read as a plain interpreter of NIR's equations would step it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikelab.clocked import Float32
from spikelab.errors import FormatError, UnitError, UnsupportedError
from spikelab.hardware.nir import read, write
from spikelab.hardware.nir.graph import reading_order
from spikelab.ops import Scale

ORACLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "oracles" / "chips" / "nir"
TEXT = h5py.string_dtype()
DT = 1e-3
Nodes = dict[str, dict[str, Any]]
Edges = list[tuple[str, str]]


def fill(group: Any, nodes: Nodes, edges: Edges) -> None:
    group.create_dataset("type", data="NIRGraph", dtype=TEXT)
    group.create_dataset("edges", data=np.array(edges, object).reshape(-1, 2), dtype=TEXT)
    inner = group.create_group("nodes", track_order=True)
    for name, fields in nodes.items():
        node = inner.create_group(name)
        if fields["type"] == "NIRGraph":
            fill(node, fields["nodes"], fields["edges"])
            continue
        for key, value in fields.items():
            if isinstance(value, dict):
                for k, v in value.items():
                    node.create_dataset(f"{key}/{k}", data=v)
            else:
                node.create_dataset(key, data=value, **({"dtype": TEXT} if isinstance(value, str) else {}))


def save(path: Path, nodes: Nodes, edges: Edges, **metadata: Any) -> Path:
    with h5py.File(path, "w") as f:
        f.create_dataset("version", data="1.0.8", dtype=TEXT)
        fill(f.create_group("node"), nodes, edges)
        for key, value in metadata.items():
            f.create_dataset(f"node/metadata/{key}", data=value)
    return path


def ends(n_in: int, n_out: int) -> Nodes:
    return {
        "input": {"type": "Input", "shape": np.array([n_in])},
        "output": {"type": "Output", "shape": np.array([n_out])},
    }


def chain(path: Path, n: int = 3, **node: Any) -> Path:
    return save(path, ends(n, n) | {"x": node}, [("input", "x"), ("x", "output")])


def full(n: int, value: float) -> np.ndarray:
    return np.full(n, value, np.float32)


def lif(n: int, **fields: Any) -> dict[str, Any]:
    values = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | fields
    return {"type": "LIF"} | {k: np.asarray(v, np.float32) if np.ndim(v) else full(n, v) for k, v in values.items()}


def interpret(nodes: Nodes, edges: Edges, x: np.ndarray, convention: str = "nir") -> dict[str, np.ndarray]:
    """[T, n] of each Output in float64: every node once a step, loops closed one step late."""
    outputs = [n for n, d in nodes.items() if d["type"] == "Output"]
    place = reading_order(nodes, edges, outputs)
    state: dict[str, Any] = {}
    before: dict[str, Any] = {}
    found: dict[str, list[Any]] = {n: [] for n in outputs}
    past: dict[str, list[Any]] = {n: [] for n in nodes}
    for t in range(len(x)):
        now: dict[str, Any] = {}
        for name in sorted(place, key=place.__getitem__):
            d = {k: v.astype(np.float64) if isinstance(v, np.ndarray) else v for k, v in nodes[name].items()}
            kind, z = d["type"], 0.0
            if kind == "Input":
                now[name] = x[t]
                continue
            for p, q in edges:
                if q == name:
                    z = z + (now[p] if place[p] < place[q] else before.get(p, 0.0))
            past[name].append(z)
            gain = DT if convention == "nir" else 1.0
            if kind in ("Affine", "Linear"):
                z = d["weight"] @ (z + np.zeros(d["weight"].shape[1])) + d.get("bias", 0.0)
            elif kind == "Scale":
                z = z * d["scale"]
            elif kind == "Delay":
                steps = np.rint(d["delay"] / DT).astype(int)
                z = np.array(
                    [np.broadcast_to(past[name][t - k], steps.shape)[j] if t >= k else 0.0 for j, k in enumerate(steps)]
                )
            elif kind == "Threshold":
                z = (z > d["threshold"]) * 1.0
            elif kind != "Output":
                v = state.get(name, d.get("v_leak", 0.0))
                if kind.startswith("Cuba"):
                    i = state.get(name + "/i", 0.0)
                    z = state[name + "/i"] = i + DT / d["tau_syn"] * (d["w_in"] * z - i)
                if kind in ("I", "IF"):
                    v = v + gain * d["r"] * z
                else:
                    v = v + DT / d["tau_mem" if "tau_mem" in d else "tau"] * (d["v_leak"] - v + d["r"] * z)
                z = (v > d["v_threshold"]) * 1.0 if "v_threshold" in d else v
                state[name] = np.where(z, d.get("v_reset", 0.0), v) if "v_threshold" in d else v
            now[name] = z
            if kind == "Output":
                found[name].append(z + np.zeros(d["shape"].astype(int)))
        before = now
    return {n: np.array(v) for n, v in found.items()}


def random_node(rng: np.random.Generator, n: int) -> dict[str, Any]:
    kind = str(
        rng.choice(
            ["LIF", "LIF", "CubaLIF", "IF", "LI", "CubaLI", "I", "Threshold", "Affine", "Linear", "Scale", "Delay"]
        )
    )

    def some(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, n).astype(np.float32) if rng.random() < 0.5 else full(n, rng.uniform(low, high))

    if kind in ("Affine", "Linear"):
        w = (rng.normal(0.3, 1, (n, n)) * 0.8 / np.sqrt(n)).astype(np.float32)
        bias = rng.normal(0, 0.1, n).astype(np.float32)
        return {"type": kind, "weight": w} | ({"bias": bias} if kind == "Affine" else {})
    if kind == "Scale":
        return {"type": kind, "scale": some(0.3, 0.9)}
    if kind == "Delay":
        return {"type": kind, "delay": full(n, rng.integers(0, 4) * DT)}
    if kind == "Threshold":
        return {"type": kind, "threshold": some(-0.2, 0.6)}
    fields = {"r": some(2, 20)}
    if kind in ("I", "IF"):
        fields["r"] = full(n, 1 / DT) if rng.random() < 0.5 else some(100, 500)
    if "LI" in kind:
        fields |= {"v_leak": some(-0.1, 0.1)}
        fields |= {"tau_mem" if kind.startswith("Cuba") else "tau": some(3e-3, 2e-2)}
    if kind.startswith("Cuba"):
        fields |= {"tau_syn": some(2e-3, 8e-3), "w_in": some(0.5, 3)}
    if kind.endswith("F"):
        fields |= {"v_threshold": some(0.2, 0.8)} | ({"v_reset": some(-0.3, 0.1)} if rng.random() < 0.5 else {})
    return {"type": kind} | fields


def random_graph(rng: np.random.Generator, n: int = 4) -> tuple[Nodes, Edges]:
    """Any nodes, any edges that every node is reached by and leads on: fan-in, fan-out, loops."""
    names = [f"n{k}" for k in range(int(rng.integers(1, 7)))]
    nodes: Nodes = ends(n, n) | {name: random_node(rng, n) for name in names}
    edges: Edges = []
    for k, name in enumerate(names):
        edges.append((str(rng.choice(["input", *names[:k]])), name))
    for _ in range(int(rng.integers(0, 4))):
        edges.append((str(rng.choice(names)), str(rng.choice(names))))
    if rng.random() < 0.4:
        nodes["tap"] = {"type": "Output", "shape": np.array([n])}
        edges.append((str(rng.choice(names)), "tap"))
    edges.append((names[-1], "output"))
    for name in names:
        if not any(p == name for p, _ in edges):
            edges.append((name, "output"))
    edges = list(dict.fromkeys(edges))
    return nodes, [edges[k] for k in rng.permutation(len(edges))]


@pytest.mark.parametrize("seed", range(150))
def test_random_graphs_step_as_the_interpreter(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    nodes, edges = random_graph(rng)
    path = save(tmp_path / "g.nir", nodes, edges)
    try:
        net = read(path, dt=DT)
    except UnsupportedError as error:
        assert {v.rule for v in error.violations} <= {"node_reaches_output", "input_reaches_node"}  # noqa: PT017
        return
    x = (rng.random((30, 4)) < 0.4).astype(np.float32)
    expected = interpret(nodes, edges, x)
    run = Float32().run(net, x[:, None])
    goal = {q: p for p, q in edges}  # a neuron whose only goal is an Output is that output itself
    found = {n: run.spikes[n if n in net.populations else goal[n]][:, 0] for n in expected}
    assert len(net.outputs) == len(expected)
    for name, z in expected.items():
        np.testing.assert_allclose(found[name], z, rtol=2e-4, atol=2e-4 * max(1.0, np.abs(z).max()), err_msg=name)


@pytest.mark.parametrize("name", ["lif_r1", "lif_rdt", "lif_reset", "cuba", "conv_sum", "conv_avg", "rec"])
@pytest.mark.parametrize("tag", ["", "_nr"])
def test_fixtures_give_the_reference_spikes(name: str, tag: str) -> None:
    path = ORACLES / f"{name}{tag}.nir"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    x, expected = np.load(ORACLES / f"{name}_in.npz")["spikes"], np.load(ORACLES / f"{name}_ref.npz")["spikes"]
    spikes = Float32().run(read(path, dt="0.1 ms"), x[:, None]).output[:, 0]
    assert np.array_equal(spikes, expected)


@pytest.mark.parametrize("convention", ["nir", "step"])
def test_if_convention_says_what_r_means(convention: Any, tmp_path: Path) -> None:
    path = chain(tmp_path / "if.nir", type="IF", r=full(3, 1.0), v_threshold=full(3, 0.0035))
    x = np.ones((40, 1, 3), np.float32)
    spikes = Float32().run(read(path, dt=DT, if_convention=convention), x).output
    assert spikes.sum() == 3 * (10 if convention == "nir" else 40)


def test_resistances_become_gains_where_that_is_exact_and_scales_elsewhere(tmp_path: Path) -> None:
    def first(**fields: Any) -> tuple[str, list[Scale]]:
        net = read(chain(tmp_path / "r.nir", **lif(3, **fields)), dt=DT)
        return net.populations["x"].model.input_gain, list(net.projections[0].ops)  # type: ignore[union-attr,arg-type]

    assert first() == ("dt/tau", [])
    assert first(r=10.0) == ("one", [])  # tau / dt
    gain, (op,) = first(r=[1.0, 2.0, 3.0])
    assert gain == "dt/tau" and op.scale.tolist() == [1.0, 2.0, 3.0]
    nodes = ends(2, 3) | {"x": lif(3, r=4.0), "fc": {"type": "Linear", "weight": np.float32([[1, 2], [3, 4], [5, 6]])}}
    (op,) = (
        read(save(tmp_path / "fold.nir", nodes, [("input", "fc"), ("fc", "x"), ("x", "output")]), dt=DT)
        .projections[0]
        .ops
    )
    assert op.weight.tolist() == [[4, 8], [12, 16], [20, 24]]  # type: ignore[attr-defined]


def test_delays_of_single_sources_become_delays_of_synapses(tmp_path: Path) -> None:
    for first, second in (("wait", "fc"), ("fc", "wait")):
        nodes = ends(3, 3) | {
            "wait": {"type": "Delay", "delay": np.float32([0, 2 * DT, 5 * DT])},
            "fc": {"type": "Linear", "weight": np.eye(3, dtype=np.float32) * 30},
            "x": lif(3),
        }
        path = save(tmp_path / "d.nir", nodes, [("input", first), (first, second), (second, "x"), ("x", "output")])
        x = np.zeros((8, 1, 3), np.float32)
        x[0] = 1
        spikes = Float32().run(read(path, dt=DT), x).output[:, 0]
        assert np.argwhere(spikes).tolist() == [[0, 0], [2, 1], [5, 2]]


def test_nested_graphs_are_laid_flat_with_dotted_names(tmp_path: Path) -> None:
    inner = {
        "type": "NIRGraph",
        "nodes": ends(3, 3)
        | {"lif": lif(3, r=20.0), "w_rec": {"type": "Linear", "weight": np.eye(3, dtype=np.float32)}},
        "edges": [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    }
    outer = ends(3, 3) | {"core": inner}
    net = read(save(tmp_path / "n.nir", outer, [("input", "core"), ("core", "output")]), dt=DT)
    assert {"input", "core.lif"} <= set(net.populations)
    flat = inner["nodes"] | {"lif": lif(3, r=20.0)}
    x = (np.random.default_rng(0).random((50, 3)) < 0.5).astype(np.float32)
    expected = interpret(flat, inner["edges"], x)["output"]  # type: ignore[arg-type]
    assert expected.sum() > 10
    assert np.array_equal(Float32().run(net, x[:, None]).output[:, 0], expected)


def test_an_output_of_a_hidden_neuron_is_a_junction_and_goes_back_as_output(tmp_path: Path) -> None:
    nodes = ends(3, 3) | {"a": lif(3, r=20.0), "b": lif(3, r=20.0), "tap": {"type": "Output", "shape": np.array([3])}}
    path = save(tmp_path / "t.nir", nodes, [("input", "a"), ("a", "b"), ("a", "tap"), ("b", "output")])
    net = read(path, dt=DT)
    assert set(net.outputs) == {"tap", "b"} and net.populations["tap"].kind == "junction"
    write(net, tmp_path / "back.nir")
    with h5py.File(tmp_path / "back.nir") as f:
        assert f["node/nodes/tap/type"][()] == b"Output"
    assert set(read(tmp_path / "back.nir", foreign=True).outputs) == {"tap", "b"}


def test_a_foreign_network_is_written_without_loss(tmp_path: Path) -> None:
    for seed in range(40):
        nodes, edges = random_graph(np.random.default_rng(seed))
        try:
            net = read(save(tmp_path / "g.nir", nodes, edges), dt=DT)
        except UnsupportedError:
            continue
        assert write(net, tmp_path / "own.nir", extensions=True).exact


def test_dt_must_be_known(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", **lif(3))
    with pytest.raises(UnitError, match=r"dt: found none .* pass it, as in read\(path, dt='0.1 ms'\)"):
        read(path)
    noted = save(tmp_path / "y.nir", ends(3, 3) | {"x": lif(3)}, [("input", "x"), ("x", "output")], dt=2e-3)
    assert read(noted).dt == 2e-3
    with pytest.raises(UnitError, match="shorter than dt"):
        read(path, dt="1 s")


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_named_paddings(padding: str, tmp_path: Path) -> None:
    weight = np.ones((2, 1, 3, 5), np.float32)
    shape = [2, 6, 6] if padding == "same" else [2, 4, 2]
    conv = {"type": "Conv2d", "weight": weight, "bias": np.zeros(2, np.float32), "padding": padding, "groups": 1}
    conv |= {"stride": np.array([1, 1]), "dilation": np.array([1, 1])}
    nodes = {
        "i": {"type": "Input", "shape": np.array([1, 6, 6])},
        "c": conv,
        "o": {"type": "Output", "shape": np.array(shape)},
    }
    edges = [("i", "c"), ("c", "o")]
    assert read(save(tmp_path / "c.nir", nodes, edges), dt=DT).populations["o"].shape == tuple(shape)
    conv["stride"] = np.array([2, 2])
    if padding == "same":
        with pytest.raises(UnsupportedError, match="padding_is_symmetric"):
            read(save(tmp_path / "d.nir", nodes, edges), dt=DT)
    else:
        with pytest.raises(FormatError):
            read(save(tmp_path / "d.nir", nodes, edges), dt=DT)
