"""`spikelab bench gpu`: a LIF layer on a CUDA device, forward and backward, against a copy, a loop and spikingjelly.

Time is the device's own, between two events around several passes that are queued one behind the other,
as training queues them; what the host needs to launch a pass shows where the pass is shorter. The bound is
a copy that moves as many bytes: input and output forward, input and both gradients backward, and the
checkpoints written and read.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikelab import nn
from spikelab.bench.lines import Case, Line, Missing, versions
from spikelab.bench.tasks import passes
from spikelab.bench.timing import Step
from spikelab.errors import UnsupportedError
from spikelab.neurons.kernel import EVERY
from spikelab.nn.devices import has_kernel

__all__ = ["SIZES", "cases", "seconds"]

SIZES = ((100, 64, 1024), (100, 64, 8192), (100, 256, 8192))
"""T, B and N of the cases."""
PASSES = 10
"""Passes between two events."""


def seconds(step: Step, device: torch.device, passes: int = PASSES) -> float:
    """[s] time of a step on the device, mean of passes that are queued one behind the other."""
    if device.type != "cuda":
        began = time.perf_counter()
        for _ in range(passes):
            step()
        return (time.perf_counter() - began) / passes
    with torch.cuda.device(device):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        first.record()
        for _ in range(passes):
            step()
        last.record()
        torch.cuda.synchronize()
        return float(first.elapsed_time(last)) * 1e-3 / passes


def _layer(**options: Any) -> nn.Neuron:
    return nn.LIF(tau_mem="10 ms", reset="soft", dt="1 ms", surrogate=nn.ATan(2.0), **options)


def _spikingjelly(x: Tensor, g: Tensor) -> Iterator[tuple[str, Step | str]]:
    """Its LIF with the same reset and surrogate on each GPU back-end, or why that does not run here."""
    names = {backend: f"spikingjelly LIFNode, {backend}" for backend in ("triton", "cupy")}
    try:
        parts = (
            importlib.import_module(f"spikingjelly.activation_based.{n}") for n in ("functional", "neuron", "surrogate")
        )
        functional, neuron, surrogate = parts
    except Exception as error:  # noqa: BLE001 what a peer does at its import is no end of ours
        yield from ((name, f"does not run here: {type(error).__name__}: {error}") for name in names.values())
        return
    for backend, name in names.items():
        try:
            node: Any = neuron.LIFNode(
                tau=10.0,
                decay_input=False,
                v_reset=None,
                surrogate_function=surrogate.ATan(),
                detach_reset=True,
                step_mode="m",
                backend=backend,
            ).to(x.device)

            def forward(u: Tensor, node: Any = node) -> Any:
                functional.reset_net(node)
                return node(u)

            step = passes(forward, x, g)
            step()
        except Exception as error:  # noqa: BLE001 compilers of kernels have errors of their own
            yield name, f"does not run here: {type(error).__name__}: {error}"
        else:
            yield name, step


def _copy(moved: int, device: torch.device) -> Step:
    """Read and write so many bytes in all."""
    source, target = (torch.ones(moved // 8, dtype=torch.float32, device=device) for _ in range(2))
    return lambda: target.copy_(source)


def cases(
    sizes: tuple[tuple[int, int, int], ...] = SIZES,
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16),
    *,
    device: str = "cuda",
    rounds: int = 15,
    warm: int = 3,
) -> Iterator[Line]:
    """Time a LIF layer against its references, in turn.

    Args:
        sizes: T, B, N of each case.
        dtypes: of input and output.
        device: where to run.
        rounds: timed rounds, each one of ours and of every reference.
        warm: rounds before, not timed; the first compiles.

    Yields:
        One line per reference; in `counts` the share of the copy's bandwidth, and how many spikes differ from
        those of the loop.

    Raises:
        UnsupportedError: there is no such device, or no kernel for it.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UnsupportedError(
            "bench gpu: found no CUDA device; expected one that torch sees (torch.cuda.is_available()); "
            "run it on a machine with a GPU, with a torch built for CUDA"
        )
    place = torch.device(device)
    if device == "cuda" and not has_kernel(torch.empty(1, device=place)):
        raise UnsupportedError("bench gpu: found no Triton; expected it beside torch; run pip install triton")
    for dtype in dtypes:
        for size in sizes:
            yield from _rows(size, dtype, place, rounds, warm)


def _rows(
    size: tuple[int, int, int], dtype: torch.dtype, device: torch.device, rounds: int, warm: int
) -> Iterator[Line]:
    steps, samples, neurons = size
    generator = torch.Generator().manual_seed(0)
    x = torch.empty(size).normal_(0.12, 0.35, generator=generator).to(device, dtype)
    g = torch.randn(size, generator=generator).to(device, dtype)
    fused, loop = _layer(), _layer(fused=False)
    moved = 5 * x.numel() * x.element_size() + 2 * -(-steps // EVERY) * samples * neurons * 4
    with torch.no_grad():
        differing = int((fused(x)[0] != loop(x)[0]).sum())
    references = {"copy of as many bytes": _copy(moved, device), "loop over step": passes(loop, x, g)}
    for peer, found in _spikingjelly(x, g):
        if isinstance(found, str):
            yield Missing("LIF forward+backward", peer, found)
        else:
            references[peer] = found
    steps_timed = [passes(fused, x, g), *references.values()]
    times = np.array([[seconds(s, device) for s in steps_timed] for _ in range(warm + rounds)])[warm:]
    ours, copy = (float(v) for v in np.median(times[:, :2], axis=0))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    counts = {"steps": steps, "samples": samples, "neurons": neurons, "dtype": str(dtype).removeprefix("torch.")}
    counts |= {"device": name, "moved_bytes": moved, "differing_spikes": differing, "passes": PASSES}
    counts |= {"gigabytes_per_s": 1e-9 * moved / ours, "share_of_copy": copy / ours}
    known = versions("triton", "spikingjelly", "cupy-cuda12x")
    low, _, high = _quartiles(times[:, 0])
    for column, reference in enumerate(references, 1):
        first, middle, last = _quartiles(times[:, 0] / times[:, column])
        fast, median, slow = _quartiles(times[:, column])
        spread = (first, last), (low, high), (fast, slow)
        yield Case("LIF forward+backward", reference, ours, median, middle, *spread, rounds, known, counts)


def _quartiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
    return low, middle, high
