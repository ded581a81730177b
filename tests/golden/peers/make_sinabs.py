"""Write `sinabs.npz`; needs sinabs 3.1.3 and torch.

Recurrences, as read in sinabs/layers/functional (a = exp(-1 / tau_mem), b = exp(-1 / tau_syn), tau in steps):

    LIF     i = b (i + x), or x without tau_syn; g = (1 - a) i with norm_input, else i; v = a v + g;
            s = trunc(v / th) where v > 0 (MultiSpike, the default), that cut at n (MaxSpike(n)), or [v - th >= 0]
            (SingleSpike); v -= s th (MembraneSubtract), v -= s value (with a value), or v = reset where s
            (MembraneReset: with reset_value r it is v (s == 0) + r, so r is added to neurons that did not spike too);
            v = max(v, min_v_mem)
    IAF     LIF with a = 1, no norm_input
    ALIF    as LIF (SingleSpike by default), but with tau_syn and norm_input the scaled current (1 - a) i is kept as i;
            th = b0 + adapt_scale q; after the reset q = c q + (1 - c) s, c = exp(-1 / tau_adapt); q starts at 0

The gradient passes the reset. sinabs takes any function of (v, th) as surrogate: here 1 / (10 |v - th| + 1)^2.
"""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

import numpy as np
import stand_ins
import torch
from vectors import Vectors, drive, output_gradient, small_drive

stand_ins.without("samna")

from sinabs import activation, layers  # noqa: E402

vectors = Vectors("sinabs", sinabs=version("sinabs"), torch=torch.__version__)
SPIKES = {"many": activation.MultiSpike, "one": activation.SingleSpike, "three": activation.MaxSpike(3)}
RESETS = {"subtract": activation.MembraneSubtract(), "zero": activation.MembraneReset()}


def batch_first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1)))


def case(
    name: str, neuron: Any, scale: float, offset: int, spikes: str = "one", reset: str = "subtract", **arguments: Any
) -> None:
    layer = neuron(spike_fn=SPIKES[spikes], reset_fn=RESETS[reset], **arguments)
    with torch.no_grad():
        z = layer(batch_first(drive(scale, offset, name))).numpy().swapaxes(0, 1)
    words = {"spike_fn": spikes, "reset_fn": reset}
    vectors.add(f"{neuron.__name__} {name}", neuron.__name__, z, scale, offset, **words, **arguments)


def tau(decay: float) -> float:
    return -1 / math.log(decay)


exact = {"tau_mem": tau(0.5), "norm_input": False}
case("many exact", layers.LIF, 2.0, 32, "many", **exact)
case("three exact", layers.LIF, 4.0, 32, "three", **exact)
case("one exact", layers.LIF, 1.0, 32, **exact)
case("reset exact", layers.LIF, 1.0, 32, reset="zero", **exact)
ordinary = {"tau_mem": 9.5}
case("many", layers.LIF, 10.0, 25, "many", **ordinary)
case("one", layers.LIF, 8.0, 20, **ordinary)
case("reset", layers.LIF, 8.0, 20, reset="zero", **ordinary)
case("synapse exact", layers.LIF, 2.0, 32, tau_syn=tau(0.5), **exact)
case("synapse", layers.LIF, 4.0, 20, tau_syn=4.5, **ordinary)
case("synapse many", layers.LIF, 8.0, 20, "many", tau_syn=4.5, **ordinary)
case("lower bound", layers.LIF, 8.0, 20, min_v_mem=-0.25, **ordinary)
case("one", layers.IAF, 1.0, 12)
case("many", layers.IAF, 4.0, 20, "many")
adaptive = {"tau_adapt": 20.0, "adapt_scale": 1.8}
case("ordinary", layers.ALIF, 8.0, 40, **ordinary, **adaptive)
case("plain input", layers.ALIF, 1.0, 40, norm_input=False, **ordinary, **adaptive)
case("synapse", layers.ALIF, 32.0, 60, tau_syn=4.5, **ordinary, **adaptive)


def superspike(v: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    return 1 / (10 * (v - threshold).abs() + 1) ** 2


plain = {**ordinary, "norm_input": False}  # 1 - a, taken in float32, would cost the gradient its fifth digit
x = torch.from_numpy(small_drive(1.0, 15)).requires_grad_(True)
layer = layers.LIF(spike_fn=SPIKES["one"], reset_fn=RESETS["subtract"], surrogate_grad_fn=superspike, **plain)
z = layer(x.transpose(0, 1)).transpose(0, 1)
(z * torch.from_numpy(output_gradient())).sum().backward()
words = {"spike_fn": "one", "reset_fn": "subtract", "surrogate": "superspike", "steepness": 10}
vectors.add("LIF gradient", "LIF", z.detach(), 1.0, 15, {"gradient": x.grad.numpy()}, **words, **plain)

vectors.write()
