"""Devices with fused kernels: Numba's for CPU tensors, Triton's for CUDA tensors where Triton is installed.

torch picks the function of an operator by the device of its tensors; importing this module registers CUDA's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import spikelab.nn.recurrent  # noqa: F401  its operators must be there
from spikelab.neurons.triton_kernel import triton_installed, triton_kernel
from spikelab.nn.fused import DTYPES, WRITERS
from spikelab.nn.gpu import neuron, neuron_backward
from spikelab.nn.gpu_recurrent import recurrent, recurrent_backward

__all__ = ["has_kernel", "register"]


def has_kernel(x: Tensor) -> bool:
    """Whether fused kernels exist for tensors of this device and dtype."""
    return x.dtype in DTYPES.get(x.device.type, ())


def register(device: str) -> None:
    """Let Triton write and run the kernels of a type of device, in place of what did.

    Args:
        device: as in `Tensor.device.type`; `"cpu"` works in Triton's interpreter only.
    """
    WRITERS[device] = triton_kernel
    DTYPES[device] = (torch.float32, torch.bfloat16)
    operators: dict[str, Callable[..., Any]] = {
        "neuron": neuron,
        "neuron_backward": neuron_backward,
        "recurrent": recurrent,
        "recurrent_backward": recurrent_backward,
    }
    for name, function in operators.items():
        torch.library.register_kernel(f"spikelab::{name}", device, function)


if triton_installed():
    register("cuda")
