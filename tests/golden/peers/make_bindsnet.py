"""Write `bindsnet.npz`; needs bindsnet 0.3.4 and torch.

Recurrences, as read in bindsnet/network/nodes.py (a = exp(-dt / tc_decay), refrac = r counts down by dt each step):

    LIFNodes          v = a (v - rest) + rest; x = 0 where r > 0; r -= dt; v += x; s = [v >= thresh];
                      where s: r = refrac, v = reset; v = max(v, lbound)
    IFNodes           v += x where r <= 0; r -= dt; s = [v >= thresh]; where s: r = refrac, v = reset
    CurrentLIFNodes   v = a (v - rest) + rest; i = b i; r -= dt; i += x; v += i where r <= 0; s, resets as above:
                      the counter is lowered before it is looked at, so one step of refractoriness less than LIFNodes
    AdaptiveLIFNodes  v = a (v - rest) + rest; theta = c theta; v += x where r <= 0; r -= dt; s = [v >= thresh + theta];
                      resets as above; theta += theta_plus sum_over_batch(s): one theta for the batch, so it is run
                      with batch size 1 here (the batch is laid out along the neurons)
    IzhikevichNodes   where s of the last step: v = c, u += d; twice v += dt/2 (0.04 v^2 + 5 v + 140 - u + x);
                      u += dt a (b v - u); s = [v >= thresh]
"""

from __future__ import annotations

import math
from importlib.metadata import version

import numpy as np
import stand_ins
import torch
from vectors import BATCH, NEURONS, Vectors, drive

stand_ins.without("torchvision", "gymnasium", "ale_py", "cv2", "pandas", "skimage", "tensorboardX", "requests")

from bindsnet.network import nodes  # noqa: E402

vectors = Vectors("bindsnet", bindsnet=version("bindsnet"), torch=torch.__version__)


def run(make, scale: float, offset: int, batch: int = BATCH, case: str = "", dt: float = 1.0) -> torch.Tensor:
    layer = make(n=BATCH * NEURONS // batch)
    layer.compute_decays(torch.tensor(dt))
    layer.set_batch_size(batch)
    x = torch.from_numpy(drive(scale, offset, case).reshape(-1, batch, BATCH * NEURONS // batch))
    spikes = []
    for step in x:
        layer.forward(step.clone())
        spikes.append(layer.s.float().clone())
    return torch.stack(spikes).reshape(-1, BATCH, NEURONS)


def tau(decay: float) -> float:
    return -1 / math.log(decay)


for name, decay, offset in (("exact", 0.5, 32), ("ordinary", 0.9, 15)):
    arguments = {"thresh": 1.0, "reset": 0.0, "rest": 0.0, "tc_decay": tau(decay), "refrac": 0}
    z = run(lambda n, a=arguments: nodes.LIFNodes(n=n, **a), 1.0, offset, case=name)
    vectors.add(f"LIFNodes {name}", "LIFNodes", z, 1.0, offset, **arguments)

arguments = {"thresh": -52.0, "reset": -65.0, "rest": -65.0, "tc_decay": 20.0, "refrac": 0, "lbound": None}
z = run(lambda n: nodes.LIFNodes(n=n, **arguments), 16.0, 20)
vectors.add("LIFNodes millivolts", "LIFNodes", z, 16.0, 20, **arguments)

arguments |= {"refrac": 5}
z = run(lambda n: nodes.LIFNodes(n=n, **arguments), 16.0, 40)
vectors.add("LIFNodes refractory", "LIFNodes", z, 16.0, 40, **arguments)

arguments = {"thresh": 1.0, "reset": 0.0, "refrac": 0}
z = run(lambda n: nodes.IFNodes(n=n, **arguments), 1.0, 15)
vectors.add("IFNodes", "IFNodes", z, 1.0, 15, **arguments)

for name, a, b, scale, offset in (("exact", 0.5, 0.5, 1.0, 20), ("ordinary", 0.9, 0.8, 0.25, 25)):
    arguments = {
        "thresh": 1.0, "reset": 0.0, "rest": 0.0, "tc_decay": tau(a), "tc_i_decay": tau(b), "refrac": 0,
    }  # fmt: skip
    z = run(lambda n, a=arguments: nodes.CurrentLIFNodes(n=n, **a), scale, offset, case=name)
    vectors.add(f"CurrentLIFNodes {name}", "CurrentLIFNodes", z, scale, offset, **arguments)

arguments = {
    "thresh": 1.0, "reset": 0.0, "rest": 0.0, "tc_decay": tau(0.9), "theta_plus": 0.25, "tc_theta_decay": 50.0,
}  # fmt: skip
for name, refrac in (("ordinary", 0), ("refractory", 2)):
    arguments["refrac"] = refrac
    z = run(lambda n, a=dict(arguments): nodes.AdaptiveLIFNodes(n=n, **a), 1.0, 40, batch=1)
    vectors.add(f"AdaptiveLIFNodes {name}", "AdaptiveLIFNodes", z, 1.0, 40, **arguments)


# excitatory=1: a = 0.02, b = 0.2, c = -65 + 15 r^2, d = 8 - 6 r^2 with one random r per neuron, set to 0 here
def izhikevich(n: int) -> nodes.IzhikevichNodes:
    layer = nodes.IzhikevichNodes(n=n, excitatory=1, thresh=45.0, rest=-65.0)
    layer.c, layer.d = torch.full((n,), -65.0), torch.full((n,), 8.0)
    layer.S = torch.zeros(n, n)
    return layer


z = run(izhikevich, 16.0, 120, dt=0.25)
arguments = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "thresh": 45.0, "rest": -65.0, "dt": 0.25}
vectors.add("IzhikevichNodes", "IzhikevichNodes", z, 16.0, 120, **arguments)

assert all(np.isfinite(v).all() for v in vectors.arrays.values())
vectors.write()
