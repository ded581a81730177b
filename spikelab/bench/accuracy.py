"""`spikelab bench accuracy`: the recipes, cross-validated or over seeds, beside linear baselines on the same folds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from spikelab.agreement import Agreement, agreement
from spikelab.clocked import Float32
from spikelab.errors import unknown_name
from spikelab.hardware.event_driven import EventDriven
from spikelab.nn import compare, to_network
from spikelab.train import evaluate, fit
from spikelab.train.recipes import recipe

__all__ = ["SPLITS", "results"]

SPLITS = ("folds", "speakers", "seeds")
"""Five folds by recording index; one speaker left out at a time; the given split with several seeds."""


def results(
    dataset: str, split: str, *, root: str | None = None, only: tuple[int, ...] = (), progress: bool = False
) -> Iterator[dict[str, Any]]:
    """Train and test once per fold, speaker or seed.

    Args:
        dataset: name of a data set with a recipe.
        split: see `SPLITS`.
        root: folder of the full data set; None takes what `spikelab.dataset` finds.
        only: numbers of the folds, speakers or seeds to run; all if empty.
        progress: show the training.

    Yields:
        One row each: accuracy, a logistic regression and an RBF-SVM on counts (where scikit-learn is
        installed), spikes that differ between the back-ends, seconds.

    Raises:
        UnsupportedError: unknown data set, split or number, or a data set that does not say the speaker.
    """
    from spikelab.events.dataset import dataset as find

    plan = recipe(dataset)
    found = find(dataset, root=root)
    for number, train, test in _splits(found, plan, split, only):
        seed = number if split == "seeds" else plan.seed
        model = plan.model(train.shape, len(train.classes), seed)
        began = time.perf_counter()
        history = fit(model, train, seed=seed, progress=progress, **plan.settings)
        seconds = time.perf_counter() - began
        result = evaluate(model, test)
        row: dict[str, Any] = {
            "dataset": dataset,
            "split": split,
            "number": number,
            "seed": seed,
            "train": len(train),
            "test": len(test),
            "accuracy": result.accuracy,
            "train_accuracy": history[-1]["accuracy"],
            "rates": result.rates,
            "parameters": sum(p.numel() for p in model.parameters()),
            "seconds": seconds,
        }
        row |= _baselines(train, test) if split != "seeds" or number == 0 else {}
        yield row | _back_ends(model, test, plan)


def _splits(found: Any, plan: Any, split: str, only: tuple[int, ...]) -> Iterator[tuple[int, Any, Any]]:
    """Number, training and test frames of each part; made when its turn comes: all at once would fill the memory."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    options = {"dt": plan.dt, "steps": plan.steps, "late": plan.late}
    if split == "seeds":
        numbers = _wanted(split, range(3), only)
        train, test = found.frames(**options)
        yield from ((seed, train, test) for seed in numbers)
        return
    everything = found.all_frames(**options)
    by = "index" if split == "folds" else "speaker"
    if by not in everything.metadata:
        raise unknown_name(f"split {split!r}: metadata", by, everything.metadata)
    group = everything.metadata["index"] % 5 if split == "folds" else everything.metadata["speaker"]
    for number in _wanted(split, np.unique(group).tolist(), only):
        yield number, everything.subset(group != number), everything.subset(group == number)


def _wanted(split: str, numbers: Sequence[int], only: tuple[int, ...]) -> list[int]:
    for number in only:
        if number not in numbers:
            raise unknown_name(f"{split}: number", number, [str(n) for n in numbers])
    return [n for n in numbers if not only or n in only]


def _counts(frames: Any) -> Any:
    """[S, N] events per channel or pixel, log1p."""
    rows = [frames.batch(np.arange(k, min(k + 256, len(frames))))[0].sum(axis=0) for k in range(0, len(frames), 256)]
    return np.log1p(np.concatenate(rows).reshape(len(frames), -1))


def _baselines(train: Any, test: Any) -> dict[str, float]:
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC
    except ImportError:
        return {}
    a, b = _counts(train), _counts(test)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    machine = make_pipeline(StandardScaler(), SVC(C=10.0))
    return {
        "logistic_on_counts": float(logistic.fit(a, train.labels).score(b, test.labels)),
        "svm_on_counts": float(machine.fit(a, train.labels).score(b, test.labels)),
    }


def _back_ends(model: Any, test: Any, plan: Any, size: int = 100) -> dict[str, Any]:
    """Spikes of torch, of the exact and of the fast event-driven run against the reference, on the whole test set."""
    net = to_network(model, test.shape)
    totals: dict[str, Agreement | None] = {"torch": None, "event_exact": None, "event_fast": None}
    right = 0
    for first in range(0, len(test), size):
        x, labels = test.batch(np.arange(first, min(first + size, len(test))))
        found = {
            "torch": compare(model, net, x),
            "event_exact": agreement(net, x, EventDriven(threads=2).run(net, x).spikes),
            "event_fast": agreement(net, x, EventDriven("fast", threads=2).run(net, x).spikes),
        }
        for name, value in found.items():
            old = totals[name]
            totals[name] = value if old is None else old + value
        right += int((Float32().run(net, x).output.mean(axis=0).argmax(axis=1) == labels).sum())
    rows: dict[str, Any] = {"network_accuracy": right / len(test)}
    for name, total in totals.items():
        assert total is not None
        rows[name] = {
            "decisions": total.decisions,
            "differing": total.differing,
            "samples_differing": len(total.first),
            "all_ties": total.explained,
            "largest_distance": max((d.distance for d in total.first), default=0.0),
            "predictions_differing": total.predictions_differing,
        }
    return rows
