"""`fit`: the training loop, with validation, checkpoints, exact resume and seeds."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.nn.data import Frames, batches, frames
from spikelab.nn.layers import evaluating
from spikelab.nn.neuron import set_dt
from spikelab.train.augment import Transform, augmented
from spikelab.train.checkpoint import Checkpoint, load_checkpoint, restore, save_checkpoint
from spikelab.train.evaluation import Rates, evaluate
from spikelab.train.losses import scores

__all__ = ["Epoch", "fit", "one_cycle"]

Epoch = dict[str, Any]
"""One row of the history: epoch, loss, accuracy, validation_loss, validation_accuracy, rates, lr, seconds."""


def one_cycle(progress: float, warm: float = 0.2) -> float:
    """Factor on the learning rate: up from 1/25 over the first share `warm`, then down to nearly 0, by cosines.

    Source:
        Smith and Topin, Super-Convergence, 2019.

    Example:
        >>> one_cycle(0.2), round(one_cycle(0.0), 3)
        (1.0, 0.04)
    """
    if progress < warm:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / warm)) / 2
    return 1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * (progress - warm) / (1 - warm))) / 2


def fit(
    model: torch.nn.Module,
    train: Any,
    validation: Any = None,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    lr: float = 3e-3,
    weight_decay: float = 1e-2,
    schedule: Callable[[float], float] = one_cycle,
    label_smoothing: float = 0.0,
    readout: str = "mean",
    augment: Sequence[Transform] = (),
    clip: float = 0.0,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train a model to classify.

    AdamW on the cross entropy of the scores that the readout makes. All randomness of an epoch comes
    from `(seed, epoch)`: a run that is resumed from its checkpoint gives the bits of one that was
    never stopped.

    Args:
        model: returns (y [T, B, classes], state); layers without dt take that of the data.
        train: `Frames`, or a pair (x [T, N, *shape], labels [N]).
        validation: the same kind of data, evaluated after each epoch; never trained on.
        epochs: passes over the data.
        batch_size: samples per update.
        lr: largest learning rate.
        weight_decay: of weights (matrices and kernels only).
        schedule: factor on lr for the share of the run done, 0 to 1.
        label_smoothing: of the cross entropy.
        readout: `"mean"`, `"sum"`, `"max"` or `"last"` of the output over the steps.
        augment: transforms of the training input, in turn.
        clip: largest norm of the gradient; 0 for none.
        seed: of order, dropout and augmentation.
        checkpoint: file to write after each epoch, and to resume from if it is there.
        progress: show a progress bar.
        on_epoch: called with each row of the history.

    Returns:
        History: one row per epoch. The model is left in eval mode.

    Raises:
        ShapeError: data and model do not fit, or the checkpoint is of another model.
        UnitError: the data's dt is not that of the layers.
        UnsupportedError: settings out of range, or a loss or gradient that is not finite.
    """
    if epochs < 1 or batch_size < 1 or not lr > 0:
        raise UnsupportedError(
            f"fit: found epochs={epochs}, batch_size={batch_size}, lr={lr}; expected values above zero"
        )
    if clip < 0 or weight_decay < 0 or not 0 <= label_smoothing < 1 or seed < 0:
        raise UnsupportedError(
            f"fit: found clip={clip}, weight_decay={weight_decay}, label_smoothing={label_smoothing}, seed={seed}; "
            "expected values from 0, and label_smoothing below 1"
        )
    data = frames(train)
    for part in (data, *([] if validation is None else [frames(validation)])):
        _share_dt(model, part)
        _check_output(model, part, readout)
    optimiser = torch.optim.AdamW(_groups(model, weight_decay), lr=lr)
    history: list[Epoch] = []
    settings = {
        "model": repr(model),
        "data": _digest(data) if checkpoint is not None else "",
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "weight_decay": weight_decay,
        "schedule": _name(schedule),
        "label_smoothing": label_smoothing,
        "readout": readout,
        "augment": [_name(t) for t in augment],
        "clip": clip,
        "seed": seed,
        "samples": len(data),
    }
    if checkpoint is not None and Path(checkpoint).exists():
        history = _resume(model, optimiser, checkpoint, settings)
    with _bar(progress, epochs, len(history), len(data), batch_size) as bar:
        for epoch in range(len(history), epochs):
            began = time.perf_counter()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(np.random.SeedSequence([seed, epoch]).generate_state(1)[0].item())
                row = _epoch(
                    model,
                    optimiser,
                    data,
                    epoch,
                    epochs,
                    batch_size,
                    lr,
                    schedule,
                    label_smoothing,
                    readout,
                    augment,
                    clip,
                    seed,
                    bar,
                )
            if validation is not None:
                result = evaluate(model, validation, readout=readout)
                row |= {"validation_loss": result.loss, "validation_accuracy": result.accuracy}
            row["seconds"] = time.perf_counter() - began
            history.append(row)
            if checkpoint is not None:
                save_checkpoint(
                    checkpoint,
                    Checkpoint(model.state_dict(), optimiser.state_dict(), {"history": history, "settings": settings}),
                )
            if on_epoch is not None:
                on_epoch(row)
            if bar is not None:
                bar.show(row)
    model.eval()
    return history


