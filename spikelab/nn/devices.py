"""Devices with fused kernels: Numba's for CPU tensors, Triton's for CUDA tensors where Triton is installed.

Importing this module fills the table of operators.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikelab.neurons.triton_kernel import triton_installed, triton_kernel
from spikelab.nn import fused, gpu, gpu_recurrent, recurrent
from spikelab.nn.fused import DTYPES, OPERATORS, WRITERS, Operators

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
    OPERATORS[device] = Operators(
        gpu.neuron, gpu.neuron_backward, gpu_recurrent.recurrent, gpu_recurrent.recurrent_backward
    )


OPERATORS["cpu"] = Operators(fused.neuron, fused.neuron_backward, recurrent.recurrent, recurrent.recurrent_backward)
if triton_installed():
    register("cuda")
