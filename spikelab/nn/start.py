"""Start weights that keep spiking layers alive."""

from __future__ import annotations

import math
from numbers import Real

import torch

from spikelab.errors import UnitError, UnsupportedError
from spikelab.nn.neuron import Neuron

__all__ = ["initialise"]


def initialise(
    module: torch.nn.Module, gain: float = 1.5, recurrent_gain: float = 0.5, readout_gain: float = 1.0
) -> None:
    """Draw all weights anew from torch's generator: uniform with standard deviation gain / sqrt(fan-in), biases 0.

    torch's own start is meant for dense inputs; with a few per cent of active inputs it leaves
    spiking layers silent.

    Args:
        module: the model.
        gain: of `Linear` and `Conv2d` weights in front of a neuron layer.
        recurrent_gain: of recurrent weights.
        readout_gain: of the last `Linear`.

    Raises:
        UnitError: a gain that is not above zero.
        UnsupportedError: no module.
    """
    if not isinstance(module, torch.nn.Module):
        raise UnsupportedError(
            f"initialise: found {type(module).__name__}; expected a torch module; pass one, as in nn.Sequential(...)"
        )
    for name, value in (("gain", gain), ("recurrent_gain", recurrent_gain), ("readout_gain", readout_gain)):
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
            raise UnitError(f"initialise: found {name}={value!r}; expected a number above zero")
    weighted = [m for m in module.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    for m in weighted:
        fan_in = m.weight[0].numel()
        bound = (readout_gain if m is weighted[-1] else gain) * math.sqrt(3 / fan_in)
        torch.nn.init.uniform_(m.weight, -bound, bound)
        if m.bias is not None:
            torch.nn.init.zeros_(m.bias)
    for layer in module.modules():
        if isinstance(layer, Neuron) and layer.weight_rec is not None:
            bound = recurrent_gain * math.sqrt(3 / layer.weight_rec.shape[1])
            torch.nn.init.uniform_(layer.weight_rec, -bound, bound)
