"""Checkpoints: loss-free, replaced whole or not at all, and nothing in a file can do harm."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelab import nn
from spikelab.errors import FormatError, ShapeError, SpikelabError
from spikelab.train.checkpoint import Checkpoint, load_checkpoint, restore, save_checkpoint


def model(width: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(4, width), torch.nn.BatchNorm1d(width), nn.LIF(learn=("tau_mem",), recurrent=True, dt="1 ms")
    return nn.Sequential(*layers, nn.Linear(width, 2))


def trained() -> tuple[nn.Sequential, torch.optim.Optimizer]:
    """A model and an optimiser with moments of their own, without running a kernel."""
    made = model()
    optimiser = torch.optim.AdamW(made.parameters(), lr=0.1)
    for k in range(3):
        for p in made.parameters():
            p.grad = torch.full_like(p, 0.1 * (k + 1))
        optimiser.step()
    made[1].running_mean += 0.5
    made[1].num_batches_tracked += 7
    return made, optimiser


def saved(path: Path) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    made, optimiser = trained()
    facts = {"history": [{"epoch": 1, "loss": 0.1 + 0.2}], "settings": {"seed": 0}}
    save_checkpoint(path, Checkpoint(made.state_dict(), optimiser.state_dict(), facts))
    return made, optimiser


def test_a_round_trip_loses_nothing(tmp_path: Path) -> None:
    made, optimiser = saved(tmp_path / "run.npz")
    found = load_checkpoint(tmp_path / "run.npz")
    assert found.facts == {"history": [{"epoch": 1, "loss": 0.1 + 0.2}], "settings": {"seed": 0}}
    fresh = model()
    other = torch.optim.AdamW(fresh.parameters(), lr=0.5)
    restore(fresh, other, found)
    for (name, a), b in zip(made.state_dict().items(), fresh.state_dict().values(), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b), name
    theirs, ours = optimiser.state_dict(), other.state_dict()
    tuples = [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in ours["param_groups"]]
    assert tuples == theirs["param_groups"]
    for k, entry in theirs["state"].items():
        assert all(torch.equal(v, ours["state"][k][n]) for n, v in entry.items())
    for m, o in ((made, optimiser), (fresh, other)):  # and both go on alike
        for p in m.parameters():
            p.grad = torch.ones_like(p)
        o.step()
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), fresh.parameters(), strict=True))


def test_the_file_holds_arrays_and_text_only(tmp_path: Path) -> None:
    saved(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        assert all(file[k].dtype.kind in "fiu" for k in file.files)
        assert json.loads(bytes(file["facts"]))["format"] == "spikelab-checkpoint-1"


@pytest.mark.parametrize("where", ["savez", "fsync", "replace"])
def test_a_write_that_is_broken_off_leaves_the_old_file(tmp_path: Path, monkeypatch: Any, where: str) -> None:
    path = tmp_path / "run.npz"
    saved(path)
    before = path.read_bytes()

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np if where == "savez" else os, where, die)
    with pytest.raises(KeyboardInterrupt):
        saved(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["run.npz"]


def test_a_folder_is_made_and_no_other_file_is_left(tmp_path: Path) -> None:
    saved(tmp_path / "deep" / "er" / "run")
    assert os.listdir(tmp_path / "deep" / "er") == ["run"]


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "run.npz")
    found = load_checkpoint(tmp_path / "run.npz")
    for other in (model(width=5), nn.Sequential(nn.Linear(4, 3)), torch.nn.Linear(4, 3)):
        with pytest.raises(ShapeError, match="another model"):
            restore(other, torch.optim.AdamW(other.parameters()), found)
    groups = model()
    split = torch.optim.AdamW([{"params": [p]} for p in groups.parameters()])
    with pytest.raises(ShapeError, match="another model"):
        restore(groups, split, found)


class Harmful:
    """Leaves a trace where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_no_pickle_is_run(tmp_path: Path) -> None:
    trap = np.empty(1, object)
    trap[0] = Harmful(tmp_path / "harmed")
    saved(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as file:
        arrays = {k: file[k] for k in file.files}
    np.savez(tmp_path / "array.npz", **{**arrays, "model/0.weight": trap})
    np.savez(tmp_path / "facts.npz", **{**arrays, "facts": trap})
    np.save(tmp_path / "single.npy", trap)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Harmful(tmp_path / "harmed")))
    with zipfile.ZipFile(tmp_path / "torch.npz", "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Harmful(tmp_path / "harmed")))
    for name in ("array.npz", "facts.npz", "single.npy", "plain.pkl", "torch.npz"):
        with pytest.raises(FormatError, match=name):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "harmed").exists()


def npz(facts: Any, **arrays: Any) -> bytes:
    file = io.BytesIO()
    text = facts if isinstance(facts, np.ndarray) else np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(file, facts=text, **arrays)
    return file.getvalue()


EMPTY = {"state": {}, "param_groups": []}
GOOD: dict[str, Any] = {"format": "spikelab-checkpoint-1", "facts": {}, "optimiser": EMPTY}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a file of ours",
        b"PK\x05\x06" + bytes(18),
        npz([]),
        npz("text"),
        npz(None),
        npz({}),
        npz({**GOOD, "format": "spikelab-checkpoint-9"}),
        npz({"format": "spikelab-checkpoint-1"}),
        npz({**GOOD, "facts": []}),
        npz({**GOOD, "optimiser": 3}),
        npz({**GOOD, "optimiser": {"state": [], "param_groups": []}}),
        npz({**GOOD, "optimiser": {"state": {"a": {}}, "param_groups": []}}),
        npz(np.array([255, 254], np.uint8)),
        npz(np.zeros(3, np.float32)),
        npz(GOOD, **{"optimiser/x/step": np.zeros(2)}),
        npz(GOOD, **{"model/w": np.array(["text"])}),
        npz(GOOD, **{"model/w": np.array("text")}),
        npz(GOOD, **{"model/w": np.zeros(2, "M8[s]")}),
        npz(GOOD, stray=np.zeros(2)),
    ],
)
def test_foreign_files_are_refused_with_the_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.npz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"foreign.npz") as caught:
        load_checkpoint(path)
    assert caught.value.path == str(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="No such file"):
        load_checkpoint(tmp_path / "nothing.npz")
    with pytest.raises(FormatError, match="Is a directory"):
        load_checkpoint(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    path = tmp_path_factory.mktemp("fuzz") / "run.npz"
    saved(path)
    return path.read_bytes(), path


@settings(max_examples=60)
@given(st.data())
def test_truncated_files_are_refused(whole: tuple[bytes, Path], data: st.DataObject) -> None:
    content, path = whole
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(FormatError):
        load_checkpoint(path)


@settings(max_examples=200)
@given(st.data())
def test_changed_bytes_give_a_checkpoint_or_an_error_of_ours(whole: tuple[bytes, Path], data: st.DataObject) -> None:
    content, path = whole
    changed = bytearray(content)
    places = st.integers(0, len(content) - 1)
    # The zip directory and the headers are a small part of the file and hold most of what can go wrong.
    headers = [k for k in range(len(content)) if content.startswith((b"PK", b"\x93NUMPY"), k)]
    near = st.builds(lambda k, d: min(k + d, len(content) - 1), st.sampled_from(headers), st.integers(0, 90))
    for at in data.draw(st.lists(places | near, min_size=1, max_size=4)):
        changed[at] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    made = model()
    try:
        restore(made, torch.optim.AdamW(made.parameters()), load_checkpoint(path))
    except SpikelabError:
        return
