"""`fit`: the training loop, with validation, checkpoints, exact resume and seeds."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.files import check_place, file_name, make_folder
from spikelab.nn.data import Batch, Frames, Samples, batches, frames
from spikelab.train.augment import Transform, augmented
from spikelab.train.checkpoint import Checkpoint, load_checkpoint, restore, save_checkpoint
from spikelab.train.evaluation import Rates, check_data, evaluate
from spikelab.train.losses import model_scores, must_be_model
from spikelab.train.settings import Settings, takes

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
    augment: Transform | Sequence[Transform] = (),
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
        train: `Frames`, or a pair (x [T, N, *shape], labels [N]). Of `nn.data.Samples` of unequal length, the steps
            behind the end of each count neither in the readout nor in the rates.
        validation: the same kind of data, evaluated after each epoch; never trained on.
        epochs: passes over the data.
        batch_size: samples per update.
        lr: largest learning rate.
        weight_decay: of weights (matrices and kernels only).
        schedule: factor on lr for the share of the run done, 0 to 1.
        label_smoothing: of the cross entropy.
        readout: `"mean"`, `"sum"`, `"max"` or `"last"` of the output over the steps.
        augment: transforms of the training input, in turn; or a single one.
        clip: largest norm of the gradient; 0 for none.
        seed: of order, dropout and augmentation.
        checkpoint: file to write after each epoch, and to resume from if it is there.
        progress: show a progress bar.
        on_epoch: called with each row of the history.

    Returns:
        History: one row per epoch. The model is left in eval mode, also where training is broken off.

    Raises:
        ShapeError: data and model do not fit, or the checkpoint is of another model.
        UnitError: the data's dt is not that of the layers.
        UnsupportedError: settings out of range, or a loss or gradient that is not finite.
        FormatError: the checkpoint is damaged, or its place cannot be written to.
    """
    settings = Settings(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        schedule=schedule,
        label_smoothing=label_smoothing,
        readout=readout,
        augment=augment,  # type: ignore[arg-type]  # a single one becomes a tuple
        clip=clip,
        seed=seed,
    )
    must_be_model(model, "fit")
    if not isinstance(progress, bool):
        raise UnsupportedError(f"fit: found progress={progress!r}; expected True or False; choose one")
    if on_epoch is not None and not takes(on_epoch, {}):
        raise UnsupportedError(
            f"fit: found on_epoch={on_epoch!r}; expected a function of one row of the history; pass print, say"
        )
    if checkpoint is not None:
        file_name(checkpoint)
    run = _Run(model, _optimiser(model, settings), frames(train), settings)
    for part in (run.data, *([] if validation is None else [frames(validation)])):
        check_data(model, part, readout, "fit", take_dt=True)
    facts = {} if checkpoint is None else run.facts()
    history: list[Epoch] = []
    if checkpoint is not None:
        if Path(checkpoint).exists():
            history = _resume(run, checkpoint, facts)
        if len(history) < settings.epochs:
            make_folder(checkpoint)
            check_place(checkpoint)
    try:
        with _bar(progress, run, len(history)) as bar:
            for epoch in range(len(history), settings.epochs):
                began = time.perf_counter()
                row = run.epoch(epoch, bar)
                if validation is not None:
                    result = evaluate(model, validation, readout=readout)
                    row |= {"validation_loss": result.loss, "validation_accuracy": result.accuracy}
                row["seconds"] = time.perf_counter() - began
                history.append(row)
                if checkpoint is not None:
                    save_checkpoint(checkpoint, run.checkpoint({"history": history, "settings": facts}))
                if on_epoch is not None:
                    on_epoch(row)
                if bar is not None:
                    bar.show(row)
    finally:
        model.eval()
    return history