def _name(part: Any) -> str:
    """What a setting is called in a checkpoint: dataclasses by their values, functions by their name."""
    return str(getattr(part, "__qualname__", None) or repr(part))


def _digest(data: Frames) -> str:
    """Names the data: their number, the shape and bits of the first samples, and all labels."""
    x, _ = data.batch(np.arange(min(4, len(data))))
    bits = hashlib.sha256(np.ascontiguousarray(x).tobytes() + np.asarray(data.labels, np.int64).tobytes())
    return f"{len(data)} samples of {x.shape[2:]}, {bits.hexdigest()[:16]}"


def _share_dt(model: torch.nn.Module, data: Frames) -> None:
    dt = getattr(data, "dt", None)
    if dt is None:
        return
    try:
        set_dt(model, float(dt))
    except UnitError as error:
        raise UnitError(f"fit: the data are binned at {dt} s, but {error}") from None


def _check_output(model: torch.nn.Module, data: Frames, readout: str) -> None:
    """One sample through the model before anything is trained."""
    x, _ = next(batches(data, 1))
    with evaluating(model), torch.no_grad():
        out = model(x)
    if not isinstance(out, tuple) or len(out) != 2:
        raise ShapeError(f"fit: the model returned {type(out).__name__}; expected (y, state), as nn.Sequential does")
    classes, largest = scores(out[0], readout).shape[1], int(data.labels.max())
    if largest >= classes:
        raise ShapeError(
            f"fit: found label {largest}, but the model has {classes} outputs; set the last layer to {largest + 1}"
        )


def _groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    named = [p for p in model.parameters() if p.requires_grad]
    if not named:
        raise UnsupportedError("fit: the model has no parameter that can be trained")
    weights = [p for p in named if p.ndim > 1]
    others = [p for p in named if p.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _resume(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer, path: Any, settings: dict[str, Any]
) -> list[Epoch]:
    found = load_checkpoint(path)
    then = dict(found.facts.get("settings", {}))
    differ = [k for k in settings if then.get(k) != settings[k]]
    if differ:
        changes = "; ".join(f"{k}: {then.get(k)!r} then, {settings[k]!r} now" for k in differ)
        raise ShapeError(
            f"fit: the checkpoint {os.fspath(path)} was made with another {', '.join(differ)} ({changes}); "
            "use another file, or delete it"
        )
    restore(model, optimiser, found)
    return list(found.facts["history"])


def _epoch(
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    data: Frames,
    epoch: int,
    epochs: int,
    batch_size: int,
    lr: float,
    schedule: Callable[[float], float],
    label_smoothing: float,
    readout: str,
    augment: Sequence[Transform],
    clip: float,
    seed: int,
    bar: Any,
) -> Epoch:
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(data))
    updates = -(-len(data) // batch_size)
    model.train()
    total, right = 0.0, 0
    with Rates(model) as rates:
        for k, (x, labels) in enumerate(batches(data, batch_size, order)):
            now = lr * schedule((epoch * updates + k) / max(epochs * updates - 1, 1))
            for group in optimiser.param_groups:
                group["lr"] = now
            s = scores(model(augmented(x, augment, rng))[0], readout)
            loss = torch.nn.functional.cross_entropy(s, labels, label_smoothing=label_smoothing)
            if not torch.isfinite(loss):
                raise UnsupportedError(
                    f"fit: the loss is {loss.item()} in epoch {epoch + 1}, update {k + 1}; "
                    f"lower lr={lr}, or set clip=1.0"
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf)
            if not torch.isfinite(norm):  # NaN input silences neurons: the loss stays finite, the weights do not
                raise UnsupportedError(
                    f"fit: the gradient is {norm.item()} in epoch {epoch + 1}, update {k + 1}; "
                    f"look for NaN in the data, lower lr={lr}, or set clip=1.0"
                )
            optimiser.step()
            total += loss.item() * len(labels)
            right += int((s.argmax(1) == labels).sum())
            if bar is not None:
                bar.step()
    return {
        "epoch": epoch + 1,
        "loss": total / len(data),
        "accuracy": right / len(data),
        "rates": rates.mean,
        "lr": now,
    }


def _bar(progress: bool, epochs: int, done: int, samples: int, batch_size: int) -> Any:
    if not progress:
        return nullcontext()
    from spikelab.train.progress import Bar

    return Bar(epochs, done, -(-samples // batch_size))
