"""Accuracy, confusion matrix and mean rates of a model on a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikelab.errors import ShapeError, UnsupportedError
from spikelab.nn.data import Frames, batches, frames
from spikelab.nn.layers import evaluating
from spikelab.nn.neuron import Neuron, check_dt, set_dt
from spikelab.nn.psn import PSN
from spikelab.train.losses import model_scores, must_be_model
from spikelab.train.settings import whole

__all__ = ["Evaluation", "Rates", "check_data", "evaluate"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result on a data set.

    Args:
        loss: mean cross entropy.
        predictions: [N] predicted classes.
        labels: [N] true classes.
        rates: mean output of each neuron layer per step (spikes per neuron and step).
    """

    loss: float
    predictions: NDArray[np.int64]
    labels: NDArray[np.int64]
    rates: dict[str, float]

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return float(np.mean(self.predictions == self.labels))

    def confusion(self, classes: int | None = None) -> NDArray[np.int64]:
        """[true, predicted] counts.

        Raises:
            ShapeError: a label or prediction lies beyond `classes`.
        """
        needed = int(max(self.predictions.max(), self.labels.max())) + 1
        n = classes or needed
        if n < needed:
            raise ShapeError(
                f"confusion: found classes={classes}, but class {needed - 1} occurs; pass {needed} or more"
            )
        matrix = np.zeros((n, n), np.int64)
        np.add.at(matrix, (self.labels, self.predictions), 1)
        return matrix


class Rates:
    """Collects the mean output of each spiking layer while used as a context; see to `lengths` before each batch.

    `lengths` are the steps [B] of the samples of the batch to come: those behind the end of each do not count. None for
    all steps.
    """

    def __init__(self, model: torch.nn.Module):
        self.layers = {
            n or type(m).__name__: m
            for n, m in model.named_modules()
            if isinstance(m, PSN) or (isinstance(m, Neuron) and m.model.spiking)
        }
        self.lengths: Tensor | None = None
        self.sums = dict.fromkeys(self.layers, 0.0)
        self.steps = dict.fromkeys(self.layers, 0)

    def __enter__(self) -> Rates:
        self.handles = []
        for name, layer in self.layers.items():

            def hook(_: Any, __: Any, output: Any, name: str = name) -> None:
                spikes = (output[0] if isinstance(output, tuple) else output).detach()
                if self.lengths is None:
                    steps = spikes.shape[0] * spikes.shape[1]
                else:
                    inside = torch.arange(len(spikes))[:, None] < self.lengths
                    spikes, steps = spikes[inside.to(spikes.device)], int(self.lengths.sum())
                self.sums[name] += float(spikes.mean()) * steps
                self.steps[name] += steps

            self.handles.append(layer.register_forward_hook(hook))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    @property
    def mean(self) -> dict[str, float]:
        """Mean output per layer."""
        return {n: self.sums[n] / max(self.steps[n], 1) for n in self.layers}


def check_data(model: torch.nn.Module, data: Frames, readout: str, where: str, *, take_dt: bool = False) -> None:
    """Refuse data that do not fit the model: their dt, the shape of one sample, the largest label.

    Args:
        model: the model; one sample is run through it.
        data: the samples.
        readout: see `scores`.
        where: the function that was called.
        take_dt: give the data's dt to layers that have none.

    Raises:
        ShapeError: the shape of a sample, of the output, or a label.
        UnitError: the data are binned at another dt than that of the layers.
    """
    must_be_model(model, where)
    dt = getattr(data, "dt", None)
    if dt is not None:
        check_dt(model, float(dt), f"{where}: data")
        if take_dt:
            set_dt(model, float(dt))
    one = next(batches(data, 1))
    with evaluating(model), torch.no_grad():
        outputs = model_scores(model, one.x, readout, where, one.lengths).shape[1]
    largest = int(np.max(data.labels))
    if largest >= outputs:
        raise ShapeError(
            f"{where}: found label {largest}, but the model has {outputs} outputs; set the last layer to {largest + 1}"
        )


def evaluate(model: torch.nn.Module, data: Any, *, batch_size: int = 256, readout: str = "mean") -> Evaluation:
    """Run a model in eval mode on every sample.

    Args:
        model: returns (y [T, B, classes], state).
        data: `Frames`, or a pair (x [T, N, *shape], labels [N]).
        batch_size: samples at a time.
        readout: how the output becomes scores, see `scores`.

    Raises:
        ShapeError: the data do not fit the model.
        UnitError: the data are binned at another dt than that of the layers.
        UnsupportedError: unknown readout, a batch size below 1, or scores that are not finite.
    """
    samples = frames(data)
    batch_size = whole(batch_size, "evaluate: batch_size", 1)
    check_data(model, samples, readout, "evaluate")
    predictions, losses, labels = [], 0.0, []
    with evaluating(model), torch.no_grad(), Rates(model) as rates:
        for x, y, lengths in batches(samples, batch_size):
            rates.lengths = lengths
            s = model_scores(model, x, readout, "evaluate", lengths)
            if not torch.isfinite(s).all():
                raise UnsupportedError(
                    "evaluate: found scores that are not finite; expected numbers; "
                    "look for NaN in the weights of the model and in the data"
                )
            losses += float(torch.nn.functional.cross_entropy(s, y, reduction="sum"))
            predictions.append(s.argmax(1).numpy())
            labels.append(y.numpy())
    return Evaluation(losses / len(samples), np.concatenate(predictions), np.concatenate(labels), rates.mean)
