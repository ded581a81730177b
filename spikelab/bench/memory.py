"""Memory: what a layer keeps between forward and backward, and the peak of a process that trains.

The peak is read in a process of its own for each way: `python -m spikelab.bench.memory ours|bits|loop`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikelab.bench.lines import Line, Size
from spikelab.bench.tasks import ConvTask, NeuronTask
from spikelab.bench.timing import Settings

__all__ = ["kept", "kept_bytes", "peak_bytes", "peaks"]

LOOP = "plain torch loop over unbind"


def kept_bytes(layer: Callable[[Tensor], Any], x: Tensor) -> int:
    """Bytes that autograd keeps from the forward for the backward, the input and the output left out.

    Args:
        layer: function of x; a pair gives its output first.
        x: input.

    Example:
        >>> kept_bytes(lambda x: x * 2.0, torch.ones(8)), kept_bytes(lambda x: (x * 2.0).exp().sum(), torch.ones(8))
        (0, 32)
    """
    x = x.detach().requires_grad_(True)
    saved: dict[int, Any] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage  # kept here, so that no other gets the same address
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = layer(x)
    output = y[0] if isinstance(y, tuple) else y
    given = {tensor.untyped_storage().data_ptr() for tensor in (x, output)}
    return sum(storage.nbytes() for address, storage in saved.items() if address not in given)


def kept(
    name: str, build: Callable[..., Any], loop: Callable[[Tensor], Tensor], task: NeuronTask, settings: Settings
) -> Iterator[Line]:
    """Compare what a layer keeps with what the plain loop keeps.

    Args:
        name: of the layer.
        build: makes it from more arguments of the layer.
        loop: the plain loop.
        task: sizes and input.
        settings: choice.
    """
    tensor = task.x.numel() * task.x.itemsize
    references: list[tuple[str, Callable[[], int]]] = [
        ("one tensor of the input's size", lambda: tensor),
        (LOOP, lambda: kept_bytes(loop, task.x)),
    ]
    for way, more in ((name, {}), (f"{name}, recompute", {"recompute": True})):
        case = f"{way}, bytes kept for the backward"
        for reference, theirs in references:
            if settings.wants(case, reference):
                yield Size.of(case, reference, kept_bytes(build(**more), task.x), theirs(), task.counts)


def peaks(settings: Settings, sizes: Mapping[str, Any]) -> Iterator[Line]:
    """Compare the memory of processes that train the convolutional net: ours and the plain loop.

    Args:
        settings: threads, choice.
        sizes: arguments of `ConvTask.sized`.
    """
    ways = {"ours": "conv step", "bits": "conv step, spikes as bits"}
    kinds = {"peak": "peak memory of the process", "above": "peak memory above the start"}
    wanted = [(w, k) for w in ways for k in kinds if settings.wants(f"{ways[w]}, {kinds[k]}", LOOP)]
    found = {
        w: peak_bytes(w, settings.threads, sizes) for w in {*(w for w, _ in wanted), *(["loop"] if wanted else [])}
    }
    counts = {**ConvTask.sized(**sizes).counts, "threads": settings.threads}
    for way, kind in wanted:
        yield Size.of(f"{ways[way]}, {kinds[kind]}", LOOP, found[way][kind], found["loop"][kind], counts)


def peak_bytes(way: str, threads: int, sizes: Mapping[str, Any]) -> dict[str, int]:
    """Run three steps in a process of their own.

    Args:
        way: `"ours"`, `"bits"` (ours with `nn.spikes_as_bits`) or `"loop"`.
        threads: of torch.
        sizes: arguments of `ConvTask.sized`.

    Returns:
        [B] `peak` of the process, and how far that is `above` its memory before the first step.
    """
    command = [sys.executable, "-m", "spikelab.bench.memory", way, str(threads), json.dumps(dict(sizes))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def _highest() -> int:
    """[B] the most memory that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of Linux starts with what the process that started this one had
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def _main(way: str, threads: int, sizes: dict[str, Any]) -> None:
    if way != "loop":
        import_module("spikelab.nn")  # before torch makes its first tensor: see spikelab.nn.memory
    from spikelab.bench.conv import loop, ours

    torch.set_num_threads(threads)
    task = ConvTask.sized(**sizes)
    step = loop(task) if way == "loop" else ours(task)
    kept_as = import_module("spikelab.nn").spikes_as_bits if way == "bits" else nullcontext
    before = _highest()
    with kept_as():
        for _ in range(3):
            step()
    print(json.dumps({"peak": _highest(), "above": _highest() - before}))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
