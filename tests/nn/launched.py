"""Launches of layers, up to the GPU's door; `test_gpu.py` runs this file in a process of its own.

A stand-in for Triton's driver says that there is a GPU of compute capability 9.0. Each launch then binds its
arguments and compiles as it would there, and only the launch itself is left out, so that results are undefined.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spikelab import neurons, nn
from spikelab.nn import devices


class Driver:
    """What a launch asks for before it launches."""

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: Any = None) -> int:
        return 0


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """PTX of each launch."""
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    made: list[str] = []
    run = JITFunction.run

    def compiled(self: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        kernel = run(self, *arguments, grid=grid, warmup=True, **options)
        made.append(kernel.asm["ptx"])
        return kernel

    driver.set_active(Driver())
    monkeypatch.setattr(JITFunction, "run", compiled)
    devices.register("cpu")
    return made


@pytest.mark.parametrize(
    ("shape", "dtype", "options", "expected"),
    [
        ((2, 64), torch.float32, {"learn": "v_threshold"}, 2),
        ((1, 1), torch.float32, {}, 2),
        ((3, 1), torch.bfloat16, {"learn": "v_threshold", "recompute": True}, 3),
        ((2, 3), torch.float32, {"recurrent": True}, 2 * 4),
        ((2, 8), torch.bfloat16, {"recurrent": True, "learn": "v_threshold"}, 2 * 4),
        ((2, 3), torch.float32, {"recurrent": True, "recompute": True}, 3 * 4),
    ],
)
def test_a_launch_compiles(
    launches: list[str], shape: tuple[int, ...], dtype: torch.dtype, options: dict[str, Any], expected: int
) -> None:
    x = torch.randn(4, *shape, dtype=dtype, requires_grad=True)
    y, _ = nn.Neuron(neurons.LIF(), dt="1 ms", shape=shape[1:], **options)(x)
    y.sum().backward()
    assert len(launches) == expected and not any("fma.rn.f32" in ptx for ptx in launches)
