"""Write `snntorch.npz`; needs snntorch 1.0.0 and torch.

Recurrences, as read in snntorch/_neurons; spikes strictly above the threshold th, r = [mem > th] of the potential that
the last step left, s = [mem > th] of the new one:

    Leaky      subtract   mem = beta mem + x - r th                 (the subtraction is not decayed)
               zero       mem = beta (1 - r) mem + x
               none       mem = beta mem + x
    reset_delay=False     the reset follows at once: mem -= (s - r) th, or mem -= (s - r) mem. For "subtract" the next
                          step subtracts again where mem was still above th (r of the next step), so a spike is lost
    Synaptic              syn = alpha syn + x; mem = beta mem + syn; resets as above, "zero" also empties mem alone
    Alpha      zero       e = alpha e + x; n = beta n - x; mem = k (e + n); where r: e = n = mem = 0, without this x;
                          k = log(alpha) / (log(beta) - log(alpha)) + 1
               subtract   e -= th, n = 0, mem += n of before the step, where r
    Lapicque              mem = x R (1 / (R C)) dt + (1 - dt / (R C)) mem; resets as above. Given beta, R = 1 and
                          C = dt / log(1 / beta): the potential decays by 1 + log(beta), not by beta

Surrogates: fast_sigmoid(k) is 1 / (k |d| + 1)^2; atan(a) is (a / 2) / (1 + (pi a d / 2)^2); the reset is detached.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import snntorch as snn
import torch
from snntorch import surrogate
from vectors import Vectors, drive, output_gradient, small_drive

vectors = Vectors("snntorch", snntorch=version("snntorch"), torch=torch.__version__)


def over(cell: Any, x: torch.Tensor) -> torch.Tensor:
    state = cell.reset_mem()
    state = state if isinstance(state, tuple) else (state,)
    state = tuple(torch.zeros_like(x[0]) for _ in state)
    spikes = []
    for u in x:
        z, *state = cell(u, *state)
        spikes.append(z)
    return torch.stack(spikes)


def case(name: str, neuron: Any, scale: float, offset: int, **arguments: Any) -> None:
    with torch.no_grad():
        z = over(neuron(**arguments), torch.from_numpy(drive(scale, offset, name)))
    vectors.add(f"{neuron.__name__} {name}", neuron.__name__, z, scale, offset, **arguments)


EXACT, ORDINARY = {"beta": 0.5, "threshold": 1.0}, {"beta": 0.9, "threshold": 0.9}
for reset in ("subtract", "zero"):
    case(f"{reset} exact", snn.Leaky, 1.0, 32, reset_mechanism=reset, **EXACT)
    case(f"{reset} ordinary", snn.Leaky, 1.0, 15, reset_mechanism=reset, **ORDINARY)
    case(f"{reset} at once", snn.Leaky, 1.0, 15, reset_mechanism=reset, reset_delay=False, **ORDINARY)
    case(f"{reset} exact", snn.Synaptic, 1.0, 15, reset_mechanism=reset, alpha=0.5, **EXACT)
    case(f"{reset} ordinary", snn.Synaptic, 0.375, 15, reset_mechanism=reset, alpha=0.8, **ORDINARY)
    case(f"{reset} ordinary", snn.Alpha, 1.0, 15, reset_mechanism=reset, alpha=0.9, beta=0.8, threshold=0.5)
    case(f"{reset} ordinary", snn.Lapicque, 8.0, 20, reset_mechanism=reset, **ORDINARY)
case("large input, subtract at once", snn.Leaky, 3.0, 20, reset_mechanism="subtract", reset_delay=False, **ORDINARY)
case("none", snn.Leaky, 0.5, 20, reset_mechanism="none", **ORDINARY)

SURROGATES = {"fast_sigmoid": surrogate.fast_sigmoid(10), "atan": surrogate.atan(2.0), "sigmoid": surrogate.sigmoid(4)}
for name, function in SURROGATES.items():
    arguments = {"reset_mechanism": "subtract", **ORDINARY}
    x = torch.from_numpy(small_drive(1.0, 15)).requires_grad_(True)
    z = over(snn.Leaky(**arguments, spike_grad=function), x)
    (z * torch.from_numpy(output_gradient())).sum().backward()
    words = {"surrogate": name, "steepness": {"fast_sigmoid": 10, "atan": 2, "sigmoid": 4}[name]}
    vectors.add(
        f"Leaky gradient {name}", "Leaky", z.detach(), 1.0, 15, {"gradient": x.grad.numpy()}, **arguments, **words
    )

vectors.write()
