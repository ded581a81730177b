"""Samples of unequal length, in worker processes and in `fit`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from spikelab import nn
from spikelab.errors import ShapeError
from spikelab.events import Events, Recordings, bin_events, shd
from spikelab.events import Frames as BinnedFrames
from spikelab.nn.data import Loader, Samples, collate
from spikelab.train import evaluate, fit
from spikelab.train.losses import READOUTS, scores

to_counts = partial(bin_events, dt="5 ms")


def drop_half(events: Events, rng: np.random.Generator) -> Events:
    return Events(events.array[rng.random(len(events)) < 0.5], events.shape)


@pytest.fixture
def speech(tmp_path: Path) -> Recordings:
    """Ten recordings in SHD layout, on disk, of 20 to 110 ms; class 1 is the louder one in the upper channels."""
    rng = np.random.default_rng(0)
    parts = []
    for k in range(10):
        t = np.sort(rng.integers(0, 20_000 + 10_000 * k, 150))
        parts.append(Events.from_columns(t, rng.integers(0, 8, 150) + 8 * (k % 2), shape=(16,)))
    shd.write(Recordings.of(parts, [k % 2 for k in range(10)], ("low", "high")), tmp_path / "set.h5")
    return shd.read(tmp_path / "set.h5", 16)


def test_padding_is_masked() -> None:
    arrays = [np.full((length, 2, 3), length) for length in (4, 1, 2)]
    batch = collate(list(zip(arrays, [5, 6, 7], strict=True)))
    assert batch.x.shape == (4, 3, 2, 3) and batch.x.dtype == torch.float32
    assert batch.lengths.tolist() == [4, 1, 2] and batch.labels.tolist() == [5, 6, 7]
    assert torch.equal(batch.mask.sum(0), batch.lengths) and batch.mask.dtype == torch.bool
    assert (batch.x[~batch.mask] == 0).all()
    for k, array in enumerate(arrays):
        assert np.array_equal(batch.x[batch.mask[:, k], k].numpy(), array)
    with pytest.raises(ShapeError, match="with one shape"):
        collate([(np.zeros((2, 3)), 0), (np.zeros((2, 4)), 0)])
    with pytest.raises(ShapeError):
        collate([])


def test_any_loader_of_torch_takes_them(speech: Recordings) -> None:
    batches = list(DataLoader(Samples(speech, to_counts), batch_size=4, collate_fn=collate))
    assert [len(batch.labels) for batch in batches] == [4, 4, 2]
    total = sum(float(batch.x.sum()) for batch in batches)
    assert total == sum(len(events) for events in speech) == 1500
    fixed = BinnedFrames.of(speech, "5 ms")
    even = next(iter(DataLoader(fixed, batch_size=10, collate_fn=collate)))  # type: ignore[arg-type]
    assert even.mask.all() and np.array_equal(even.x.numpy(), fixed.batch(range(10))[0])


def digest(loader: Loader, epoch: int) -> list[np.ndarray]:
    return [part.numpy().copy() for batch in loader.epoch(epoch) for part in batch]


def test_batches_are_the_same_for_any_number_of_workers(speech: Recordings) -> None:
    found = {}
    for workers in (0, 1, 2):
        loader = Loader(Samples(speech, to_counts, augment=[drop_half], seed=3), 4, seed=5, workers=workers)
        before = torch.random.get_rng_state()
        found[workers] = [digest(loader, epoch) for epoch in (0, 1, 0)]
        assert torch.equal(before, torch.random.get_rng_state())
    for workers in (1, 2):
        for ours, theirs in zip(found[workers], found[0], strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    first, second, again = found[0]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(a.shape == b.shape and np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_draws_depend_on_seed_epoch_and_number_only(speech: Recordings) -> None:
    samples = Samples(speech, to_counts, augment=[drop_half], seed=3)
    expected = bin_events(drop_half(speech[7], np.random.default_rng([3, 2, 7])), dt="5 ms")
    for found in (samples[2, 7], samples.at_epoch(2)[7], samples.at_epoch(2)[-3], samples.__getitems__([0, (2, 7)])[1]):
        assert np.array_equal(found[0], expected) and found[1] == 1
    assert samples.epoch == 0
    with pytest.raises(ShapeError, match="expected a number or"):
        samples["a"]
    with pytest.raises(IndexError):
        samples[10]


def test_arrays_are_kept_on_disk(speech: Recordings, tmp_path: Path) -> None:
    plain = Samples(speech, to_counts)
    kept = Samples(speech, to_counts, cache=str(tmp_path / "cache"))
    for _ in range(2):
        assert all(np.array_equal(kept[k][0], plain[k][0]) for k in range(10))
    assert len(list((tmp_path / "cache").rglob("*.h5"))) == 10
    with pytest.raises(ShapeError, match="one of them"):
        Samples(speech, to_counts, augment=[drop_half], cache=str(tmp_path))


def test_fit_trains_on_them(speech: Recordings) -> None:
    def trained(seed: int) -> tuple[list[dict[str, object]], float]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 2), nn.LI(tau_mem="20 ms"))
        samples = Samples(speech, to_counts, augment=[drop_half], seed=seed, dt="5 ms")
        history = fit(model, samples, epochs=15, batch_size=5, lr=0.05, progress=False)
        return history, evaluate(model, Samples(speech, to_counts, dt="5 ms")).accuracy

    (first, accuracy), (again, _), (other, _) = trained(1), trained(1), trained(2)
    assert accuracy == 1.0
    assert [row["loss"] for row in first] == [row["loss"] for row in again] != [row["loss"] for row in other]


@pytest.mark.parametrize("readout", READOUTS)
def test_a_padded_batch_is_each_recording_alone(speech: Recordings, readout: str) -> None:
    torch.manual_seed(1)
    spiking = nn.LIF(v_threshold=0.5, recurrent=True)
    model = nn.Sequential(nn.Linear(16, 8), spiking, nn.Linear(8, 2), nn.LI(tau_mem="20 ms"))
    nn.set_dt(model, "5 ms")
    samples = Samples(speech, to_counts)
    found: dict[bool, list[torch.Tensor]] = {}
    for padded in (True, False):
        parts = [range(10)] if padded else [[k] for k in range(10)]
        logits, labels = [], []
        for batch in map(samples.padded, parts):
            logits.append(scores(model(batch.x)[0], readout, batch.lengths))
            labels.append(batch.labels)
        if padded:
            assert len(set(batch.lengths.tolist())) == 10
            wrong = (scores(model(batch.x)[0], readout) - logits[0]).abs().amax(1)
            assert (wrong[batch.lengths < len(batch.x)] > 1e-3).sum() >= (1 if readout == "max" else 9)
        loss = torch.nn.functional.cross_entropy(torch.cat(logits), torch.cat(labels))
        found[padded] = [torch.cat(logits), loss, *torch.autograd.grad(loss, list(model.parameters()))]
    assert all(float(part.detach().abs().max()) > 1e-4 for part in found[True])
    for ours, alone in zip(found[True], found[False], strict=True):
        # Products of matrices add up in another order.
        torch.testing.assert_close(ours, alone, rtol=1e-5, atol=1e-6 * float(alone.detach().abs().max()))


def test_evaluation_does_not_depend_on_what_is_padded(speech: Recordings) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(16, 8), nn.LIF(v_threshold=0.5), nn.Linear(8, 2), nn.LI(tau_mem="20 ms"))
    samples = Samples(speech, to_counts, dt="5 ms")
    nn.set_dt(model, "5 ms")
    alone, padded = (evaluate(model, samples, batch_size=size) for size in (1, 10))
    assert padded.loss == pytest.approx(alone.loss, rel=1e-5)
    assert padded.rates == pytest.approx(alone.rates, rel=1e-5) and alone.rates["1"] > 0.01
    rows = [
        fit(model, samples, epochs=1, batch_size=size, lr=1e-12, weight_decay=0.0, progress=False)[0]
        for size in (1, 10)
    ]
    for row in rows:
        assert row["loss"] == pytest.approx(alone.loss, rel=1e-5)
        assert row["rates"] == pytest.approx(alone.rates, rel=1e-5)


def test_samples_without_steps_are_refused() -> None:
    y = torch.zeros(3, 2, 4)
    for lengths in ([3, 0], [3, 4], [3]):
        with pytest.raises(ShapeError, match="expected 1 to 3 steps for each of 2"):
            scores(y, "mean", torch.tensor(lengths))


@pytest.mark.parametrize("samples", [[(np.zeros((2, 3)), "a")], "x", None, [np.zeros((2, 3))], 5])
def test_what_is_no_pair_is_refused(samples: object) -> None:
    with pytest.raises(ShapeError, match=r"collate: .* expected pairs of an array"):
        collate(samples)  # type: ignore[arg-type]
