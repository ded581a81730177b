"""Layers on CUDA tensors: the operators in Triton's interpreter, and the real thing where there is a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spikelab import nn
from spikelab.neurons.triton_kernel import triton_installed
from spikelab.nn.devices import has_kernel

needs_triton = pytest.mark.skipif(not triton_installed(), reason="Triton is not installed: pip install triton")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def in_a_process_of_its_own(name: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__).with_name(name))]
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert run.returncode == 0 and " passed" in run.stdout and "skipped" not in run.stdout, run.stdout[-5000:]


@needs_triton
def test_in_the_interpreter_layers_equal_the_loop_over_step() -> None:
    in_a_process_of_its_own("interpreted.py", TRITON_INTERPRET="1")


@needs_triton
def test_every_launch_of_a_layer_compiles_for_a_gpu(tmp_path: Path) -> None:
    in_a_process_of_its_own("launched.py", TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")


def test_dtypes_without_a_kernel_run_on_the_loop() -> None:
    assert has_kernel(torch.zeros(1)) and has_kernel(torch.zeros(1, dtype=torch.float64))
    assert not has_kernel(torch.zeros(1, dtype=torch.bfloat16)) and not has_kernel(torch.zeros(1, device="meta"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_input_is_computed_in_float32(dtype: torch.dtype) -> None:
    x = (torch.randn(30, 2, 5, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2).to(dtype)
    layer = nn.CubaLIF(dt="1 ms", v_threshold=0.7)
    y, state = layer(x)
    whole, exact = layer(x.float())
    assert y.dtype == dtype and torch.equal(y.float(), whole) and whole.any()
    assert state.neuron.v.dtype == torch.float32 and torch.equal(state.neuron.v, exact.neuron.v)


@needs_gpu
@needs_triton
@pytest.mark.parametrize("recurrent", [False, True])
def test_on_a_gpu_spikes_and_gradients_are_those_of_the_cpu(recurrent: bool) -> None:
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        layer = nn.LIF(dt="1 ms", shape=300, reset="soft", recurrent=recurrent, learn="v_threshold").to(device)
        x = (torch.randn(50, 4, 300, generator=torch.Generator().manual_seed(1)) * 0.5).to(device).requires_grad_(True)
        y, state = layer(x)
        (y.sum() + state.neuron.v.sum()).backward()
        assert x.grad is not None and layer.v_threshold.grad is not None
        found.append([v.detach().cpu() for v in (y, state.neuron.v, x.grad, layer.v_threshold.grad)])
    cpu, gpu = found
    if not recurrent:  # a product is summed in another order there
        assert all(torch.equal(a, b) for a, b in zip(cpu[:3], gpu[:3], strict=True))
    assert (cpu[0] != gpu[0]).float().mean() < 1e-3
    torch.testing.assert_close(cpu[3], gpu[3], rtol=1e-2 if recurrent else 1e-5, atol=1e-2)
