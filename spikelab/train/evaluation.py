"""Accuracy, confusion matrix and mean rates of a model on a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikelab.errors import ShapeError
from spikelab.nn.data import batches, frames
from spikelab.nn.layers import evaluating
from spikelab.nn.neuron import Neuron
from spikelab.train.losses import scores

__all__ = ["Evaluation", "Rates", "evaluate"]


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
        """[true, predicted] counts."""
        n = classes or int(max(self.predictions.max(), self.labels.max())) + 1
        matrix = np.zeros((n, n), np.int64)
        np.add.at(matrix, (self.labels, self.predictions), 1)
        return matrix


class Rates:
    """Collects the mean output of each spiking layer while used as a context."""

    def __init__(self, model: torch.nn.Module):
        self.layers = {
            n or type(m).__name__: m for n, m in model.named_modules() if isinstance(m, Neuron) and m.model.spiking
        }
        self.sums = dict.fromkeys(self.layers, 0.0)
        self.calls = dict.fromkeys(self.layers, 0)

    def __enter__(self) -> Rates:
        self.handles = []
        for name, layer in self.layers.items():

            def hook(_: Any, __: Any, output: Any, name: str = name) -> None:
                self.sums[name] += float(output[0].detach().mean())
                self.calls[name] += 1

            self.handles.append(layer.register_forward_hook(hook))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    @property
    def mean(self) -> dict[str, float]:
        """Mean output per layer."""
        return {n: self.sums[n] / max(self.calls[n], 1) for n in self.layers}


def evaluate(model: torch.nn.Module, data: Any, *, batch_size: int = 256, readout: str = "mean") -> Evaluation:
    """Run a model in eval mode on every sample.

    Args:
        model: returns (y [T, B, classes], state).
        data: `Frames`, or a pair (x [T, N, *shape], labels [N]).
        batch_size: samples at a time.
        readout: how the output becomes scores, see `scores`.

    Raises:
        ShapeError: the data do not fit the model.
    """
    samples = frames(data)
    predictions, losses, labels = [], 0.0, []
    with evaluating(model), torch.no_grad(), Rates(model) as rates:
        for x, y in batches(samples, batch_size):
            s = scores(model(x)[0], readout)
            if int(y.max()) >= s.shape[1]:
                raise ShapeError(f"evaluate: found label {int(y.max())}, but the model has {s.shape[1]} outputs")
            losses += float(torch.nn.functional.cross_entropy(s, y, reduction="sum"))
            predictions.append(s.argmax(1).numpy())
            labels.append(y.numpy())
    return Evaluation(losses / len(samples), np.concatenate(predictions), np.concatenate(labels), rates.mean)
