"""`fit`: it learns, it resumes to the bit, its randomness is its seed, its mistakes are named."""

from __future__ import annotations

import errno
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import spikelab as sl
from spikelab import nn
from spikelab.errors import FormatError, ShapeError, UnitError, UnsupportedError
from spikelab.nn.data import ArrayFrames
from spikelab.train import SpikeDrop, evaluate
from spikelab.train.loop import one_cycle


def task(samples: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three classes: each has its own third of the channels that fires more often."""
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % 3
    rates = np.where(np.arange(9)[None] // 3 == labels[:, None], 0.4, 0.1)
    return (rng.random((20, samples, 9)) < rates).astype(np.float32), labels


def model(seed: int = 0, width: int = 12) -> nn.Sequential:
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Linear(9, width), nn.LIF(dt="1 ms", recurrent=True), nn.Dropout(0.2), nn.Linear(width, 3), nn.LI(dt="1 ms")
    )
    nn.initialise(made)
    return made


SETTINGS: dict[str, Any] = {"epochs": 4, "batch_size": 16, "lr": 1e-2, "progress": False, "augment": (SpikeDrop(0.1),)}


def weights(made: torch.nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in made.parameters()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def without_time(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def test_it_learns_a_separable_task_and_reports_each_epoch() -> None:
    made, rows = model(), []
    history = sl.fit(made, task(), task(30, 1), epochs=8, batch_size=16, lr=2e-2, progress=False, on_epoch=rows.append)
    assert rows == history and [row["epoch"] for row in history] == list(range(1, 9))
    assert set(history[0]) == {
        "epoch",
        "loss",
        "accuracy",
        "rates",
        "lr",
        "validation_loss",
        "validation_accuracy",
        "seconds",
    }
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert evaluate(made, task(90, 2)).accuracy > 0.9
    assert history[-1]["validation_accuracy"] == evaluate(made, task(30, 1)).accuracy
    assert not made.training and 0 < history[-1]["rates"]["1"] < 1


@pytest.mark.parametrize("stop", [1, 3])
def test_a_run_that_was_stopped_resumes_to_the_bit(tmp_path: Path, stop: int) -> None:
    whole = model()
    expected = sl.fit(whole, task(), task(30, 1), **SETTINGS)

    def interrupt(row: dict[str, Any]) -> None:
        if row["epoch"] == stop:
            raise KeyboardInterrupt

    broken = model()
    with pytest.raises(KeyboardInterrupt):
        sl.fit(broken, task(), task(30, 1), checkpoint=tmp_path / "run.npz", on_epoch=interrupt, **SETTINGS)
    torch.manual_seed(12345)  # what the process has drawn meanwhile does not matter
    resumed, seen = model(seed=99), []
    history = sl.fit(resumed, task(), task(30, 1), checkpoint=tmp_path / "run.npz", on_epoch=seen.append, **SETTINGS)
    assert [row["epoch"] for row in seen] == list(range(stop + 1, 5))
    assert equal(weights(resumed), weights(whole))
    assert without_time(history) == without_time(expected)
    again = model(seed=5)
    assert sl.fit(again, task(), task(30, 1), checkpoint=tmp_path / "run.npz", **SETTINGS) == history
    assert equal(weights(again), weights(whole))


def test_a_crash_inside_an_epoch_resumes_from_the_last_whole_one(tmp_path: Path) -> None:
    whole = model()
    sl.fit(whole, task(), **SETTINGS)

    class Dying(ArrayFrames):
        calls = 0

        def batch(self, indices: Any) -> Any:
            self.calls += 1
            if self.calls == 11:  # one look at the output, four batches an epoch
                raise OSError("the disk is gone")
            return super().batch(indices)

    with pytest.raises(OSError, match="the disk is gone"):
        sl.fit(model(), Dying(*task()), checkpoint=tmp_path / "run", **SETTINGS)
    resumed = model(seed=1)
    assert len(sl.fit(resumed, task(), checkpoint=tmp_path / "run", **SETTINGS)) == 4
    assert equal(weights(resumed), weights(whole))


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    results = []
    for seed in (0, 0, 1):
        made = model()
        torch.manual_seed(seed + 7 * len(results))
        sl.fit(made, task(), seed=seed, **SETTINGS)
        results.append(weights(made))
    assert equal(results[0], results[1]) and not equal(results[0], results[2])


def test_every_epoch_takes_all_samples_in_an_order_of_its_own() -> None:
    class Watched(ArrayFrames):
        def __init__(self, *data: Any) -> None:
            super().__init__(*data)
            self.seen: list[int] = []

        def batch(self, indices: Any) -> Any:
            self.seen += list(indices)
            return super().batch(indices)

    data = Watched(*task())
    sl.fit(model(), data, **SETTINGS)
    epochs = [data.seen[1 + 60 * k : 61 + 60 * k] for k in range(4)]  # one look at the output before
    assert all(sorted(e) == list(range(60)) for e in epochs)
    assert len({tuple(e) for e in epochs}) == 4


def test_the_generators_of_torch_and_numpy_are_left_alone() -> None:
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  to see that nobody uses it
    expected = torch.rand(3), np.random.random(3)  # noqa: NPY002
    made = model()
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    sl.fit(made, task(), **SETTINGS)
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.random(3), expected[1])  # noqa: NPY002


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 5},
        {"lr": 1.1e-2},
        {"seed": 1},
        {"batch_size": 17},
        {"weight_decay": 0.0},
        {"readout": "max"},
        {"label_smoothing": 0.1},
        {"clip": 1.0},
        {"augment": ()},
        {"augment": (SpikeDrop(0.2),)},
        {"schedule": lambda share: 1.0},
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "run.npz"
    sl.fit(model(), task(), checkpoint=path, **{**SETTINGS, "epochs": 1})
    made = model()
    before = weights(made)
    with pytest.raises(ShapeError, match=r"run.npz was made with.*use another file, or delete it"):
        sl.fit(made, task(), checkpoint=path, **{**SETTINGS, "epochs": 1, **change})
    assert equal(weights(made), before)


def test_a_checkpoint_of_other_data_or_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    sl.fit(model(), task(), checkpoint=path, **{**SETTINGS, "epochs": 1})
    with pytest.raises(ShapeError, match="was made with"):
        sl.fit(model(), task(61), checkpoint=path, **{**SETTINGS, "epochs": 1})
    with pytest.raises(ShapeError, match=r"was made with another model \("):
        sl.fit(model(width=13), task(), checkpoint=path, **{**SETTINGS, "epochs": 1})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"run.npz"):
        sl.fit(model(), task(), checkpoint=path, **{**SETTINGS, "epochs": 1})


def test_a_loss_that_is_not_finite_is_refused() -> None:
    made = model()
    with torch.no_grad():
        made[3].bias[0] = 3e38  # overflows in the read-out
    with pytest.raises(UnsupportedError, match=r"the loss is nan in epoch 1, update 1; lower lr=0.01, or set clip=1.0"):
        sl.fit(made, task(), **SETTINGS)


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    made = model()
    with torch.no_grad():
        made[3].weight *= 1e30  # its square overflows
    with pytest.raises(UnsupportedError, match=r"the gradient is (nan|inf) in epoch 1"):
        sl.fit(made, task(), **SETTINGS)
    assert all(p.isfinite().all() for p in made.parameters())


def test_data_that_are_not_finite_are_met_by_the_first_layer() -> None:
    x, labels = task()
    data = ArrayFrames(x, labels)
    data.x[3, 2, 1] = np.nan  # behind the check
    with pytest.raises(ShapeError, match=r"found nan in x at step 3"):
        sl.fit(model(), data, **SETTINGS)


def test_the_same_shapes_with_another_time_constant_or_other_data_do_not_resume(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    sl.fit(model(), task(), checkpoint=path, **{**SETTINGS, "epochs": 1})
    other = model()
    other[1].model = replace(other[1].model, tau_mem=0.099)
    with pytest.raises(ShapeError, match=r"another model \(.*tau_mem=0.099"):
        sl.fit(other, task(), checkpoint=path, **{**SETTINGS, "epochs": 1})
    x, labels = task()
    with pytest.raises(ShapeError, match="another data"):
        sl.fit(model(), (1 - x, labels), checkpoint=path, **{**SETTINGS, "epochs": 1})


def test_data_that_cannot_be_trained_on_are_refused() -> None:
    x, labels = task()
    bad = x.copy()
    bad[3, 2, 1] = np.nan
    with pytest.raises(ShapeError, match=r"found nan in x at \[3, 2, 1\]"):
        sl.fit(model(), (bad, labels), **SETTINGS)
    with pytest.raises(ShapeError, match="expected real numbers"):
        sl.fit(model(), (x.astype(str), labels), **SETTINGS)
    pair = (ArrayFrames(x, labels), ArrayFrames(x, labels))
    with pytest.raises(ShapeError, match=r"train, test = data\.frames"):
        sl.fit(model(), pair, **SETTINGS)
    later = ArrayFrames(x, labels)
    later.dt = 5e-3
    with pytest.raises(UnitError, match=r"fit: data: found dt 0.005 s, but layer 1 has 0.001 s"):
        sl.fit(model(), (x, labels), later, **SETTINGS)


@pytest.mark.parametrize("which", ["train", "validation"])
def test_labels_out_of_range_are_refused_before_anything_is_trained(which: str) -> None:
    x, labels = task()
    bad = labels.copy()
    bad[7] = 3
    made = model()
    before = weights(made)
    data = {"train": (x, labels), "validation": (x, labels), which: (x, bad)}
    with pytest.raises(ShapeError, match="found label 3, but the model has 3 outputs; set the last layer to 4"):
        sl.fit(made, data["train"], data["validation"], **SETTINGS)
    assert equal(weights(made), before)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((task()[0][:, :0], task()[1][:0]), "which is empty"),
        ((task()[0], task()[1][:-1]), "labels"),
        ((task()[0][0], task()[1]), r"\[T, N, \*shape\]"),
        (None, "NoneType"),
        ((task()[0][..., :8], task()[1]), "layer 0"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        sl.fit(model(), data, **SETTINGS)


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"lr": 0.0},
        {"lr": math.nan},
        {"clip": -1.0},
        {"weight_decay": -0.1},
        {"label_smoothing": 1.0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused_by_name(bad: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match=f"{next(iter(bad))}={next(iter(bad.values()))}"):
        sl.fit(model(), task(), **{**SETTINGS, **bad})


def test_models_that_cannot_be_trained_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"the model returned Tensor; expected \(y, state\)"):
        sl.fit(torch.nn.Linear(9, 3), task(), **SETTINGS)
    frozen = model().requires_grad_(False)
    with pytest.raises(UnsupportedError, match="no parameter that can be trained"):
        sl.fit(frozen, task(), **SETTINGS)
    with pytest.raises(UnsupportedError, match="did you mean 'mean'"):
        sl.fit(model(), task(), **SETTINGS, readout="meam")
    with pytest.raises(ShapeError, match=r"put Flatten\(\) before the last Linear"):
        sl.fit(nn.Sequential(nn.Linear(3, 3)), (task()[0].reshape(20, 60, 3, 3), task()[1]), **SETTINGS)


def test_the_time_step_of_the_data_goes_to_the_layers_or_is_refused() -> None:
    class Binned(ArrayFrames):
        dt = 1e-3

    free = nn.Sequential(nn.Linear(9, 3), nn.LI())
    sl.fit(free, Binned(*task()), **{**SETTINGS, "epochs": 1})
    assert free[1].dt == 1e-3
    with pytest.raises(UnitError, match=r"fit: data: found dt 0.001 s, but layer 1 has 0.005 s"):
        sl.fit(nn.Sequential(nn.Linear(9, 3), nn.LI(dt="5 ms")), Binned(*task()), **SETTINGS)
    with pytest.raises(UnitError, match="dt is not known"):
        sl.fit(nn.Sequential(nn.Linear(9, 3), nn.LI()), task(), **SETTINGS)


def test_only_matrices_decay_and_the_gradient_is_clipped() -> None:
    still = nn.Sequential(nn.Linear(9, 3))
    with torch.no_grad():
        still[0].weight.fill_(0.5)
        still[0].bias.fill_(0.5)
    empty = np.zeros((5, 4, 9), np.float32), np.array([0, 1, 2, 0])
    options = {**SETTINGS, "epochs": 1, "batch_size": 4, "augment": ()}
    sl.fit(still, empty, **options, weight_decay=0.1, schedule=lambda _: 1.0)
    assert torch.allclose(still[0].weight, torch.full((3, 9), 0.5 * (1 - 1e-2 * 0.1)))
    clipped, seen = model(), []
    clipped[0].weight.register_post_accumulate_grad_hook(lambda p: seen.append(p))
    norms: list[float] = []
    step = torch.optim.AdamW.step

    def watch(self: Any, *rest: Any) -> Any:
        norms.append(float(torch.cat([p.grad.flatten() for g in self.param_groups for p in g["params"]]).norm()))
        return step(self, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", watch)
        sl.fit(clipped, task(), **{**SETTINGS, "epochs": 1}, clip=1e-3)
    assert len(norms) == len(seen) == 4
    assert all(n == pytest.approx(1e-3, rel=1e-3) for n in norms)


def test_the_learning_rate_rises_then_falls() -> None:
    values = [one_cycle(s) for s in np.linspace(0, 1, 101)]
    peak = int(np.argmax(values))
    assert peak == 20 and values[20] == 1.0
    assert np.all(np.diff(values[:21]) > 0) and np.all(np.diff(values[20:]) < 0)
    assert values[0] == pytest.approx(1 / 25) and 0 < values[-1] < 1e-3


def test_progress_names_silent_layers(capsys: pytest.CaptureFixture[str]) -> None:
    silent = nn.Sequential(nn.Linear(9, 4), nn.LIF(v_threshold=1e6, dt="1 ms"), nn.Linear(4, 3))
    sl.fit(silent, task(), **{**SETTINGS, "epochs": 1, "progress": True})
    text = capsys.readouterr().err
    assert "epoch   1/1" in text and "silent: 1" in text


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    made = model()
    before = weights(made)
    (tmp_path / "file").touch()
    for place, message in ((tmp_path, "Is a directory"), (tmp_path / "file" / "run.npz", "cannot be made|read")):
        with pytest.raises(FormatError, match=message):
            sl.fit(made, task(), checkpoint=place, **SETTINGS)
    assert equal(weights(made), before)


def test_a_full_disk_keeps_the_last_whole_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole = tmp_path / "run.npz", model()
    sl.fit(whole, task(), **SETTINGS)
    sync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FormatError, match="No space left on device"):
        sl.fit(model(), task(), checkpoint=path, **SETTINGS)
    resumed, seen = model(seed=3), []
    sl.fit(resumed, task(), checkpoint=path, on_epoch=seen.append, **SETTINGS)
    assert [row["epoch"] for row in seen] == [3, 4] and equal(weights(resumed), weights(whole))


def test_data_that_differ_in_the_middle_do_not_resume(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    sl.fit(model(), task(), checkpoint=path, **{**SETTINGS, "epochs": 1})
    x, labels = task()
    x[:, 30] = 1 - x[:, 30]
    with pytest.raises(ShapeError, match="another data"):
        sl.fit(model(), (x, labels), checkpoint=path, **{**SETTINGS, "epochs": 1})


def test_an_interrupt_leaves_the_model_in_eval_mode() -> None:
    class Interrupted(ArrayFrames):
        calls = 0

        def batch(self, indices: Any) -> Any:
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt
            return super().batch(indices)

    made = model()
    with pytest.raises(KeyboardInterrupt):
        sl.fit(made, Interrupted(*task()), **SETTINGS)
    assert not made.training and not made[2].training


def test_a_loss_without_gradient_and_a_rate_that_is_no_number_are_refused() -> None:
    class Detached(torch.nn.Linear):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x).detach(), None

    with pytest.raises(UnsupportedError, match=r"depends on no parameter.*look for detach"):
        sl.fit(Detached(9, 3), task(), **SETTINGS)
    with pytest.raises(UnsupportedError, match=r"learning rate of nan at 0.000 of the run.*look at schedule"):
        sl.fit(model(), task(), **SETTINGS, schedule=lambda share: math.nan)


def test_a_transform_that_returns_something_else_is_named() -> None:
    with pytest.raises(ShapeError, match="augment: found NoneType"):
        sl.fit(model(), task(), **{**SETTINGS, "augment": lambda x, rng: None})


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("on_epoch", 3, UnsupportedError, r"fit: found on_epoch=3; expected a function of one row"),
        ("on_epoch", lambda: None, UnsupportedError, r"fit: found on_epoch=.*; expected a function of one row"),
        ("checkpoint", 3, FormatError, r"3: is no file name; expected text or a Path"),
        ("progress", "no", UnsupportedError, r"fit: found progress='no'; expected True or False"),
        ("progress", 0, UnsupportedError, r"fit: found progress=0; expected True or False"),
        (
            "schedule",
            lambda share: "1",
            UnsupportedError,
            r"fit: found '1' from schedule at 0.000 of the run",
        ),
        ("schedule", lambda share: None, UnsupportedError, r"fit: found None from schedule"),
    ],
)
def test_what_is_called_or_written_is_checked_before_training(name: str, value: Any, error: Any, message: str) -> None:
    net = model()
    before = [p.detach().clone() for p in net.parameters()]
    with pytest.raises(error, match=message):
        sl.fit(net, task(), **{"epochs": 1, "progress": False, name: value})
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
