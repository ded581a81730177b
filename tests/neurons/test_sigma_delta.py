from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spikelab.neurons import SigmaDelta
from spikelab.neurons.primitives import NUMPY
from spikelab.neurons.sigma_delta import SigmaDeltaState
from spikelab.testing import check_model


def send(model: SigmaDelta, x: Any) -> tuple[np.ndarray, Any]:
    c, s, out = model.coefficients(1e-3, "exponential"), model.initial(), []
    s = SigmaDeltaState(*(np.full(np.shape(x[0]), v) for v in s))
    for u in x:
        z, s = model.step(u, s, c, NUMPY)
        out.append(z)
    return np.stack(out), s


BY_HAND = {
    # (activation, inputs, comparison): what is sent for the input 0.25, 0.125, -0.5, -0.25, 1
    ("relu", "changes", ">"): [0.0, 0.375, -0.375, 0.0, 0.625],  # y: 0.25 (a tie), 0.375, 0, 0, 0.625
    ("relu", "changes", ">="): [0.25, 0.0, -0.25, 0.0, 0.625],
    ("none", "changes", ">"): [0.0, 0.375, -0.5, 0.0, 0.75],  # y: 0.25, 0.375, -0.125, -0.375 (a tie), 0.625
    ("relu", "values", ">"): [0.0, 0.0, 0.0, 0.0, 1.0],
    ("none", "values", ">="): [0.25, 0.0, -0.75, 0.25, 1.25],
}


@pytest.mark.parametrize("flags", BY_HAND, ids=" ".join)
def test_a_short_sequence_gives_the_numbers_worked_out_by_hand(flags) -> None:
    activation, inputs, comparison = flags
    model = SigmaDelta(0.0, 0.25, activation=activation, inputs=inputs, comparison=comparison)
    assert send(model, np.array([0.25, 0.125, -0.5, -0.25, 1.0]))[0].tolist() == BY_HAND[flags]


signals = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-2, 2))


@given(signals, st.floats(0.01, 1.0), st.floats(-0.5, 0.5), st.sampled_from(("relu", "none")))
def test_the_sum_of_what_was_sent_is_within_a_threshold_of_the_activation(x, threshold, bias, activation) -> None:
    z, _ = send(SigmaDelta(bias, threshold, activation=activation), x)
    y = np.cumsum(x, axis=0) + bias
    y = np.maximum(y, 0) if activation == "relu" else y
    assert np.abs(np.cumsum(z, axis=0) - y).max() <= threshold + 1e-12
    assert (np.abs(z[z != 0]) > threshold).all()


@given(signals, st.floats(0.01, 1.0))
def test_an_encoder_and_a_neuron_behind_it_are_the_activation_within_two_thresholds(x, threshold) -> None:
    sent, _ = send(SigmaDelta(0.0, threshold, activation="none", inputs="values"), x)
    z, _ = send(SigmaDelta(0.0, threshold), sent)
    assert np.abs(np.cumsum(z, axis=0) - np.maximum(x, 0)).max() <= 2 * threshold + 1e-9


def test_an_input_that_stands_still_is_silence_after_the_first_step() -> None:
    z, _ = send(SigmaDelta(0.0, 0.1, inputs="values"), np.tile(np.array([0.05, 0.5, -3.0]), (20, 1)))
    assert z[0].tolist() == [0.0, 0.5, 0.0] and not z[1:].any()


def test_gradients_of_the_sum_of_changes_telescope() -> None:
    import torch

    from spikelab import nn

    layer = nn.SigmaDelta(v_threshold=0.01, inputs="values", dt="1 ms", surrogate=nn.Triangle(1000.0))
    x = torch.tensor([0.2, 0.9, 0.4, 0.7])[:, None, None].requires_grad_(True)
    layer(x)[0].sum().backward()  # the sum of what was sent is the last value
    assert x.grad is not None and x.grad.flatten().tolist() == [0.0, 0.0, 0.0, 1.0]


def test_it_keeps_the_contract() -> None:
    check_model(SigmaDelta(0.02, 0.15), drive=0.2)
