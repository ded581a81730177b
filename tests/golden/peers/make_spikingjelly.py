"""Write `spikingjelly.npz`; needs spikingjelly 2.0.0 (`--no-deps`, with loguru and tqdm) and torch.

Recurrences, as read in spikingjelly/activation_based/functional/neuron.py and spikingjelly/_ops; z = [h - v_threshold
>= 0]; reset: v = h - z v_threshold if v_reset is None, else v = z v_reset + (1 - z) h; r is v_reset, or 0 for None,
and v starts at r:

    IF          h = v + x
    LIF         h = v + (x - (v - r)) / tau with decay_input, else h = v - (v - r) / tau + x: it leaks to v_reset
    PLIF        LIF with a learnt 1 / tau = sigmoid(w)
    CUBALIF     c = c_decay c + x; h = v_decay v + c
    QIF         h = v + (x + a0 (v - v_rest) (v - v_c)) / tau
    EIF         h = v + (x + v_rest - v + delta_T exp((v - theta_rh) / delta_T)) / tau
    Izhikevich  h = v + (x + a0 (v - v_rest) (v - v_c) - w) / tau; w += (a (h - v_rest) - w) / tau_w + b z
    KLIF        h as LIF; h = max(k h, 0); z; the reset on h, or on h / k with v_threshold / k (scale_reset)
    CLIF        h = v - v / tau + x; m' = m sigmoid(h / tau); z; m = m' + z; v = h - z (v_threshold + sigmoid(m))
    GatedLIF    with A, B, G = sigmoid(alpha, beta, gamma), the rest as sigmoids of their parameters too, z of the step
                before: v = (1 - A (1 - tau)) v - (1 - A) linear_decay + x (1 - B (1 - conduct))
                          - (1 - A (1 - tau)) v_before G z - (1 - G) v_subreset z; z = [v - v_threshold >= 0];
                the state has no reset of its own
    Ternary     (LIF or IF) p = [h - v_threshold >= 0], n = [-h - v_threshold >= 0], output p - n; without v_reset
                v = h - (p - n) v_threshold, else v = v_reset where p + n
    ILIF        h = (1 - 1 / tau) v + x; z = round(min(max(h / v_threshold, 0), n)), half to even; v = h - z v_threshold
    RAF         e = exp(b dt): u' = e (u cos(omega dt) - v sin(omega dt)) + x; v' = e (u sin + v cos); z on v';
                reset of v
    PSN         z = [W x + bias >= 0], W [T, T] over the steps, one bias per step
    MaskedPSN   PSN with W (lambda mask + 1 - lambda), mask: the last k steps
    SlidingPSN  z_t = [sum_i w_i x_{t-k+1+i} + bias >= 0]

Surrogates: ATan(a) is (a / 2) / (1 + (pi a d / 2)^2), Sigmoid(a) is a s (1 - s) with s = sigmoid(a d).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import stand_ins
import torch
from vectors import BATCH, NEURONS, STEPS, Vectors, drive, output_gradient, small_drive

stand_ins.without("torchvision", "torchaudio", "tensorboard", "scienceplots")

from spikingjelly.activation_based import neuron, surrogate  # noqa: E402

vectors = Vectors("spikingjelly", spikingjelly=version("spikingjelly"), torch=torch.__version__)


def case(
    name: str, kind: str, scale: float, offset: int, given: dict[str, Any] | None = None, **arguments: Any
) -> None:
    layer = getattr(neuron, f"{kind}Node")(**arguments, **(given or {}))
    layer.step_mode = "m"
    layer.eval()
    with torch.no_grad():
        z = layer(torch.from_numpy(drive(scale, offset, name)))
    vectors.add(f"{kind} {name}", kind, z, scale, offset, **arguments)


RESETS = {"hard": {"v_reset": 0.0}, "soft": {"v_reset": None}}
for name, reset in RESETS.items():
    case(f"{name} exact", "LIF", 1.0, 32, tau=2.0, decay_input=False, v_threshold=1.0, **reset)
    case(f"{name}, input decayed, exact", "LIF", 2.0, 32, tau=2.0, decay_input=True, v_threshold=1.0, **reset)
    case(f"{name} ordinary", "LIF", 1.0, 15, tau=9.5, decay_input=False, v_threshold=0.9, **reset)
    case(f"{name}, input decayed, ordinary", "LIF", 8.0, 20, tau=9.5, decay_input=True, v_threshold=0.9, **reset)
    case(name, "IF", 1.0, 12, v_threshold=1.0, **reset)
case("hard below zero", "LIF", 1.0, 20, tau=9.5, decay_input=False, v_threshold=0.9, v_reset=-0.125)
case("ordinary", "ParametricLIF", 8.0, 20, init_tau=9.5, decay_input=True, v_threshold=0.9, v_reset=None)
case("hard exact", "CUBALIF", 1.0, 15, c_decay=0.5, v_decay=0.5, v_threshold=1.0, v_reset=0.0)
case("soft exact", "CUBALIF", 1.0, 15, c_decay=0.5, v_decay=0.5, v_threshold=1.0, v_reset=None)
case("hard ordinary", "CUBALIF", 0.25, 15, c_decay=0.8, v_decay=0.9, v_threshold=0.9, v_reset=0.0)
case("ordinary", "QIF", 4.0, 30, tau=9.5, v_c=0.8, a0=1.0, v_threshold=1.0, v_rest=0.0, v_reset=-0.1)
case("ordinary", "EIF", 4.0, 20, tau=9.5, delta_T=0.25, theta_rh=0.8, v_threshold=1.0, v_rest=0.0, v_reset=-0.1)
case(
    "ordinary", "Izhikevich", 8.0, 30, tau=9.5, v_c=0.8, a0=1.0, v_threshold=1.0, v_reset=-0.1, v_rest=0.0, w_rest=0.0,
    tau_w=20.0, a=0.5, b=0.25,
)  # fmt: skip
for scaled in (False, True):
    layer = neuron.KLIFNode(scaled, 9.5, True, 0.9, 0.0, step_mode="m")
    with torch.no_grad():
        layer.k.fill_(1.25)
        z = layer(torch.from_numpy(drive(8.0, 15)))
    arguments = {"scale_reset": scaled, "tau": 9.5, "decay_input": True, "v_threshold": 0.9, "v_reset": 0.0, "k": 1.25}
    vectors.add(f"KLIF {'scaled ' if scaled else ''}reset", "KLIF", z, 8.0, 15, **arguments)
case("ordinary", "ComplementaryLIF", 1.0, 32, tau=9.5, v_threshold=1.0)

gates = {
    "alpha": 0.75, "beta": -0.5, "gamma": 0.25, "tau": 1.5, "v_threshold": 0.5, "linear_decay": -4.0, "v_subreset": 0.5,
    "conduct": 1.0,
}  # fmt: skip
layer = neuron.GatedLIFNode(T=STEPS)
with torch.no_grad():
    for name, value in gates.items():
        getattr(layer, name).fill_(value)
    z = layer(torch.from_numpy(drive(1.0, 15))[..., None, None])[..., 0, 0]
vectors.add("GatedLIF ordinary", "GatedLIF", z, 1.0, 15, **gates)

case("soft", "TernaryIF", 1.0, 0, v_threshold=1.0, v_reset=None)
case("soft exact", "TernaryLIF", 2.0, 4, tau=2.0, decay_input=False, v_threshold=1.0, v_reset=None)
case("hard ordinary", "TernaryLIF", 1.0, 4, tau=9.5, decay_input=False, v_threshold=0.9, v_reset=0.125)
count = {"surrogate_function": surrogate.MultiLevelSpikeCount(4)}
case("exact", "ILIF", 4.0, 15, count, tau=2.0, v_threshold=1.0)
case("ordinary", "ILIF", 3.90625, 15, count, tau=4 / 3, v_threshold=0.9)
case("hard", "RAF", 2.0, 0, b=-0.125, omega=0.5, dt=1.0, v_threshold=1.0, v_reset=0.0)
case("soft", "RAF", 2.0, 0, b=-0.125, omega=0.5, dt=1.0, v_threshold=1.0, v_reset=None)

# The parallel ones: 8 steps of 12,800 neurons, weights on a grid of 1/16 so that any order of summation is exact.
SHORT = 8
x = torch.from_numpy(drive(1.0, 15, "exact").reshape(SHORT, -1))
weights = torch.randint(-8, 13, (SHORT, SHORT), generator=torch.Generator().manual_seed(0)) / 16.0
layers = {"PSN": neuron.PSN(SHORT), "MaskedPSN": neuron.MaskedPSN(3, SHORT, step_mode="m")}
for name, layer in layers.items():
    arguments = {"weight": weights.tolist(), "bias": -0.5} | ({} if name == "PSN" else {"k": 3, "lambda": 0.75})
    with torch.no_grad():
        layer.weight.copy_(weights)
        layer.bias.fill_(-0.5)
        if name == "MaskedPSN":
            layer.lambda_ = 0.75
        z = layer(x).reshape(STEPS, BATCH, NEURONS)
    vectors.add(f"{name} exact", name, z, 1.0, 15, steps=SHORT, **arguments)
layer = neuron.SlidingPSN(4, step_mode="m")
with torch.no_grad():
    layer.weight.copy_(torch.tensor([0.125, -0.25, 0.5, 1.0]))
    z = layer(torch.from_numpy(drive(1.0, 32, "exact")))
vectors.add("SlidingPSN exact", "SlidingPSN", z, 1.0, 32, k=4, weight=[0.125, -0.25, 0.5, 1.0], bias=-1.0)

for name, function in {"atan": surrogate.ATan(2.0), "sigmoid": surrogate.Sigmoid(4.0)}.items():
    for detach in (True, False):
        arguments = {"tau": 9.5, "decay_input": False, "v_threshold": 0.9, "v_reset": None, "detach_reset": detach}
        inputs = torch.from_numpy(small_drive(1.0, 15)).requires_grad_(True)
        z = neuron.LIFNode(**arguments, surrogate_function=function, step_mode="m")(inputs)
        (z * torch.from_numpy(output_gradient())).sum().backward()
        words = {"surrogate": name, "steepness": function.alpha}
        case_name = f"LIF gradient {name}{', reset detached' if detach else ''}"
        also = {"gradient": inputs.grad.numpy()}
        vectors.add(case_name, "LIF", z.detach(), 1.0, 15, also, **arguments, **words)

vectors.write()