@dataclass(frozen=True, eq=False)
class _Run:
    """What stays the same over a run: the model and its optimiser (their numbers change), data and settings."""

    model: torch.nn.Module
    optimiser: torch.optim.Optimizer
    data: Frames
    settings: Settings

    @property
    def updates(self) -> int:
        """Updates per epoch."""
        return -(-len(self.data) // self.settings.batch_size)

    def facts(self) -> dict[str, Any]:
        """What a checkpoint must have in common with the run that goes on from it."""
        return {
            "model": repr(self.model),
            "data": _digest(self.data),
            "samples": len(self.data),
            **self.settings.facts(),
        }

    def checkpoint(self, facts: dict[str, Any]) -> Checkpoint:
        """The run as it stands."""
        return Checkpoint(self.model.state_dict(), self.optimiser.state_dict(), facts)

    def epoch(self, number: int, bar: Any) -> Epoch:
        """One pass over the data; all that is random in it comes from the seed and the epoch's number."""
        s = self.settings
        rng = np.random.default_rng([s.seed, number])
        order = rng.permutation(len(self.data))
        total, right, rate = 0.0, 0, 0.0
        self.model.train()
        with torch.random.fork_rng(devices=[]), Rates(self.model) as rates:
            torch.manual_seed(np.random.SeedSequence([s.seed, number]).generate_state(1)[0].item())
            data = self.data.at_epoch(number) if isinstance(self.data, Samples) else self.data
            for k, batch in enumerate(batches(data, s.batch_size, order)):
                rate = self._set_rate(number * self.updates + k)
                rates.lengths = batch.lengths
                batch = batch._replace(x=augmented(batch.x, s.augment, rng))
                loss, hits = self._update(batch, f"in epoch {number + 1}, update {k + 1}")
                total += loss * len(batch.labels)
                right += hits
                if bar is not None:
                    bar.step()
        n = len(self.data)
        return {"epoch": number + 1, "loss": total / n, "accuracy": right / n, "rates": rates.mean, "lr": rate}

    def _set_rate(self, done: int) -> float:
        """Give the optimiser the learning rate after so many updates."""
        share = done / max(self.settings.epochs * self.updates - 1, 1)
        factor = self.settings.schedule(share)
        if isinstance(factor, bool) or not isinstance(factor, Real):
            raise UnsupportedError(
                f"fit: found {factor!r} from schedule at {share:.3f} of the run; expected a number; "
                "return a factor on lr"
            )
        rate = self.settings.lr * float(factor)
        if not (math.isfinite(rate) and rate >= 0):
            raise UnsupportedError(
                f"fit: found a learning rate of {rate} at {share:.3f} of the run; expected a number from 0; "
                "look at schedule"
            )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _update(self, batch: Batch, when: str) -> tuple[float, int]:
        """One step of the optimiser: the loss, and how many samples were right."""
        s, labels = self.settings, batch.labels
        found = model_scores(self.model, batch.x, s.readout, "fit", batch.lengths)
        loss = torch.nn.functional.cross_entropy(found, labels, label_smoothing=s.label_smoothing)
        if not torch.isfinite(loss):
            raise UnsupportedError(f"fit: the loss is {loss.item()} {when}; lower lr={s.lr}, or set clip=1.0")
        if not loss.requires_grad:
            raise UnsupportedError(
                f"fit: the loss depends on no parameter that can be trained, {when}; "
                "look for detach(), no_grad() or an unused layer in the model"
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), s.clip or math.inf)
        if not torch.isfinite(norm):  # NaN input silences neurons: the loss stays finite, the weights do not
            raise UnsupportedError(
                f"fit: the gradient is {norm.item()} {when}; look for NaN in the data, lower lr={s.lr}, or set clip=1.0"
            )
        self.optimiser.step()
        return loss.item(), int((found.argmax(1) == labels).sum())


def _optimiser(model: torch.nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """AdamW; only matrices and kernels decay."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise UnsupportedError("fit: the model has no parameter that can be trained; add a Linear, or requires_grad_()")
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr)


def _digest(data: Frames) -> str:
    """Names the data: their number, the shape and bits of 64 samples spread over them, and all labels."""
    x, _ = data.batch(np.unique(np.linspace(0, len(data) - 1, 64).astype(np.int64)))
    bits = hashlib.sha256(np.ascontiguousarray(x).tobytes() + np.asarray(data.labels, np.int64).tobytes())
    return f"{len(data)} samples of {x.shape[2:]}, {bits.hexdigest()[:16]}"


def _resume(run: _Run, path: str | os.PathLike[str], facts: dict[str, Any]) -> list[Epoch]:
    """Put the checkpoint into the run; the history so far."""
    found = load_checkpoint(path)
    then, history = found.facts.get("settings"), found.facts.get("history")
    if not isinstance(then, dict) or not isinstance(history, list):
        raise FormatError(path, "found no history and settings; expected a checkpoint that fit wrote; use another file")
    differ = [k for k in facts if then.get(k) != facts[k]]
    if differ:
        changes = "; ".join(f"{k}: {then.get(k)!r} then, {facts[k]!r} now" for k in differ)
        raise ShapeError(
            f"fit: the checkpoint {os.fspath(path)} was made with another {', '.join(differ)} ({changes}); "
            "use another file, or delete it"
        )
    restore(run.model, run.optimiser, found)
    return list(history)


def _bar(progress: bool, run: _Run, done: int) -> Any:
    if not progress:
        return nullcontext()
    from spikelab.train.progress import Bar

    return Bar(run.settings.epochs, done, run.updates)
