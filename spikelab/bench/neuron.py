"""`spikelab bench neuron`: layers of neurons, forward and backward, against peers, plain loops and the memory bound.

T = 100 steps of 64 x 1024 neurons, float32: 6.55 million decisions a pass. Before each pass the caches are filled
with something else, so that ours, the peers and the bound all start from memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from spikelab import neurons, nn
from spikelab.bench import loops
from spikelab.bench.lines import Line
from spikelab.bench.memory import kept
from spikelab.bench.models import learnt, model_cases
from spikelab.bench.peers import peers
from spikelab.bench.scaling import scaling
from spikelab.bench.tasks import DT, NeuronTask, passes
from spikelab.bench.timing import Evict, Reference, Settings, Step, compare
from spikelab.errors import UnsupportedError

__all__ = ["cases"]

LOOP = "plain torch loop over unbind"


def cases(settings: Settings, steps: int = 100, samples: int = 64, size: int = 1024) -> Iterator[Line]:
    """Measure the layers.

    Args:
        settings: rounds, threads, choice.
        steps: T.
        samples: B.
        size: N, neurons of a sample.
    """
    task, between = NeuronTask.sized(steps, samples, size), Evict()
    with settings.in_force():
        yield from _lif(task, settings, between)
        yield from _cuba_lif(task, settings, between)
        yield from model_cases(task, settings, between)


def _lif(task: NeuronTask, settings: Settings, between: Evict) -> Iterator[Line]:
    model = neurons.LIF(tau_mem=task.tau_mem, reset="soft")

    def loop(x: Tensor) -> Tensor:
        return loops.lif(x, task.decay)

    bound, plain = _bound(task), Reference(LOOP, lambda: passes(loop, task.x, task.g))
    compiled = Reference("torch.compile of a step, over unbind", lambda: _compiled(task))
    references = [bound, plain, compiled, _same_step(model, task), *peers(task, settings)]
    case = "LIF forward+backward"
    yield from compare(case, lambda: _ours(model, task), references, task.counts, settings, between=between)
    every = {"learn": learnt(model), "shape": task.x.shape[2]}
    references = [bound, plain, _same_step(model, task, **every)]
    case = "LIF, all learnt per neuron, forward+backward"
    yield from compare(case, lambda: _ours(model, task, **every), references, task.counts, settings, between=between)
    references = [bound, plain, Reference("LIF of spikelab", lambda: _ours(model, task))]
    case, ours = "LIF, recompute, forward+backward", lambda: _ours(model, task, recompute=True)
    yield from compare(case, ours, references, task.counts, settings, between=between)
    yield from _steps_and_bytes("LIF", model, loop, task, settings)


def _cuba_lif(task: NeuronTask, settings: Settings, between: Evict) -> Iterator[Line]:
    model = neurons.CubaLIF(tau_syn=task.tau_syn, tau_mem=task.tau_mem, reset="soft")

    def loop(x: Tensor) -> Tensor:
        return loops.cuba_lif(x, task.decay_syn, task.decay)

    references = [_bound(task), Reference(LOOP, lambda: passes(loop, task.x, task.g)), _same_step(model, task)]
    case = "CubaLIF forward+backward"
    yield from compare(case, lambda: _ours(model, task), references, task.counts, settings, between=between)
    yield from _steps_and_bytes("CubaLIF", model, loop, task, settings)


def _layer(model: neurons.NeuronModel, **more: Any) -> nn.Neuron:
    return nn.Neuron(model, dt=DT, surrogate=nn.SuperSpike(10.0), **more)


def _ours(model: neurons.NeuronModel, task: NeuronTask, **more: Any) -> Step:
    return passes(_layer(model, **more), task.x, task.g)


def _steps_and_bytes(
    name: str, model: neurons.NeuronModel, loop: Callable[[Tensor], Tensor], task: NeuronTask, settings: Settings
) -> Iterator[Line]:
    yield from scaling(
        f"{name} forward+backward", len(task.x), lambda t: _ours(model, task.repeated(t)), task.counts, settings
    )
    yield from kept(name, lambda **more: _layer(model, **more), loop, task, settings)


def _same_step(model: neurons.NeuronModel, task: NeuronTask, **more: Any) -> Reference:
    """The layer without its kernels."""
    return Reference("torch loop over the same step", lambda: _ours(model, task, fused=False, **more))


def _bound(task: NeuronTask) -> Reference:
    return Reference("memory bound (6 streams at copy speed)", lambda: _copies(task.x.numel()))


def _copies(n: int) -> Step:
    """Three copies of n values: as many bytes as x and z, then x, gz and gx of the backward, and one more."""
    source, target = torch.ones(3, n), torch.empty(3, n)
    return lambda: target.copy_(source)


def _compiled(task: NeuronTask) -> Step:
    if not (shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")):
        raise UnsupportedError("torch.compile: found no C++ compiler; expected g++, c++ or clang++; install one")
    compiled = torch.compile(loops.lif_step)
    return passes(lambda x: loops.lif(x, task.decay, compiled), task.x, task.g)
