"""Write `rockpool.npz`; needs rockpool 3.1.0 (`--no-deps`), scipy and torch.

Recurrence of LIFTorch, as read in rockpool/nn/modules/torch/lif_torch.py, with a = exp(-dt / tau_mem), b = exp(-dt /
tau_syn) (`leak_mode="taus"`), the numbers given (`"decays"`), or 1 - 2^-dash (`"bitshifts"`):

    i = b (i + x); v = a v + i + bias; s = min(floor(v / threshold) where v >= threshold, max_spikes_per_dt);
    v = v - s threshold

aLIFTorch (ahp_lif_torch.py) adds a second current, fed by the spikes of the step before: h = c (h + w_ahp s_before)
with c = exp(-dt / tau_ahp); v = a v + (i + h) + bias.
LIFBitshiftTorch rounds log2(tau / dt) to a whole number of bits d and decays by 1 - 2^-d.
LIFNeuronTorch cannot be run in 3.1.0: it takes the tuple that `tau_to_decay` returns for a tensor.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import stand_ins
import torch
from vectors import BATCH, NEURONS, Vectors, drive

stand_ins.without("samna")

from rockpool.nn.modules import LIFBitshiftTorch, LIFNeuronTorch, LIFTorch, aLIFTorch  # noqa: E402

vectors = Vectors("rockpool", rockpool=version("rockpool"), torch=torch.__version__)
DT = 1e-3


def case(name: str, module: Any, scale: float, offset: int, **arguments: Any) -> None:
    given = {k: torch.tensor(v) if k == "max_spikes_per_dt" else v for k, v in arguments.items()}
    if "w_ahp" in given:
        given["w_ahp"] = torch.full((NEURONS,), given["w_ahp"])  # a single number, which is allowed, does not run
    layer = module(shape=(NEURONS,), dt=DT, **given)
    x = torch.from_numpy(np.ascontiguousarray(drive(scale, offset, name).swapaxes(0, 1)))
    z = layer(x)[0].detach().numpy().swapaxes(0, 1)
    assert z.shape[1:] == (BATCH, NEURONS)
    vectors.add(f"{module.__name__} {name}", module.__name__, z, scale, offset, dt=DT, **arguments)


exact = {"leak_mode": "decays", "alpha": 0.5, "beta": 0.5}
case("many exact", LIFTorch, 4.0, 10, **exact)
case("one exact", LIFTorch, 4.0, 10, max_spikes_per_dt=1.0, **exact)
case("three exact", LIFTorch, 4.0, 10, max_spikes_per_dt=3.0, **exact)
ordinary = {"tau_mem": 9.5e-3, "tau_syn": 4.5e-3, "threshold": 0.9}
case("many", LIFTorch, 1.0, 10, **ordinary)
case("one", LIFTorch, 0.5, 15, max_spikes_per_dt=1.0, **ordinary)
case("bias", LIFTorch, 0.5, 0, max_spikes_per_dt=1.0, bias=0.03125, **ordinary)
case("bit shifts", LIFTorch, 0.5, 15, leak_mode="bitshifts", dash_mem=3.0, dash_syn=2.0)
case("rounded", LIFBitshiftTorch, 0.5, 15, tau_mem=9.5e-3, tau_syn=4.5e-3)
case("ordinary", aLIFTorch, 1.0, 25, tau_ahp=12e-3, w_ahp=-0.5, **ordinary)

try:
    LIFNeuronTorch(shape=(NEURONS,), dt=DT)(torch.ones(1, 3, NEURONS))
except AttributeError as error:
    print("LIFNeuronTorch:", error)

vectors.write()
