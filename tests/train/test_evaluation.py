"""`evaluate` and the readouts: figures by hand, the model left as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spikelab import nn
from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.nn.data import ArrayFrames
from spikelab.train import Evaluation, evaluate
from spikelab.train.losses import scores

X = np.random.default_rng(0).normal(size=(4, 10, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])


class Identity(torch.nn.Module):
    """Its input is its output; dropout shows whether it runs in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Any:
        return self.drop(x), None


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize(
    ("readout", "by_hand"),
    [("mean", X.mean(0)), ("sum", X.sum(0)), ("max", X.max(0)), ("last", X[-1])],
)
def test_loss_and_predictions_are_those_of_the_readout(readout: str, by_hand: np.ndarray, batch_size: int) -> None:
    found = evaluate(Identity(), (X, LABELS), batch_size=batch_size, readout=readout)
    shares = np.exp(by_hand) / np.exp(by_hand).sum(1, keepdims=True)
    assert found.loss == pytest.approx(-np.log(shares[np.arange(10), LABELS]).mean(), rel=1e-5)
    np.testing.assert_array_equal(found.predictions, by_hand.argmax(1))
    assert found.accuracy == (by_hand.argmax(1) == LABELS).mean()


def test_the_confusion_matrix_counts_true_by_predicted() -> None:
    found = Evaluation(0.0, np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), {})
    assert found.confusion().tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert found.confusion(4).shape == (4, 4) and found.confusion(4).sum() == 4
    assert found.accuracy == 0.75


def test_modes_and_hooks_are_left_as_they_were() -> None:
    model = torch.nn.ModuleList([Identity(), Identity()])
    whole = Identity()
    whole.parts = model
    whole.train()
    model[0].eval()
    evaluate(whole, (X, LABELS))
    assert whole.training and model[1].training and not model[0].training
    with pytest.raises(UnsupportedError, match="did you mean 'mean'"):
        evaluate(whole, (X, LABELS), readout="meen")
    assert whole.training and not any(m._forward_hooks for m in whole.modules())


def test_rates_are_spikes_per_neuron_and_step() -> None:
    model = nn.Sequential(nn.LIF(v_threshold=0.5, dt="1 ms"), nn.Linear(3, 3), nn.LI(dt="1 ms"))
    found = evaluate(model, (X, LABELS), batch_size=10)
    with torch.no_grad():
        expected = float(model[0](torch.tensor(X))[0].mean())
    assert found.rates == {"0": pytest.approx(expected)} and expected > 0.05


def test_parallel_neurons_have_rates_too() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.PSN(5), nn.MaskedPSN(5, 2), nn.Linear(6, 2))
    x = np.random.default_rng(0).random((5, 8, 4), np.float32)
    with torch.no_grad():
        first = model[1](model[0](torch.from_numpy(x)))
        second = model[2](first)[0]
    rates = evaluate(model, ArrayFrames(x, np.zeros(8, np.int64)), batch_size=8).rates
    assert rates == pytest.approx({"1": float(first.mean()), "2": float(second.mean())})


def test_data_and_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="found label 3, but the model has 3 outputs"):
        evaluate(Identity(), (X, LABELS + 1))
    with pytest.raises(ShapeError, match=r"expected \[T, B, classes\]"):
        scores(torch.zeros(3, 4), "mean")
    with pytest.raises(ShapeError, match=r"put Flatten\(\) before the last Linear"):
        scores(torch.zeros(3, 4, 5, 6), "mean")


def test_data_of_another_dt_are_refused() -> None:
    class Binned(ArrayFrames):
        dt = 5e-3

    model = nn.Sequential(nn.LI(dt="1 ms"))
    with pytest.raises(UnitError, match=r"evaluate: data: found dt 0.005 s, but layer 0 has 0.001 s"):
        evaluate(model, Binned(X, LABELS))
    assert len(evaluate(nn.Sequential(nn.LI(dt="5 ms")), Binned(X, LABELS)).labels) == 10


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_a_bad_batch_size_is_refused(size: Any) -> None:
    with pytest.raises(UnsupportedError, match=f"batch_size={size}"):
        evaluate(Identity(), (X, LABELS), batch_size=size)


def test_scores_that_are_no_numbers_are_refused() -> None:
    class Broken(Identity):
        def forward(self, x: Tensor) -> Any:
            return x * float("nan"), None

    with pytest.raises(UnsupportedError, match="scores that are not finite"):
        evaluate(Broken(), (X, LABELS))


def test_models_of_another_kind_are_refused() -> None:
    class BatchFirst(Identity):
        def forward(self, x: Tensor) -> Any:
            return x.swapaxes(0, 1), None

    with pytest.raises(ShapeError, match=r"y of shape \(1, 4, 3\) for 4 steps of 1 samples"):
        evaluate(BatchFirst(), (X, LABELS))
    for bad, message in (
        (None, "found NoneType as model"),
        (torch.nn.Sequential(nn.LI(dt="1 ms")), r"use spikelab\.nn\.Sequential\(\*model\)"),
        (torch.nn.Linear(3, 3), r"returned Tensor; expected \(y, state\)"),
    ):
        with pytest.raises(ShapeError, match=message):
            evaluate(bad, (X, LABELS))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="pass 3 or more"):
        Evaluation(0.0, np.array([0, 2]), np.array([0, 1]), {}).confusion(2)
