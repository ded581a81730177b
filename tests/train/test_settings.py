"""Settings of `fit`: each is checked by name, and a checkpoint can hold them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from spikelab.errors import UnsupportedError
from spikelab.train import SpikeDrop
from spikelab.train.loop import one_cycle
from spikelab.train.settings import Settings

GOOD: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 4,
    "lr": 1e-3,
    "weight_decay": 0.0,
    "schedule": one_cycle,
    "label_smoothing": 0.0,
    "readout": "mean",
    "augment": (),
    "clip": 0.0,
    "seed": 0,
}


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("epochs", 1.5, "epochs=1.5; expected a whole number from 1"),
        ("epochs", "3", "epochs='3'"),
        ("epochs", True, "epochs=True"),
        ("batch_size", 0, "batch_size=0"),
        ("batch_size", 2.0, "batch_size=2.0"),
        ("seed", None, "seed=None; expected a whole number from 0"),
        ("lr", "1e-3", "lr='1e-3'; expected a finite number above zero"),
        ("lr", math.inf, "lr=inf"),
        ("clip", math.nan, "clip=nan"),
        ("clip", None, "clip=None"),
        ("weight_decay", math.nan, "weight_decay=nan"),
        ("label_smoothing", 1, "label_smoothing=1; .*below 1"),
        ("schedule", "cosine", "schedule='cosine'; expected a function"),
        ("readout", "meam", "did you mean 'mean'"),
        ("augment", None, "found None in augment"),
        ("augment", "shift", "found 's' in augment"),
        ("augment", (SpikeDrop,), r"SpikeDrop'> in augment; .*pass SpikeDrop\(\)"),
    ],
)
def test_a_bad_setting_is_refused_by_name(name: str, bad: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        Settings(**{**GOOD, name: bad})


def test_a_single_transform_needs_no_tuple() -> None:
    assert Settings(**{**GOOD, "augment": SpikeDrop(0.2)}).augment == (SpikeDrop(0.2),)


def test_numbers_of_numpy_can_be_kept_in_a_checkpoint() -> None:
    made = Settings(**{**GOOD, "epochs": np.int64(3), "lr": np.float32(0.5), "augment": SpikeDrop(0.2)})
    facts = json.loads(json.dumps(made.facts()))
    assert (facts["epochs"], facts["lr"], facts["schedule"]) == (3, 0.5, "one_cycle")
    assert facts["augment"] == ["SpikeDrop(share=0.2)"]


@pytest.mark.parametrize("schedule", [3, None, lambda: 1.0, lambda a, b: a])
def test_a_schedule_takes_the_share_done(schedule: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"fit: found schedule=.*; expected a function of the share"):
        Settings(**GOOD | {"schedule": schedule})


@pytest.mark.parametrize("transform", [lambda x: x, lambda: 0, lambda x, rng, more: x])
def test_a_transform_takes_input_and_generator(transform: Any) -> None:
    for augment in (transform, (SpikeDrop(), transform)):
        with pytest.raises(UnsupportedError, match=r"in augment; expected a transform .*lambda x, rng: x"):
            Settings(**GOOD | {"augment": augment})
    assert Settings(**GOOD | {"augment": lambda x, rng, share=0.1: x}).augment
