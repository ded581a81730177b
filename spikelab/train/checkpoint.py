"""Checkpoints without pickle: arrays in an npz file, everything else as JSON text in it.

The file is written under a temporary name and renamed, so that a run that is killed leaves the last
whole one.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from spikelab.errors import FormatError, ShapeError
from spikelab.files import file_name, make_folder, whole_file

__all__ = ["Checkpoint", "load_checkpoint", "restore", "save_checkpoint"]

_FORMAT = "spikelab-checkpoint-1"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run needs to go on.

    Args:
        model: state_dict of the model.
        optimiser: state_dict of the optimiser.
        facts: JSON-ready: epochs done, history, settings.
    """

    model: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    facts: Mapping[str, Any]


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint; an older file of this name is replaced at once or not at all. Its folder is made.

    Raises:
        FormatError: the place cannot be written to, or the disk is full.
    """
    arrays = {f"model/{k}": v.detach().cpu().numpy() for k, v in checkpoint.model.items()}
    state: dict[str, dict[str, Any]] = {}
    for index, entry in checkpoint.optimiser["state"].items():
        state[str(index)] = {}
        for key, value in entry.items():
            if isinstance(value, Tensor):
                arrays[f"optimiser/{index}/{key}"] = value.detach().cpu().numpy()
            else:
                state[str(index)][key] = value
    facts = {
        "format": _FORMAT,
        "facts": dict(checkpoint.facts),
        "optimiser": {"state": state, "param_groups": checkpoint.optimiser["param_groups"]},
    }
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    make_folder(path)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{"facts": text, **arrays})  # type: ignore[arg-type]


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint; nothing in it can run code.

    Raises:
        FormatError: missing, damaged, or not a checkpoint of spikelab.
    """
    try:
        content = Path(file_name(path)).read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); expected a checkpoint; check the path") from error
    try:
        return _read(io.BytesIO(content))
    except Exception as error:  # the readers of zip, npy and JSON raise a dozen kinds on a damaged file
        raise FormatError(
            path, f"not a whole checkpoint of spikelab ({error}); delete it, or restore an older one"
        ) from error


def _read(opened: BinaryIO) -> Checkpoint:
    with np.load(opened, allow_pickle=False) as file:
        arrays = {k: np.array(file[k]) for k in file.files}
    facts = json.loads(bytes(arrays.pop("facts")).decode())
    if facts["format"] != _FORMAT or not isinstance(facts["facts"], dict):
        raise ValueError(f"found format {facts['format']!r}; expected {_FORMAT!r}")
    stored = facts["optimiser"]
    state: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in stored["state"].items()}
    model: dict[str, Tensor] = {}
    for key, value in arrays.items():
        kind, _, rest = key.partition("/")
        tensor = torch.from_numpy(value) if value.ndim else torch.tensor(value.item(), dtype=_DTYPES[str(value.dtype)])
        if kind == "model":
            model[rest] = tensor
        else:
            index, _, name = rest.partition("/")
            state.setdefault(int(index), {})[name] = tensor
    return Checkpoint(model, {"state": state, "param_groups": stored["param_groups"]}, facts["facts"])


_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "bool": torch.bool}


def restore(model: torch.nn.Module, optimiser: torch.optim.Optimizer, checkpoint: Checkpoint) -> None:
    """Put a checkpoint back into a model and its optimiser.

    Raises:
        ShapeError: it belongs to another model.
    """
    try:
        model.load_state_dict(dict(checkpoint.model))
        optimiser.load_state_dict(
            {"state": checkpoint.optimiser["state"], "param_groups": checkpoint.optimiser["param_groups"]}
        )
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShapeError(
            f"checkpoint: it belongs to another model: {error}; use another file name, or delete it"
        ) from error
