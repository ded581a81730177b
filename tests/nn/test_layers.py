"""Layers without state on [T, B, ...], and `Sequential`, which passes states along."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from spikelab import nn
from spikelab.errors import ShapeError, SpikelabError, UnsupportedError

LIF = {"tau_mem": "8 ms", "dt": "1 ms"}


def small() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.LIF(recurrent=True, **LIF), nn.Linear(6, 2), nn.LI(dt="1 ms"))
    nn.initialise(model, gain=3.0)
    return model


@pytest.mark.parametrize(
    ("layer", "plain"),
    [
        (nn.Conv2d(2, 3, (3, 2), stride=2, padding=1), torch.nn.Conv2d(2, 3, (3, 2), stride=2, padding=1)),
        (nn.AvgPool2d(2), torch.nn.AvgPool2d(2)),
        (nn.AvgPool2d((2, 1), padding=(1, 0)), torch.nn.AvgPool2d((2, 1), padding=(1, 0))),
    ],
)
def test_image_layers_are_those_of_torch_at_every_step(layer: Any, plain: Any) -> None:
    x = torch.randn(4, 3, 2, 5, 6)
    plain.load_state_dict(layer.state_dict())
    assert torch.allclose(layer(x), torch.stack([plain(step) for step in x]), atol=1e-6)


@pytest.mark.parametrize("kernel", [2, (3, 2)])
def test_a_sum_pool_adds_what_an_average_pool_means(kernel: Any) -> None:
    x = (torch.rand(2, 1, 1, 6, 6) < 0.4).float()
    summed = nn.SumPool2d(kernel)(x)
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    blocks = x[:, 0, 0].unfold(1, rows, rows).unfold(2, columns, columns)
    assert torch.allclose(summed[:, 0, 0], blocks.sum((3, 4)), atol=1e-5)


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), nn.SumPool2d(2)])
@pytest.mark.parametrize("shape", [(2, 5, 5), (4, 2, 5, 5), (4,)])
def test_images_without_time_and_batch_are_refused(layer: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected \[T, B, C, H, W\]"):
        layer(torch.zeros(shape))


@pytest.mark.parametrize(
    "plain",
    [torch.nn.Conv2d(2, 3, 3), torch.nn.AvgPool2d(2), torch.nn.BatchNorm2d(2).eval(), torch.nn.Dropout2d().eval()],
)
def test_plain_torch_layers_work_inside_a_sequence(plain: Any) -> None:
    x = torch.randn(4, 3, 2, 6, 6)
    y, state = nn.Sequential(plain)(x)
    assert torch.allclose(y, torch.stack([plain(step) for step in x]), atol=1e-6)
    assert state == (None,)


@pytest.mark.parametrize("flatten", [nn.Flatten(), torch.nn.Flatten(), torch.nn.Flatten(2)])
def test_flatten_keeps_time_and_batch(flatten: Any) -> None:
    assert nn.Sequential(flatten)(torch.zeros(4, 3, 2, 5, 5))[0].shape == (4, 3, 50)


def test_a_flatten_of_some_axes_is_refused() -> None:
    for bad in (torch.nn.Flatten(3), torch.nn.Flatten(1, 2), torch.nn.Flatten(0)):
        with pytest.raises(UnsupportedError, match="layer 0: found Flatten"):
            nn.Sequential(bad)(torch.zeros(4, 3, 2, 5, 5))


def test_a_sequence_in_chunks_equals_the_whole() -> None:
    model, x = small(), (torch.rand(30, 2, 5) < 0.4).float()
    whole, end = model(x)
    first, state = model(x[:11])
    second, last = model(x[11:], state)
    assert torch.allclose(torch.cat([first, second]), whole, atol=1e-5)
    assert [s is None for s in state] == [True, False, True, False]
    assert torch.equal(last[1].z, end[1].z) and end[1].z.sum() > 0


def test_a_sequence_is_a_loop_over_its_steps() -> None:
    model, x = small(), (torch.rand(20, 2, 5) < 0.4).float()
    state, outputs = None, []
    for step in x:
        y, state = model(step[None], state)
        outputs.append(y)
    assert torch.allclose(torch.cat(outputs), model(x)[0], atol=1e-5)


def test_nested_sequences_keep_their_states() -> None:
    inner = nn.Sequential(nn.Linear(5, 4), nn.LIF(**LIF))
    model, x = nn.Sequential(inner, nn.LI(dt="1 ms")), torch.rand(20, 2, 5) * 3
    whole = model(x)[0]
    first, state = model(x[:7])
    assert len(state[0]) == 2 and torch.allclose(torch.cat([first, model(x[7:], state)[0]]), whole, atol=1e-6)


def test_states_of_another_model_or_batch_are_refused() -> None:
    model, x = small(), torch.rand(5, 2, 5)
    state = model(x)[1]
    for bad in (state[:3], list(state), state[1], 0):
        with pytest.raises(ShapeError, match="expected the tuple of 4"):
            model(x, bad)
    with pytest.raises(ShapeError, match="one batch"):
        model(torch.rand(5, 3, 5), state)
    with pytest.raises(ShapeError, match="a state of LIState; expected one of LIFState"):
        model(x, (None, state[3], None, state[1]))


@pytest.mark.parametrize("shape", [(5,), (4, 5), (4, 2, 6), (4, 2, 5, 1)])
def test_shapes_that_do_not_fit_name_the_layer(shape: tuple[int, ...]) -> None:
    with pytest.raises(SpikelabError, match=r"layer 0|LIF"):
        small()(torch.zeros(shape))


def test_the_recurrent_size_comes_from_the_linear_before_it() -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.1), nn.LIF(recurrent=True), nn.Linear(6, 3))
    assert model[2].weight_rec.shape == (6, 6)
    lost = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LIF(recurrent=True, **LIF))
    with pytest.raises(ShapeError, match="the size is not known"):
        lost(torch.zeros(2, 1, 1, 5, 5))


def test_errors_of_ours_pass_a_sequence_unchanged() -> None:
    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise UnsupportedError("named on purpose")

    with pytest.raises(UnsupportedError, match=r"^named on purpose$"):
        nn.Sequential(Odd())(torch.zeros(2, 1, 1))


def test_copies_are_independent() -> None:
    model, x = small(), torch.rand(10, 2, 5)
    y = model(x)[0]
    twin = copy.deepcopy(model)
    with torch.no_grad():
        model[0].weight.zero_()
    assert torch.equal(twin(x)[0], y)
    model.load_state_dict(twin.state_dict())
    assert torch.equal(model(x)[0], y)
    np.testing.assert_array_equal(
        sorted(twin.state_dict()), ["0.bias", "0.weight", "1.weight_rec", "2.bias", "2.weight"]
    )


def test_a_sequence_of_torch_inside_ours_is_run_as_ours() -> None:
    torch.manual_seed(0)
    inner = torch.nn.Sequential(nn.Linear(5, 4), nn.LIF(**LIF))
    x = torch.rand(20, 2, 5) * 5
    nested, flat = nn.Sequential(inner, nn.LI(dt="1 ms")), nn.Sequential(*inner, nn.LI(dt="1 ms"))
    whole = nested(x)[0]
    assert torch.equal(whole, flat(x)[0]) and whole.any()
    first, state = nested(x[:7])
    assert torch.allclose(torch.cat([first, nested(x[7:], state)[0]]), whole, atol=1e-6)


def test_the_pair_of_a_neuron_layer_is_no_input() -> None:
    wrong = torch.nn.Sequential(nn.LIF(**LIF), nn.LIF(**LIF))
    with pytest.raises(ShapeError, match=r"found input of type tuple.*spikelab\.nn\.Sequential"):
        wrong(torch.zeros(3, 1, 2))


@pytest.mark.parametrize("layer", [small(), nn.LIF(**LIF), nn.Conv2d(1, 1, 1), nn.SumPool2d(2), nn.Flatten()])
def test_an_array_is_no_tensor(layer: Any) -> None:
    with pytest.raises(ShapeError, match=r"found input of type ndarray.*torch.as_tensor"):
        layer(np.zeros((3, 1, 1, 4, 4), np.float32))


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (
            small(),
            torch.zeros(3, 1, 5).double(),
            r"layer 0 \(Linear\): found input of torch.float64",
        ),
        (small(), torch.zeros(3, 1, 5).long(), "found input of torch.int64"),
        (nn.Conv2d(1, 1, 1), torch.zeros(3, 1, 1, 4, 4).double(), "Conv2d: found input of torch.float64"),
        (nn.Sequential(nn.Linear(2, 2, device="meta")), torch.zeros(3, 1, 2), "found input on cpu; expected meta"),
        (nn.Sequential(torch.nn.BatchNorm2d(3)), torch.zeros(3, 1, 3), "layer 0 .BatchNorm2d.: input of shape"),
        (nn.Sequential(torch.nn.BatchNorm1d(3)), torch.zeros(1, 1, 3), "more than 1 value per channel"),
        (nn.Sequential(torch.nn.RNN(5, 5)), torch.zeros(3, 1, 5), r"behind layer 0 \(RNN\): found input of type tuple"),
    ],
)
def test_input_of_another_kind_names_layer_and_remedy(layer: Any, x: torch.Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(x)


def test_images_one_pixel_wide_do_not_crash_the_convolution() -> None:
    layer = nn.Conv2d(2, 2, 1, stride=2, padding=1, dilation=2)  # oneDNN of torch 2.13 crashes channels last
    plain = torch.nn.Conv2d(2, 2, 1, stride=2, padding=1, dilation=2)
    plain.load_state_dict(layer.state_dict())
    for _ in range(10):
        x = torch.rand(5, 10, 2, 7, 1)
        assert torch.equal(layer(x).flatten(0, 1), plain(x.flatten(0, 1)))
