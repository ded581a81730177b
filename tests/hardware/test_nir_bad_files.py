"""Damaged, foreign and hostile files: one clear error of ours each, in bounded memory."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikelab.errors import FormatError, SpikelabError, UnsupportedError
from spikelab.hardware.nir import read, write
from spikelab.hardware.nir.container import MOST_BYTES
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LIF, CubaLIF
from spikelab.ops import Conv2d, Flatten, Linear, Scale, Sparse, SumPool2d
from tests.hardware.test_nir_foreign import chain, ends, fill, full, lif, save

TEXT = h5py.string_dtype()


def example() -> Network:
    rng = np.random.default_rng(0)
    populations = {
        "in": Population((2, 6, 6), kind="input"),
        "conv": Population((4, 6, 6), LIF(tau_mem=0.01)),
        "rec": Population((5,), CubaLIF(v_threshold=np.linspace(0.5, 1, 5)), initial={"v": 0.25}),
        "sum": Population((5,)),
    }
    return Network(
        populations,
        [
            Projection("in", "conv", (Conv2d(rng.normal(size=(4, 2, 3, 3)), padding=1),)),
            Projection("conv", "rec", (SumPool2d(2), Flatten(), Linear(rng.normal(size=(5, 36)), np.ones(5)))),
            Projection(
                "rec", "rec", (Sparse([0, 1, 1], [2, 3, 3], [1.0, 2.0, 0.5], (5, 5)),), delay=np.array([1, 2, 3])
            ),
            Projection("rec", "sum", (Scale(0.5),), delay=2),
            Projection("conv", "sum", (Flatten(), Linear(rng.normal(size=(5, 144))))),
        ],
        dt=1e-3,
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory: Any) -> bytes:
    path = tmp_path_factory.mktemp("nir") / "good.nir"
    write(example(), path, extensions=True)
    return path.read_bytes()


def test_truncated_files_are_refused_at_every_place(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.nir"
    cuts = sorted({*range(0, 200, 7), *np.linspace(200, len(good) - 1, 150).astype(int).tolist()})
    for cut in cuts:
        path.write_bytes(good[:cut])
        with pytest.raises(FormatError, match=r"cut\.nir"):
            read(path)


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "noise.nir"
    for size in (0, 1, 8, 100, 5000):
        for head in (b"", b"\x89HDF\r\n\x1a\n"):
            path.write_bytes(head + rng.bytes(size))
            with pytest.raises(FormatError, match=r"noise\.nir"):
                read(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.nir", tmp_path, tmp_path / "pipe", "a\0b"):
        with pytest.raises(FormatError):
            read(path)


def other(path: Path, name: str, change: Callable[[Any], None]) -> None:
    """A file with one node `x` that is changed by hand."""
    chain(path, **lif(3))
    with h5py.File(path, "r+") as f:
        del f[f"node/nodes/x/{name}"]
        change(f["node/nodes/x"])


@pytest.mark.parametrize(
    ("found", "change"),
    [
        ("no tau", lambda x: None),
        ("text", lambda x: x.create_dataset("tau", data="0.01", dtype=TEXT)),
        ("shapes", lambda x: x.create_dataset("tau", data=np.full(4, 0.01))),
        ("shapes", lambda x: x.create_dataset("tau", data=np.full((3, 1), 0.01))),
        ("shapes", lambda x: x.create_dataset("tau", data=0.01)),
        ("NaN or infinity", lambda x: x.create_dataset("tau", data=[np.nan, 1, 1])),
        ("above zero", lambda x: x.create_dataset("tau", data=[0.0, 1, 1])),
        ("above zero", lambda x: x.create_dataset("tau", data=[-1.0, 1, 1])),
        ("a group", lambda x: x.create_group("tau")),
        ("empty", lambda x: x.create_dataset("tau", data=h5py.Empty("f"))),
        ("none empty", lambda x: x.create_dataset("tau", data=np.zeros(0))),
        ("complex", lambda x: x.create_dataset("tau", data=np.ones(3, complex))),
        ("bool", lambda x: x.create_dataset("tau", data=np.ones(3, bool))),
        ("type", lambda x: x.create_dataset("tau", data=np.ones(3, [("a", "f4")]))),
    ],
)
def test_fields_that_are_not_what_they_must_be(found: str, change: Any, tmp_path: Path) -> None:
    other(tmp_path / "x.nir", "tau", change)
    with pytest.raises(FormatError, match=found if found != "bool" else "numbers"):
        read(tmp_path / "x.nir", dt=1e-3)


AFFINE = {"type": "Affine", "weight": np.ones((3, 3), np.float32), "bias": np.zeros(3, np.float32)}
WIRE = [("input", "x"), ("x", "output")]


@pytest.mark.parametrize(
    ("found", "nodes", "edges"),
    [
        ("NaN", {"x": AFFINE | {"weight": np.full((3, 3), np.nan)}}, WIRE),
        ("finite float32", {"x": AFFINE | {"weight": np.full((3, 3), 1e300)}}, WIRE),
        ("Linear expects 4 inputs", {"x": AFFINE | {"weight": np.ones((3, 4))}}, WIRE),
        ("bias", {"x": AFFINE | {"bias": np.ones(4)}}, WIRE),
        ("no node 'y'", {"x": AFFINE}, [*WIRE, ("x", "y")]),
        ("no node 'y'", {"x": AFFINE}, [*WIRE, ("y", "x")]),
        ("twice", {"x": AFFINE}, [*WIRE, WIRE[0]]),
        ("out of an Output", {"x": AFFINE}, [*WIRE, ("output", "x")]),
        ("into an Input", {"x": AFFINE}, [*WIRE, ("x", "input")]),
        ("lengths above zero", {"x": AFFINE, "input": {"type": "Input", "shape": np.array([0])}}, WIRE),
        ("whole numbers", {"x": AFFINE, "input": {"type": "Input", "shape": np.array([1.5])}}, WIRE),
        ("delay", {"x": {"type": "Delay", "delay": full(3, -1e-3)}}, WIRE),
        ("delay", {"x": {"type": "Delay", "delay": full(3, 1e9)}}, WIRE),
        ("no type", {"x": {}}, WIRE),
        ("change one of them", {"x": AFFINE | {"weight": np.ones((2, 3)), "bias": np.ones(2)}}, WIRE),
    ],
)
def test_contradictory_graphs_are_format_errors(found: str, nodes: Any, edges: Any, tmp_path: Path) -> None:
    nodes = ends(3, 3) | nodes
    kinds = {name: dict(fields) for name, fields in nodes.items()}
    path = tmp_path / "g.nir"
    with h5py.File(path, "w") as f:
        node = f.create_group("node")
        kinds["x"].setdefault("type", "missing")
        fill(node, kinds, edges)
        if not nodes["x"]:
            del f["node/nodes/x/type"]
    with pytest.raises(FormatError, match=found):
        read(path, dt=1e-3)


@pytest.mark.parametrize(
    ("found", "nodes", "edges"),
    [
        ("'LIFF'.*did you mean 'LIF'", {"x": {"type": "LIFF"}}, WIRE),
        ("Conv1d", {"x": {"type": "Conv1d", "weight": np.ones((1, 1, 3))}}, WIRE),
        ("refractory", {"x": lif(3) | {"refractory": full(3, 1.0)}}, WIRE),
        ("weight_is_a_matrix", {"x": {"type": "Linear", "weight": np.ones((2, 3, 3))}}, WIRE),
        ("node_reaches_output", {"x": AFFINE, "y": lif(3)}, [*WIRE, ("x", "y")]),
        ("input_reaches_node", {"x": AFFINE, "y": lif(3)}, [*WIRE, ("y", "x")]),
        ("delay_is_whole_steps", {"x": {"type": "Delay", "delay": full(3, 0.0013)}}, WIRE),
        (
            "unequal_delays",
            {"x": {"type": "Delay", "delay": np.float32([0, 0.001, 0.002])}},
            WIRE,
        ),
    ],
)
def test_what_has_no_counterpart_is_named(found: str, nodes: Any, edges: Any, tmp_path: Path) -> None:
    path = save(tmp_path / "u.nir", ends(3, 3) | nodes, edges)
    with pytest.raises(UnsupportedError, match=found):
        read(path, dt=1e-3)


def test_files_that_are_no_nir_graph(tmp_path: Path) -> None:
    path = tmp_path / "h.nir"

    def make(change: Callable[[Any], None]) -> str:
        with h5py.File(path, "w") as f:
            change(f)
        with pytest.raises(FormatError) as caught:
            read(path)
        return str(caught.value)

    assert "no group" in make(lambda f: f.create_dataset("data", data=1))
    assert "no group" in make(lambda f: f.create_dataset("node", data=1))
    assert "found no type" in make(lambda f: f.create_group("node"))
    assert "expected NIRGraph" in make(lambda f: f.create_dataset("node/type", data="LIF", dtype=TEXT))
    assert "no group 'nodes'" in make(lambda f: f.create_dataset("node/type", data="NIRGraph", dtype=TEXT))


def test_no_input_or_output_is_refused(tmp_path: Path) -> None:
    for kind in ("input", "output"):
        nodes = {k: v for k, v in (ends(3, 3) | {"x": AFFINE}).items() if k != kind}
        with pytest.raises(FormatError, match=f"no {kind.title()} node"):
            read(save(tmp_path / "e.nir", nodes, [e for e in WIRE if kind not in e]), dt=1e-3)


def hostile(path: Path, change: Callable[[Any], None]) -> str:
    chain(path, **lif(3))
    with h5py.File(path, "r+") as f:
        change(f)
    with pytest.raises(FormatError) as caught:
        read(path, dt=1e-3)
    return str(caught.value)


def test_groups_that_hold_themselves_are_refused(tmp_path: Path) -> None:
    def loop(f: Any) -> None:
        f["node/nodes/again"] = f["node"]

    assert "held twice" in hostile(tmp_path / "loop.nir", loop)


def test_links_and_data_outside_the_file_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as f:
        f["tau"] = np.ones(3)
    (tmp_path / "raw").write_bytes(np.ones(3).tobytes())
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(secret, "tau", (3,))

    def put(make: Callable[[Any], None]) -> str:
        def change(f: Any) -> None:
            del f["node/nodes/x/tau"]
            make(f["node/nodes/x"])

        return hostile(tmp_path / "x.nir", change)

    assert "link to elsewhere" in put(lambda x: x.__setitem__("tau", h5py.ExternalLink(secret, "tau")))
    assert "link to elsewhere" in put(lambda x: x.__setitem__("tau", h5py.SoftLink("/node/nodes/x/r")))
    raw = [(str(tmp_path / "raw"), 0, 24)]
    assert "another file" in put(lambda x: x.create_dataset("tau", (3,), "f8", external=raw))
    assert "another file" in put(lambda x: x.create_virtual_dataset("tau", layout))


def test_bombs_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    huge = 2**36

    def unwritten(f: Any) -> None:
        f["node/nodes/x"].create_dataset("w", (huge,), "f4", chunks=(1024,))

    def contiguous(f: Any) -> None:
        f["node/nodes/x"].create_dataset("w", (huge,), "f4")

    def inflating(f: Any) -> None:
        data = f["node/nodes/x"].create_dataset("w", (1000,), "u1", chunks=(1000,), compression=9)
        import zlib

        data.id.write_direct_chunk((0,), zlib.compress(bytes(900_000), 9))

    def wide_chunk(f: Any) -> None:
        data = f["node/nodes/x"].create_dataset("w", (8,), "u1", chunks=(2**30,), maxshape=(None,), compression=9)
        data.id.write_direct_chunk((0,), bytes(20))

    def strings(f: Any) -> None:
        data = f["node/metadata"] if "metadata" in f["node"] else f["node"].create_group("metadata")
        data.create_dataset("text", data=np.array(["x" * 2**20] * 100, object), dtype=TEXT)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "declared" in hostile(tmp_path / "a.nir", unwritten)
    assert "declared" in hostile(tmp_path / "b.nir", contiguous)
    assert "inflates beyond" in hostile(tmp_path / "c.nir", inflating)
    assert "declared" in hostile(tmp_path / "d.nir", wide_chunk)
    assert "bytes of text" in hostile(tmp_path / "e.nir", strings)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000  # KiB; what is declared here is 256 GiB, and more
    assert MOST_BYTES <= 4 * 2**30


def test_unknown_filters_are_refused(tmp_path: Path) -> None:
    def scaleoffset(f: Any) -> None:
        f["node/nodes/x"].create_dataset("w", data=np.zeros(100, int), scaleoffset=0, chunks=(100,))

    assert "filter" in hostile(tmp_path / "f.nir", scaleoffset)


def test_metadata_of_others_are_left_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "m.nir", ends(3, 3) | {"x": lif(3)}, WIRE, note=np.ones(3, complex), deep=np.float32(3))
    assert read(path, dt=1e-3).dt == 1e-3


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": true}', "[" * 100_000, '{"format": 1, "digests": 3}']
)
def test_damaged_metadata_of_ours_are_refused(text: str, good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.nir"
    path.write_bytes(good)
    with h5py.File(path, "r+") as f:
        del f["node/metadata/spikelab"]
        f["node/metadata"].create_dataset("spikelab", data=text, dtype=TEXT)
    with pytest.raises(SpikelabError):
        read(path)


def test_a_newer_format_is_named(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "n.nir"
    path.write_bytes(good)
    with h5py.File(path, "r+") as f:
        f["node/metadata/spikelab"][()] = f["node/metadata/spikelab"].asstr()[()].replace('"format": 1', '"format": 9')
    with pytest.raises(UnsupportedError, match=r"format 9.*update spikelab"):
        read(path)


def mutate(good: bytes, rng: np.random.Generator, skip: int) -> bytes:
    data = bytearray(good)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(skip, len(data)))
        kind = rng.integers(4)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            width = int(rng.integers(1, 9))
            data[at : at + width] = rng.bytes(len(data[at : at + width]))
        else:
            start = int(rng.integers(0, len(data)))
            piece = bytes(data[start : start + 16])
            data[at : at + len(piece)] = piece[: len(data) - at]
    return bytes(data)


@pytest.mark.parametrize("skip", [0, 2048])
def test_mutated_files_give_a_network_or_an_error_of_ours(skip: int, good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fuzz.nir"
    rng = np.random.default_rng(skip)
    small = tmp_path / "small.nir"
    write(example(), small, extensions=True, compression=None)
    sources = [good, small.read_bytes(), chain(tmp_path / "other.nir", **lif(3)).read_bytes()]
    read_well = 0
    for k in range(1000):
        path.write_bytes(mutate(sources[k % 3], rng, skip))
        try:
            read(path, dt="1 ms", foreign=bool(k % 2))
            read_well += 1
        except SpikelabError:
            pass
    assert read_well > 100  # mutations that only touch values, or unused bytes


def test_numbers_at_the_edges_of_float_raise_no_warnings(tmp_path: Path) -> None:
    signalling = np.frombuffer(np.uint32(0x7F800001).tobytes() * 3, np.float32)
    for tau in (signalling, np.full(3, 1e-45, np.float32), np.full(3, 3e38, np.float32), np.full(3, 1e308)):
        for kind in ("LIF", "CubaLIF", "IF"):
            node = lif(3) | {"tau": tau}
            if kind == "CubaLIF":
                node |= {"type": kind, "tau_syn": tau, "tau_mem": node.pop("tau"), "w_in": tau}
            if kind == "IF":
                node = {"type": kind, "r": tau, "v_threshold": full(3, 1.0)}
            with contextlib.suppress(SpikelabError):
                read(chain(tmp_path / "x.nir", **node), dt=1e-3)


@pytest.mark.parametrize(("threshold", "start"), [([1.0, 1.0, 0.5], [0.0, 0.0, 0.75]), ([-0.5] * 3, None)])
def test_a_reset_above_the_threshold_is_refused_with_its_node(threshold: Any, start: Any, tmp_path: Path) -> None:
    fields = lif(3, v_threshold=np.float32(threshold))
    fields = {k: v for k, v in fields.items() if k != "v_reset"} | (
        {} if start is None else {"v_reset": np.float32(start)}
    )
    with pytest.raises(FormatError, match=r"node x \(LIF\)\.v_reset: found a value 0\.\d+ V above v_threshold"):
        read(chain(tmp_path / "a.nir", **fields), dt=1e-3)


def test_a_reset_above_the_threshold_in_a_file_of_ours_is_refused_with_its_node(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    net = Network(
        {"in": Population((2,), kind="input"), "out": Population((2,), LIF(reset="soft", v_reset=2.0))},
        [Projection("in", "out", Linear(np.eye(2)))],
        dt=1e-3,
    )
    write(net, path, extensions=True)
    with h5py.File(path, "r+") as file:
        note = file["node/metadata/spikelab"]
        text = note[()].decode().replace('"soft"', '"hard"')
        del file["node/metadata/spikelab"]
        file.create_dataset("node/metadata/spikelab", data=text, dtype=TEXT)
    with pytest.raises(FormatError, match=r"node out: LIF\.v_reset: found 2\.0 V with v_threshold of 1\.0 V"):
        read(path)
