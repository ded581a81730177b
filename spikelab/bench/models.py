"""Every neuron model of `spikelab.neurons` as a layer: against a torch loop over the same `step`, and against LIF.

The models are read from `spikelab.neurons.__all__`, so that a new one is measured without a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from spikelab import neurons, nn
from spikelab.bench.lines import Line
from spikelab.bench.scaling import names, scaling
from spikelab.bench.tasks import DT, NeuronTask, passes
from spikelab.bench.timing import Reference, Settings, Step, compare
from spikelab.neurons.model import NeuronModel, parameters

__all__ = ["drive", "learnt", "model_cases", "models"]

LOW, HIGH = 0.02, 0.3
"""Share of the neurons that spike in a step, where an input can be found that makes them do so."""


def models() -> dict[str, NeuronModel]:
    """All models with their default parameters, by name.

    Example:
        >>> "LIF" in models(), "NeuronModel" in models()
        (True, False)
    """
    found = {name: getattr(neurons, name) for name in neurons.__all__}
    classes = {n: c for n, c in found.items() if isinstance(c, type) and issubclass(c, NeuronModel)}
    return {name: kind() for name, kind in classes.items() if kind is not NeuronModel}


def learnt(model: NeuronModel) -> tuple[str, ...]:
    """Names of all parameters of a model."""
    return tuple(parameters(model))


def drive(model: NeuronModel, steps: int = 100) -> tuple[float, float]:
    """An input that makes the neurons spike now and then.

    Args:
        model: the neuron.
        steps: T of the trial.

    Returns:
        Scale of the input, and the share of the neurons that spike in a step; 1 where no scale reaches `LOW`.
    """
    layer = nn.Neuron(model, dt=DT, fused=False)
    noise = NeuronTask.sized(steps, 2, 32).x
    if not getattr(model, "spiking", True):
        return 1.0, 0.0
    for exponent in (0, *(sign * n / 2 for n in range(1, 27) for sign in (1, -1))):  # nearest to one first
        with torch.no_grad():
            z, _ = layer(_inputs(model, 10.0**exponent * noise))
        share = float((z != 0).float().mean())
        if LOW <= share <= HIGH:
            return 10.0**exponent, share
    return 1.0, 0.0


def _inputs(model: NeuronModel, x: torch.Tensor) -> Any:
    """The same input for every port, with the sign that the port asks for."""
    ports = model.ports
    if len(ports) == 1:
        return x
    return model.Inputs(*(port.sign * x.abs() if port.sign else x for port in ports.values()))  # type: ignore[attr-defined]


def model_cases(task: NeuronTask, settings: Settings, between: Callable[[], None]) -> Iterator[Line]:
    """Measure every model but LIF and CubaLIF, which have cases of their own.

    Args:
        task: sizes and input.
        settings: rounds, threads, choice.
        between: called before each step, not timed.
    """
    lif = neurons.LIF(tau_mem=task.tau_mem, reset="soft")
    for name, model in models().items():
        if name in ("LIF", "CubaLIF"):
            continue
        yield from _model_cases(name, model, lif, task, settings, between)


def _model_cases(
    name: str,
    model: NeuronModel,
    lif: NeuronModel,
    task: NeuronTask,
    settings: Settings,
    between: Callable[[], None],
) -> Iterator[Line]:
    case, same, fast = f"{name} forward+backward", "torch loop over the same step", "LIF of spikelab"
    if not any(settings.wants(*pair) for pair in ((case, same), (case, fast), names(case, len(task.x)))):
        return
    scale, share = drive(model)

    def step(task: NeuronTask, **more: Any) -> Step:
        return passes(nn.Neuron(model, dt=DT, **more), _inputs(model, scale * task.x), task.g)

    references = [
        Reference(same, lambda: step(task, fused=False)),
        Reference(fast, lambda: passes(nn.Neuron(lif, dt=DT), task.x, task.g)),
    ]
    counts = {**task.counts, "input_scale": scale, "spiking": round(share, 4)}
    yield from compare(case, lambda: step(task), references, counts, settings, between=between)
    yield from scaling(case, len(task.x), lambda t: step(task.repeated(t)), counts, settings)
